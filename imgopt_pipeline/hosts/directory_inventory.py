"""The data directories and volumes of a host as rows of the warehouse's tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from imgopt_pipeline.hosts.directories import data_directories
from imgopt_pipeline.hosts.directory_views import DirectoryView, LocalView, RemoteView
from imgopt_pipeline.hosts.host_gpus import runs_here
from imgopt_pipeline.hosts.inventory import Rows, problem_rows
from imgopt_pipeline.hosts.models import DataDirectory, Host, Volume

_ASSET = "data_directories"


@runtime_checkable
class ShowsDirectories(Protocol):
    """A host that says itself how its directories are seen."""

    def directory_view(self) -> DirectoryView: ...


def view_of(host: Host) -> DirectoryView:
    """How the directories of a host are seen from here: an engine's that runs on this machine as they are."""
    if isinstance(host, ShowsDirectories):
        return host.directory_view()
    facts = host.facts()
    here = facts.kind != "archives" and runs_here(facts.local, facts.root_dir)
    return LocalView() if here else RemoteView()


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
