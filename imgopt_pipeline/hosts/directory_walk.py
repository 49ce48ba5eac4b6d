"""Walks a directory tree within limits and sums what its files hold, for it and for chosen directories inside.

Nothing is followed out of the tree: no symbolic link, no other file system. Directories are opened relative to open
ones, so that neither the depth of a tree nor the length of its paths matters. Names and sizes come from whoever
writes there; files may come and go meanwhile.
"""

from __future__ import annotations

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
    `barred` is not entered.
    """

    idle_before: float
    deadline: float
    entries: int
    depth: int = 0
    chosen: Collection[Identity] = frozenset()
    left_out: Collection[Identity] = frozenset()
    barred: Collection[str] = frozenset()


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


class _Walker:
    def __init__(self, root: str, how: Walk) -> None:
        self.root = root
        self.how = how
        self.barred = {path for path in how.barred if path.startswith(root.rstrip("/") + "/")}
        self.pending: list[_Waiting] = []
        self.linked: set[int] = set()
        self.folders = 1
        self.entries = 0

    def run(self, context: Context) -> Folder:
        base = _Open(os.open(self.root, _FLAGS), self.root.rstrip("/"))
        status = os.fstat(base.descriptor)
        top = Folder(self.root, (status.st_dev, status.st_ino), 0, context)
        self.device = status.st_dev
        self.pending.append(_Waiting(base, "", top, 0, context))
        while self.pending:
            item = self.pending.pop()
            if not self._read(item):
                for left in (item, *self.pending):
                    left.folder.finished = False
                break
        self.pending.clear()
        return top

    def _within_limits(self) -> bool:
        return self.entries < self.how.entries and time.monotonic() < self.how.deadline

    def _read(self, item: _Waiting) -> bool:
        """Read a directory and leave those in it to `pending`; False where a limit ended that."""
        if not self._within_limits():
            return False
        try:
            descriptor = os.open(item.way or ".", _FLAGS, dir_fd=item.base.descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return True  # it went, or something else took its name
        except OSError as error:
            if error.errno != errno.ELOOP:  # a link took its name
                item.folder.unreadable += 1
            return True
        own = _Open(descriptor, item.path, item.base.nesting + 1)
        if item.depth and not self._belongs(item, os.fstat(descriptor)):
            return True
        below: list[str] = []
        try:
            ended = self._list(item, descriptor, below)
        except OSError:
            item.folder.unreadable += 1
            ended = False
        if len(item.way) > _PATH_CHARACTERS:
            if own.nesting > _OPEN_FOLDERS:
                item.folder.finished &= not below
                return True
            item = _Waiting(own, "", item.folder, item.depth, item.context)
        self._leave(item, below)
        return not ended

    def _belongs(self, item: _Waiting, status: os.stat_result) -> bool:
        """Whether it is to be read; gives it sums of its own where they are wanted."""
        identity = (status.st_dev, status.st_ino)
        if status.st_dev != self.device or identity in self.how.left_out:
            return False
        near = item.depth <= self.how.depth and item.folder.context.kind is None
        if self.folders < _FOLDERS and (near or identity in self.how.chosen):
            self.folders += 1
            folder = Folder(item.path, identity, item.depth, item.context)
            item.folder.folders.append(folder)
            item.folder = folder
        return True

    def _list(self, item: _Waiting, descriptor: int, below: list[str]) -> bool:
        """Count the files of a directory; whether a limit ended that. Raises OSError where the reading fails."""
        kind, hint = item.context
        tally = item.folder.tally
        by_kind = tally.by_kind
        idle_before = self.how.idle_before
        marks: set[str] = set()
        with os.scandir(descriptor) as found:
            for entry in found:
                self.entries += 1
                if not self.entries % _CLOCK_ENTRIES and not self._within_limits():
                    return True
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
                    if status.st_ino in self.linked:
                        continue
                    self.linked.add(status.st_ino)
                size_bytes = status.st_size
                of_kind = kind or file_kind(name, size_bytes, hint)
                by_kind[of_kind] = by_kind.get(of_kind, 0) + size_bytes
                tally.files += 1
                unread = status.st_atime < idle_before
                if unread:
                    tally.unread_bytes += size_bytes
                if status.st_mtime < idle_before:
                    tally.unmodified_bytes += size_bytes
                    if unread:
                        tally.unused_bytes += size_bytes
        item.marks = marks
        return False
