"""What parsers of package metadata may ask of an image's merged tree beyond its documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Tree(Protocol):
    """The files an image shows. Paths as `names.printable` writes them, without a leading slash, '' for the root.

    Each question may be a query: ask about few paths, never about one per file.
    """

    def is_file(self, path: str) -> bool: ...

    def is_folder(self, path: str) -> bool: ...

    def children(self, folder: str) -> Sequence[str]: ...
