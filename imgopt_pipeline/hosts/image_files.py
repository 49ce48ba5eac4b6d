"""Single files of an image, fetched from its engine without running anything.

A container of the image is created, never started and removed again. Files that lie close together are
fetched with their folder, since every request costs as much as a megabyte or two. Which files are worth
having is the caller's business.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.names import original, printable

if TYPE_CHECKING:
    from imgopt_pipeline.hosts.engine_files import HelperFiles

_THREADS = 4
_REQUEST_SECONDS = 0.006
_SECONDS_PER_BYTE = 1 / 200e6
_SECONDS_PER_FILE = 40e-6


@dataclass(frozen=True, slots=True)
class FolderSize:
    """Everything below a folder: bytes and files."""

    size_bytes: int
    files: int


@dataclass(slots=True)
class _Node:
    """A folder or file on the way to what is wanted."""

    below: dict[str, _Node] = field(default_factory=dict)
    wanted_bytes: int | None = None


def fetch_plan(wanted: Mapping[str, int], folders: Mapping[str, FolderSize]) -> list[str]:
    """The paths to fetch, files or whole folders, that together hold all of `wanted` at the least cost.

    `wanted`: sizes by path; `folders`: what lies below each folder of theirs.
    """
    root = _Node()
    for path, size_bytes in wanted.items():
        node = root
        for part in path.split("/"):
            node = node.below.setdefault(part, _Node())
        node.wanted_bytes = size_bytes
    costs: dict[int, tuple[float, list[str]]] = {}
    pending = [("", root, False)]
    while pending:  # children before their folder, without recursion: paths may be thousands deep
        path, node, visited = pending.pop()
        if node.wanted_bytes is not None and not node.below:
            costs[id(node)] = _REQUEST_SECONDS + node.wanted_bytes * _SECONDS_PER_BYTE, [path]
            continue
        if not visited:
            pending.append((path, node, True))
            pending += [(f"{path}/{name}" if path else name, child, False) for name, child in node.below.items()]
            continue
        parts = [costs.pop(id(child)) for child in node.below.values()]
        apart = sum(cost for cost, _ in parts)
        size = folders.get(path)
        if path and size is not None:
            whole = _REQUEST_SECONDS + size.size_bytes * _SECONDS_PER_BYTE + size.files * _SECONDS_PER_FILE
            if whole < apart:
                costs[id(node)] = whole, [path]
                continue
        costs[id(node)] = apart, [path for _, paths in parts for path in paths]
    return costs[id(root)][1] if wanted else []


def fetch_files(
    files: HelperFiles, wanted: Mapping[str, int], folders: Mapping[str, FolderSize]
) -> Iterator[tuple[str, bytes]]:
    """Path and content of the wanted files that the image has. Raises HostUnreachable, UnreadableLayer."""
    plan = fetch_plan(wanted, folders)
    failed: list[UnreadableLayer] = []

    def fetch(path: str) -> list[tuple[str, bytes]]:
        try:
            return list(_fetch_one(files, path, wanted))
        except UnreadableLayer as error:
            failed.append(error)
            return []

    found = 0
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        for contents in pool.map(fetch, plan):
            found += len(contents)
            yield from contents
    if failed and not found:
        raise failed[0]


def _fetch_one(files: HelperFiles, path: str, wanted: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    parent = posixpath.dirname(path)
    for name, size_bytes, content in files.members(original(path)):
        inside = printable(name.rstrip(b"/"))
        full = f"{parent}/{inside}" if parent else inside
        if wanted.get(full) == size_bytes:
            yield full, content.read(size_bytes)
