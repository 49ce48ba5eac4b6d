"""How the directories of a host are seen from here: as this machine's own, as a folder that stands for it, or not."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from imgopt_pipeline.hosts.mount_points import MountPoint, MountTable, is_remote, parse_mountinfo
from imgopt_pipeline.hosts.processes import ProcessPlace, local_processes

_LINKS = 40


class DirectoryView(Protocol):
    """A host's directories. Paths of the host are absolute; real paths are where they lie on this machine."""

    @property
    def allocated(self) -> bool:
        """Whether its files count with what they take of the disk; else, as stand-ins for others, with their length."""

    def real_path(self, host_path: str) -> Path | None:
        """Where a directory lies, symbolic links resolved; None where it cannot be seen from here.

        Links below a remote mount stay unresolved. Raises FileNotFoundError where the host has no such path.
        """

    def host_path(self, real_path: Path) -> str:
        """The host's own name of a real path."""

    def mount_of(self, real_path: Path) -> MountPoint | None:
        """What a real path lies on; None where that is unknown."""

    def mount_paths(self) -> frozenset[str]:
        """Real paths at which something is mounted."""

    def processes(self) -> Sequence[ProcessPlace] | None:
        """The host's processes by real paths; None unless all of them can be seen."""


class LocalView:
    """This machine."""

    allocated = True

    def __init__(self) -> None:
        self._mounts = MountTable(parse_mountinfo(Path("/proc/self/mountinfo").read_bytes()))

    def real_path(self, host_path: str) -> Path | None:
        return resolved("", host_path, self._is_remote)

    def host_path(self, real_path: Path) -> str:
        return str(real_path)

    def mount_of(self, real_path: Path) -> MountPoint | None:
        return self._mounts.of(str(real_path))

    def mount_paths(self) -> frozenset[str]:
        return self._mounts.paths()

    def processes(self) -> Sequence[ProcessPlace] | None:
        return local_processes(self._mounts)

    def _is_remote(self, path: str) -> bool:
        mount = self._mounts.of(path)
        return mount is not None and mount.remote


class RemoteView:
    """Another machine, whose directories cannot be read."""

    allocated = False

    def real_path(self, host_path: str) -> Path | None:
        return None

    def host_path(self, real_path: Path) -> str:
        return str(real_path)

    def mount_of(self, real_path: Path) -> MountPoint | None:
        return None

    def mount_paths(self) -> frozenset[str]:
        return frozenset()

    def processes(self) -> Sequence[ProcessPlace] | None:
        return None


class FolderView:
    """A folder that stands for a host's root: /srv/x lies in it as srv/x. No link leads out of it.

    `processes` have paths of that host; `filesystems` are types by the paths where they are mounted there. Its files
    may be sparse.
    """

    allocated = False

    def __init__(
        self, root: Path, processes: Sequence[ProcessPlace] | None = None, filesystems: Mapping[str, str] | None = None
    ) -> None:
        self._root = os.path.realpath(root)
        self._processes = processes
        self._mounts = MountTable(
            MountPoint(self._lexical(path), "", "/", filesystem, is_remote(filesystem), records_reads=True)
            for path, filesystem in (filesystems or {}).items()
        )

    def real_path(self, host_path: str) -> Path | None:
        return resolved(self._root, host_path, lambda path: False)

    def host_path(self, real_path: Path) -> str:
        return str(real_path).removeprefix(self._root) or "/"

    def mount_of(self, real_path: Path) -> MountPoint | None:
        return self._mounts.of(str(real_path))

    def mount_paths(self) -> frozenset[str]:
        return self._mounts.paths()

    def processes(self) -> Sequence[ProcessPlace] | None:
        if self._processes is None:
            return None
        return [
            ProcessPlace(process.pid, process.name, tuple(self._lexical(path) for path in process.paths if path))
            for process in self._processes
        ]

    def _lexical(self, host_path: str) -> str:
        return self._root + os.path.normpath(f"/{host_path.strip('/')}").rstrip("/")


def resolved(root: str, path: str, stop: Callable[[str], bool]) -> Path | None:
    """`path` below `root` (empty for /) with its links resolved as if root were /; from a `stop` on they are kept.

    None where a part may not be looked at. Raises FileNotFoundError where there is no such path.
    """
    left = deque(path.split("/"))
    done: list[str] = []
    links = 0
    while left:
        name = left.popleft()
        if name in ("", "."):
            continue
        if name == "..":
            del done[-1:]
            continue
        place = "/".join((root, *done, name))
        try:
            target = None if stop(place) else os.readlink(place)
        except FileNotFoundError:
            raise
        except NotADirectoryError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place) from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # which says that it is no link
                return None
            target = None
        if target is None:
            done.append(name)
            continue
        links += 1
        if links > _LINKS:
            raise FileNotFoundError(errno.ELOOP, os.strerror(errno.ELOOP), place)
        if target.startswith("/"):
            done.clear()
        left.extendleft(reversed(target.split("/")))
    return Path("/".join((root, *done)) or "/")
