"""A folder as a process of a container sees it, in the mount namespace that it really has.

What the engine hands out (`docker cp`) is mounted anew for that, and shows the right folder even where the container
got the one that a missing mount left free.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS = 40


@contextmanager
def opened_inside(pid: int, place: str) -> Iterator[int]:
    """The folder that a process sees at an absolute path. Links are followed as it would follow them.

    Raises OSError.
    """
    root = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = _resolved(root, place)
    finally:
        os.close(root)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _resolved(root: int, place: str) -> int:
    """Never above that root, which the kernel's own resolution of a link would leave."""
    waiting = _parts(place)
    opened: list[int] = [os.dup(root)]
    links = 0
    try:
        while waiting:
            name = waiting.pop()
            if name == "..":
                if len(opened) > 1:
                    os.close(opened.pop())
                continue
            if stat.S_ISLNK(os.stat(name, dir_fd=opened[-1], follow_symlinks=False).st_mode):
                if (links := links + 1) > _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), place)
                target = os.readlink(name, dir_fd=opened[-1])
                if target.startswith("/"):
                    while len(opened) > 1:
                        os.close(opened.pop())
                waiting += _parts(target)
            else:
                opened.append(os.open(name, _FOLDER, dir_fd=opened[-1]))
        return os.dup(opened[-1])
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _parts(path: str) -> list[str]:
    """The names of a path, the last first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
