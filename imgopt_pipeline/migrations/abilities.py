"""What a destination can hold, by trying it: in a folder of ours there, which is removed again."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from imgopt_pipeline.migrations.mounts import Held, destination_error, flush
from imgopt_pipeline.migrations.sending import wait_until_sent
from imgopt_pipeline.migrations.tree import open_folder, remove

PROBE = b".imgopt-probe"
_CONTENT = os.urandom(4096)
_TIME_NS = 1_234_567_891_123_456_789
_OWNER = 54_321
_FAT_FILE_BYTES = (1 << 32) - 1
_CLOSED_TO_FAT = {"vfat", "msdos", "fuse.fatfs"}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What was kept of what was tried."""

    holes: bool = False
    symlinks: bool = False
    hard_links: bool = False
    modes: bool = False
    owners: bool = False
    attributes: bool = False
    times: bool = False
    case_sensitive: bool = False


def try_writing(place: Held) -> str:
    """Write, read back, rename and delete; in words what failed, empty where all went well. Raises MoveFailed."""
    with _probe_folder(place) as folder:
        return _write_and_read(place, folder)


def probe(place: Held) -> Abilities:
    """Try what it keeps. Raises MoveFailed where nothing can be written there."""
    with _probe_folder(place) as folder:
        return Abilities(
            holes=_works(lambda: _keeps_holes(folder)),
            symlinks=_works(lambda: _keeps_symlinks(folder)),
            hard_links=_works(lambda: _keeps_hard_links(folder)),
            modes=_works(lambda: _keeps_modes(folder)),
            owners=os.geteuid() == 0 and _works(lambda: _keeps_owners(folder)),
            attributes=_works(lambda: _keeps_attributes(folder)),
            times=_works(lambda: _keeps_times(folder)),
            case_sensitive=_works(lambda: _tells_case(folder)),
        )


def names_refused(place: Held, names: Iterator[bytes]) -> list[bytes]:
    """Which of these names the destination refuses, or gives back as others."""
    refused = []
    with _probe_folder(place) as folder:
        for name in names:
            try:
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder))
                if os.fsencode(name) not in map(os.fsencode, os.listdir(folder)):
                    refused.append(name)
            except OSError:
                refused.append(name)
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
    return refused


def holds_size(place: Held, size_bytes: int, *, holes: bool) -> bool | None:
    """Whether a file may be that large; None where that cannot be told without writing it."""
    if place.mount.filesystem in _CLOSED_TO_FAT:
        return size_bytes <= _FAT_FILE_BYTES
    if not holes:
        return None
    with _probe_folder(place) as folder:
        descriptor = os.open("large", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder)
        try:
            os.ftruncate(descriptor, size_bytes)
        except OSError as error:
            if error.errno != errno.EFBIG:
                return None
            return False
        finally:
            os.close(descriptor)
    return True


@contextmanager
def _probe_folder(place: Held) -> Iterator[int]:
    try:
        remove(place.descriptor, PROBE)  # of a probe that was killed
        os.mkdir(PROBE, 0o700, dir_fd=place.descriptor)
        folder = open_folder(place.descriptor, PROBE)
    except OSError as error:
        raise destination_error(error, place) from error
    try:
        yield folder
    finally:
        os.close(folder)
        with suppress(OSError):
            remove(place.descriptor, PROBE)


def _write_and_read(place: Held, folder: int) -> str:
    doing = "written"
    try:
        _write(folder, "file", _CONTENT)
        doing = "read back"
        if _read(folder, "file") != _CONTENT:
            return "a file comes back as another than was written"
        doing = "renamed"
        os.rename("file", "renamed", src_dir_fd=folder, dst_dir_fd=folder)
        if _read(folder, "renamed") != _CONTENT or "file" in os.listdir(folder):
            return "a renamed file comes back as another"
        doing = "renamed as a folder"
        os.mkdir("folder", 0o700, dir_fd=folder)
        inside = os.open("folder", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        try:
            _write(inside, "file", _CONTENT)
        finally:
            os.close(inside)
        wait_until_sent(place, PROBE)
        os.rename("folder", "moved", src_dir_fd=folder, dst_dir_fd=folder)
        moved = os.open("moved", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        try:
            if _read(moved, "file") != _CONTENT:
                return "a file in a renamed folder comes back as another"
        finally:
            os.close(moved)
        doing = "deleted"
        os.unlink("renamed", dir_fd=folder)
        if "renamed" in os.listdir(folder):
            return "a deleted file is still there"
    except OSError as error:
        return f"a file cannot be {doing} ({error.strerror})"
    return ""


def _write(folder: int, name: str, content: bytes) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        os.write(descriptor, content)
        flush(descriptor)
    finally:
        os.close(descriptor)


def _read(folder: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(descriptor, len(_CONTENT) + 1)
    finally:
        os.close(descriptor)


def _works(attempt: Callable[[], bool]) -> bool:
    try:
        return attempt()
    except OSError:
        return False


def _keeps_holes(folder: int) -> bool:
    length = 1 << 20
    descriptor = os.open("holes", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=folder)
    try:
        os.pwrite(descriptor, b"x", length)
        flush(descriptor)
        return os.fstat(descriptor).st_blocks * 512 < length and os.pread(descriptor, 2, length - 1) == b"\0x"
    finally:
        os.close(descriptor)


def _keeps_symlinks(folder: int) -> bool:
    os.symlink("../no where", "link", dir_fd=folder)
    return os.readlink("link", dir_fd=folder) == "../no where"


def _keeps_hard_links(folder: int) -> bool:
    _write(folder, "first", b"1")
    os.link("first", "second", src_dir_fd=folder, dst_dir_fd=folder)
    return os.stat("second", dir_fd=folder).st_nlink == 2


def _keeps_modes(folder: int) -> bool:
    _write(folder, "mode", b"")
    kept = []
    for mode in (0o640, 0o755):
        os.chmod("mode", mode, dir_fd=folder)
        kept.append(os.stat("mode", dir_fd=folder).st_mode & 0o7777 == mode)
    return all(kept)


def _keeps_owners(folder: int) -> bool:
    _write(folder, "owner", b"")
    os.chown("owner", _OWNER, _OWNER, dir_fd=folder)
    status = os.stat("owner", dir_fd=folder)
    return (status.st_uid, status.st_gid) == (_OWNER, _OWNER)


def _keeps_attributes(folder: int) -> bool:
    _write(folder, "attributes", b"")
    descriptor = os.open("attributes", os.O_RDONLY, dir_fd=folder)
    try:
        os.setxattr(descriptor, "user.imgopt", b"kept")
        return os.getxattr(descriptor, "user.imgopt") == b"kept"
    finally:
        os.close(descriptor)


def _keeps_times(folder: int) -> bool:
    """To the second: many keep no finer ones."""
    _write(folder, "times", b"")
    os.utime("times", ns=(_TIME_NS, _TIME_NS), dir_fd=folder)
    return abs(os.stat("times", dir_fd=folder).st_mtime_ns - _TIME_NS) <= 2_000_000_000


def _tells_case(folder: int) -> bool:
    _write(folder, "Case", b"")
    return "cASE" not in os.listdir(folder) and not _works(lambda: bool(os.stat("cASE", dir_fd=folder)))
