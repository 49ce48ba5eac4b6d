"""Which files and folders each step of a build made, folded into the few paths that a COPY would name.

What the distribution's packages brought, its state and caches are left out. Works on the open scratch database of an
image's tree, after its packages were joined with its files.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import duckdb

from imgopt_pipeline.dockerfiles.facts import MadePath
from imgopt_pipeline.layers.scratch import load_table

FEW = 8
"""So many paths of a folder are named one by one; more of them as the folder."""
LIGHT_BYTES = 60_000_000
"""A folder that holds so much besides may always be named as a whole: pip itself takes a third of that."""

_SHARED = frozenset(
    {
        "home",
        "opt",
        "srv",
        "usr",
        "usr/local",
        "usr/lib",
        "usr/lib64",
        "usr/share",
        "usr/bin",
        "usr/sbin",
        "usr/libexec",
    }
    | {"etc", "var", "var/lib", "bin", "sbin", "lib", "lib64", "root", "mnt", "media", "boot"}
)
"""Folders that belong to nobody alone: never named as a whole."""


@dataclass(frozen=True, slots=True)
class _Top:
    path: str
    whole: bool
    link: bool
    size_bytes: int


def made_paths(
    connection: duckdb.DuckDBPyConnection, positions: Sequence[int], base_position: int | None
) -> dict[int, tuple[MadePath, ...]]:
    """Per layer what it made and what is still there, sorted by path; `base_position`: layers up to it are passed over.

    The connection has the tables entries, live_files, owners and ownership.
    """
    asked = sorted({position for position in positions if base_position is None or position > base_position})
    load_table(connection, "asked_positions", {"position": "INTEGER"}, ((position,) for position in asked))
    connection.execute(resources.files(__package__).joinpath("made_paths.sql").read_text())
    tops: dict[int, list[_Top]] = {position: [] for position in asked}
    for position, path, whole, link, size_bytes in connection.execute(
        "SELECT position, path, folder, link, size_bytes FROM made_tops ORDER BY position, path"
    ).fetchall():
        tops[position].append(_Top(path, whole, link, size_bytes))
    connection.execute("DROP TABLE made_tops")
    return {position: _folded(connection, position, found) for position, found in tops.items()}


def _folded(connection: duckdb.DuckDBPyConnection, position: int, tops: Sequence[_Top]) -> tuple[MadePath, ...]:
    """Paths of one folder that was there before, put together where they are too many to name, deepest first."""
    paths = {top.path: top for top in tops}
    crowded = {name for name, members in _by_parent(paths.values()).items() if _is_crowd(members)}
    besides = _bytes_besides(connection, position, _with_parents(crowded))
    depth = max((path.count("/") for path in paths), default=0)
    while depth > 0:
        for parent, members in _by_parent(paths.values()).items():
            if parent.count("/") == depth - 1 and _is_crowd(members):
                made_bytes = sum(member.size_bytes for member in members)
                if parent not in _SHARED and besides.get(parent, 0) <= max(made_bytes, LIGHT_BYTES):
                    for member in members:
                        del paths[member.path]
                    paths[parent] = _Top(parent, whole=False, link=False, size_bytes=made_bytes)
        depth -= 1
    return tuple(MadePath(f"/{top.path}", top.size_bytes, top.whole) for top in _outermost(paths.values()))


def _is_crowd(members: Sequence[_Top]) -> bool:
    """Whether the folder is named rather than these; a COPY of a symbolic link by its name would follow it."""
    return len(members) > FEW or any(member.link for member in members)


def _by_parent(tops: Iterable[_Top]) -> Mapping[str, list[_Top]]:
    members: dict[str, list[_Top]] = defaultdict(list)
    for top in tops:
        parent = posixpath.dirname(top.path)
        if parent:
            members[parent].append(top)
    return members


def _with_parents(folders: Collection[str]) -> set[str]:
    found: set[str] = set()
    for folder in folders:
        while folder and folder not in found:
            found.add(folder)
            folder = posixpath.dirname(folder)
    return found - _SHARED


def _bytes_besides(connection: duckdb.DuckDBPyConnection, position: int, folders: Collection[str]) -> dict[str, int]:
    """What folders hold from the layers below."""
    if not folders:
        return {}
    load_table(connection, "folders_asked", {"folder": "VARCHAR"}, ((folder,) for folder in sorted(folders)))
    rows = connection.execute(
        "SELECT a.folder, sum(f.size_bytes)::BIGINT FROM folders_asked AS a JOIN live_files AS f"
        f" ON f.path >= a.folder || '/' AND f.path < a.folder || '0' AND f.position < {position:d} GROUP BY a.folder"
    ).fetchall()
    return dict(rows)


def _outermost(tops: Iterable[_Top]) -> list[_Top]:
    """Without the paths that lie in another of them; their bytes count there."""
    kept: list[_Top] = []
    for top in sorted(tops, key=lambda top: f"{top.path}/"):
        if kept and top.path.startswith(f"{kept[-1].path}/"):
            outer = kept[-1]
            kept[-1] = _Top(outer.path, outer.whole, outer.link, outer.size_bytes + top.size_bytes)
        else:
            kept.append(top)
    return kept
