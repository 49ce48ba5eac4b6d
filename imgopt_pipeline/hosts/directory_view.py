"""How directories of a host are seen from here: on this machine, not at all, or below a folder that stands for it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.described import DescribedHost
from imgopt_pipeline.hosts.directory_walk import Identity
from imgopt_pipeline.hosts.host_gpus import runs_here
from imgopt_pipeline.hosts.models import Host
from imgopt_pipeline.names import original, printable

_REMOTE = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p ceph glusterfs lustre afs beegfs gpfs ocfs2 gfs2 orangefs virtiofs davfs".split()
)
_REMOTE_FUSE = frozenset(
    "sshfs rclone s3fs glusterfs ceph-fuse ceph davfs davfs2 gcsfuse goofys juicefs mount-s3 curlftpfs smbnetfs seaweedfs"
    " blobfuse2 mergerfs-remote".split()
)
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_LINKS = 40  # as many as Linux follows
_PROCESSES = 20_000
_OPEN_FILES = 100_000
_PROCESS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class MountPoint:
    """Where a file system is mounted, of what type; `noatime`: it does not record when files are read."""

    path: str
    filesystem: str
    noatime: bool = False

    @property
    def remote(self) -> bool:
        return is_remote(self.filesystem)


_ROOT = MountPoint("/", "")


class DirectoryView(Protocol):
    """Paths are paths of the host as it has them, not in printable form.

    `real_path` is where a directory or file lies here with all links followed, None where it is not here.
    `host_path` is the other way round. `opened`: what processes have as working directory, program or open
    file; None where they cannot be seen.
    """

    def real_path(self, path: str) -> Path | None: ...
    def host_path(self, real: Path) -> str: ...
    def mount_of(self, path: str) -> MountPoint: ...
    def mount_points(self) -> frozenset[str]: ...
    def opened(self) -> Mapping[Identity, set[str]] | None: ...


@dataclass(frozen=True, slots=True)
class LocalView:
    """This machine. `here`: the host's processes are those of this machine."""

    mounts: Mapping[str, MountPoint]
    here: bool = True

    def real_path(self, path: str) -> Path | None:
        return resolved(Path("/"), path, self.mounts)

    def host_path(self, real: Path) -> str:
        return str(real)

    def mount_of(self, path: str) -> MountPoint:
        return _nearest(self.mounts, path)

    def mount_points(self) -> frozenset[str]:
        return frozenset(self.mounts)

    def opened(self) -> Mapping[Identity, set[str]] | None:
        return local_processes() if self.here and os.geteuid() == 0 else None


@dataclass(frozen=True, slots=True)
class RemoteView:
    """Another machine: nothing of it is here."""

    def real_path(self, path: str) -> Path | None:
        return None

    def host_path(self, real: Path) -> str:
        return str(real)

    def mount_of(self, path: str) -> MountPoint:
        return _ROOT

    def mount_points(self) -> frozenset[str]:
        return frozenset()

    def opened(self) -> Mapping[Identity, set[str]] | None:
        return None


@dataclass(frozen=True, slots=True)
class FolderView:
    """A described host, whose directories lie below `root`; no link leads out of it."""

    root: Path
    mounts: Mapping[str, MountPoint] = field(default_factory=dict)
    processes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    local_filesystem: str = "ext4"

    def real_path(self, path: str) -> Path | None:
        return resolved(self.root, path, self.mounts)

    def host_path(self, real: Path) -> str:
        return "/" + str(real.relative_to(self.root)).removeprefix(".")

    def mount_of(self, path: str) -> MountPoint:
        found = _nearest(self.mounts, path)
        return found if found.filesystem else MountPoint("/", self.local_filesystem)

    def mount_points(self) -> frozenset[str]:
        return frozenset(self.mounts)

    def opened(self) -> Mapping[Identity, set[str]] | None:
        opened: dict[Identity, set[str]] = {}
        for name, paths in self.processes:
            for path in paths:
                real = self.real_path(path)
                if real is not None:
                    _note(opened, str(real), name)
        return opened


def view_of(host: Host) -> DirectoryView | None:
    """How the directories of a host are seen; None for archives alone, which have none."""
    if isinstance(host, DescribedHost):
        return FolderView(
            host.directory_root.resolve(),
            {_plain(path): MountPoint(_plain(path), kind) for path, kind in host.filesystems().items()},
            tuple(
                (f"{one.pid} {one.command}", tuple(map(_plain, (one.working_directory, *one.open_paths))))
                for one in host.processes()
            ),
        )
    if isinstance(host, ArchiveHost):
        return None
    facts = host.facts()
    if not facts.local:
        return RemoteView()
    return LocalView(read_mounts(), runs_here(facts.local, facts.root_dir))


