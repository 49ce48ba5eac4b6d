"""Layers of image archives: plain tars by seeking from header to header, the rest as streams.

A diff ID is checked against the content wherever the whole content is read anyway, and for plain
layers up to `verify_bytes`; larger ones are only sought through unless that is raised.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, cast

from imgopt_pipeline import progress
from imgopt_pipeline.compression import decompressed, sniff
from imgopt_pipeline.errors import UnreadableArchive, UnreadableLayer
from imgopt_pipeline.hosts.archive_files import Blob, shown, stream_members
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.models import Image, Layer
from imgopt_pipeline.layers.entries import EntryCollector, LayerEntries
from imgopt_pipeline.layers.reading import Reading, timed
from imgopt_pipeline.layers.tar import StreamSource, padding, scan_tar
from imgopt_pipeline.limits import DEFAULT_LIMITS, Limits

VERIFY_BYTES = 512_000_000
_BUFFER_BYTES = 1 << 15
_CHUNK_BYTES = 1 << 20


class ArchiveReader:
    """Reads layers of an `ArchiveHost`."""

    name = "archive"
    cost = ""

    def __init__(self, host: ArchiveHost, *, limits: Limits = DEFAULT_LIMITS, verify_bytes: int = VERIFY_BYTES) -> None:
        self._host = host
        self._limits = limits
        self._verify_bytes = verify_bytes

    def read(self, image: Image, layers: Sequence[Layer]) -> Iterator[Reading]:
        blobs = self._host.blobs(image)
        progress.current().start(image.name, sum(blobs[layer.position].size_bytes for layer in layers))
        streamed = [layer for layer in layers if blobs[layer.position].offset_bytes is None]
        yield from self._read_ranges([layer for layer in layers if layer not in streamed], blobs)
        if streamed:
            yield from self._read_members(streamed, blobs)

    def _read_ranges(self, layers: Sequence[Layer], blobs: Sequence[Blob]) -> Iterator[Reading]:
        """Layers that can be sought in, the biggest first: while it is scanned the next one is hashed."""
        layers = sorted(layers, key=lambda layer: blobs[layer.position].size_bytes, reverse=True)
        digests: dict[int, Future[str]] = {}
        with ThreadPoolExecutor(max_workers=1) as pool:
            for number, layer in enumerate(layers):
                for coming in layers[number : number + 2]:
                    blob = blobs[coming.position]
                    if blob.size_bytes <= self._verify_bytes and coming.position not in digests:
                        digests[coming.position] = pool.submit(_plain_digest, blob)
                yield timed(
                    layer,
                    lambda layer: self._read_range(layer, blobs[layer.position], digests.get(layer.position)),
                )

    def _read_range(self, layer: Layer, blob: Blob, digest: Future[str] | None) -> tuple[LayerEntries, bool]:
        try:
            with blob.path.open("rb") as file:
                file.seek(blob.offset_bytes or 0)
                if sniff(file.read(6)) == "plain":
                    return self._read_plain(layer, blob, file.fileno(), digest)
                file.seek(blob.offset_bytes or 0)
                return scan_stream(cast(BinaryIO, _Range(file, blob.size_bytes)), layer.diff_id, self._limits)
        except OSError as error:
            raise UnreadableArchive(f"it cannot be read ({error.strerror}).", subject=shown(blob.path)) from error

    def _read_plain(
        self, layer: Layer, blob: Blob, descriptor: int, digest: Future[str] | None
    ) -> tuple[LayerEntries, bool]:
        collector = EntryCollector(self._limits)
        source = _FileSource(descriptor, blob.offset_bytes or 0, blob.size_bytes)
        entries = collector.finish(scan_tar(source, collector, self._limits))
        if digest is not None:
            check_diff_id(digest.result(), layer.diff_id)
        progress.current().advance(blob.size_bytes)
        return entries, digest is not None

    def _read_members(self, layers: Sequence[Layer], blobs: Sequence[Blob]) -> Iterator[Reading]:
        """Layers of a compressed archive, in one pass over it."""
        wanted: dict[str, list[Layer]] = {}
        for layer in layers:
            wanted.setdefault(blobs[layer.position].member, []).append(layer)
        for member, content in stream_members(blobs[layers[0].position].path, self._limits):
            for layer in wanted.pop(member, [])[:1]:
                yield timed(layer, lambda layer, stream=content: scan_stream(stream, layer.diff_id, self._limits))
            if not wanted:
                return


def scan_stream(stream: BinaryIO, diff_id: str, limits: Limits) -> tuple[LayerEntries, bool]:
    """Entries of a layer blob, compressed or not, whose content must be the diff ID's."""
    hashed = Hashed(decompressed(stream))
    collector = EntryCollector(limits)
    entries = collector.finish(scan_tar(StreamSource(cast(BinaryIO, hashed), limits), collector, limits))
    check_diff_id(hashed.digest(), diff_id)
    return entries, True


