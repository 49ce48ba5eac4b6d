"""What of a build stage's RUN the final stage says again: system packages without the build tools, users, folders.

The author's text is kept word for word and layout for layout; whole commands and words of package lists go.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imgopt_pipeline.dockerfiles import apt
from imgopt_pipeline.dockerfiles.build_tools import (
    builds,
    global_programs,
    install_calls,
    installs_globally,
    only_builds,
)
from imgopt_pipeline.dockerfiles.copied_paths import is_temporary
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.runs import Call, Run, call_of
from imgopt_pipeline.dockerfiles.shell import Command
from imgopt_pipeline.dockerfiles.trimmed_lists import Needs, Trimmed, applied, trimmed

_USERS = re.compile(r"useradd|groupadd|adduser|addgroup|usermod|groupmod|passwd|chpasswd|mkdir|locale-gen|localedef")
_FILES = re.compile(
    r"install|ln|chown|chmod|touch|setcap|ldconfig|update-(locale|ca-certificates|alternatives)|dpkg-reconfigure"
)
"""What sets up files of the system: said again too, after what was built has been copied."""

_NEUTRAL = re.compile(r"set|export|cd|echo|printf|cat|tee|sed|true|test|\[|rm|apt-get|apt|apk")
_TIDYING = frozenset({"update", "clean", "autoclean", "autoremove", "upgrade", "dist-upgrade"})
_BETWEEN = re.compile(r"(?:\s|\\\n|#[^\n]*\n)*(?:&&|;)?(?:\s|\\\n|#[^\n]*\n)*")
_SYSTEM_MOUNT = re.compile(r"/var/(cache|lib)/apt|/var/cache/apk|/etc/apk")


@dataclass(frozen=True, slots=True)
class Repeated:
    """What the final stage says of a RUN: `text` before what was built is copied, `afterwards` after; None for nothing.

    `moved`: some of it happens in the build stage alone. `dropped` and `kept`: packages of the distribution. `owners`:
    given to paths by its `chown -R`. `unclear`: why it cannot be told apart, in words.
    """

    text: str | None = None
    afterwards: str | None = None
    moved: bool = False
    dropped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    owners: dict[str, str] = field(default_factory=dict)
    unclear: str = ""


def repeated(draft: Draft, run: Run, needs: Needs) -> Repeated:
    """What the final stage says of a RUN of the stage that is parted."""
    installing = install_calls(run.calls)
    moving = [call for call in run.calls if builds(call)]
    if not moving and not installing:
        moving = [call for call in run.calls if _does_more(call)]
    lists = {call.first.start: trimmed(draft, call, needs) for call in installing}
    dropped = tuple(name for found in lists.values() for name in found.dropped)
    kept = tuple(name for found in lists.values() for name in found.kept)
    if not moving and all(found.kept for found in lists.values()) and not any(_is_idle(c, needs) for c in run.calls):
        edits = [edit for found in lists.values() for edit in found.edits]
        whole = applied(draft.document.text, run.instruction.start, run.instruction.end, edits)
        return Repeated(whole, dropped=dropped, kept=kept)
    selected = _selected(run, lists, moving, needs)
    if selected is None:
        return Repeated(unclear=f"line {draft.origin(run.instruction)} changes folders between its commands")
    before, after, edits = selected
    text, afterwards = _cut(draft, run, before, edits), _cut(draft, run, after, edits)
    if text is None or afterwards is None:
        return Repeated(unclear=f"line {draft.origin(run.instruction)} builds within conditions, loops or pipes")
    owners = {path: owner for call in run.calls for path, owner in _chowned(run, call).items()} if moving else {}
    return Repeated(text or None, afterwards or None, bool(moving), dropped, kept, owners)


def _selected(
    run: Run, lists: Mapping[int, Trimmed], moving: Sequence[Call], needs: Needs
) -> tuple[list[Command], list[Command], list[Edit]] | None:
    """The commands for the system, those before and after what is built, and edits of their words.

    None where a `cd` decides what they mean.
    """
    before: list[Command] = []
    after: list[Command] = []
    edits: list[Edit] = []
    built = folder_changed = False
    installs_left = any(found.kept for found in lists.values())
    for command in run.script.commands:
        call = call_of(command)
        if call is None or call.program in ("set", "export"):
            before.append(command)
            continue
        built = built or call in moving
        found = lists.get(call.first.start)
        if found is not None:
            before += [command] if found.kept else []
            edits += found.edits
        elif call.program in (*apt.APT, "apk") or _removes_lists(call):
            before += [command] if installs_left and (call.does in _TIDYING or _removes_lists(call)) else []
        elif installs_globally(call):
            before += [] if _is_idle(call, needs) else [command]
        elif call.program == "cd":
            folder_changed = True
        elif call.program == "chown" and _recursive(call):
            # The folder one works in is there already, and COPY leaves its owner.
            if run.around.folder in _chowned(run, call):
                edits += _recursive(call)
                after.append(command)
        elif (_USERS.fullmatch(call.program) or _FILES.fullmatch(call.program)) and not _is_scratch(run, call):
            if folder_changed and any(not word.text.startswith(("/", "-")) for word in call.arguments):
                return None
            (after if built and _FILES.fullmatch(call.program) else before).append(command)
    return before, after, edits


def _does_more(call: Call) -> bool:
    """Whether a call does more than set up the system or switch a program of Node on."""
    known = (_USERS.fullmatch(call.program), _FILES.fullmatch(call.program), _NEUTRAL.fullmatch(call.program))
    return not any(known) and not installs_globally(call)


def _is_idle(call: Call, needs: Needs) -> bool:
    """Whether it installs programs of Node that only the build uses."""
    return installs_globally(call) and needs.used.isdisjoint(names := global_programs(call)) and only_builds(names)


def _cut(draft: Draft, run: Run, keep: Sequence[Command], edits: Sequence[Edit]) -> str | None:
    """A RUN with some of its commands, each joined to the one before it as the author did it.

    Empty where they say nothing; None where they cannot be cut out of the text.
    """
    text, commands = draft.document.text, run.script.commands
    if not any(_says_something(command) for command in keep):
        return ""
    pieces = [_head(draft, run)]
    for number, command in enumerate(commands):
        if command not in keep:
            continue
        gap = text[commands[number - 1].end : command.start] if number else ""
        if not command.plain or not _BETWEEN.fullmatch(gap.replace("\r\n", "\n")):
            return None
        pieces += [gap if len(pieces) > 1 else "", applied(text, command.start, command.end, edits)]
    rest = text[commands[-1].end : run.instruction.end]
    if not run.script.heredoc and commands[-1] in keep and rest.strip():
        return None
    pieces.append(rest if run.script.heredoc else "")
    return "".join(pieces).replace("\r\n", "\n")


def _head(draft: Draft, run: Run) -> str:
    """RUN and its flags up to the first command, without mounts that only what is built needs."""
    text, instruction = draft.document.text, run.instruction
    kept = [flag for flag in instruction.flags if not flag.startswith("--mount=") or _SYSTEM_MOUNT.search(flag)]
    if len(kept) == len(instruction.flags):
        return text[instruction.start : run.script.commands[0].start]
    body = text[instruction.body_start : run.script.commands[0].start]
    return " ".join(["RUN", *kept, body])


def _says_something(command: Command) -> bool:
    call = call_of(command)
    return call is not None and call.program not in ("set", "export")


def _removes_lists(call: Call) -> bool:
    return call.program == "rm" and any(
        word.text.startswith(("/var/lib/apt", "/var/cache/apt", "/var/cache/apk")) for word in call.command.words
    )


def _recursive(call: Call) -> list[Edit]:
    """The edits that take `-R` off a call; none where it has none."""
    words = [word for word in (*call.options, *call.arguments) if word.text in ("-R", "--recursive")]
    return [Edit(word.start, word.end + 1, "") for word in words]


def _chowned(run: Run, call: Call) -> dict[str, str]:
    """The owner that a `chown -R` gives to folders, by absolute path."""
    words = [word.text for word in call.command.words if not word.text.startswith("-")]
    if call.program != "chown" or not _recursive(call) or len(words) < 3:
        return {}
    paths = (run.around.path(text) for text in words[words.index("chown") + 2 :] if "chown" in words)
    return {path: words[words.index("chown") + 1] for path in paths if path is not None}


def _is_scratch(run: Run, call: Call) -> bool:
    """Whether it is only about temporary folders."""
    paths = [run.around.path(word.text) or "" for word in call.arguments if "/" in word.text]
    return bool(paths) and all(is_temporary(path) for path in paths)


def mentions(texts: Sequence[str]) -> frozenset[str]:
    """Every word of some command lines that may be a program's name."""
    found = (word for text in texts for word in re.findall(r"[A-Za-z0-9_.+/-]+", text))
    return frozenset(posixpath.basename(word) for word in found)
