"""What of a build stage's RUN the final stage says again: system packages without the build tools, users, folders.

The author's text is kept word for word and layout for layout; whole commands and words of package lists go.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from imgopt_pipeline.dockerfiles import apt
from imgopt_pipeline.dockerfiles.build_tools import (
    builds,
    distribution,
    global_programs,
    install_calls,
    installs_globally,
    only_builds,
    package_name,
    package_words,
    runtime_libraries,
    unneeded,
)
from imgopt_pipeline.dockerfiles.copied_paths import is_temporary
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.facts import ImageFacts
from imgopt_pipeline.dockerfiles.layout import line_indent
from imgopt_pipeline.dockerfiles.runs import Call, Run, call_of
from imgopt_pipeline.dockerfiles.shell import Command, Word

_SYSTEM = re.compile(
    r"useradd|groupadd|adduser|addgroup|usermod|groupmod|passwd|chpasswd|mkdir|install|ln|chown|chmod|touch|setcap"
    r"|locale-gen|update-locale|localedef|dpkg-reconfigure|update-ca-certificates|ldconfig|update-alternatives"
)
"""What sets up the system or its users, and is said again in the final stage."""
_NEUTRAL = re.compile(r"set|export|cd|echo|printf|cat|tee|sed|true|test|\[|rm|apt-get|apt|apk")
_TIDYING = frozenset({"update", "clean", "autoclean", "autoremove", "upgrade", "dist-upgrade"})
_GYP = frozenset({"python", "python2", "python3", "python3-minimal", "python-is-python3", "py3-setuptools"})


@dataclass(frozen=True, slots=True)
class Needs:
    """What a final stage needs of the system. `used` and `fetched` as in build_tools.unneeded.

    `trims`: build tools are left out. `extra`: packages to add to the first list. `present`: libraries its base has.
    """

    used: frozenset[str] = frozenset()
    fetched: frozenset[str] = frozenset()
    trims: bool = True
    extra: tuple[str, ...] = ()
    present: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Repeated:
    """What the final stage says of a RUN: its `text`, None for nothing.

    `moved`: some of it happens in the build stage alone. `dropped`: packages that go, `owners`: owners given to paths
    by its chown -R. `unclear`: why it cannot be told apart, in words.
    """

    text: str | None = None
    moved: bool = False
    dropped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    owners: dict[str, str] = field(default_factory=dict)
    unclear: str = ""


def repeated(draft: Draft, run: Run, needs: Needs) -> Repeated:
    """What the final stage says of a RUN of the stage that is parted."""
    installing = install_calls(run.calls)
    moving = [call for call in run.calls if builds(call)]
    idle = [call for call in run.calls if _is_idle(call, needs)]
    if not moving and not installing:
        moving = [call for call in run.calls if _is_other(call)]
    words = {call.first.start: _words(draft, call, needs) for call in installing}
    empty = [call for call in installing if not words[call.first.start].kept]
    dropped = tuple(name for found in words.values() for name in found.dropped)
    kept = tuple(name for found in words.values() for name in found.kept)
    plain = all(command.plain for command in run.script.commands)
    if not moving and not empty and not idle:
        edits = [edit for found in words.values() for edit in found.edits]
        return Repeated(_edited(draft, run, list(run.script.commands), edits), False, dropped, kept)
    if not plain:
        kept_systems = [call for call in run.calls if _SYSTEM.fullmatch(call.program)]
        if kept or kept_systems:
            return Repeated(unclear=f"line {run.instruction.line} builds within conditions, loops or pipes")
        return Repeated(None, bool(moving), dropped, kept)
    return _parted(draft, run, words, moving)


@dataclass(frozen=True, slots=True)
class _Words:
    """A call's packages: kept and dropped by name, with the edits that take the latter out of the list."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    edits: tuple[tuple[int, int, str], ...]


def _words(draft: Draft, call: Call, needs: Needs) -> _Words:
    words = package_words(call)
    if draft.image is None:
        return _Words(tuple(map(package_name, words)) or ("?",), (), ())
    ecosystem = distribution(call)
    kept: list[str] = []
    dropped: list[str] = []
    edits: list[tuple[int, int, str]] = []
    named = {package_name(word) for word in words}
    for word in words:
        name = package_name(word)
        for_gyp = name in _GYP and _is_for_gyp(draft.image, named, needs)
        if not needs.trims or not (for_gyp or unneeded(name, draft.image, ecosystem, needs.used, needs.fetched)):
            kept.append(name)
            continue
        dropped.append(name)
        libraries = [
            library
            for library in runtime_libraries(name, draft.image, ecosystem)
            if library not in named | needs.present and library not in kept
        ]
        kept += libraries
        if libraries:
            edits.append((word.start, word.end, _listed(draft, word, libraries)))
        else:
            edits.append((_gap_start(draft, call, word), word.end, ""))
    if not words or any(not word.literal for word in call.arguments):
        kept.append("?")
    missing = [name for name in needs.extra if name not in kept] if kept and call.program in apt.APT else []
    if missing and words:
        last = words[-1]
        edits.append((last.end, last.end, _separator(draft, last) + _listed(draft, last, missing)))
        kept += missing
    return _Words(tuple(kept), tuple(dropped), tuple(edits))


