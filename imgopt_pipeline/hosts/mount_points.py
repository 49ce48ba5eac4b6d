"""What is mounted where on this machine, from /proc/PID/mountinfo.

Source of the format: Linux, Documentation/filesystems/proc.rst, section 3.5. Paths are strings as `os.fsdecode`
makes them, so that no byte is lost.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_ESCAPED = re.compile(rb"\\([0-7]{3})")
_REMOTE = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "virtiofs",
        "vboxsf",
        "prl_fs",
        "ceph",
        "glusterfs",
        "lustre",
        "beegfs",
        "davfs",
        "afs",
        "ncpfs",
        "orangefs",
        "coda",
        "autofs",
        "fuse",
    ]
)
# All other FUSE file systems are taken for remote: rclone, sshfs, s3fs and their many kin.
_LOCAL_FUSE = frozenset(
    [
        "fuseblk",
        "fuse.mergerfs",
        "fuse.unionfs",
        "fuse.ntfs-3g",
        "fuse.ntfs",
        "fuse.exfat",
        "fuse.bindfs",
        "fuse.encfs",
        "fuse.gocryptfs",
        "fuse.cryfs",
        "fuse.securefs",
        "fuse.fuse-overlayfs",
        "fuse.lxcfs",
        "fuse.squashfuse",
        "fuse.snapfuse",
        "fuse.zfs-fuse",
    ]
)


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A mounted file system: `root` is the path inside of it that stands at `path`, `device` its major:minor.

    `remote` also holds for the unmounted point of an automounter and for folders that a virtual machine shares.
    `records_reads`: the access times of its files are kept (neither noatime nor read-only).
    """

    path: str
    device: str
    root: str
    filesystem: str
    remote: bool
    records_reads: bool


class MountTable:
    """The mount points of a mount namespace, the last of those that stand at one path."""

    def __init__(self, mounts: Iterable[MountPoint]) -> None:
        self._by_path = {mount.path: mount for mount in mounts}
        self._by_device: dict[str, list[MountPoint]] = {}
        for mount in self._by_path.values():
            self._by_device.setdefault(mount.device, []).append(mount)

    def paths(self) -> frozenset[str]:
        """Where something is mounted."""
        return frozenset(self._by_path)

    def of(self, path: str) -> MountPoint | None:
        """The mount point on which an absolute path lies, told by its name alone."""
        while path != "/":
            found = self._by_path.get(path)
            if found is not None:
                return found
            path = path.rpartition("/")[0] or "/"
        return self._by_path.get("/")

    def inside(self, path: str) -> tuple[str, str] | None:
        """The file system's device and the path inside of it."""
        mount = self.of(path)
        if mount is None:
            return None
        return mount.device, joined(mount.root, path.removeprefix(mount.path.rstrip("/")))

    def seen(self, device: str, path: str) -> Iterator[str]:
        """The paths under which this namespace sees a path inside a file system."""
        for mount in self._by_device.get(device, ()):
            if is_within(path, mount.root):
                yield joined(mount.path, path.removeprefix(mount.root.rstrip("/")))


def parse_mountinfo(content: bytes) -> list[MountPoint]:
    """The mount points in the kernel's order; lines of another form are skipped."""
    mounts = []
    for line in content.split(b"\n"):
        left, dash, right = line.partition(b" - ")
        fields, kinds = left.split(b" "), right.split(b" ")
        if not dash or len(fields) < 6 or len(kinds) < 3:
            continue
        options = {*fields[5].split(b","), *kinds[2].split(b",")}
        filesystem = _text(kinds[0])
        mounts.append(
            MountPoint(
                path=_text(fields[4]),
                device=_text(fields[2]),
                root=_text(fields[3]),
                filesystem=filesystem,
                remote=is_remote(filesystem),
                records_reads=not options & {b"noatime", b"ro"},
            )
        )
    return mounts


def is_remote(filesystem: str) -> bool:
    """Whether a file system of that type keeps its files on another machine."""
    return filesystem in _REMOTE or (filesystem.startswith("fuse.") and filesystem not in _LOCAL_FUSE)


def is_within(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it, by name."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def joined(folder: str, rest: str) -> str:
    """`rest` (empty, or with a leading slash) below a folder."""
    return (folder.rstrip("/") + rest.rstrip("/")) or "/"


def _text(field: bytes) -> str:
    return os.fsdecode(_ESCAPED.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field))
