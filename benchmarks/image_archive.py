"""Writes image archives as `docker save` would, in one stream and without a file per file."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 512
_MTIME = 1_577_836_800


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in the archive: the name of its member, and its diff ID."""

    member: str
    diff_id: str


class ArchiveWriter:
    """Takes layers, then the images that are made of them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._layers = 0
        self._images: list[dict[str, object]] = []

    def layer(self, chunks: Iterable[bytes]) -> Layer:
        """Append a layer from its tar without end-of-archive blocks; its header comes when its size is known."""
        member = f"layer-{self._layers}.tar"
        self._layers += 1
        start = self._file.tell()
        self._file.write(bytes(BLOCK_BYTES))
        sha256 = hashlib.sha256()
        for chunk in chain(chunks, [bytes(2 * BLOCK_BYTES)]):
            self._file.write(chunk)
            sha256.update(chunk)
        end = self._file.tell()
        self._file.seek(start)
        self._file.write(header(member, size_bytes=end - start - BLOCK_BYTES))
        self._file.seek(end)
        return Layer(member, f"sha256:{sha256.hexdigest()}")

    def image(self, tag: str, layers: Sequence[Layer]) -> None:
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["none"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created_by": f"COPY part-{number} /"} for number in range(len(layers))],
        }
        content = json.dumps(config).encode()
        name = f"{hashlib.sha256(content).hexdigest()}.json"
        self._document(name, content)
        members = [layer.member for layer in layers]
        self._images.append({"Config": name, "RepoTags": [tag], "Layers": members})

    def finish(self) -> None:
        self._document("manifest.json", json.dumps(self._images).encode())
        self._file.write(bytes(2 * BLOCK_BYTES))

    def _document(self, name: str, content: bytes) -> None:
        self._file.write(header(name, size_bytes=len(content)) + padded(content))


@contextmanager
def new_archive(path: Path) -> Iterator[ArchiveWriter]:
    """An archive that takes its place when it is whole."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            writer = ArchiveWriter(file)
            yield writer
            writer.finish()
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def header(name: str, *, size_bytes: int = 0, directory: bool = False) -> bytes:
    """The tar header of a file or directory."""
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE if directory else tarfile.REGTYPE
    entry.size, entry.mtime, entry.mode = size_bytes, _MTIME, 0o755 if directory else 0o644
    return entry.tobuf(tarfile.USTAR_FORMAT)


def padded(content: bytes) -> bytes:
    """Content up to the next block."""
    return content + bytes(-len(content) % BLOCK_BYTES)