def _is_for_gyp(image: ImageFacts, named: Set[str], needs: Needs) -> bool:
    """Whether Python comes beside a compiler in an image of Node, whose node-gyp asks for both."""
    if named.isdisjoint({"make", "g++", "build-essential", "build-base"}) or not image.of("node"):
        return False
    return not any(program.startswith("python") for program in needs.used)


def _parted(draft: Draft, run: Run, words: dict[int, _Words], moving: Sequence[Call]) -> Repeated:
    """A RUN of plain commands, of which only those for the system are said again."""
    keep: list[Command] = []
    owners: dict[str, str] = {}
    edits: list[tuple[int, int, str]] = []
    dropped: list[str] = []
    kept: list[str] = []
    folder_changed = False
    installs_left = any(found.kept for found in words.values())
    for command in run.script.commands:
        call = call_of(command)
        if call is None or call.program in ("set", "export"):
            keep.append(command)
            continue
        found = words.get(call.first.start)
        if found is not None:
            dropped += found.dropped
            kept += found.kept
            if found.kept:
                keep.append(command)
                edits += found.edits
        elif call.program in apt.APT or call.program == "apk" or _removes_lists(call):
            if installs_left and (call.does in _TIDYING or _removes_lists(call)):
                keep.append(command)
        elif installs_globally(call):
            if not _is_idle(call, needs):
                keep.append(command)
        elif call.program == "cd":
            folder_changed = True
        elif call.program == "chown" and call.has("-R", "--recursive"):
            owners |= _chowned(run, call)
        elif _SYSTEM.fullmatch(call.program) and not _about_scratch(run, call):
            if folder_changed and any(not word.text.startswith(("/", "-")) for word in call.arguments):
                return Repeated(unclear=f"line {run.instruction.line} changes folders between its commands")
            keep.append(command)
    says_something = any(_says_something(command) for command in keep)
    text = _edited(draft, run, keep, edits) if says_something else None
    return Repeated(text, bool(moving), tuple(dropped), tuple(kept), owners)


def _is_other(call: Call) -> bool:
    """Whether a call does more than set up the system or switch a program of Node on."""
    known = _SYSTEM.fullmatch(call.program) or _NEUTRAL.fullmatch(call.program)
    return not known and not installs_globally(call)


def _is_idle(call: Call, needs: Needs) -> bool:
    """Whether it installs programs of Node that only the build uses."""
    return installs_globally(call) and needs.used.isdisjoint(names := global_programs(call)) and only_builds(names)


def _says_something(command: Command) -> bool:
    call = call_of(command)
    return call is not None and call.program not in ("set", "export")


def _edited(draft: Draft, run: Run, keep: Sequence[Command], edits: Sequence[tuple[int, int, str]]) -> str:
    """The text of a RUN with some of its commands, each joined to the one before as the author did it."""
    text, commands = draft.document.text, run.script.commands
    pieces = [text[run.instruction.start : commands[0].start]]
    for number, command in enumerate(commands):
        if command not in keep:
            continue
        if len(pieces) > 1:
            pieces.append(text[commands[number - 1].end : command.start])
        pieces.append(_with(text, command.start, command.end, edits))
    pieces.append(text[commands[-1].end : run.instruction.end])
    return "".join(pieces).replace("\r\n", "\n")


def _with(text: str, start: int, end: int, edits: Sequence[tuple[int, int, str]]) -> str:
    pieces: list[str] = []
    for first, last, replacement in sorted(edits):
        if start <= first and last <= end:
            pieces += [text[start:first], replacement]
            start = last
    return "".join([*pieces, text[start:end]])


def _gap_start(draft: Draft, call: Call, word: Word) -> int:
    """Where the white space and the comments before a word begin."""
    before = [other.end for other in call.command.words if other.end <= word.start]
    return max(before, default=word.start)


def _separator(draft: Draft, word: Word) -> str:
    indent = line_indent(draft.document, word.start)
    return " " if indent is None else f" \\\n{indent}"


def _listed(draft: Draft, word: Word, names: Sequence[str]) -> str:
    return _separator(draft, word).join(names)


def _removes_lists(call: Call) -> bool:
    return call.program == "rm" and any(
        word.text.startswith(("/var/lib/apt", "/var/cache/apt", "/var/cache/apk")) for word in call.command.words
    )


def _chowned(run: Run, call: Call) -> dict[str, str]:
    """The folders that a `chown -R` gives away, by absolute path."""
    words = [word.text for word in call.command.words if not word.text.startswith("-")]
    if len(words) < 3:
        return {}
    paths = (run.around.path(text) for text in words[2:])
    return {path: words[1] for path in paths if path is not None}


def _about_scratch(run: Run, call: Call) -> bool:
    """Whether it is only about temporary folders."""
    paths = [run.around.path(word.text) or "" for word in call.arguments if "/" in word.text]
    return bool(paths) and all(is_temporary(path) for path in paths)


def mentions(texts: Sequence[str]) -> frozenset[str]:
    """Every word of some command lines that may be a program's name."""
    found = (word for text in texts for word in re.findall(r"[A-Za-z0-9_.+/-]+", text))
    return frozenset(posixpath.basename(word) for word in found)
