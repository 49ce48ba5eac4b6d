"""Directories of an application that its package manager or its build makes again: node_modules, .next and their kin.

Only those inside what the last audit of the host found, beside what they are made from, of an application that nobody
uses now. Names and files come from whoever writes there: no symbolic link is followed, no other file system entered.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

import orjson

from imgopt_pipeline.cleaning.in_use import Users
from imgopt_pipeline.cleaning.models import DIRECTORY, Found, Item, Left
from imgopt_pipeline.hosts.directory_contents import path_context
from imgopt_pipeline.hosts.directory_walk import Walk, walk
from imgopt_pipeline.hosts.mount_points import is_within
from imgopt_pipeline.hosts.mounted_directories import is_broad, plain_path
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Refused
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import fetch_rows, snapshot

MODULES: Final = "node_modules"
OUTPUT: Final = frozenset([".next", ".nuxt", ".svelte-kit", ".turbo", ".parcel-cache", ".angular"])
LOCK_FILES: Final = (
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
)

_MANIFEST = "package.json"
_MANIFEST_BYTES = 1_000_000
_DEPTH = 8
_ENTRIES = 200_000
_SECONDS = 60.0
_SIZE_ENTRIES = 2_000_000
_NOT_ENTERED = frozenset([".git", ".hg", ".svn", MODULES, *OUTPUT])
_NOTHING = "no node_modules or .next was found in it"
_CANNOT_SEE = "they are on another machine than imgopt, which cannot see who uses them"


@dataclass(frozen=True, slots=True)
class Rebuildable:
    """A directory by the host's own name, and why it can be made again or (`reason`) need not be touched."""

    path: str
    inode: int
    why: str
    reason: str | None = None


def audited_directories(settings: Settings, host_name: str) -> list[str] | None:
    """Printable paths of the last audit's directories with something that can be made again; None without an audit."""
    if not settings.paths.database.exists():
        return None
    query = resources.files(__package__).joinpath("select_audited.sql").read_text()
    with snapshot(settings.paths.database) as connection:
        known = connection.execute("SELECT 1 FROM audits WHERE host = ? LIMIT 1", [host_name]).fetchall()
        return [row["path"] for row in fetch_rows(connection, query, host=host_name)] if known else None


def find_directories(audited: Sequence[str] | None, users: Users | None) -> Found:
    """What can be moved aside; `users` is None where the host is not this machine."""
    if audited is None:
        return _none_of("no audit of this host tells where to look: run `imgopt audit`")
    if not audited:
        return Found()
    if users is None:
        return _none_of(_CANNOT_SEE)
    deadline = time.monotonic() + _SECONDS
    items: dict[str, Item] = {}
    left: dict[str, Left] = {}
    for shown in audited:
        path = plain_path(shown)
        found = list(rebuildable_in(path, users.mount_paths())) if path and not is_broad(path) else []
        for one in found:
            name, size_bytes = printable(one.path), _size_bytes(one.path, deadline)
            reason = one.reason or users.why_in_use(one.path)
            if reason is None:
                items[name] = Item(DIRECTORY, name, name, one.why, size_bytes, inode=one.inode)
            else:
                left[name] = Left(DIRECTORY, name, name, reason, size_bytes)
        if not found:
            left[shown] = Left(DIRECTORY, shown, shown, _NOTHING)
    return Found(tuple(items.values()), tuple(left.values()))


def named_directories(found: Found, name: str) -> tuple[Item, ...]:
    """The items that are a directory or lie in it. Raises Refused where nothing there can go, with the reasons."""
    path = os.path.abspath(name)
    shown = printable(path)
    items = tuple(item for item in found.items if is_within(plain_path(item.key), path))
    if items:
        return items
    kept = [one for one in found.left if one.key and is_within(plain_path(one.key), path)]
    if kept:
        raise Refused(f"it is left alone: {kept[0].reason}.", subject=kept[0].subject)
    raise Refused(
        "the last audit found nothing there that can be made again.",
        subject=shown,
        hint="`imgopt clean --dry-run` lists what can go; `imgopt audit` looks anew.",
    )


def rebuildable_in(folder: str, mount_paths: frozenset[str]) -> Iterator[Rebuildable]:
    """Directories that are made again, in a folder or that folder itself; those inside one another once."""
    try:
        top = os.lstat(folder)
    except OSError:
        return
    if not stat.S_ISDIR(top.st_mode):
        return
    if os.path.basename(folder) in {MODULES, *OUTPUT}:
        yield _judged(folder, top, mount_paths)
        return
    entries = 0
    pending = [(folder, 0)]
    while pending:
        here, depth = pending.pop()
        try:
            with os.scandir(here) as listed:
                found = sorted(listed, key=lambda entry: entry.name)
        except OSError:
            continue  # it went, or this user may not read it
        entries += len(found)
        if entries > _ENTRIES:
            return
        for entry in found:
            if entry.name == MODULES or entry.name in OUTPUT:
                try:
                    yield _judged(entry.path, os.lstat(entry.path), mount_paths)
                except OSError:
                    continue
            elif entry.is_dir(follow_symlinks=False) and depth < _DEPTH and entry.name not in _NOT_ENTERED:
                inner = os.lstat(entry.path) if entry.path not in mount_paths else None
                if inner is not None and inner.st_dev == top.st_dev:
                    pending.append((entry.path, depth + 1))


def judged(path: str, mount_paths: frozenset[str]) -> Rebuildable | None:
    """One by its path; None where there is none."""
    try:
        return _judged(path, os.lstat(path), mount_paths)
    except FileNotFoundError:
        return None


def _judged(path: str, status: os.stat_result, mount_paths: frozenset[str]) -> Rebuildable:
    name, beside = os.path.basename(path), os.path.dirname(path)
    lock = next((lock for lock in LOCK_FILES if _is_file(os.path.join(beside, lock))), None)
    reason = None
    if stat.S_ISLNK(status.st_mode):
        reason = "it is a symbolic link"
    elif not stat.S_ISDIR(status.st_mode):
        reason = "it is no directory"
    elif any(is_within(mounted, path) for mounted in mount_paths):
        reason = "something is mounted in it"
    elif not _is_file(os.path.join(beside, _MANIFEST)):
        reason = f"no {_MANIFEST} lies beside it, to make it from"
    elif lock is None:
        reason = "no lock file lies beside it that says what was installed"
    elif name in OUTPUT and not _has_build(os.path.join(beside, _MANIFEST)):
        reason = f"{_MANIFEST} beside it has no script `build` that makes it"
    why = f"nobody uses it; {_MANIFEST} and {lock} make it again"
    return Rebuildable(path, status.st_ino, why, reason)


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _has_build(manifest: str) -> bool:
    try:
        with open(manifest, "rb") as file:
            document = orjson.loads(file.read(_MANIFEST_BYTES))
    except (OSError, orjson.JSONDecodeError):
        return False
    scripts = document.get("scripts") if isinstance(document, dict) else None
    build = scripts.get("build") if isinstance(scripts, dict) else None
    return isinstance(build, str) and bool(build.strip())


def _size_bytes(path: str, deadline: float) -> int | None:
    """What its files take; None where that was not seen to the end."""
    how = Walk(idle_before=0, deadline=deadline, entries=_SIZE_ENTRIES, allocated=True)
    try:
        folder = walk(path, path_context(path), how)
    except OSError:
        return None
    return folder.total().size_bytes if folder.complete else None


def _none_of(reason: str) -> Found:
    return Found(left=(Left(DIRECTORY, "", "node_modules and build output", reason),))
