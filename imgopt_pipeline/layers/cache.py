"""Entries of layers as Parquet, one file per diff ID: a layer is read once in its life.

Files lie under `<folder>/<ANALYSER_VERSION>/<hex of the diff ID>.parquet`, written beside and renamed; a
`.documents.zip` beside it holds the layer's documents, where the reader saw contents.
Only entries whose content is known to belong to their diff ID come here, since every image that names
the diff ID trusts them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Set
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from imgopt_pipeline.errors import LimitExceeded, StorageError
from imgopt_pipeline.hosts.image_config import is_digest
from imgopt_pipeline.layers.entries import LayerEntries, out_of_range
from imgopt_pipeline.layers.scratch import scratch_database
from imgopt_pipeline.sql import literal

ANALYSER_VERSION = "2"
"""Changes when the entries of an unchanged layer would come out differently; older files are read again."""

UNVERIFIED = ".unverified-"
"""How the folders of caches for one use begin, which stand beside the lasting one."""

_DOCUMENTS = ".documents.zip"
_TEMPORARY = ".part-"
_TEMPORARY_AGE_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What is known of a layer without opening its entries.

    `tar_bytes` is the length of the tar stream, None where no reader saw it; `file_bytes` Σ of the
    contents; `reader` the way it was read, `read_seconds` what that took.
    """

    diff_id: str
    reader: str
    tar_bytes: int | None
    file_bytes: int
    entry_count: int
    read_seconds: float


class LayerCache:
    """The Parquet files of one folder.

    As a context it keeps one scratch database for all its work, and lets its memory go at the end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ANALYSER_VERSION
        self._kept = ExitStack()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> LayerCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection = None
        self._kept.close()

    @property
    def _scratch(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = self._kept.enter_context(scratch_database())
        return self._connection

    def path(self, diff_id: str) -> Path:
        """Where the entries of a diff ID lie, present or not."""
        if not is_digest(diff_id):
            raise StorageError(f"{diff_id!r} is no sha256 digest.")
        return self.folder / f"{diff_id.removeprefix('sha256:')}.parquet"

    def documents(self, diff_id: str) -> Path | None:
        """The ZIP file of a cached layer's documents; None where its reader saw no contents."""
        path = self.path(diff_id).with_suffix(_DOCUMENTS)
        return path if path.exists() else None

    def facts(self, diff_id: str) -> LayerFacts | None:
        """Facts of a cached layer; None where it has to be read, also because its file is damaged."""
        path = self.path(diff_id)
        if not path.exists():
            return None
        try:
            return _facts(self._scratch, path, diff_id)
        except (duckdb.Error, KeyError, ValueError):
            self.__exit__()  # an internal error of DuckDB leaves a database of no use
            with suppress(OSError):
                path.unlink()
            return None

    def put(self, diff_id: str, entries: LayerEntries, *, reader: str, read_seconds: float) -> LayerFacts:
        """Store a layer's entries. Raises StorageError where the disk is full or not writable."""
        path = self.path(diff_id)
        temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}")
        beside = temporary.with_suffix(_DOCUMENTS)
        metadata = {
            "imgopt_reader": reader,
            "imgopt_tar_bytes": "" if entries.tar_bytes is None else str(entries.tar_bytes),
            "imgopt_read_seconds": f"{read_seconds:.6f}",
        }
        described = ", ".join(f"{name}: {literal(value)}" for name, value in metadata.items())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            entries.load(self._scratch)
            self._scratch.execute(
                f"COPY layer_entries TO {literal(str(temporary))}"
                f" (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, KV_METADATA {{{described}}})"
            )
            facts = _facts(self._scratch, temporary, diff_id)
            if entries.documents is not None:
                # First: whoever finds the entries relies on the documents being there.
                with beside.open("wb") as file:
                    shutil.copyfileobj(entries.documents, file)
                _rename(beside, path.with_suffix(_DOCUMENTS))
            _rename(temporary, path)
        except duckdb.ConversionException as error:
            raise out_of_range(error) from error
        except duckdb.OutOfMemoryException as error:
            raise LimitExceeded("a layer needs more memory than it may have.", hint="Do not use this image.") from error
        except (OSError, duckdb.IOException) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
            raise StorageError(
                f"the entries of a layer cannot be stored ({reason}).",
                subject=str(self.folder),
                hint="Free some space there, or set IMGOPT_HOME to another folder.",
            ) from error
        finally:
            for leftover in (temporary, beside):
                with suppress(OSError):
                    leftover.unlink()
        return facts

    def prune(self, keep: Set[str]) -> tuple[int, int]:
        """Remove all but `keep` (diff IDs), and what a crash left; files and bytes that went."""
        names = {diff_id.removeprefix("sha256:") + ending for diff_id in keep for ending in (".parquet", _DOCUMENTS)}
        files = freed_bytes = 0
        for folder in self.folder.parent.glob(f"{UNVERIFIED}*"):
            if _is_old(folder):  # a younger one may be that of an audit that runs now
                shutil.rmtree(folder)
        for path in self.folder.parent.glob("*/*"):
            if not path.is_file():  # a cache for one use, of an audit that runs now
                continue
            status = path.stat()
            if path.name.startswith(_TEMPORARY):
                gone = _is_old(path)
            else:
                gone = path.parent != self.folder or path.name not in names
            if gone:
                path.unlink(missing_ok=True)
                files += 1
                freed_bytes += status.st_size
        return files, freed_bytes


def _rename(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _TEMPORARY_AGE_SECONDS


def _facts(connection: duckdb.DuckDBPyConnection, path: Path, diff_id: str) -> LayerFacts:
    name = literal(str(path))
    metadata = {
        key.decode(): value.decode()
        for key, value in connection.execute(f"SELECT key, value FROM parquet_kv_metadata({name})").fetchall()
    }
    file_bytes, entry_count = connection.execute(
        f"SELECT coalesce(sum(size_bytes), 0)::BIGINT, count(*) FILTER (kind <> 'implied') FROM read_parquet({name})"
    ).fetchall()[0]
    tar_bytes = metadata["imgopt_tar_bytes"]
    return LayerFacts(
        diff_id=diff_id,
        reader=metadata["imgopt_reader"],
        tar_bytes=int(tar_bytes) if tar_bytes else None,
        file_bytes=file_bytes,
        entry_count=entry_count,
        read_seconds=float(metadata["imgopt_read_seconds"]),
    )
