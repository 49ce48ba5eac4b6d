"""Requirements files of a build context: which packages they name, and the sed commands that rename those."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.python_installs import Named, named

_NESTED = re.compile(r"(?:-r|--requirement)(?:\s+|=|(?=\S))(\S+)")
_RELATIVE = re.compile(r"(?:-[rce](?:\s|=|\S)|--(?:requirement|constraint|editable)\b|\.{1,2}/|\.$|\S+\.whl\b|file:\.)")
_COMPARISON = re.compile(r"[<>=!~]=?=?")
_SPECIAL = re.compile(r"[][\\*^$/]")
_ESCAPED = r"\\\g<0>"


@dataclass(frozen=True, slots=True)
class Requirements:
    """One requirements file, by its path in the context. `nested`: the files it names with `-r`, by their paths.

    `movable`: nothing in it is relative to its folder. `hashed`: it pins hashes.
    """

    path: str
    packages: tuple[Named, ...]
    nested: tuple[str, ...]
    movable: bool
    hashed: bool


def requirements(path: str, texts: Mapping[str, str]) -> list[Requirements] | None:
    """A requirements file and all that it names; None where one of them is not known."""
    found: dict[str, Requirements] = {}
    waiting = [path]
    for each in waiting:
        if each in found:
            continue
        text = texts.get(each)
        if text is None:
            return None
        found[each] = _requirements(each, text)
        waiting += found[each].nested
    return list(found.values())


def sed_script(package: Named, old: str, new: str) -> str:
    """What makes sed put `new` for `old`, with which a file's line for that package begins, or drop the line."""
    rest = (package.text + package.rest).removeprefix(old)
    operator = _COMPARISON.match(rest)
    if operator is not None:
        end = operator[0]
        old, new = old + end, new and new + end
        end = ""
    else:
        end = "$" if not rest else r"\b" if old[-1].isalnum() else ""
    pattern = f"^{_SPECIAL.sub(_ESCAPED, old)}{end}"
    return f"s/{pattern}/{new}/" if new else f"/{pattern}/d"


def _requirements(path: str, text: str) -> Requirements:
    lines = list(_lines(text))
    folder = posixpath.dirname(path)
    nested = [match[1] for line in lines if (match := _NESTED.match(line))]
    return Requirements(
        path,
        tuple(package for line in lines if (package := named(line)) is not None),
        tuple(posixpath.normpath(posixpath.join(folder, name)) for name in nested),
        movable=not any(_RELATIVE.match(line) for line in lines),
        hashed=any("--hash=" in line for line in lines),
    )


def _lines(text: str) -> Iterator[str]:
    """Its lines without comments, continued ones joined."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        stripped = re.sub(r"(^|\s+)#.*$", "", line).rstrip()
        if stripped:
            yield stripped.lstrip()
