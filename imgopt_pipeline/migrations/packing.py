"""Folders packed as tar and zstd, read back, and unpacked: the form of backups and of archives of unused files.

The manifest beside an archive lists what is in it, in its order, with the sha256 of every file as it was read. Holes
are packed as zeros, which take nothing, and come back as holes.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, cast

import zstandard

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.journal.journal import flush_folder
from imgopt_pipeline.migrations.content import SourceChanged, SourceError, attributes_of, source_file
from imgopt_pipeline.migrations.copying import opened_source, unreadable
from imgopt_pipeline.migrations.manifest import Row, read_rows, write_rows
from imgopt_pipeline.migrations.models import LEFT_OUT, CopyDiffers, Entry
from imgopt_pipeline.migrations.tree import Folders, folders
from imgopt_pipeline.names import printable
from imgopt_pipeline.progress import current

SUFFIX = ".tar.zst"
ATTRIBUTE = "SCHILY.xattr."
"""What a header is called that holds an extended attribute."""

_LEVEL = 3
BROKEN = (tarfile.TarError, zstandard.ZstdError, EOFError, OSError)
"""What reading a damaged archive raises."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive with its manifest, and how much is in it."""

    archive: Path
    files: int
    file_bytes: int
    archive_bytes: int


def manifest_of(archive: Path) -> Path:
    """The manifest that lies beside an archive."""
    return archive.with_name(archive.name.removesuffix(SUFFIX) + ".manifest.parquet")


def pack(folder: Path, archive: Path, entries: Iterable[Entry], *, hard_links: bool = True) -> Packed:
    """Pack these entries of a folder; the archive has its name once it is whole and on the disk.

    Files that change meanwhile are packed as they were read, and their manifest says so by its times; what vanished
    is left out. Raises Unreadable, StorageError.
    """
    part = archive.with_name(f".{archive.name}.part")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with _opened_to_write(part) as file, opened_source(folder) as root:
            packer = _Packer(root, hard_links=hard_links)
            with zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(
                file, closefd=False
            ) as packed:
                write_rows(manifest_of(archive), packer.rows(cast(IO[bytes], packed), entries))
            file.flush()
            os.fsync(file.fileno())
        if packer.unreadable:
            manifest_of(archive).unlink()
            raise unreadable(folder, packer.unreadable)
        size = part.stat().st_size
        os.replace(part, archive)
        flush_folder(archive.parent)
    except OSError as error:
        raise StorageError(
            f"the archive cannot be written ({error.strerror}).",
            subject=str(archive),
            hint="Free some space there, or name another folder. Nothing was moved.",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return Packed(archive, packer.files, packer.file_bytes, size)


class _Packer:
    def __init__(self, root: int, *, hard_links: bool) -> None:
        self.unreadable: dict[bytes, str] = {}
        self.files = 0
        self.file_bytes = 0
        self._root = root
        self._hard_links = hard_links
        self._firsts: dict[str, tuple[str, bytes]] = {}

    def rows(self, packed: IO[bytes], entries: Iterable[Entry]) -> Iterator[Row]:
        """Pack, and tell what was."""
        current().start("packing")
        with (
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK_BYTES) as tar,
            folders(self._root) as opened,
        ):
            for entry in entries:
                if entry.kind in LEFT_OUT:
                    continue
                try:
                    digest = self._add(tar, entry, opened)
                except SourceChanged:
                    continue
                except SourceError as failed:
                    self.unreadable[entry.path] = failed.error.strerror or "?"
                    continue
                yield entry, digest
                current().advance(entry.size_bytes)
                tar.members = []  # type: ignore[attr-defined]  # or it would keep every one

    def _add(self, tar: tarfile.TarFile, entry: Entry, opened: Folders) -> bytes | None:
        info = _info(entry)
        if entry.kind != "file":
            tar.addfile(info)
            return None
        first = self._firsts.get(entry.hard_link_group) if self._hard_links else None
        if first is not None:
            info.type, info.size, (info.linkname, digest) = tarfile.LNKTYPE, 0, first
            tar.addfile(info)
        else:
            with source_file(entry, opened) as reading:
                attributes = attributes_of(reading).items()
                info.pax_headers = {ATTRIBUTE + name: os.fsdecode(value) for name, value in attributes}
                content = _Content(reading)
                tar.addfile(info, cast(IO[bytes], content))
            digest = content.hashed.digest()
            if entry.hard_link_group:
                self._firsts[entry.hard_link_group] = info.name, digest
        self.files += 1
        self.file_bytes += entry.size_bytes
        return digest


