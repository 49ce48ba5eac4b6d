"""Folders as they are on the disk, walked by open folders: a link is never followed, another mount never entered.

What is in the tree may be changed meanwhile by whoever it belongs to; nothing it does leads out of the folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from imgopt_pipeline.migrations.models import Entry, Kind

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo",
}


class Folders:
    """Opens folders below one, by way of folders alone; the last one opened stays so. For one thread."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._path: bytes | None = None
        self._descriptor = -1

    def parent_of(self, path: bytes) -> tuple[int, bytes]:
        """The open folder that holds a path, and the name in it. Raises OSError."""
        folder, _, name = path.rpartition(b"/")
        if folder != self._path:
            self.close()
            self._descriptor = open_folder(self._root, folder)
            self._path = folder
        return self._descriptor, name

    def close(self) -> None:
        if self._path is not None:
            os.close(self._descriptor)
            self._path = None


@contextmanager
def folders(root: int) -> Iterator[Folders]:
    """Folders, let go afterwards."""
    opened = Folders(root)
    try:
        yield opened
    finally:
        opened.close()


def open_folder(root: int, path: bytes) -> int:
    """Open a folder below an open one, never by way of a link. Raises OSError."""
    descriptor = os.open(".", _FOLDER, dir_fd=root)
    try:
        for name in filter(None, path.split(b"/")):
            below = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A folder, open and no link itself. Raises OSError."""
    descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def walk(root: int, on_error: Callable[[bytes, OSError], None]) -> Iterator[Entry]:
    """Everything below an open folder, itself first, folders before what they hold, each folder's names together.

    What vanishes meanwhile is left out; what cannot be looked at is told to `on_error`.
    """
    top = entry_of(b"", os.fstat(root))
    yield top
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        try:
            found = list(_entries(root, folder, top.device))
        except FileNotFoundError:
            continue
        except OSError as error:
            on_error(folder, error)
            continue
        yield from found
        waiting.extend(entry.path for entry in reversed(found) if entry.kind == "folder")


def look(folder: int, name: bytes, path: bytes) -> Entry:
    """One name in an open folder. Raises OSError."""
    entry = entry_of(path, os.stat(name, dir_fd=folder, follow_symlinks=False))
    if entry.kind != "link":
        return entry
    return replace(entry, target=os.readlink(name, dir_fd=folder))


def entry_of(path: bytes, status: os.stat_result, target: bytes = b"") -> Entry:
    """What was seen of a path."""
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "device")
    return Entry(
        path,
        kind,
        status.st_size if kind == "file" else 0,
        status.st_blocks * 512,
        storable(status.st_mtime_ns),
        storable(status.st_ctime_ns),
        storable(status.st_atime_ns),
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_dev,
        status.st_ino - (1 << 64) if status.st_ino >= 1 << 63 else status.st_ino,
        status.st_nlink,
        target,
    )


def remove(folder: int, name: bytes) -> None:
    """Remove a name with all below it, whatever it is, where it is there. For copies, never for originals."""
    try:
        os.unlink(name, dir_fd=folder)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        # unlink of a folder is the one or the other; any other reason comes again below.
        pass
    descriptor = os.open(name, _FOLDER, dir_fd=folder)
    try:
        for below in os.listdir(descriptor):
            remove(descriptor, os.fsencode(below))
    finally:
        os.close(descriptor)
    with suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=folder)


def _entries(root: int, folder: bytes, device: int) -> Iterator[Entry]:
    descriptor = open_folder(root, folder)
    try:
        # By inode, which is near the order on the disk; names in one folder need no other.
        with os.scandir(descriptor) as names:
            listed = sorted((name.inode(), os.fsencode(name.name)) for name in names)
        for _, name in listed:
            with suppress(FileNotFoundError):
                entry = look(descriptor, name, folder + b"/" + name if folder else name)
                yield entry if entry.device == device else replace(entry, kind="mount", size_bytes=0)
    finally:
        os.close(descriptor)


def storable(time_ns: int) -> int:
    """Times up to the year 2262; what lies beyond is no time that anybody meant."""
    return max(-(1 << 63), min(time_ns, (1 << 63) - 1))
