"""The data directories of a host: what its containers mount, and what lies large beside compose files.

Each directory is a row with all that it holds. Where one lies inside another both have a row, and the outer one's
sums include the inner's, unless that is another file system. A directory that a container mounts is never also a
directory of a project. Sizes are what the files take of the disk, or their lengths, as the view says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from imgopt_pipeline.hosts.directory_contents import UNKNOWN, Tally, dominant
from imgopt_pipeline.hosts.directory_scan import Place, Scan
from imgopt_pipeline.hosts.directory_views import DirectoryView
from imgopt_pipeline.hosts.directory_walk import Folder, WalkLimits
from imgopt_pipeline.hosts.models import Container, DataDirectory, Problem, Volume
from imgopt_pipeline.hosts.mount_points import is_within
from imgopt_pipeline.hosts.mounted_directories import ENGINE_FOLDERS, Mounted, mounted_directories, plain_path
from imgopt_pipeline.hosts.processes import ProcessPlace
from imgopt_pipeline.names import printable

_DAY_SECONDS = 86_400
_PROCESSES_NAMED = 20
_PATHS_NAMED = 5
_PROBLEM = "data directories"
_DEFAULT_WALK = WalkLimits()


def data_directories(
    containers: Sequence[Container],
    volumes: Sequence[Volume],
    view: DirectoryView,
    *,
    now: datetime,
    idle_days: int = 180,
    minimum_bytes: int = 100_000_000,
    minimum_bind_bytes: int = 10_000_000,
    limits: WalkLimits = _DEFAULT_WALK,
    engine_folder: str = "",
) -> tuple[list[DataDirectory], list[Problem]]:
    """The directories, by path, and what could not be read of them.

    Bind mounts below `minimum_bind_bytes`, mostly settings, and directories of projects below `minimum_bytes` are left
    out; volumes never are. Remote mounts are told and not read: that could take hours, or hang. Nor is / itself.
    """
    engine_folders = (*ENGINE_FOLDERS, engine_folder) if plain_path(engine_folder) else ENGINE_FOLDERS
    projects = _project_folders(containers)
    scan = Scan(view, now.timestamp() - idle_days * _DAY_SECONDS, limits, engine_folders)
    places = scan.places(mounted_directories(containers, volumes, engine_folders))
    scan.read(places)
    places += scan.project_places(projects, places, minimum_bytes)
    problems = _problems(places, scan.cut, view, limits)
    places = [place for place in places if not _is_small_bind(place, minimum_bind_bytes)]
    users = _users([place.real for place in places if place.real], view)
    rows = [_row(place, view, projects, users, idle_days) for place in places]
    return sorted(rows, key=lambda row: row.path), problems


def _row(
    place: Place,
    view: DirectoryView,
    projects: Mapping[str, str],
    users: Mapping[str, Sequence[str]] | None,
    idle_days: int,
) -> DataDirectory:
    mounted = place.mounted
    tally = _known(place.folder)
    mount = view.mount_of(Path(place.real)) if place.real else None
    dated = tally if mount is None or mount.records_reads else None
    by_kind = {kind: size_bytes for kind, size_bytes in tally.by_kind.items() if size_bytes} if tally else {}
    path = view.host_path(Path(place.real)) if place.real else mounted.path
    return DataDirectory(
        path=printable(path),
        kind=mounted.kind,
        volume=mounted.volume,
        containers=tuple(sorted(mounted.containers)),
        compose_project=_project(path, mounted, projects),
        running=mounted.running,
        size_bytes=tally.size_bytes if tally else mounted.reported_bytes,
        files=tally.files if tally else None,
        contents=dominant(by_kind) if tally else UNKNOWN,
        contents_bytes=by_kind,
        unmodified_bytes=tally.unmodified_bytes if tally else None,
        unread_bytes=dated.unread_bytes if dated else None,
        unused_bytes=dated.unused_bytes if dated else None,
        idle_days=idle_days,
        filesystem=printable(mount.filesystem) if mount else "",
        remote=place.remote,
        in_use_by=tuple(users[place.real][:_PROCESSES_NAMED]) if users and place.real and path != "/" else None,
        complete=place.folder is not None and place.folder.complete,
    )


def _known(folder: Folder | None) -> Tally | None:
    """The sums of a directory; None where nothing of it could be read."""
    tally = folder.total() if folder else None
    return tally if folder and tally and (tally.files or folder.complete) else None


def _is_small_bind(place: Place, minimum_bytes: int) -> bool:
    if place.mounted.kind != "bind" or place.mounted.volume or place.folder is None or not place.folder.complete:
        return False
    return place.folder.total().size_bytes < minimum_bytes


def _project_folders(containers: Iterable[Container]) -> dict[str, str]:
    """Names of compose projects by the folders of their files, those of running containers first."""
    folders: dict[str, str] = {}
    for container in sorted(containers, key=lambda container: not container.running):
        path = plain_path(container.compose_working_dir or "")
        if path and container.compose_project:
            folders.setdefault(path, container.compose_project)
    return folders


def _project(path: str, mounted: Mounted, projects: Mapping[str, str]) -> str | None:
    """The one project whose containers mount it, else the one in whose folder it lies."""
    if len(mounted.projects) == 1:
        return next(iter(mounted.projects))
    around = [folder for folder in projects if is_within(path, folder)]
    return projects[max(around, key=len)] if around else None


def _users(reals: Sequence[str], view: DirectoryView) -> dict[str, list[str]] | None:
    """The processes that hold something in each real path; None where they cannot be seen."""
    processes: Sequence[ProcessPlace] | None = view.processes() if reals else None
    if processes is None:
        return None
    found: dict[str, list[str]] = {real: [] for real in reals}
    for process in processes:
        for real in {above for path in process.paths for above in _upwards(path) if above in found}:
            found[real].append(process.label)
    return found


def _upwards(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _problems(places: Sequence[Place], cut: Sequence[Folder], view: DirectoryView, limits: WalkLimits) -> list[Problem]:
    """What kept directories from being read, one problem for each reason."""
    folders = [*cut, *(place.folder for place in places if place.folder)]
    refused = [place.mounted.path for place in places if place.refused]
    unreadable = [_host_path(view, folder) for folder in folders if any(one.unreadable for one in folder.all())]
    unfinished = [_host_path(view, folder) for folder in folders if not all(one.finished for one in folder.all())]
    bounds = f"{limits.entries:,} entries each and {limits.seconds:g} s for all"
    reasons = [
        (refused, "this user may not read them.", "Run as root."),
        (unreadable, "not all in them can be read; they hold at least what is told.", "Run as root."),
        (unfinished, f"they were read to the limit of {bounds}; they hold at least what is told.", ""),
    ]
    return [Problem(_named(paths), _PROBLEM, message, hint) for paths, message, hint in reasons if paths]


def _host_path(view: DirectoryView, folder: Folder) -> str:
    return view.host_path(Path(folder.path))


def _named(paths: Iterable[str]) -> str:
    names = sorted({printable(path) for path in paths})
    more = len(names) - _PATHS_NAMED
    return ", ".join(names[:_PATHS_NAMED]) + (f" and {more} more" if more > 0 else "")
