"""The list of packages that one call installs, without those that only build, word by word."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

from imgopt_pipeline.dockerfiles import apt
from imgopt_pipeline.dockerfiles.build_tools import (
    closure,
    distribution,
    is_build_tool,
    package_name,
    package_words,
    runtime_libraries,
    unneeded,
)
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.facts import ImageFacts
from imgopt_pipeline.dockerfiles.layout import line_indent
from imgopt_pipeline.dockerfiles.runs import Call
from imgopt_pipeline.dockerfiles.shell import Word

_GYP = frozenset({"python", "python2", "python3", "python3-minimal", "python-is-python3", "py3-setuptools"})
Trims = Literal["all", "base", "none"]
_UNKNOWN = "?"
"""Stands for packages that only the shell knows."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a final stage needs of the system. `used` and `fetched` as in build_tools.unneeded.

    `trims`: which build tools are left out: `all`, those that the `base` has besides, or `none`. `extra`: packages to
    add to the first list. `present`: libraries its base has.
    """

    used: frozenset[str] = frozenset()
    fetched: frozenset[str] = frozenset()
    trims: Trims = "all"
    extra: tuple[str, ...] = ()
    present: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A call's packages, kept and dropped, and the edits that take the latter out of its list."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    edits: tuple[Edit, ...]


def trimmed(draft: Draft, call: Call, needs: Needs) -> Trimmed:
    """What is left of a call that installs packages; libraries take the place of the headers they come with."""
    words = package_words(call)
    if draft.image is None:
        return Trimmed(tuple(map(package_name, words)) or (_UNKNOWN,), (), ())
    ecosystem = distribution(call)
    named = {package_name(word) for word in words}
    kept: list[str] = []
    dropped: list[str] = []
    edits: list[Edit] = []
    for word in words:
        name = package_name(word)
        for_gyp = name in _GYP and _is_for_gyp(draft.image, named, needs)
        useless = for_gyp or unneeded(name, draft.image, ecosystem, needs.used, needs.fetched)
        if not useless or not _may_go(draft.image, ecosystem, name, needs):
            kept.append(name)
            continue
        dropped.append(name)
        known = named | needs.present | set(kept)
        libraries = [one for one in runtime_libraries(name, draft.image, ecosystem) if one not in known]
        kept += libraries
        if libraries:
            edits.append(Edit(word.start, word.end, _separator(draft, word).join(libraries)))
        else:
            edits.append(Edit(_end_before(call, word), word.end, ""))
    if not words or any(not word.literal for word in call.arguments):
        kept.append(_UNKNOWN)
    missing = [name for name in needs.extra if name not in kept] if kept and call.program in apt.APT else []
    if missing and words:
        separator = _separator(draft, words[-1])
        edits.append(Edit(words[-1].end, words[-1].end, "".join(separator + name for name in missing)))
        kept += missing
    return Trimmed(tuple(kept), tuple(dropped), tuple(edits))


def applied(text: str, start: int, end: int, edits: Sequence[Edit]) -> str:
    """A part of a text with those edits that lie in it."""
    pieces: list[str] = []
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        if start <= edit.start and edit.end <= end:
            pieces += [text[start : edit.start], edit.replacement]
            start = edit.end
    return "".join([*pieces, text[start:end]]).replace("\r\n", "\n")


def _may_go(image: ImageFacts, ecosystem: str, name: str, needs: Needs) -> bool:
    if needs.trims != "base":
        return needs.trims == "all"
    packages = image.of(ecosystem)
    base = image.base_position if image.base_position is not None else -1
    in_base = {one for one, package in packages.items() if package.position is not None and package.position <= base}
    # build-essential itself may lie above it, of which the base holds all that counts.
    return name in in_base or any(is_build_tool(one) for one in closure([name], packages) & in_base)


def _is_for_gyp(image: ImageFacts, named: Set[str], needs: Needs) -> bool:
    """Whether Python comes beside a compiler in an image of Node, whose node-gyp asks for both."""
    if named.isdisjoint({"make", "g++", "build-essential", "build-base"}) or not image.of("node"):
        return False
    return not any(program.startswith("python") for program in needs.used)


def _end_before(call: Call, word: Word) -> int:
    """Where the white space and the comments before a word begin."""
    return max((other.end for other in call.command.words if other.end <= word.start), default=word.start)


def _separator(draft: Draft, word: Word) -> str:
    indent = line_indent(draft.document, word.start)
    return " " if indent is None else f" \\\n{indent}"
