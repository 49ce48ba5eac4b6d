"""Moving a directory aside on its own file system, back, and away for good; each can be done again after any crash.

The way there is opened part by part without following a link, so that nobody can lead it elsewhere.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from imgopt_pipeline.cleaning.models import CleaningFailed
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.candidates import SET_ASIDE
from imgopt_pipeline.services.models import Refused

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def aside_path(path: str, action_id: str) -> str:
    """Where a directory lies while it is aside."""
    return f"{path}{SET_ASIDE}{action_id}"


def move_aside(path: str, action_id: str, inode: int) -> None:
    """Rename it beside. Raises Refused where another stands there than was looked at, CleaningFailed."""
    _rename(path, aside_path(path, action_id), inode)


def put_back(path: str, action_id: str, inode: int) -> None:
    """Rename it back. Raises Refused where something stands in its place again, CleaningFailed."""
    _rename(aside_path(path, action_id), path, inode)


def lies_aside(path: str, action_id: str, inode: int) -> bool:
    """Whether it is aside now."""
    return stands(aside_path(path, action_id), inode)


def stands(path: str, inode: int) -> bool:
    """Whether this very directory stands at a path."""
    try:
        with _parent(path) as folder:
            return _inode(folder, os.path.basename(path)) == inode
    except (OSError, Refused):
        return False


def remove_for_good(path: str, action_id: str, inode: int) -> None:
    """Remove what lies aside, or what a removal that was cut off left of it. Raises Refused, CleaningFailed."""
    aside = aside_path(path, action_id)
    try:
        with _parent(aside) as folder:
            found = _inode(folder, os.path.basename(aside))
            if found is None:
                return
            if found != inode:
                raise Refused("another directory stands there than was moved aside.", subject=printable(aside))
            shutil.rmtree(os.path.basename(aside), dir_fd=folder)
            os.fsync(folder)
    except OSError as error:
        raise CleaningFailed(f"it cannot be removed ({error.strerror}).", subject=printable(aside)) from error


def _rename(path: str, to: str, inode: int) -> None:
    old, new = os.path.basename(path), os.path.basename(to)
    try:
        with _parent(path) as folder:
            there, taken = _inode(folder, old), _inode(folder, new)
            if taken == inode and there is None:
                os.fsync(folder)
                return
            if taken is not None:
                raise Refused("something else stands in that place.", subject=printable(to))
            if there != inode:
                raise Refused("it is not what it was when it was looked at.", subject=printable(path))
            os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
    except OSError as error:
        raise CleaningFailed(f"it cannot be moved ({error.strerror}).", subject=printable(path)) from error


def _inode(folder: int, name: str) -> int | None:
    """The inode of a directory in an open folder, -1 for anything else of that name, None for nothing."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_ino if stat.S_ISDIR(status.st_mode) else -1


@contextmanager
def _parent(path: str) -> Iterator[int]:
    """The folder that a path lies in. Raises Refused where a link leads there."""
    descriptor = os.open("/", _FOLDER)
    try:
        for name in os.path.dirname(path).split("/"):
            if name:
                inner = _open(name, descriptor, path)
                os.close(descriptor)
                descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _open(name: str, folder: int, path: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise Refused("a symbolic link leads there, which is not followed.", subject=printable(path)) from error
