"""What is mounted where, and a destination that cannot turn into the hidden folder under its mount point.

A destination is held by an open folder and written through it alone: what the name leads to meanwhile does not matter.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from imgopt_pipeline.migrations.models import DestinationFull, MountGone, Move, MoveFailed

_MOUNTS = Path("/proc/self/mountinfo")
_FSTAB = Path("/etc/fstab")
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_GONE = {errno.ENOTCONN, errno.ESTALE, errno.ENODEV, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ENXIO, errno.EREMOTEIO}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_CANNOT_FLUSH = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EROFS}
_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_WRITE_AND_WAIT = 1 | 2 | 4  # SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE, _WAIT_AFTER


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of the mount table. `filesystem` is its type with subtype, as in `fuse.rclone`."""

    number: int
    mount_point: Path
    filesystem: str
    source: str
    options: tuple[str, ...]

    @property
    def in_user_space(self) -> bool:
        """Whether a program answers for it, of which the kernel knows little."""
        return self.filesystem.startswith("fuse")


def mounts() -> list[Mount]:
    """Everything that is mounted here; a later line covers an earlier one."""
    return [_mount(line) for line in _MOUNTS.read_bytes().splitlines()]


def mount_of(path: Path) -> Mount:
    """What an existing path lies on, whatever was mounted over what."""
    descriptor = os.open(path, os.O_PATH)
    try:
        known = (line.split() for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines())
    finally:
        os.close(descriptor)
    number = next(int(words[1]) for words in known if words[0] == "mnt_id:")
    return next(mount for mount in mounts() if mount.number == number)


def mounts_inside(folder: Path) -> list[Path]:
    """Mount points below a folder."""
    real = folder.resolve()
    return sorted({m.mount_point for m in mounts() if m.mount_point != real and m.mount_point.is_relative_to(real)})


def missing_mount(path: Path) -> Path | None:
    """A mount point of /etc/fstab that the path should lie on, and does not."""
    try:
        lines = _FSTAB.read_bytes().splitlines()
    except OSError:
        return None
    fields = [line.split() for line in lines if not line.lstrip().startswith(b"#")]
    listed = {Path(_unescaped(field[1])) for field in fields if len(field) > 1 and field[1].startswith(b"/")}
    mounted = {mount.mount_point for mount in mounts()}
    return next((point for point in sorted(listed - mounted) if path.resolve().is_relative_to(point)), None)


class Held:
    """The folder that a copy is made in, held open, with the name it must go on having."""

    def __init__(self, folder: Path, descriptor: int, mount: Mount) -> None:
        self.folder = folder
        self.descriptor = descriptor
        self.mount = mount
        self._identity = _identity(os.fstat(descriptor))

    def check(self) -> None:
        """Raise MountGone where the name leads elsewhere by now."""
        try:
            same = _identity(os.stat(self.folder)) == self._identity
        except OSError as error:
            raise _gone(self.folder, error.strerror) from error
        if not same:
            raise _gone(self.folder, "it is not mounted any more, or something else is in its place")

    def flush(self) -> None:
        """Have everything that was written on the disk. A file system in user space is flushed file by file."""
        if not self.mount.in_user_space and _libc().syncfs(self.descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


@contextmanager
def held(move: Move) -> Iterator[Held]:
    """Hold the folder of `move.final`. Raises MountGone where what is mounted there is not what the move expects."""
    folder = move.final.parent
    try:
        mount = mount_of(folder)
        if (mount.mount_point, mount.filesystem) != (move.mount_point, move.filesystem):
            raise _gone(folder, f"{move.mount_point} is not mounted as {move.filesystem}")
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _gone(folder, error.strerror) from error
    try:
        yield Held(folder, descriptor, mount)
    finally:
        os.close(descriptor)


def flush(descriptor: int) -> None:
    """fsync, where the file system has such a thing for it."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise


def begin_writing(descriptor: int) -> None:
    """Have the disk begin with what was written to an open file, without waiting: so much less is left for the end."""
    whole = ctypes.c_int64(0)
    _libc().sync_file_range(descriptor, whole, whole, _WRITE)


def settle(descriptor: int) -> None:
    """Have the pages of an open file written out, and clean; without waiting for the disk's own cache as fsync does."""
    whole = ctypes.c_int64(0)
    if _libc().sync_file_range(descriptor, whole, whole, _WRITE_AND_WAIT):
        flush(descriptor)


def destination_error(error: OSError, held: Held) -> MoveFailed:
    """An error of the destination in our words."""
    if error.errno in _FULL:
        return DestinationFull(
            "no space is left there.",
            subject=str(held.folder),
            hint="Free some there and go on with `imgopt resume`; the source is whole.",
        )
    if error.errno in _GONE:
        return _gone(held.folder, error.strerror)
    return MoveFailed(
        f"the copy cannot be written or read ({error.strerror}).",
        subject=str(held.folder),
        hint="Look at what is mounted there, and go on with `imgopt resume`; the source is whole.",
    )


def _gone(folder: Path, reason: str | None) -> MountGone:
    return MountGone(
        f"the destination is gone ({reason}).",
        subject=str(folder),
        hint="Mount it again and go on with `imgopt resume`; the source is whole.",
    )


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _mount(line: bytes) -> Mount:
    fields = line.split(b" ")
    separator = fields.index(b"-", 6)
    filesystem, source, options = fields[separator + 1 : separator + 4]
    return Mount(
        int(fields[0]),
        Path(_unescaped(fields[4])),
        filesystem.decode(),
        _unescaped(source),
        tuple(sorted({*fields[5].decode().split(","), *options.decode(errors="replace").split(",")})),
    )


def _unescaped(field: bytes) -> str:
    return os.fsdecode(_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
