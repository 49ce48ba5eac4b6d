"""The data directories and volumes of a host as rows of the warehouse's tables."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from imgopt_pipeline.hosts.directories import data_directories
from imgopt_pipeline.hosts.directory_views import DirectoryView, LocalView, RemoteView
from imgopt_pipeline.hosts.host_gpus import runs_here
from imgopt_pipeline.hosts.inventory import Rows, problem_rows
from imgopt_pipeline.hosts.models import DataDirectory, Host, HostFacts, Volume

_ASSET = "data_directories"
_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO in Linux, include/linux/proc_ns.h


@runtime_checkable
class ShowsDirectories(Protocol):
    """A host that says itself how its directories are seen."""

    def directory_view(self) -> DirectoryView: ...


def view_of(host: Host) -> DirectoryView:
    """How the directories of a host are seen from here: an engine's that runs on this machine as they are."""
    if isinstance(host, ShowsDirectories):
        return host.directory_view()
    facts = host.facts()
    return LocalView() if facts.kind != "archives" and _is_here(facts) else RemoteView()


def _is_here(facts: HostFacts) -> bool:
    """Whether an engine runs on this machine; a virtual machine made from a container image looks like a container."""
    if runs_here(facts.local, facts.root_dir):
        return True
    first = os.stat("/proc/self/ns/pid").st_ino == _FIRST_PID_NAMESPACE if os.path.exists("/proc/self/ns") else False
    return first and facts.local and bool(facts.root_dir) and os.path.exists(facts.root_dir)


def directory_rows(host: Host, audit_id: str) -> Rows:
    """Rows of `data_directories`, and of `audit_problems` for what could not be read."""
    directories, problems = data_directories(
        host.containers(),
        host.volumes(),
        view_of(host),
        now=datetime.now(UTC),
        engine_folder=host.facts().root_dir,
    )
    return {
        "data_directories": [_directory_row(host.name, audit_id, directory) for directory in directories],
        "audit_problems": problem_rows(host.name, audit_id, _ASSET, problems),
    }


def volume_rows(host: Host, audit_id: str) -> Rows:
    """Rows of `volume_inventory`."""
    return {"volume_inventory": [_volume_row(host.name, audit_id, volume) for volume in host.volumes()]}


def _directory_row(host_name: str, audit_id: str, directory: DataDirectory) -> dict[str, Any]:
    return {
        "audit_id": audit_id,
        "host": host_name,
        "path": directory.path,
        "kind": directory.kind,
        "volume": directory.volume,
        "containers": list(directory.containers),
        "compose_project": directory.compose_project,
        "running": directory.running,
        "size_bytes": directory.size_bytes,
        "files": directory.files,
        "contents": directory.contents,
        "contents_bytes": list(directory.contents_bytes.items()),
        "unmodified_bytes": directory.unmodified_bytes,
        "unread_bytes": directory.unread_bytes,
        "unused_bytes": directory.unused_bytes,
        "idle_days": directory.idle_days,
        "filesystem": directory.filesystem,
        "remote": directory.remote,
        "in_use_by": None if directory.in_use_by is None else list(directory.in_use_by),
        "complete": directory.complete,
    }


def _volume_row(host_name: str, audit_id: str, volume: Volume) -> dict[str, Any]:
    return {
        "audit_id": audit_id,
        "host": host_name,
        "name": volume.name,
        "driver": volume.driver,
        "mountpoint": volume.mountpoint,
        "size_bytes": volume.size_bytes,
        "containers": volume.containers,
        "anonymous": volume.anonymous,
    }
