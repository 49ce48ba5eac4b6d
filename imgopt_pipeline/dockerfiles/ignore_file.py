"""What a .dockerignore keeps out of a build context.

Docker's rules are not git's: a pattern without `**` starts at the top of the context, it is cleaned as a path is,
and what a folder's pattern keeps out a later `!` line may bring back. The matching itself is pathspec's.
Reference: https://docs.docker.com/build/concepts/context/#dockerignore-files.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pathspec import PathSpec, Pattern

_WILDCARDS = frozenset("*?[\\")


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """The patterns of a .dockerignore, cleaned, in order; those that begin with `!` bring files back."""

    patterns: tuple[str, ...]
    spec: PathSpec[Pattern]

    def ignores(self, path: str) -> bool:
        """Whether a file or folder, relative to the context, stays out."""
        return self.spec.match_file(path)

    def ignores_all_below(self, folder: str) -> bool:
        """Whether a folder stays out with everything in it, so that nobody need look inside."""
        return self.ignores(folder) and not any(_reaches(line[1:], folder) for line in self.patterns if line[0] == "!")


def ignore_file(lines: Iterable[str]) -> IgnoreFile:
    """The rules that these lines of a .dockerignore are; lines that Docker would refuse match nothing."""
    patterns = tuple(pattern for line in lines if (pattern := _cleaned(line)) and _compiles(pattern))
    return IgnoreFile(patterns, PathSpec.from_lines("gitignore", map(_anchored, patterns)))


def _cleaned(line: str) -> str:
    """A line as Docker compares it, empty for comments and empty lines."""
    text = line.removeprefix("\ufeff")
    if text.startswith("#") or not (text := text.strip()):
        return ""
    brings_back = text.startswith("!")
    path = posixpath.normpath(text.removeprefix("!").strip() or ".").lstrip("/")
    return "" if path in ("", ".") else f"!{path}" if brings_back else path


def _compiles(pattern: str) -> bool:
    try:
        PathSpec.from_lines("gitignore", [_anchored(pattern)])
    except (ValueError, re.error):
        return False
    return True


def _anchored(pattern: str) -> str:
    """A cleaned pattern as one of a .gitignore."""
    brings_back, path = pattern.startswith("!"), pattern.removeprefix("!")
    anchored = path if path.startswith("**/") else f"/{path}"
    # All in a folder: git means what lies right in it.
    anchored += "*" if anchored.endswith("/*") else ""
    return f"!{anchored}" if brings_back else anchored


def _reaches(pattern: str, folder: str) -> bool:
    """Whether a pattern may match something below a folder: as far as it is literal, it lies there or above."""
    literal: list[str] = []
    for part in pattern.split("/"):
        if _WILDCARDS.intersection(part):
            break
        literal.append(part)
    below = folder.split("/")
    return all(one == other for one, other in zip(literal, below, strict=False))
