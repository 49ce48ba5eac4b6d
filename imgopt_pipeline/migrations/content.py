"""One file, brought over: read, hashed and written in one pass, holes kept, what is known about it set.

Belongs here: what happens between two open files. Does not: which files, and what is noted of them.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from imgopt_pipeline.migrations.models import Entry
from imgopt_pipeline.migrations.mounts import begin_writing, flush, settle
from imgopt_pipeline.migrations.tree import Folders, remove, storable

CHUNK_BYTES = 1 << 20
_BEGIN_BYTES = 8 << 20
_ZEROS = bytes(CHUNK_BYTES)
_REFUSED = {errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ERANGE, errno.E2BIG}
# Attributes have a space of their own, of which there may be little.
_UNSTORED = {*_REFUSED, errno.ENOSPC}
_UNTIMED = {*_REFUSED, errno.EOVERFLOW}


class SourceChanged(Exception):
    """The file is not the one that was listed any more: it changed, or is gone."""


class SourceError(Exception):
    """The file cannot be read."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.error = error


class Stopped(Exception):
    """Somebody asked for an end."""


@dataclass(slots=True)
class Pace:
    """Keeps all threads together below a rate, counts what went through, and ends them when asked to."""

    bytes_per_second: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    done_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _free_at: float = 0.0

    def passed(self, size_bytes: int) -> None:
        """So much went through; waits where that was too fast. Raises Stopped."""
        with self._lock:
            self.done_bytes += size_bytes
            wait = 0.0
            if self.bytes_per_second:
                now = time.monotonic()
                self._free_at = max(self._free_at, now) + size_bytes / self.bytes_per_second
                wait = self._free_at - now
        if self.stop.wait(wait) if wait > 0 else self.stop.is_set():
            raise Stopped


