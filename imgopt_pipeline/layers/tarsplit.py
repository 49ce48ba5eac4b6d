"""Entries from tar-split metadata, which engines keep to rebuild each layer's tar byte for byte.

A `tar-split.json.gz` holds one JSON object per line: type 2 is a segment of raw tar bytes (headers
and padding, base64), type 1 stands for a file's content (its size and CRC-64). Together they are the
tar without the contents, so the ordinary header scan reads them.

Source: the tar-split format, `tar/storage` of the tar-split project (`Entry`, `FileType`, `SegmentType`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO

import orjson
from pybase64 import b64decode

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.layers.tar import padding

_FILE, _SEGMENT = 1, 2
_MAX_LINE_BYTES = 64_000_000


_decoded = partial(b64decode, validate=True)

_MALFORMED = (ValueError, KeyError, TypeError, AttributeError)
"""What a line that is no tar-split entry raises where it is taken apart."""


class TarSplitSource:
    """A `TarSource` over the lines of a tar-split file, already decompressed."""

    headers_checked = True  # by the engine, which made these lines from a tar it had read
    has_contents = False

    def __init__(self, stream: BinaryIO) -> None:
        self._entries = _entries(stream)
        self._segment = b""
        self._offset = 0
        self._padding = 0
        self._tar_bytes = 0

    def read(self, size_bytes: int) -> bytes:
        start, end = self._offset, self._offset + size_bytes
        if end <= len(self._segment):
            self._offset = end
            return self._segment[start:end]
        try:
            return self._read_on(size_bytes)
        except _MALFORMED as error:
            raise _malformed() from error

    def skip_content(self, size_bytes: int) -> int | None:
        if self._offset < len(self._segment):
            raise UnreadableLayer("its tar-split metadata has a header where content is due.")
        try:
            for entry in self._entries:
                if entry["type"] == _SEGMENT:
                    if entry.get("payload"):
                        break
                elif entry["type"] == _FILE and (content_bytes := entry.get("size", 0)):
                    if content_bytes != size_bytes:
                        break
                    self._tar_bytes += size_bytes
                    self._padding = padding(size_bytes)  # the next segment begins with it
                    checksum = _decoded(entry.get("payload") or b"")
                    return int.from_bytes(checksum, "big") if checksum else None
        except _MALFORMED as error:
            raise _malformed() from error
        raise UnreadableLayer("its tar-split metadata does not fit its own headers.")

    def finish(self) -> int:
        try:
            for entry in self._entries:
                if entry["type"] == _SEGMENT:
                    self._tar_bytes += len(_decoded(entry.get("payload") or b""))
                elif entry["type"] == _FILE:
                    self._tar_bytes += entry.get("size", 0)
        except _MALFORMED as error:
            raise _malformed() from error
        return self._tar_bytes

    def _read_on(self, size_bytes: int) -> bytes:
        """Bytes that go past the segment in hand."""
        parts = [self._segment[self._offset :]]
        missing = size_bytes - len(parts[0])
        self._segment, self._offset = b"", 0
        while missing > 0:
            entry = next(self._entries, None)
            if entry is None:
                break
            if entry["type"] == _SEGMENT:
                segment = _decoded(entry.get("payload") or b"")
                self._tar_bytes += len(segment)
                start = min(self._padding, len(segment))
                self._padding -= start
                part = segment[start : start + missing]
                parts.append(part)
                missing -= len(part)
                self._segment, self._offset = segment, start + len(part)
            elif entry["type"] == _FILE and entry.get("size", 0):
                raise UnreadableLayer("its tar-split metadata has content where a header is due.")
        return b"".join(parts)


def _entries(stream: BinaryIO) -> Iterator[Any]:
    """The lines' JSON values, parsed by the batch. Raises UnreadableLayer."""
    for lines in _lines(stream):
        try:
            values = orjson.loads(b"[%b]" % b",".join(lines))
        except orjson.JSONDecodeError as error:
            raise _malformed() from error
        if len(values) != len(lines):
            raise _malformed()
        yield from values


def _malformed() -> UnreadableLayer:
    return UnreadableLayer("its tar-split metadata is malformed.")


def _lines(stream: BinaryIO) -> Iterator[list[bytes]]:
    """Batches of whole lines."""
    parts: list[bytes] = []
    held_bytes = 0
    while chunk := stream.read(1 << 18):
        end, *lines = chunk.split(b"\n")
        parts.append(end)
        held_bytes += len(end)
        if held_bytes > _MAX_LINE_BYTES:
            raise UnreadableLayer("its tar-split metadata has an endless line.")
        if lines:
            *whole, rest = lines
            yield [line for line in (b"".join(parts), *whole) if line]
            parts, held_bytes = [rest], len(rest)
    if line := b"".join(parts).strip():
        yield [line]