class _Content:
    """What an open file holds, hashed on the way; zeros for what was cut off while it was read."""

    def __init__(self, descriptor: int) -> None:
        self.hashed = sha256()
        self._descriptor = descriptor

    def read(self, size_bytes: int) -> bytes:
        try:
            data = os.read(self._descriptor, size_bytes)
        except OSError as error:
            raise SourceError(error) from error
        while len(data) < size_bytes:
            more = os.read(self._descriptor, size_bytes - len(data))
            data += more or bytes(size_bytes - len(data))
        self.hashed.update(data)
        return data


def verify_packed(archive: Path) -> Packed:
    """Read an archive through, and compare it with its manifest, entry by entry. Raises CopyDiffers, StorageError."""
    files = file_bytes = 0
    for info, content, row in members(archive):
        with _damage(archive):
            equal = _equal(info, content, row)
        if not equal:
            raise _damaged(archive, f"{printable(info.name)} is not what the manifest says")
        files += row[0].kind == "file"
        file_bytes += row[0].size_bytes
    return Packed(archive, files, file_bytes, archive.stat().st_size)


def _equal(info: tarfile.TarInfo, content: IO[bytes] | None, row: Row) -> bool:
    entry, digest = row
    if info.islnk():
        return entry.kind == "file" and bool(entry.hard_link_group)
    if content is None:
        return (info.isdir(), os.fsencode(info.linkname)) == (entry.kind == "folder", entry.target)
    hashed = sha256()
    while chunk := content.read(_CHUNK_BYTES):
        hashed.update(chunk)
    return (hashed.digest(), info.size) == (digest, entry.size_bytes)


def members(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None, Row]]:
    """What is in an archive, each with its content, which must be read at once, and its row of the manifest.

    Raises CopyDiffers where the two do not go together, StorageError.
    """
    rows = read_rows(manifest_of(archive))
    for info, content in _members(archive):
        row = next(rows, None)
        if row is None or _path(info) != row[0].path:
            raise _damaged(archive, f"{printable(info.name)} is not what the manifest says")
        yield info, content, row
    if (missing := next(rows, None)) is not None:
        raise _damaged(archive, f"{printable(missing[0].path)} and what follows are missing")


def _members(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    with _damage(archive), open(archive, "rb") as file:
        plain = zstandard.ZstdDecompressor().stream_reader(file)
        with tarfile.open(fileobj=cast(IO[bytes], plain), mode="r|", bufsize=_CHUNK_BYTES) as tar:
            for info in tar:
                yield info, tar.extractfile(info) if info.isreg() else None
                tar.members = []  # type: ignore[attr-defined]
        if plain.read(1):
            raise _damaged(archive, "something follows its end")


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    """What reading a damaged archive raises, as CopyDiffers."""
    try:
        yield
    except BROKEN as error:
        raise _damaged(archive, str(error)) from error


def _info(entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(os.fsdecode(entry.path) or ".")
    kinds = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
    info.type = kinds[entry.kind]
    info.size, info.mode, info.uid, info.gid = entry.size_bytes, entry.mode, entry.uid, entry.gid
    info.mtime = entry.mtime_ns // 1_000_000_000
    info.linkname = os.fsdecode(entry.target)
    return info


def _path(info: tarfile.TarInfo) -> bytes:
    return b"" if info.name == "." else os.fsencode(info.name)


def _damaged(archive: Path, reason: str) -> CopyDiffers:
    return CopyDiffers(
        f"the archive is damaged ({reason}).", subject=str(archive), hint="Do not rely on it; make it again."
    )


@contextmanager
def _opened_to_write(path: Path) -> Iterator[IO[bytes]]:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        yield file