@contextmanager
def source_file(entry: Entry, source: Folders) -> Iterator[int]:
    """Open a listed file to read. Raises SourceChanged, SourceError."""
    with _source_errors():
        folder, name = source.parent_of(entry.path)
        descriptor = _open(name, folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def copy_file(
    entry: Entry,
    source: Folders,
    destination: Folders,
    pace: Pace,
    *,
    holes: bool,
    flush_each: bool,
    beside: bytes | None = None,
) -> tuple[bytes, frozenset[str]]:
    """Copy one file over whatever is there: its sha256, and what of its properties was not taken.

    `beside` is the name it gets in its folder instead of its own. Raises SourceChanged, SourceError, Stopped;
    an OSError is the destination's.
    """
    with source_file(entry, source) as reading:
        with _source_errors():
            unchanged(entry, reading)
            # A program that has the file mapped dirties a page once, by the clock, and then writes on unseen. Once
            # written out, every page counts as clean: whatever is written from here on shows in the times.
            settle(reading)
        folder, name = destination.parent_of(entry.path)
        writing = _create(beside or name, folder)
        try:
            digest = _copy_content(entry, reading, writing, pace, holes=holes)
            with _source_errors():
                unchanged(entry, reading)
            lost = set_properties(entry, reading, writing) | _set_open_times(entry, writing)
            if flush_each:
                flush(writing)
        finally:
            os.close(writing)
    return digest, lost


def set_properties(entry: Entry, reading: int, writing: int) -> frozenset[str]:
    """Owner, mode and extended attributes of an open file or folder, taken from another; what was refused."""
    return apply_properties(entry, attributes_of(reading), writing)


def attributes_of(descriptor: int) -> dict[str, bytes]:
    """The extended attributes of an open file or folder."""
    attributes = {}
    with suppress(OSError):  # none, where there is no such thing
        for name in os.listxattr(descriptor):
            with suppress(OSError):
                attributes[name] = os.getxattr(descriptor, name)
    return attributes


def apply_properties(entry: Entry, attributes: Mapping[str, bytes], writing: int) -> frozenset[str]:
    """Give an open file or folder its owner, mode and extended attributes; what was refused."""
    lost = set()
    if not _taken(lambda: os.chown(writing, entry.uid, entry.gid), _REFUSED):
        lost.add("owner")
    for name, value in attributes.items():
        if not _taken(partial(os.setxattr, writing, name, value), _UNSTORED):
            lost.add("attributes")
    # Last: a change of owner takes setuid away.
    if not _taken(lambda: os.chmod(writing, entry.mode), _REFUSED):
        lost.add("mode")
    return frozenset(lost)


def set_times(entry: Entry, folder: int, name: bytes) -> frozenset[str]:
    """When it was changed and read, by name; what was refused."""
    times = (entry.atime_ns, entry.mtime_ns)
    taken = _taken(lambda: os.utime(name, ns=times, dir_fd=folder, follow_symlinks=False), _UNTIMED)
    return frozenset() if taken else frozenset({"times"})


def _set_open_times(entry: Entry, writing: int) -> frozenset[str]:
    """The same before a file is closed: some remotes begin to send it then, and drop it if its times still change."""
    taken = _taken(lambda: os.utime(writing, ns=(entry.atime_ns, entry.mtime_ns)), _UNTIMED)
    return frozenset() if taken else frozenset({"times"})


def digest_of(descriptor: int, pace: Pace) -> tuple[bytes, int]:
    """sha256 and length of what an open file gives. Raises OSError, Stopped."""
    hashed, length, buffer = sha256(), 0, memoryview(bytearray(CHUNK_BYTES))
    while count := os.readv(descriptor, [buffer]):
        hashed.update(buffer[:count])
        length += count
        pace.passed(count)
    return hashed.digest(), length


def _copy_content(entry: Entry, reading: int, writing: int, pace: Pace, *, holes: bool) -> bytes:
    hashed, buffer, end = sha256(), memoryview(bytearray(min(CHUNK_BYTES, entry.size_bytes or 1))), 0
    begun = 0
    for offset, length, is_data in _stretches(reading, entry):
        at, stop = offset, offset + length
        while at < stop:
            if is_data:
                with _source_errors():
                    count = os.preadv(reading, [buffer[: stop - at]], at)
                if not count:
                    raise SourceChanged
                chunk = buffer[:count]
            else:
                chunk = memoryview(_ZEROS)[: stop - at]
            hashed.update(chunk)
            if is_data or not holes:
                _write_all(writing, chunk, at)
                end = at + len(chunk)
            at += len(chunk)
            pace.passed(len(chunk))
            if end - begun >= _BEGIN_BYTES:
                begin_writing(writing)
                begun = end
    if end < entry.size_bytes:
        os.ftruncate(writing, entry.size_bytes)
    return hashed.digest()


def _stretches(reading: int, entry: Entry) -> Iterator[tuple[int, int, bool]]:
    """Offset, length, and whether it is data or a hole."""
    size = entry.size_bytes
    if entry.disk_bytes >= size:
        yield 0, size, True
        return
    at = 0
    while at < size:
        with _source_errors():
            data = _seek(reading, at, os.SEEK_DATA, size)
            hole = _seek(reading, data, os.SEEK_HOLE, size) if data < size else size
        if data > at:
            yield at, data - at, False
        if hole > data:
            yield data, hole - data, True
        at = hole


def _seek(descriptor: int, offset: int, whence: int, size: int) -> int:
    try:
        return min(os.lseek(descriptor, offset, whence), size)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size


def _write_all(descriptor: int, chunk: memoryview, offset: int) -> None:
    while chunk:
        written = os.pwrite(descriptor, chunk, offset)
        chunk, offset = chunk[written:], offset + written


def _open(name: bytes, folder: int) -> int:
    # Never waits, as opening a pipe that took the file's place would.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(name, flags, dir_fd=folder)


def _create(name: bytes, folder: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileExistsError):
        return os.open(name, flags, 0o600, dir_fd=folder)
    # Taken away and not written over: it may be a hard link, or no file.
    remove(folder, name)
    return os.open(name, flags, 0o600, dir_fd=folder)


def unchanged(entry: Entry, descriptor: int) -> None:
    """Raise SourceChanged where an open file is not as it was listed."""
    status = os.fstat(descriptor)
    if (
        (status.st_size, status.st_ino, status.st_dev) != (entry.size_bytes, entry.inode % (1 << 64), entry.device)
        or (storable(status.st_mtime_ns), storable(status.st_ctime_ns)) != (entry.mtime_ns, entry.ctime_ns)
        or not stat.S_ISREG(status.st_mode)
    ):
        raise SourceChanged


@contextmanager
def _source_errors() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceChanged from error
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link took its place
            raise SourceChanged from error
        raise SourceError(error) from error


def _taken(change: Callable[[], object], refusals: Collection[int]) -> bool:
    try:
        change()
    except OSError as error:
        if error.errno not in refusals:
            raise
        return False
    return True
