"""Walks a directory tree within limits and sums what its files hold, for it and for chosen directories inside.

Nothing is followed out of the tree: no symbolic link, no other file system. Directories are opened relative to open
ones, so that neither the depth of a tree nor the length of its paths matters. Names and sizes come from whoever
writes there; files may come and go meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from imgopt_pipeline.hosts.directory_contents import MARKERS, Context, Tally, file_kind, folder_context, is_application

Identity = tuple[int, int]
"""Device and inode of a directory."""

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PATH_CHARACTERS = 700  # of four bytes each, with a name of 255 more, stays below the kernel's 4,096
_OPEN_FOLDERS = 200
_FOLDERS = 20_000
_CLOCK_ENTRIES = 4_096
_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's own blocks are
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})  # it went, or a file or a link took its name


@dataclass(frozen=True, slots=True)
class WalkLimits:
    """Bounds of reading directories: entries of one, and seconds for all together."""

    entries: int = 2_000_000
    seconds: float = 60.0


@dataclass(slots=True)
class Folder:
    """A directory and the sums of its files, without those of its `folders`, the chosen ones inside.

    `finished` is False where a limit left some of it unread, `unreadable` counts what could not be read.
    """

    path: str
    identity: Identity
    depth: int
    context: Context
    tally: Tally = field(default_factory=Tally)
    folders: list[Folder] = field(default_factory=list)
    application: bool = False
    finished: bool = True
    unreadable: int = 0

    def all(self) -> Iterator[Folder]:
        """This one and all below it."""
        pending = [self]
        while pending:
            folder = pending.pop()
            yield folder
            pending += folder.folders

    def total(self) -> Tally:
        """The sums of all its files."""
        tally = Tally()
        for folder in self.all():
            tally.add(folder.tally)
        return tally

    @property
    def complete(self) -> bool:
        """Whether all of it was read."""
        return all(folder.finished and not folder.unreadable for folder in self.all())


@dataclass(frozen=True, slots=True)
class Walk:
    """How to walk: which files count as idle, when to stop, and what to choose and to leave out.

    `idle_before` and `deadline` are seconds since 1970 and of the monotonic clock. Directories down to `depth`
    below the root and those of `chosen` get sums of their own; `left_out` and whatever stands at a path of
    `barred` is not entered. A file counts with its length; if `allocated`, with its blocks where they are less, as of
    a sparse or compressed one.
    """

    idle_before: float
    deadline: float
    entries: int
    depth: int = 0
    chosen: Collection[Identity | None] = frozenset()
    left_out: Collection[Identity | None] = frozenset()
    barred: Collection[str] = frozenset()
    allocated: bool = False


def walk(root: str, context: Context, how: Walk) -> Folder:
    """The sums of a directory. Raises OSError where it cannot be opened.

    A file with several names counts once, for the first directory in which it was met.
    """
    return _Walker(root, how).run(context)


class _Open:
    """A directory that others are opened relative to, open as long as one of them waits."""

    __slots__ = ("descriptor", "nesting", "path")

    def __init__(self, descriptor: int, path: str, nesting: int = 0) -> None:
        self.descriptor = descriptor
        self.path = path
        self.nesting = nesting

    def __del__(self) -> None:
        os.close(self.descriptor)


@dataclass(slots=True)
class _Waiting:
    """A directory to be read: its way from an open one (empty: that one itself), and what it belongs to."""

    base: _Open
    way: str
    folder: Folder
    depth: int
    context: Context

    @property
    def path(self) -> str:
        return f"{self.base.path}/{self.way}" if self.way else self.base.path or "/"


class _LimitReached(Exception):
    """The walk ends here."""


class _Walker:
    def __init__(self, root: str, how: Walk) -> None:
        self._root = root
        self._how = how
        self._barred = {path for path in how.barred if path.startswith(root.rstrip("/") + "/")}
        self._waiting: list[_Waiting] = []
        self._linked: set[Identity] = set()
        self._device = 0
        self._folders = 1
        self._entries = 0
        self._check_at = 0

    def run(self, context: Context) -> Folder:
        base = _Open(os.open(self._root, _FLAGS), self._root.rstrip("/"))
        status = os.fstat(base.descriptor)
        self._device = status.st_dev
        top = Folder(self._root, (status.st_dev, status.st_ino), 0, context)
        self._waiting.append(_Waiting(base, "", top, 0, context))
        item = self._waiting[0]
        try:
            while self._waiting:
                item = self._waiting.pop()
                self._check_limits()
                self._read(item)
        except _LimitReached:
            for left in (item, *self._waiting):
                left.folder.finished = False
        return top

    def _check_limits(self) -> None:
        if self._entries >= self._how.entries or time.monotonic() > self._how.deadline:
            raise _LimitReached
        self._check_at = min(self._entries + _CLOCK_ENTRIES, self._how.entries)

    def _read(self, item: _Waiting) -> None:
        """Read a directory and let those in it wait."""
        try:
            descriptor = os.open(item.way or ".", _FLAGS, dir_fd=item.base.descriptor)
        except OSError as error:
            if error.errno not in _GONE:
                item.folder.unreadable += 1
            return
        own = _Open(descriptor, item.path, item.base.nesting + 1)
        if item.depth and not self._belongs(item, os.fstat(descriptor)):
            return
        below, marks = self._list(item, descriptor)
        if item.depth <= self._how.depth and is_application(marks):
            item.folder.application = True
        if len(item.way) > _PATH_CHARACTERS:
            if own.nesting > _OPEN_FOLDERS:
                item.folder.finished &= not below
                return
            item.base, item.way = own, ""
        for name in below:
            way = f"{item.way}/{name}" if item.way else name
            context = folder_context(item.context, name, marks)
            waiting = _Waiting(item.base, way, item.folder, item.depth + 1, context)
            if not self._barred or waiting.path not in self._barred:
                self._waiting.append(waiting)

    def _belongs(self, item: _Waiting, status: os.stat_result) -> bool:
        """Whether it is to be read; gives it sums of its own where they are wanted."""
        identity = (status.st_dev, status.st_ino)
        if status.st_dev != self._device or identity in self._how.left_out:
            return False
        near = item.depth <= self._how.depth and item.folder.context.kind is None
        if self._folders < _FOLDERS and (near or identity in self._how.chosen):
            self._folders += 1
            folder = Folder(item.path, identity, item.depth, item.context)
            item.folder.folders.append(folder)
            item.folder = folder
        return True

    def _list(self, item: _Waiting, descriptor: int) -> tuple[list[str], set[str]]:
        """Count the files of a directory; the directories in it, and the MARKERS."""
        kind, hint = item.context
        tally = item.folder.tally
        by_kind = tally.by_kind
        idle_before = self._how.idle_before
        allocated = self._how.allocated
        below: list[str] = []
        marks: set[str] = set()
        try:
            with os.scandir(descriptor) as found:
                for entry in found:
                    if self._entries >= self._check_at:
                        self._check_limits()
                    self._entries += 1
                    name = entry.name
                    if name in MARKERS:
                        marks.add(name)
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            below.append(name)
                            continue
                        if entry.is_symlink():
                            continue
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    except OSError:
                        item.folder.unreadable += 1
                        continue
                    if not stat.S_ISREG(status.st_mode):
                        continue
                    if status.st_nlink > 1:
                        identity = (status.st_dev, status.st_ino)
                        if identity in self._linked:
                            continue
                        self._linked.add(identity)
                    size_bytes = status.st_size
                    of_kind = kind or file_kind(name, size_bytes, hint)
                    if allocated:
                        size_bytes = min(size_bytes, status.st_blocks * _BLOCK_BYTES)
                    by_kind[of_kind] = by_kind.get(of_kind, 0) + size_bytes
                    tally.files += 1
                    unread = status.st_atime < idle_before
                    if unread:
                        tally.unread_bytes += size_bytes
                    if status.st_mtime < idle_before:
                        tally.unmodified_bytes += size_bytes
                        if unread:
                            tally.unused_bytes += size_bytes
        except OSError:
            item.folder.unreadable += 1
        return below, marks
