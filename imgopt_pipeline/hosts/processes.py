"""Where the processes of this machine work: their working directories, programs and open files, from /proc.

Processes of containers show paths of their own file system. Their own mountinfo tells which file system that is and
where in it; this machine's tells under which path it sees the same. No file is touched for that, so that a mount
whose server is gone blocks nobody. Command lines, which may hold secrets, are not read.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from imgopt_pipeline.hosts.mount_points import MountTable, parse_mountinfo
from imgopt_pipeline.names import printable

_PROCESSES = 50_000
_OPEN_FILES = 10_000
_INIT = 1
_AGAIN_SECONDS = 0.05
_DELETED = " (deleted)"
_ENDED = frozenset({errno.ENOENT, errno.ESRCH, errno.EINVAL})  # the last: mountinfo of one that is not yet reaped


@dataclass(frozen=True, slots=True)
class ProcessPlace:
    """A process and the paths it holds, as the machine that is looked at sees them; `name` is printable."""

    pid: int
    name: str
    paths: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.pid} {self.name}"


def local_processes(mounts: MountTable, proc: Path = Path("/proc")) -> list[ProcessPlace] | None:
    """The processes of this machine but for this one; None unless all can be seen (init aside), which takes root."""
    if os.geteuid() != 0:
        return None
    try:
        seeing = _Seeing(proc, mounts)
        pids = sorted(int(name) for name in os.listdir(proc) if name.isascii() and name.isdigit())
        # Init may have rights that root lacks here, and works in no data directory.
        refusing = [pid for pid in pids[:_PROCESSES] if not seeing.see(pid) and pid != _INIT]
        if refusing:
            time.sleep(_AGAIN_SECONDS)  # one that is just being started or ended refuses for a moment
        if not all(seeing.see(pid) for pid in refusing):
            return None
    except OSError:
        return None
    return sorted(seeing.found, key=lambda process: process.pid)


class _Seeing:
    """Looks at processes one by one, and keeps the mount tables of their namespaces."""

    def __init__(self, proc: Path, mounts: MountTable) -> None:
        self.found: list[ProcessPlace] = []
        self._proc = proc
        self._mounts = mounts
        self._own = os.readlink(proc / "self/ns/mnt")
        self._tables: dict[str, MountTable] = {self._own: mounts}

    def see(self, pid: int) -> bool:
        """Add a process, unless it ended; whether it let itself be looked at."""
        folder = self._proc / str(pid)
        try:
            namespace = os.readlink(folder / "ns/mnt")
            if namespace not in self._tables:
                self._tables[namespace] = MountTable(parse_mountinfo((folder / "mountinfo").read_bytes()))
            held = set(_held_paths(folder))
            name = printable((folder / "comm").read_bytes().rstrip(b"\n"))
        except OSError as error:
            return error.errno in _ENDED
        paths = {seen for path in held for seen in _seen(path, self._tables[namespace], self._mounts)}
        if pid != os.getpid():
            self.found.append(ProcessPlace(pid, name, tuple(sorted(paths | held if namespace == self._own else paths))))
        return True


def _held_paths(folder: Path) -> Iterator[str]:
    """Raises FileNotFoundError where the process ended; a kernel thread holds its working directory alone."""
    yield os.readlink(folder / "cwd")
    links = [folder / "exe"]
    with os.scandir(folder / "fd") as descriptors:
        links += [folder / "fd" / entry.name for entry in islice(descriptors, _OPEN_FILES)]
    for link in links:
        try:
            target = os.readlink(link)
        except FileNotFoundError:
            continue
        if target.startswith("/"):
            yield target.removesuffix(_DELETED)


def _seen(path: str, theirs: MountTable, ours: MountTable) -> Iterator[str]:
    place = theirs.inside(path)
    return ours.seen(*place) if place else iter(())
