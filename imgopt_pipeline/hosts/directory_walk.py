"""Walks directories that others write to: bounded, never through a symbolic link, each byte once.

A directory may change, vanish or be swapped for a link while it is walked, nest deeper than a path may
be long, and lie on a mount that never answers. Nothing in it is opened but directories.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imgopt_pipeline.hosts.directory_kinds import (
    BUILD_FOLDER,
    MODULES,
    OUTPUT_MARKERS,
    build_folders,
    file_kind,
    folder_kind,
    holds_models,
    path_kind,
)

PROJECT_DEPTH = 3
_PATH_BYTES = 4_000  # Linux takes 4,095
_CLOCK_ENTRIES = 512
_MARKERS = frozenset({"PG_VERSION", *(marker for markers in OUTPUT_MARKERS.values() for marker in markers)})
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Identity = tuple[int, int]
"""`st_dev` and `st_ino`, by which a file is the same whatever path leads to it."""


@dataclass(slots=True)
class Tally:
    """Regular files: how many, their bytes by kind, and those that were not modified, not read, neither since a day."""

    files: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    unmodified_bytes: int = 0
    unread_bytes: int = 0
    unused_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        return sum(self.by_kind.values())

    def add(self, other: Tally) -> None:
        """Count what another one counted too."""
        self.files += other.files
        for kind, size_bytes in other.by_kind.items():
            self.by_kind[kind] = self.by_kind.get(kind, 0) + size_bytes
        self.unmodified_bytes += other.unmodified_bytes
        self.unread_bytes += other.unread_bytes
        self.unused_bytes += other.unused_bytes


@dataclass(slots=True, eq=False)
class Node:
    """A directory that is counted apart: the tally is of what lies below it and below no node inside it.

    `level`: how deep it lies in the folder of a compose project, None where it does not. `output`: a build
    made it. `users`: processes with their working directory or open files here. `readable`: it could be listed.
    """

    path: str
    parent: Node | None
    level: int | None
    output: bool = False
    readable: bool = True
    complete: bool = True
    tally: Tally = field(default_factory=Tally)
    users: set[str] = field(default_factory=set)
    children: list[Node] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def below(self) -> Iterator[Node]:
        """It and all nodes inside it."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending += node.children


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much all walks together may read."""

    entries: int = 2_000_000
    seconds: float = 60.0


@dataclass(slots=True)
class _Directory:
    """One that waits to be listed: its path on the host and below the root of the walk, and what is known of it."""

    path: str
    relative: bytes
    identity: Identity
    node: Node
    level: int | None
    kind: str
    among_models: bool


class DirectoryWalk:
    """Walks of one audit, which share their bounds and what they have counted.

    All paths are paths of the host. `apart`: directories to count apart. `projects`: folders of compose
    projects, in which directories to depth 3 are. `closed`: directories not to enter, mount points among
    them. `opened`: what processes hold, by identity. `before`: the second that the idle bytes were last used before.
    """

    def __init__(
        self,
        *,
        before: float,
        apart: Collection[str] = (),
        projects: Collection[str] = (),
        closed: Collection[str] = (),
        opened: Mapping[Identity, Collection[str]] | None = None,
        bounds: Bounds = Bounds(),
    ) -> None:
        self.nodes: dict[str, Node] = {}
        self._before = before
        self._apart = apart
        self._projects = projects
        self._closed = closed
        self._opened = opened or {}
        self._entries_left = bounds.entries
        self._until = time.monotonic() + bounds.seconds
        self._directories: set[Identity] = set()
        self._linked: set[Identity] = set()

    def walk(self, real: Path, path: str) -> Node:
        """Count a directory of the host that lies at `real` here, where no walk came by it before."""
        if path in self.nodes:
            return self.nodes[path]
        root = self._node(path, None, 0 if path in self._projects else None)
        try:
            root_fd = os.open(real, _DIRECTORY)
        except OSError:
            root.readable = root.complete = False
            return root
        try:
            status = os.fstat(root_fd)
            identity = (status.st_dev, status.st_ino)
            self._directories.add(identity)
            pending = [_Directory(path, b"", identity, root, root.level, path_kind(path), holds_models(path))]
            while pending:
                directory = pending.pop()
                try:
                    pending += self._list(root_fd, directory)
                except OSError as error:
                    # What vanished holds nothing any more; all else is there and not counted.
                    if error.errno != errno.ENOENT or not directory.relative:
                        directory.node.complete = False
                        directory.node.readable = directory.node.readable and directory.path != directory.node.path
        finally:
            os.close(root_fd)
        return root

    def _list(self, root_fd: int, directory: _Directory) -> list[_Directory]:
        """Count the files of a directory; its directories, to be listed in turn."""
        found: list[tuple[str, Identity]] = []
        beside: set[str] = set()
        node = directory.node
        fd = _open_below(root_fd, directory.relative)
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != directory.identity:
                raise OSError(errno.ESTALE, "it was replaced while it was being read")
            node.users.update(self._opened.get(directory.identity, ()))
            with os.scandir(fd) as entries:
                for entry in entries:
                    if self._spent():
                        node.complete = False
                        break
                    if entry.name in _MARKERS:
                        beside.add(entry.name)
                    # A mount that does not answer is known by its path, before anything asks it.
                    if entry.is_dir(follow_symlinks=False) and _join(directory.path, entry.name) in self._closed:
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    identity = (status.st_dev, status.st_ino)
                    if stat.S_ISREG(status.st_mode):
                        self._count(directory, entry.name, status, identity)
                    elif stat.S_ISDIR(status.st_mode) and status.st_dev == directory.identity[0]:
                        found.append((entry.name, identity))
        finally:
            os.close(fd)
        made = build_folders(beside, (name for name, _ in found)) if directory.level is not None else set()
        return [
            self._child(directory, name, identity, beside, name in made)
            for name, identity in found
            if self._first_time(identity)
        ]

    def _child(
        self, directory: _Directory, name: str, identity: Identity, beside: set[str], output: bool
    ) -> _Directory:
        path = _join(directory.path, name)
        level, node = None, directory.node
        if path in self._projects:
            level = 0
        elif directory.level is not None and directory.level < PROJECT_DEPTH:
            level = directory.level + 1
        if level is not None or path in self._apart:
            node = self._node(path, directory.node, level, output=output)
        inside = level if name not in (MODULES, BUILD_FOLDER) and not output else None
        relative = directory.relative + b"/" + os.fsencode(name) if directory.relative else os.fsencode(name)
        return _Directory(
            path,
            relative,
            identity,
            node,
            inside,
            directory.kind or folder_kind(path, beside),
            directory.among_models or holds_models(name),
        )

    def _count(self, directory: _Directory, name: str, status: os.stat_result, identity: Identity) -> None:
        node, tally, size = directory.node, directory.node.tally, status.st_size
        if identity in self._opened:
            node.users.update(self._opened[identity])
        if status.st_nlink > 1:
            if identity in self._linked:
                return
            self._linked.add(identity)
        kind = directory.kind or file_kind(name, directory.path, size, directory.among_models)
        tally.files += 1
        tally.by_kind[kind] = tally.by_kind.get(kind, 0) + size
        modified, read = status.st_mtime >= self._before, status.st_atime >= self._before
        tally.unmodified_bytes += 0 if modified else size
        tally.unread_bytes += 0 if read else size
        tally.unused_bytes += 0 if modified or read else size

    def _node(self, path: str, parent: Node | None, level: int | None, *, output: bool = False) -> Node:
        node = self.nodes[path] = Node(path, parent, level, output)
        if parent is not None:
            parent.children.append(node)
        return node

    def _first_time(self, identity: Identity) -> bool:
        """Whether no walk came by this directory: one that is mounted twice has its bytes once."""
        if identity in self._directories:
            return False
        self._directories.add(identity)
        return True

    def _spent(self) -> bool:
        self._entries_left -= 1
        if self._entries_left % _CLOCK_ENTRIES == 0 and time.monotonic() > self._until:
            self._entries_left = 0
        return self._entries_left < 0


def _open_below(root_fd: int, relative: bytes) -> int:
    """Open a directory below another, piece by piece where the path is longer than the system takes."""
    fd = os.open(b".", _DIRECTORY, dir_fd=root_fd)
    while relative:
        cut = len(relative) if len(relative) <= _PATH_BYTES else relative.rindex(b"/", 0, _PATH_BYTES)
        piece, relative = relative[:cut], relative[cut + 1 :]
        try:
            inner = os.open(piece, _DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"