def is_remote(filesystem: str) -> bool:
    """Whether a file system of that type lies on another machine."""
    kind, _, program = filesystem.partition(".")
    return filesystem in _REMOTE or (kind == "fuse" and program in _REMOTE_FUSE)


def read_mounts(file: Path = Path("/proc/self/mountinfo")) -> dict[str, MountPoint]:
    """Mount points of this machine by path; none where the system does not say."""
    try:
        return parse_mounts(file.read_bytes())
    except OSError:
        return {}


def parse_mounts(text: bytes) -> dict[str, MountPoint]:
    """Mount points by path, the last mounted where several are; lines of another form are passed over.

    Source: proc_pid_mountinfo(5): ID, parent, device, root, mount point, options, optional fields, `-`,
    type, source, options of the superblock; blanks and backslashes as `\\040` in octal.
    """
    mounts: dict[str, MountPoint] = {}
    for line in text.splitlines():
        before, separator, after = line.partition(b" - ")
        fields, rest = before.split(b" "), after.split(b" ")
        if not separator or len(fields) < 6:
            continue
        path = os.fsdecode(_ESCAPED.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), fields[4]))
        # What is mounted read-only does not record reads either.
        noatime = not {b"noatime", b"ro"}.isdisjoint(fields[5].split(b","))
        mounts[path] = MountPoint(path, printable(rest[0]), noatime)
    return mounts


def resolved(root: Path, path: str, mounts: Mapping[str, MountPoint]) -> Path | None:
    """`path` below `root` with its links followed, `root` taken as `/`; None where there is no such file.

    Stops at a remote mount without asking it, since one that does not answer would hold everything up.
    """
    pending = [name for name in reversed(path.split("/")) if name]
    links = 0
    done: list[str] = []
    while pending:
        name = pending.pop()
        if name == ".":
            continue
        if name == "..":
            del done[-1:]
            continue
        done.append(name)
        mount = mounts.get("/" + "/".join(done))
        if mount is not None and mount.remote:
            return root.joinpath(*done, *reversed(pending))
        try:
            here = root.joinpath(*done)
            if here.is_symlink():
                links += 1
                target = os.readlink(here)
                done = [] if target.startswith("/") else done[:-1]
                pending += [part for part in reversed(target.split("/")) if part]
            elif not here.exists():
                return None
        except (OSError, ValueError):
            return None
        if links > _LINKS:
            return None
    return root.joinpath(*done)


def local_processes(proc: Path = Path("/proc")) -> dict[Identity, set[str]]:
    """What processes of this machine hold: working directories, programs, open files and directories."""
    opened: dict[Identity, set[str]] = {}
    until = time.monotonic() + _PROCESS_SECONDS
    left = _OPEN_FILES
    for folder in _numbered(proc)[:_PROCESSES]:
        name = f"{folder.name} {_process_name(folder)}"
        links = [folder / "cwd", folder / "exe", *_numbered(folder / "fd")[: max(0, left)]]
        left -= len(links)
        for link in links:
            _note_link(opened, link, name)
        if time.monotonic() > until:
            break
    return opened


def _note_link(opened: dict[Identity, set[str]], link: Path, name: str) -> None:
    """Note what a link of /proc leads to, where that is a file with a path: pipes and sockets lie in no directory."""
    with suppress(OSError):
        if os.readlink(link).startswith("/"):
            _note(opened, str(link), name)


def _note(opened: dict[Identity, set[str]], path: str, name: str) -> None:
    with suppress(OSError, ValueError):
        status = os.stat(path)
        opened.setdefault((status.st_dev, status.st_ino), set()).add(name)


def _numbered(folder: Path) -> list[Path]:
    try:
        names = [name for name in os.listdir(folder) if name.isascii() and name.isdigit()]
    except OSError:
        return []
    return [folder / name for name in sorted(names, key=int)]


def _process_name(folder: Path) -> str:
    try:
        return printable((folder / "comm").read_bytes().strip())
    except OSError:
        return "?"


def _nearest(mounts: Mapping[str, MountPoint], path: str) -> MountPoint:
    for folder in _upwards(path):
        if folder in mounts:
            return mounts[folder]
    return _ROOT


def _upwards(path: str) -> Iterable[str]:
    """The path, what holds it, and so on up to the root."""
    path = path.rstrip("/")
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield "/"


def _plain(text: str) -> str:
    return os.fsdecode(original(text))
