"""The documents of an image's final tree: from what its layers' readers kept, the rest from its host.

Which files are documents stands in `layers.documents`; what they mean in the parsers of this package.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from imgopt_pipeline.errors import HostUnreachable, ImgoptError, StorageError
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.image_files import FolderSize, fetch_files
from imgopt_pipeline.hosts.models import Image
from imgopt_pipeline.layers.documents import document_condition
from imgopt_pipeline.layers.merge import ImageTree
from imgopt_pipeline.sql import literal

if TYPE_CHECKING:
    from imgopt_pipeline.hosts.engine import EngineHost

_ALL_BYTES = 400_000_000
"""An image's documents are held in memory: no more of them than that."""


class Documents(Mapping[str, bytes]):
    """Contents by path; those that layers keep are unpacked when they are asked for.

    `missing` says in words what should be there and could not be had.
    """

    def __init__(self) -> None:
        self._fetched: dict[str, bytes] = {}
        self._archives: list[zipfile.ZipFile] = []
        self._kept: dict[str, int] = {}
        self.missing: list[str] = []

    def __getitem__(self, path: str) -> bytes:
        if path in self._fetched:
            return self._fetched[path]
        try:
            return self._archives[self._kept[path]].read(path)
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            name = str(self._archives[self._kept[path]].filename)
            _forget(Path(name))
            raise StorageError(
                f"the documents kept of a layer are damaged ({error}).",
                subject=name,
                hint="The next audit reads the layer again.",
            ) from error

    def __iter__(self) -> Iterator[str]:
        yield from self._fetched
        yield from self._kept

    def __len__(self) -> int:
        return len(self._fetched) + len(self._kept)

    def add_fetched(self, path: str, content: bytes) -> None:
        self._fetched[path] = content

    def add_archive(self, archive: zipfile.ZipFile, paths: Sequence[str]) -> None:
        self._archives.append(archive)
        self._kept |= dict.fromkeys(paths, len(self._archives) - 1)


def documents_of(host: EngineHost | ArchiveHost, image: Image, tree: ImageTree, kept: Mapping[int, Path]) -> Documents:
    """The documents that an image shows. `kept`: ZIP files by position of the layer, where its reader made one.

    `tree` has its live files listed. What cannot be had stands in `missing`. Raises HostUnreachable.
    """
    documents = Documents()
    wanted = _wanted(tree.connection)
    missing: dict[str, int] = {}
    for position, files in wanted.items():
        if position not in kept:
            missing |= files
            continue
        try:
            archive = zipfile.ZipFile(kept[position])
        except (OSError, zipfile.BadZipFile):
            _forget(kept[position])
            documents.missing.append(
                f"the documents kept of layer {position} are damaged; the next audit reads it again."
            )
            continue
        names = set(archive.namelist())
        documents.add_archive(archive, [path for path in files if path in names])
    if missing:
        _fetch(host, image, tree.connection, missing, documents)
    return documents


def _forget(documents: Path) -> None:
    """Remove a layer from the cache, so that it is read again."""
    entries = documents.with_name(f"{documents.name.partition('.')[0]}.parquet")
    for path in (documents, entries):
        with suppress(OSError):
            path.unlink()


def _wanted(connection: duckdb.DuckDBPyConnection) -> dict[int, dict[str, int]]:
    """Sizes of the live documents by position and path, small ones first up to the limit."""
    rows = connection.execute(
        f"""
        SELECT position, path, size_bytes
        FROM (
            SELECT *, sum(size_bytes) OVER (ORDER BY size_bytes, file_id) AS up_to FROM live_files
            WHERE {document_condition()}
        )
        WHERE up_to <= {_ALL_BYTES}
        """
    ).fetchall()
    found: dict[int, dict[str, int]] = {}
    for position, path, size_bytes in rows:
        found.setdefault(position, {})[path] = size_bytes
    return found


def _fetch(
    host: EngineHost | ArchiveHost,
    image: Image,
    connection: duckdb.DuckDBPyConnection,
    missing: Mapping[str, int],
    documents: Documents,
) -> None:
    if isinstance(host, ArchiveHost):
        documents.missing.append("documents of some layers were not kept; packages in them are not known.")
        return
    try:
        with host.image_files(image) as files:
            for path, content in fetch_files(files, missing, _folder_sizes(connection, missing)):
                documents.add_fetched(path, content)
    except HostUnreachable:
        raise
    except ImgoptError as error:
        documents.missing.append(f"package databases cannot be fetched: {error.message}")


def _folder_sizes(connection: duckdb.DuckDBPyConnection, wanted: Mapping[str, int]) -> dict[str, FolderSize]:
    """What lies below each folder above a wanted file."""
    above = sorted({path[:at] for path in wanted for at, letter in enumerate(path) if letter == "/"})
    if not above:
        return {}
    listed = ", ".join(literal(folder) for folder in above)
    rows = connection.execute(
        f"""
        WITH folders AS (
            SELECT parse_dirpath(path, 'forward_slash') AS folder, sum(size_bytes) AS size_bytes, count(*) AS files
            FROM live_files GROUP BY folder
        ),
        above AS (SELECT unnest([{listed}]) AS folder)
        SELECT a.folder, sum(f.size_bytes)::BIGINT, sum(f.files)::BIGINT
        FROM above AS a
        JOIN folders AS f ON f.folder = a.folder OR (f.folder >= a.folder || '/' AND f.folder < a.folder || '0')
        GROUP BY a.folder
        """
    ).fetchall()
    return {folder: FolderSize(size_bytes, files) for folder, size_bytes, files in rows}
