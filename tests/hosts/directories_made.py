"""Directories, containers and volumes made for tests, and what is found of them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from imgopt_pipeline.hosts.directories import data_directories
from imgopt_pipeline.hosts.directory_contents import Context
from imgopt_pipeline.hosts.directory_views import DirectoryView, FolderView
from imgopt_pipeline.hosts.directory_walk import Folder, Walk, walk
from imgopt_pipeline.hosts.models import Container, DataDirectory, Mount, Volume

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MB = 1_000_000


def put(
    root: Path, sizes: Mapping[str, int], *, days: float = 0, read_days: float | None = None, allocated: bool = False
) -> None:
    """Files below a folder, modified and read that many days before NOW; sparse ones unless `allocated`."""
    for name, size_bytes in sizes.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            if allocated and size_bytes:
                os.posix_fallocate(file.fileno(), 0, size_bytes)
            else:
                file.truncate(size_bytes)
        at = NOW.timestamp()
        os.utime(path, (at - 86_400 * (days if read_days is None else read_days), at - 86_400 * days))


def container(name: str, *sources: str, running: bool = True, project: str = "", folder: str = "") -> Container:
    """A container with bind mounts."""
    mounts = [Mount("bind", source, f"/mnt/{number}", None, True) for number, source in enumerate(sources)]
    return made(name, mounts, running, project, folder)


def made(name: str, mounts: list[Mount], running: bool = True, project: str = "", folder: str = "") -> Container:
    """A container with any mounts."""
    return Container(
        container_id=name,
        name=name,
        image_id="i",
        image_reference="i:1",
        state="running" if running else "exited",
        running=running,
        created_at=None,
        started_at=None,
        restart_policy="no",
        restart_count=0,
        compose_project=project or None,
        compose_service=None,
        compose_working_dir=folder or None,
        compose_config_files=(),
        mounts=tuple(mounts),
        memory_limit_bytes=None,
        log_driver="",
        log_bytes=None,
        writable_bytes=None,
    )


def volume(name: str, mountpoint: str, size_bytes: int | None = None) -> Volume:
    """A volume as the engine lists it."""
    return Volume(name, "local", mountpoint, size_bytes, 0, anonymous=False)


def scanned(
    root: Path, *containers: Container, volumes: tuple[Volume, ...] = (), view: DirectoryView | None = None
) -> dict[str, DataDirectory]:
    """The directories by path, of which nothing went unread."""
    rows, problems = data_directories(containers, volumes, view or FolderView(root), now=NOW)
    assert problems == []
    return {row.path: row for row in rows}


def summed(root: Path, *, depth: int = 0, idle_before: float = 0, allocated: bool = False) -> Folder:
    """The sums of a directory that was walked to its end."""
    deadline = time.monotonic() + 60
    how = Walk(idle_before=idle_before, deadline=deadline, entries=1_000_000, depth=depth, allocated=allocated)
    return walk(str(root), Context(), how)
