"""The manifest of a move or a packed folder as Parquet: what there was, by path, with the sha256 of every file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.journal.journal import flush_folder
from imgopt_pipeline.migrations.ledger import ledger
from imgopt_pipeline.migrations.models import Entry, Move

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 20_000
_NAMES = [field.name for field in fields(Entry)]
_TEXTS = {"path", "kind", "target"}

Row = tuple[Entry, bytes | None]


def write_manifest(move: Move) -> Path:
    """Write what the ledger holds. Raises StorageError."""
    with ledger(move.ledger) as known:
        write_rows(move.manifest, known.rows())
    return move.manifest


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write entries with the sha256 of files; afterwards the file is there whole, or as it was. Raises StorageError."""
    import pyarrow.parquet as pq  # late: it takes long

    beside = path.with_name(f".{path.name}.part")
    schema, left = _schema(), iter(rows)
    try:
        with pq.ParquetWriter(beside, schema, compression="zstd") as writer:
            while batch := list(islice(left, _BATCH)):
                writer.write_table(_table(batch, schema))
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
        flush_folder(path.parent)
    except OSError as error:
        raise StorageError(f"the manifest cannot be written ({error.strerror}).", subject=str(path)) from error


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a manifest in their order. Raises StorageError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH):
                for row in batch.to_pylist():
                    yield (
                        Entry(*(row[name] for name in _NAMES)),
                        bytes.fromhex(row["sha256"]) if row["sha256"] else None,
                    )
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise StorageError(f"the manifest cannot be read ({error}).", subject=str(path)) from error


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("path", pa.binary(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            *(pa.field(name, pa.int64(), nullable=False) for name in _NAMES if name not in _TEXTS),
            pa.field("target", pa.binary(), nullable=False),
            pa.field("hard_link_group", pa.string()),
            pa.field("sha256", pa.string()),
        ]
    )


def _table(rows: list[Row], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {
        "hard_link_group": [entry.hard_link_group or None for entry, _ in rows],
        "sha256": [digest.hex() if digest else None for _, digest in rows],
    }
    for name in schema.names:
        columns.setdefault(name, [getattr(entry, name, None) for entry, _ in rows])
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)
