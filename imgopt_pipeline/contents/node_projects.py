"""Which project an installed Node package belongs to, and whether production or only development needs it.

A project is a folder with a lock file, or without one the folder beside whose package.json the node_modules
lies. What is not needed by any part of the project's production, but by its devDependencies, is development.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from imgopt_pipeline.contents.closure import reachable
from imgopt_pipeline.contents.node_lockfiles import Locked, has_lockfile, locked
from imgopt_pipeline.contents.npm_manifests import Manifest, module_folder

_MODULES = "node_modules"
_LIBRARIES = re.compile(r"(usr/(local/)?)?(lib|share)(/|$)")
"""No projects lie there: what does is installed, and its devDependencies are its makers' business."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one installed package. `requested`: its project's package.json names it; None where there is none."""

    development: bool = False
    requested: bool | None = None


@dataclass(slots=True)
class _Project:
    folder: str
    importers: list[Manifest] = field(default_factory=list)
    installed: list[Manifest] = field(default_factory=list)


def standings(
    manifests: Mapping[str, Manifest], documents: Mapping[str, bytes], warnings: list[str]
) -> dict[str, Standing]:
    """By folder, for the packages that lie in a node_modules of some project."""
    found: dict[str, Standing] = {}
    for project in _projects(manifests, documents):
        lock = locked(project.folder, project.importers, documents, warnings)
        found |= _by_lock(project, lock) if lock else _by_folders(project, manifests)
    for folder, manifest in manifests.items():
        if manifest.vendored and (around := found.get(module_folder(folder))):
            found[folder] = Standing(development=around.development)
    return found


def _projects(manifests: Mapping[str, Manifest], documents: Mapping[str, bytes]) -> Iterable[_Project]:
    projects: dict[str, _Project] = {}
    homes: dict[str, str | None] = {}

    def home(base: str) -> str | None:
        if base not in homes:
            above = list(_above(base))
            with_lock = (folder for folder in above if has_lockfile(folder, documents))
            homes[base] = next(with_lock, next((folder for folder in above if folder in manifests), None))
        return homes[base]

    applications = []
    for manifest in manifests.values():
        if _LIBRARIES.match(manifest.folder):
            continue
        if not manifest.installed:
            applications.append(manifest)
            continue
        folder = home(_base(manifest.folder))
        if folder is not None:
            projects.setdefault(folder, _Project(folder)).installed.append(manifest)
    for manifest in applications:
        # Without a lock file, the node_modules of any folder above may serve it as well.
        for folder in _above(manifest.folder):
            if folder in projects:
                projects[folder].importers.append(manifest)
                if has_lockfile(folder, documents):
                    break
    return [project for project in projects.values() if project.importers or has_lockfile(project.folder, documents)]


def _base(folder: str) -> str:
    """The folder whose node_modules holds it: `app/node_modules/a/node_modules/b` → `app`."""
    return "" if folder.startswith(f"{_MODULES}/") else folder.partition(f"/{_MODULES}/")[0]


def _above(folder: str) -> Iterator[str]:
    """The folder and those above it, up to the root."""
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]
    yield ""


def _by_lock(project: _Project, lock: Locked) -> dict[str, Standing]:
    start = len(project.folder) + 1 if project.folder else 0
    direct = _direct(project)
    return {
        package.folder: Standing(
            development=lock.is_development(package.folder[start:], (package.folder_name, package.version)),
            requested=_requested(package, project, direct, lock),
        )
        for package in project.installed
    }


def _direct(project: _Project) -> frozenset[str]:
    return frozenset(name for item in project.importers for name in (*item.dependencies, *item.development))


def _requested(package: Manifest, project: _Project, direct: frozenset[str], lock: Locked | None) -> bool | None:
    if not project.importers:
        return None
    if package.folder_name not in direct:
        return False
    if f"/{_MODULES}/.pnpm/" in f"/{package.folder}":
        # Links to the packages asked for lead into pnpm's store, where all versions lie side by side.
        return lock is None or (package.folder_name, package.version) in lock.requested
    above = package.folder.removesuffix(f"{_MODULES}/{package.folder_name}").rstrip("/")
    return any(above == item.folder for item in project.importers) or above == project.folder


def _by_folders(project: _Project, manifests: Mapping[str, Manifest]) -> dict[str, Standing]:
    """Without a lock file: whom Node would find from whom, folder by folder upwards."""
    found: dict[tuple[str, str], str | None] = {}

    def resolve(folder: str, name: str) -> str | None:
        if (folder, name) not in found:
            found[folder, name] = next(
                (
                    path
                    for above in _above(folder)
                    if (path := f"{above}/{_MODULES}/{name}" if above else f"{_MODULES}/{name}") in manifests
                ),
                None,
            )
        return found[folder, name]

    def needed_by(folder: str) -> Iterator[str]:
        return (path for name in manifests[folder].dependencies if (path := resolve(folder, name)))

    def closure(wanted: Iterable[tuple[str, str]]) -> set[str]:
        return reachable((path for folder, name in wanted if (path := resolve(folder, name))), needed_by)

    production = closure((item.folder, name) for item in project.importers for name in item.dependencies)
    development = closure((item.folder, name) for item in project.importers for name in item.development)
    direct = _direct(project)
    return {
        package.folder: Standing(
            development=package.folder in development and package.folder not in production,
            requested=_requested(package, project, direct, None),
        )
        for package in project.installed
    }