def check_diff_id(digest: str, diff_id: str) -> None:
    """Raise UnreadableLayer unless a layer's content is what the configuration says."""
    if digest != diff_id:
        raise UnreadableLayer(
            f"its content is not what its diff ID says ({digest[:19]}… instead of {diff_id[:19]}…).",
            hint="The archive was damaged or changed; do not use it, save the image again.",
        )


class _FileSource:
    """A tar inside a file, read by position so that contents are never touched."""

    headers_checked = False
    has_contents = True

    def __init__(self, descriptor: int, start: int, size_bytes: int) -> None:
        self._descriptor = descriptor
        self._position = start
        self._end = start + size_bytes
        self._size_bytes = size_bytes
        self._buffer = b""
        self._buffer_start = start

    def read(self, size_bytes: int) -> bytes:
        size_bytes = max(0, min(size_bytes, self._end - self._position))
        inside = self._position - self._buffer_start
        if inside + size_bytes > len(self._buffer):
            wanted = min(max(size_bytes, _BUFFER_BYTES), self._end - self._position)
            self._buffer = os.pread(self._descriptor, wanted, self._position)
            if len(self._buffer) < wanted:
                raise UnreadableLayer("the archive was cut off while it was read.", hint="Save the image again.")
            self._buffer_start, inside = self._position, 0
        data = self._buffer[inside : inside + size_bytes]
        self._position += len(data)
        return data

    def skip_content(self, size_bytes: int) -> None:
        if self._position + size_bytes > self._end:
            raise UnreadableLayer(
                "the tar ends in the middle of a file.",
                hint="The archive is truncated; save the image again.",
            )
        self._position += size_bytes + padding(size_bytes)

    def finish(self) -> int:
        return self._size_bytes


class _Range:
    """The next bytes of a file, as a stream; tells the progress how many went by."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._left = size_bytes

    def read(self, size_bytes: int = -1) -> bytes:
        wanted = self._left if size_bytes < 0 else min(size_bytes, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        progress.current().advance(len(data))
        return data


class Hashed:
    """A stream that knows the digest of what was read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def read(self, size_bytes: int = -1) -> bytes:
        data = self._stream.read(size_bytes)
        self._sha256.update(data)
        return data

    def digest(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"


def _plain_digest(blob: Blob) -> str:
    """The digest of a layer that is not compressed; of one that is, reading it says more."""
    sha256 = hashlib.sha256()
    with blob.path.open("rb", buffering=0) as file:
        position = blob.offset_bytes or 0
        end = position + blob.size_bytes
        if sniff(os.pread(file.fileno(), 6, position)) != "plain":
            return ""
        while position < end and (data := os.pread(file.fileno(), min(_CHUNK_BYTES, end - position), position)):
            sha256.update(data)
            position += len(data)
    return f"sha256:{sha256.hexdigest()}"
