"""The merged tree of an image: live and dead bytes, each dead file, and dive's figures beside them.

`merge.sql` does the work over Parquet files of entries; this module names its results. Dead bytes are
bytes stored in some layer and not visible in the final tree; live bytes are the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import duckdb

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.layers.scratch import scratch_database
from imgopt_pipeline.sql import literal


@dataclass(frozen=True, slots=True)
class DeadFile:
    """Content stored in layer `position` that layer `killed_by` hides.

    `reason`: overwritten, deleted, metadata (same content written again with another mode, owner or
    time), or opaque (hidden by an opaque directory).
    """

    position: int
    path: str
    size_bytes: int
    killed_by: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeadSum:
    """Dead files of one layer with the same killer and reason, added up."""

    position: int
    killed_by: int
    reason: str
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DiveFigures:
    """What dive would print: its own formula, which counts live copies as waste and no opaque directories."""

    efficiency: float
    size_bytes: int
    user_size_bytes: int
    wasted_bytes: int
    user_wasted_percent: float


@dataclass(frozen=True, slots=True)
class LayerTotals:
    """Bytes of one layer within this image."""

    position: int
    live_bytes: int
    dead_bytes: int


@dataclass(frozen=True, slots=True)
class MergedTree:
    """The whole result. `dead_files` holds the biggest only; `dead_sums` covers all of them."""

    live_bytes: int
    dead_bytes: int
    live_files: int
    dead_file_count: int
    layers: tuple[LayerTotals, ...]
    dead_files: tuple[DeadFile, ...]
    dead_sums: tuple[DeadSum, ...]
    dive: DiveFigures

    @property
    def efficiency(self) -> float:
        """Live bytes ÷ stored bytes; 1.0 for an image without content."""
        total = self.live_bytes + self.dead_bytes
        return self.live_bytes / total if total else 1.0


@dataclass(frozen=True, slots=True)
class ImageTree:
    """The merged tree while its database is open.

    `connection` holds the tables of merge.sql and, after `list_live_files`, those of live.sql.
    """

    connection: duckdb.DuckDBPyConnection
    merged: MergedTree

    def list_live_files(self) -> None:
        """Make the tables `live_files` and `top_links` (live.sql)."""
        self.connection.execute(resources.files(__package__).joinpath("live.sql").read_text())


@contextmanager
def open_tree(files: Sequence[Path], *, biggest: int = 1_000) -> Iterator[ImageTree]:
    """The merged tree of the layers whose entries stand in `files`, base first, for as long as the block lasts.

    Raises StorageError where they cannot be read any more, or memory and disk do not suffice.
    """
    try:
        with scratch_database() as connection:
            _create_entries(connection, files)
            connection.execute(resources.files(__package__).joinpath("merge.sql").read_text())
            yield ImageTree(connection, _result(connection, len(files), biggest))
    except (duckdb.Error, UnicodeDecodeError) as error:  # the latter where DuckDB quotes damaged bytes
        raise StorageError(
            f"the entries of the layers cannot be put together ({str(error).splitlines()[0]}).",
            subject=str(files[0].parent) if files else "",
            hint="Remove that folder: layers are then read again.",
        ) from error


def merge_layers(files: Sequence[Path], *, biggest: int = 1_000) -> MergedTree:
    """The merged tree of the layers whose entries stand in `files`, base first. Raises StorageError."""
    with open_tree(files, biggest=biggest) as tree:
        return tree.merged


def _create_entries(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    columns = "path, kind, size_bytes, mtime_seconds, link_target, crc64, shadowed"
    if not files:
        connection.execute(
            "CREATE TEMP TABLE entries (position INTEGER, path VARCHAR, kind VARCHAR, size_bytes BIGINT,"
            " mtime_seconds BIGINT, link_target VARCHAR, crc64 UBIGINT, shadowed BOOLEAN)"
        )
        return
    values = ", ".join(f"({position}, {literal(str(file))})" for position, file in enumerate(files))
    names = ", ".join(literal(name) for name in dict.fromkeys(str(file) for file in files))
    # A diff ID may stand at several positions: one file, joined to each of them.
    connection.execute(f"CREATE TEMP TABLE layer_files AS FROM (VALUES {values}) AS f(position, filename)")
    connection.execute(
        f"CREATE TEMP VIEW entries AS SELECT l.position, {columns}"
        f" FROM read_parquet([{names}], filename = true) JOIN layer_files AS l USING (filename)"
    )


def _result(connection: duckdb.DuckDBPyConnection, layer_count: int, biggest: int) -> MergedTree:
    # Contents: files, and what stands in a whiteout, of which every byte is dead.
    stored = {
        position: (size_bytes, contents)
        for position, size_bytes, contents in connection.execute(
            "SELECT position, sum(size_bytes)::BIGINT, count(*) FILTER (kind = 'file' OR size_bytes > 0)"
            " FROM entries GROUP BY position"
        ).fetchall()
    }
    sums = [
        DeadSum(*row)
        for row in connection.execute(
            "SELECT position, killed_by, reason, count(*), sum(size_bytes)::BIGINT FROM dead_files GROUP BY ALL"
            " ORDER BY sum(size_bytes) DESC, position, killed_by, reason"
        ).fetchall()
    ]
    dead_files = [
        DeadFile(*row)
        for row in connection.execute(
            "SELECT position, path, size_bytes, killed_by, reason FROM dead_files WHERE size_bytes > 0"
            f" ORDER BY size_bytes DESC, path, position LIMIT {biggest}"
        ).fetchall()
    ]
    dead = dict.fromkeys(range(layer_count), 0)
    for item in sums:
        dead[item.position] += item.size_bytes
    totals = tuple(
        LayerTotals(position, stored.get(position, (0, 0))[0] - dead_bytes, dead_bytes)
        for position, dead_bytes in dead.items()
    )
    dead_file_count = sum(item.files for item in sums)
    return MergedTree(
        live_bytes=sum(layer.live_bytes for layer in totals),
        dead_bytes=sum(layer.dead_bytes for layer in totals),
        live_files=sum(contents for _, contents in stored.values()) - dead_file_count,
        dead_file_count=dead_file_count,
        layers=totals,
        dead_files=tuple(dead_files),
        dead_sums=tuple(sums),
        dive=_dive_figures(connection),
    )


def _dive_figures(connection: duckdb.DuckDBPyConnection) -> DiveFigures:
    """dive's efficiency: Σ min(size over layers) ÷ Σ size over all layers, by path (dive, filetree/efficiency.go)."""
    row = connection.execute(
        """
        WITH totals AS (
            SELECT
                coalesce(sum(size_bytes), 0)::BIGINT AS size_bytes,
                coalesce(sum(size_bytes) FILTER (position > 0), 0)::BIGINT AS user_size_bytes,
                coalesce(sum(size_bytes) FILTER (
                    NOT shadowed AND kind = 'file' AND hash(path) NOT IN (SELECT path_hash FROM contested_hashes)
                ), 0)::BIGINT AS alone_bytes
            FROM entries
        ),
        shared AS (
            SELECT
                coalesce(sum(size_bytes), 0)::BIGINT AS shared_bytes,
                coalesce(sum(smallest_bytes), 0)::BIGINT AS smallest_bytes,
                coalesce(sum(size_bytes) FILTER (leaves > 1), 0)::BIGINT AS wasted_bytes
            FROM dive_paths
        )
        SELECT size_bytes, user_size_bytes, wasted_bytes, alone_bytes + smallest_bytes, alone_bytes + shared_bytes
        FROM totals, shared
        """
    ).fetchone()
    assert row is not None
    size_bytes, user_size_bytes, wasted_bytes, smallest_bytes, seen_bytes = row
    return DiveFigures(
        efficiency=smallest_bytes / seen_bytes if seen_bytes else 1.0,
        size_bytes=size_bytes,
        user_size_bytes=user_size_bytes,
        wasted_bytes=wasted_bytes,
        user_wasted_percent=wasted_bytes / user_size_bytes if user_size_bytes else 0.0,
    )
