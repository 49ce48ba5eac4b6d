"""A tree of an image that nothing may be asked of: parsers get along with documents."""

from __future__ import annotations


class NoTree:
    """Fails at each question."""

    def is_file(self, path: str) -> bool:
        raise AssertionError(path)

    def is_folder(self, path: str) -> bool:
        raise AssertionError(path)

    def children(self, folder: str) -> list[str]:
        raise AssertionError(folder)
