"""Which directories of a host its containers and volumes name, each once, before any of them is looked at."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from imgopt_pipeline.hosts.models import Container, Volume
from imgopt_pipeline.hosts.mount_points import is_within
from imgopt_pipeline.names import original

ENGINE_FOLDERS = ("/var/lib/docker", "/var/lib/containers", "/var/lib/containerd")

# The system's own, which hold no data of an application.
_SYSTEM = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/boot",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/src",
    "/usr/share/zoneinfo",
    "/snap",
]
_SOCKETS = (".sock", ".socket")
# Shared by many; directories inside stand for themselves.
_BROAD = frozenset(
    [
        "/home",
        "/root",
        "/srv",
        "/opt",
        "/mnt",
        "/media",
        "/data",
        "/var",
        "/var/lib",
        "/var/www",
        "/usr",
        "/usr/local",
    ]
)


@dataclass(slots=True)
class Mounted:
    """A directory by the host's own name (lossless, not printable) with who mounts it; names are printable.

    `reported_bytes` is what the engine says a volume holds.
    """

    path: str
    kind: str
    volume: str | None = None
    reported_bytes: int | None = None
    running: bool = False
    containers: set[str] = field(default_factory=set)
    projects: set[str] = field(default_factory=set)

    def mounted_by(self, container: Container) -> None:
        """Note a container that mounts it."""
        self.containers.add(container.name)
        self.running |= container.running
        if container.compose_project:
            self.projects.add(container.compose_project)

    def merge(self, other: Mounted) -> None:
        """Take in what is the same directory under another name. A bind mount's name wins over a volume's."""
        if (other.kind, self.kind) == ("bind", "volume"):
            self.path, self.kind = other.path, other.kind
        self.volume = self.volume or other.volume
        if self.reported_bytes is None:
            self.reported_bytes = other.reported_bytes
        self.running |= other.running
        self.containers |= other.containers
        self.projects |= other.projects


def mounted_directories(
    containers: Sequence[Container], volumes: Sequence[Volume], engine_folders: Sequence[str]
) -> list[Mounted]:
    """Bind mounts but for the system's and the engine's own, and all volumes."""
    found: dict[str, Mounted] = {}
    for volume in volumes:
        path = plain_path(volume.mountpoint)
        if path:
            found[path] = Mounted(path, "volume", volume.name, volume.size_bytes)
    for container in containers:
        for mount in container.mounts:
            path = plain_path(mount.source)
            if not path or mount.kind not in ("bind", "volume"):
                continue
            if mount.kind == "bind" and path not in found and _is_system(path, engine_folders):
                continue
            found.setdefault(path, Mounted(path, mount.kind, mount.volume)).mounted_by(container)
    return list(found.values())


def plain_path(printable_path: str) -> str:
    """The host's own name of an absolute path that `names.printable` wrote; empty for anything else."""
    path = os.fsdecode(original(printable_path))
    return "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") and "\0" not in path else ""


def is_broad(path: str) -> bool:
    """Whether a folder holds many things that have nothing to do with each other, such as /home."""
    return path == "/" or path in _BROAD or posixpath.dirname(path) == "/home"


def _is_system(path: str, engine_folders: Sequence[str]) -> bool:
    return path.endswith(_SOCKETS) or any(is_within(path, folder) for folder in (*_SYSTEM, *engine_folders))
