"""Finds where the directories of a host lie and sums them, in an order that serves running containers first."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgopt_pipeline.hosts.directory_contents import path_context
from imgopt_pipeline.hosts.directory_views import DirectoryView, RemoteView
from imgopt_pipeline.hosts.directory_walk import Folder, Identity, Walk, WalkLimits, walk
from imgopt_pipeline.hosts.mount_points import is_within
from imgopt_pipeline.hosts.mounted_directories import Mounted, is_broad
from imgopt_pipeline.hosts.project_directories import DEPTH, chosen_folders


@dataclass(slots=True)
class Place:
    """A directory where it lies: `real` None where it cannot be seen from here, `folder` None where it was not read."""

    mounted: Mounted
    real: str | None
    identity: Identity | None = None
    remote: bool = False
    refused: bool = False
    folder: Folder | None = None

    @property
    def walkable(self) -> bool:
        return self.identity is not None and not self.remote and self.mounted.path != "/"


class Scan:
    """One look at all directories of a host, with one limit of time. `cut`: project folders not read as a whole."""

    def __init__(
        self, view: DirectoryView, idle_before: float, limits: WalkLimits, engine_folders: Iterable[str]
    ) -> None:
        self.cut: list[Folder] = []
        self._view = view
        self._idle_before = idle_before
        self._limits = limits
        self._deadline = time.monotonic() + limits.seconds
        self._mounts = view.mount_paths()
        self._barred = self._mounts | frozenset(self._present(engine_folders))

    def places(self, mounted: Iterable[Mounted]) -> list[Place]:
        """Where the directories lie; those that lie at one place become one, and files are left out."""
        found: dict[object, Place] = {}
        for one in mounted:
            place = self._place(one)
            if place is None:
                continue
            known = found.setdefault(place.identity or place.real or one.path, place)
            if known is not place:
                known.mounted.merge(one)
                if known.mounted.path == one.path:
                    known.real = place.real
        return list(found.values())

    def read(self, places: Iterable[Place]) -> None:
        """Sum the directories: those of running containers first, outer before inner ones, broad ones last."""
        waiting = {place.identity: place for place in places if place.walkable}
        running = [place.real or "" for place in waiting.values() if place.mounted.running]

        def order(place: Place) -> tuple[bool, bool, int]:
            real = place.real or ""
            runs = any(is_within(other, real) for other in running)
            return is_broad(place.mounted.path), not runs, real.count("/")

        for place in sorted(waiting.values(), key=order):
            if place.folder is not None:
                continue  # inside one that was read
            place.folder = self._walk(place, chosen=waiting)
            for inner in place.folder.all() if place.folder else ():
                of_inner = waiting.get(inner.identity)
                if of_inner is not None and of_inner.folder is None and inner.complete:
                    of_inner.folder = inner

    def project_places(self, projects: Mapping[str, str], places: Sequence[Place], minimum_bytes: int) -> list[Place]:
        """Large directories in project folders (name by path). One that is mounted, or lies inside such, is none."""
        mounted = [place for place in places if place.identity and not is_broad(place.mounted.path)]
        tops: dict[Identity, Place] = {}
        for path, project in projects.items():
            top = self._place(Mounted(path, "project", projects={project}))
            if top is None or top.identity is None or not top.walkable:
                continue
            if not any(is_within(top.real or "", place.real) for place in mounted if place.real):
                tops.setdefault(top.identity, top)
        taken = {place.identity for place in (*mounted, *tops.values()) if place.identity}
        found = []
        for top in tops.values():
            folder = self._walk(top, depth=DEPTH, left_out=taken)
            if folder is None:
                continue
            if not folder.complete:
                self.cut.append(folder)
            for chosen in chosen_folders(folder, minimum_bytes):
                chosen.folders += self._inside(chosen, mounted)
                host_path = self._view.host_path(Path(chosen.path))
                about = Mounted(host_path, "project", projects=top.mounted.projects)
                found.append(Place(about, chosen.path, chosen.identity, folder=chosen))
        return found

    def _inside(self, outer: Folder, mounted: Iterable[Place]) -> list[Folder]:
        """What was read of the mounted directories inside one, on its file system; of nested ones the outermost."""
        inner = [
            place.folder
            for place in mounted
            if place.folder is not None
            and place.folder.identity[0] == outer.identity[0]
            and place.folder.path not in self._mounts
            and is_within(place.folder.path, outer.path)
        ]
        return [
            one for one in inner if not any(one is not other and is_within(one.path, other.path) for other in inner)
        ]

    def _walk(
        self,
        place: Place,
        depth: int = 0,
        chosen: Collection[Identity | None] = frozenset(),
        left_out: Collection[Identity | None] = frozenset(),
    ) -> Folder | None:
        how = Walk(
            idle_before=self._idle_before,
            deadline=self._deadline,
            entries=self._limits.entries,
            depth=depth,
            chosen=chosen,
            left_out=left_out,
            barred=self._barred,
            allocated=self._view.allocated,
        )
        try:
            return walk(place.real or "", path_context(place.mounted.path), how)
        except OSError:
            place.refused = True
            return None

    def _place(self, mounted: Mounted) -> Place | None:
        """Where it lies; None where that is no directory. A volume is kept even so."""
        try:
            real = self._view.real_path(mounted.path)
            if real is None:
                return Place(mounted, None, refused=not isinstance(self._view, RemoteView))
            mount = self._view.mount_of(real)
            if mount is not None and mount.remote:
                return Place(mounted, str(real), remote=True)
            status = os.lstat(real)
        except FileNotFoundError:
            return Place(mounted, None) if mounted.kind == "volume" else None
        except OSError:
            return Place(mounted, None, refused=True)
        if not stat.S_ISDIR(status.st_mode):
            return None
        return Place(mounted, str(real), (status.st_dev, status.st_ino))

    def _present(self, host_paths: Iterable[str]) -> Iterator[str]:
        for path in host_paths:
            try:
                real = self._view.real_path(path)
            except FileNotFoundError:
                continue
            if real is not None:
                yield str(real)
