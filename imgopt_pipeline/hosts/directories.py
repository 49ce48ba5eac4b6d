"""The data directories of a host: what its containers mount, and what lies large beside compose files.

Each directory is a row with all that it holds. Where one lies inside another both have a row, and the outer one's
sums include the inner's, but for what is another file system. A directory that a container mounts is never also a
directory of a project. Sizes are lengths of files: what is sparse takes less of the disk.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from imgopt_pipeline.hosts.directory_contents import UNKNOWN, dominant, path_context
from imgopt_pipeline.hosts.directory_views import DirectoryView
from imgopt_pipeline.hosts.directory_walk import Folder, Identity, Walk, WalkLimits, walk
from imgopt_pipeline.hosts.models import Container, DataDirectory, Problem, Volume
from imgopt_pipeline.hosts.mount_points import is_within
from imgopt_pipeline.hosts.mounted_directories import (
    ENGINE_FOLDERS,
    Mounted,
    is_broad,
    mounted_directories,
    plain_path,
)
from imgopt_pipeline.hosts.processes import ProcessPlace
from imgopt_pipeline.hosts.project_directories import DEPTH, chosen_folders
from imgopt_pipeline.names import printable

_DAY_SECONDS = 86_400
_PROCESSES_NAMED = 20
_SUBJECTS_NAMED = 5


@dataclass(slots=True)
class _Place:
    """A directory where it lies: `real` None where it cannot be seen from here, `folder` None where it was not read."""

    mounted: Mounted
    real: str | None
    identity: Identity | None = None
    remote: bool = False
    refused: bool = False
    folder: Folder | None = None


def data_directories(
    containers: Sequence[Container],
    volumes: Sequence[Volume],
    view: DirectoryView,
    *,
    now: datetime,
    idle_days: int = 180,
    minimum_bytes: int = 100_000_000,
    minimum_bind_bytes: int = 10_000_000,
    limits: WalkLimits = WalkLimits(),
    engine_folder: str = "",
) -> tuple[list[DataDirectory], list[Problem]]:
    """The directories, by path, and what could not be read of them.

    Bind mounts below `minimum_bind_bytes`, mostly settings, and directories of projects below `minimum_bytes` are left
    out; volumes never are. Remote mounts are told and not read: that could take hours, or hang.
    """
    scan = _Scan(view, now.timestamp() - idle_days * _DAY_SECONDS, limits, engine_folder)
    places = scan.places(mounted_directories(containers, volumes, scan.engine_folders))
    scan.read(places)
    places = [place for place in places if not _is_small_bind(place, minimum_bind_bytes)] + scan.projects(
        containers, places, minimum_bytes
    )
    users = _users([place.real for place in places if place.real], view.processes() if places else None)
    rows = [scan.row(place, containers, users, idle_days) for place in places]
    return sorted(rows, key=lambda row: row.path), scan.problems(places)
