"""Paths inside an image as package metadata names them, and how many of them are taken."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

OWNED_PATHS = 2_000_000
"""No ecosystem of an image names more paths one by one."""


def below(folder: str, relative: str) -> str | None:
    """`relative` seen from `folder`, with `..` resolved; None where it is absolute or leaves the image."""
    if relative.startswith("/"):
        return None
    path = f"{folder}/{relative}" if folder else relative
    if "/." in path or "//" in path or path.startswith(".") or path.endswith("/"):
        path = posixpath.normpath(path)
        if path == ".." or path.startswith("../"):
            return None
    return "" if path == "." else path


class PathBudget:
    """Takes lists of paths until `OWNED_PATHS` are reached; `exceeded` says that one was left out."""

    def __init__(self, limit: int = OWNED_PATHS) -> None:
        self._left = limit
        self.exceeded = False

    def take(self, paths: Sequence[str]) -> tuple[str, ...]:
        """The paths, or none of them where they are too many."""
        if len(paths) > self._left:
            self.exceeded = True
            return ()
        self._left -= len(paths)
        return tuple(paths)
