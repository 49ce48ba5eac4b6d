"""Layers as tars in zstd, in which gigabytes of constant bytes take next to nothing.

Every large file is a zstd frame of its own that states its length, so that a reader may pass over it;
headers and small files share frames. Sources: RFC 8878 (zstd frames and blocks), POSIX.1-2017 pax (ustar).
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from imgopt_pipeline.demo.files import MadeFile
from imgopt_pipeline.demo.planning import PlannedLayer

_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK_BYTES = 131_072  # RFC 8878: no block is longer
_WINDOW = bytes([7 << 3])  # 2**(10 + 7) bytes, one block
_LARGE_BYTES = 131_072
_BUFFER_BYTES = 4_000_000
_CHUNK_BYTES = 1 << 20
_TAR_BLOCK = 512


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A layer as it was written: its digests and sizes."""

    diff_id: str
    digest: str
    blob_bytes: int
    tar_bytes: int
    file_bytes: int

    def as_json(self) -> dict[str, Any]:
        """As the index of a fleet keeps it."""
        return asdict(self)


def write_layer(planned: PlannedLayer, path: Path, *, mtime_seconds: int) -> LayerBlob:
    """Write a layer to `path`. Raises OSError."""
    with path.open("wb") as file:
        writer = _LayerWriter(file)
        for name, made in _entries(planned):
            if made is None:
                writer.add(_header(name, 0, mtime_seconds, folder=name.endswith("/")))
            else:
                mode = 0o755 if made.executable else 0o644
                writer.add(_header(name, made.size_bytes, mtime_seconds, mode=mode))
                writer.add_content(made)
        writer.add(bytes(_TAR_BLOCK * 2))
        writer.flush()
        file.flush()
        os.fsync(file.fileno())
    return LayerBlob(
        f"sha256:{writer.plain.hexdigest()}",
        f"sha256:{writer.packed.hexdigest()}",
        path.stat().st_size,
        writer.plain_bytes,
        planned.file_bytes,
    )


def _entries(planned: PlannedLayer) -> Iterator[tuple[str, MadeFile | None]]:
    """All entries in the order of their paths: folders (with a slash), whiteouts and files."""
    entries: dict[str, MadeFile | None] = {}
    for path in planned.deleted:
        folder, _, name = path.rpartition("/")
        entries[f"{folder}/.wh.{name}".lstrip("/")] = None
    for path in planned.opaque:
        entries[f"{path}/.wh..wh..opq"] = None
    entries |= {file.path: file for file in planned.files}
    folders: set[str] = set()
    for path in list(entries):
        while (cut := path.rfind("/")) > 0 and (path := path[:cut]) not in folders:
            folders.add(path)
    entries |= {f"{folder}/": None for folder in folders}
    yield from sorted(entries.items())


def _header(path: str, size_bytes: int, mtime_seconds: int, *, mode: int = 0o644, folder: bool = False) -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mtime, info.mode = size_bytes, mtime_seconds, 0o755 if folder else mode
    info.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


class _LayerWriter:
    """Hashes the plain tar and what it is packed into, and writes the latter."""

    def __init__(self, file: BinaryIO) -> None:
        self.plain = hashlib.sha256()
        self.packed = hashlib.sha256()
        self.plain_bytes = 0
        self._file = file
        self._buffer = bytearray()
        self._compressor = zstandard.ZstdCompressor(level=3, write_content_size=True)

    def add(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            self.flush()

    def add_content(self, made: MadeFile) -> None:
        """A file's content and the zeros up to the next block."""
        if made.text is not None:
            self.add(made.text)
        elif made.size_bytes < _LARGE_BYTES:
            self.add(bytes([made.fill]) * made.size_bytes)
        else:
            self.flush()
            self._write(constant_frame(made.fill, made.size_bytes))
            self.plain_bytes += made.size_bytes
            chunk = memoryview(bytes([made.fill]) * _CHUNK_BYTES)
            left = made.size_bytes
            while left:
                size = min(left, _CHUNK_BYTES)
                self.plain.update(chunk[:size])  # hashing lets other threads run
                left -= size
        self.add(bytes(-made.size_bytes % _TAR_BLOCK))

    def flush(self) -> None:
        if self._buffer:
            data = bytes(self._buffer)
            self.plain.update(data)
            self.plain_bytes += len(data)
            self._write(self._compressor.compress(data))
            self._buffer.clear()

    def _write(self, data: bytes) -> None:
        self.packed.update(data)
        self._file.write(data)


def constant_frame(value: int, size_bytes: int) -> bytes:
    """A zstd frame of `size_bytes` equal bytes, made of run-length blocks without any compressing."""
    whole, rest = divmod(size_bytes, _BLOCK_BYTES)
    if not rest:
        whole, rest = whole - 1, _BLOCK_BYTES
    # Frame_Header_Descriptor 0xC0: the content's size follows in eight bytes; no checksum, no dictionary.
    head = _MAGIC + b"\xc0" + _WINDOW + size_bytes.to_bytes(8, "little")
    return head + _run(value, _BLOCK_BYTES, last=False) * whole + _run(value, rest, last=True)


def _run(value: int, size_bytes: int, *, last: bool) -> bytes:
    """An RLE block: three bytes of header (last, type 1, regenerated size) and the byte."""
    return (size_bytes << 3 | 1 << 1 | last).to_bytes(3, "little") + bytes([value])
