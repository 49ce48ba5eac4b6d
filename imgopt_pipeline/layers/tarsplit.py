"""Entries from tar-split metadata, which engines keep to rebuild each layer's tar byte for byte.

A `tar-split.json.gz` holds one JSON object per line: type 2 is a segment of raw tar bytes (headers
and padding, base64), type 1 stands for a file's content (its size and CRC-64). Together they are the
tar without the contents, so the ordinary header scan reads them.

Source: the tar-split format, `tar/storage` of the tar-split project (`Entry`, `FileType`, `SegmentType`).
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterator
from typing import BinaryIO

import orjson

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.layers.tar import padding

_FILE, _SEGMENT = 1, 2
_MAX_LINE_BYTES = 64_000_000


class TarSplitSource:
    """A `TarSource` over the lines of a tar-split file, already decompressed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._records = _records(stream)
        self._segment = b""
        self._offset = 0
        self._tar_bytes = 0
        self._content: tuple[int, int | None] | None = None

    def read(self, size_bytes: int) -> bytes:
        start, end = self._offset, self._offset + size_bytes
        if end <= len(self._segment):
            self._offset = end
            return self._segment[start:end]
        parts = [self._segment[start:]]
        missing = size_bytes - len(parts[0])
        self._segment, self._offset = b"", 0
        while missing > 0:
            record = next(self._records, None)
            if record is None:
                break
            segment, content = record
            if content is not None:
                if content[0]:
                    raise UnreadableLayer("its tar-split metadata has content where a header is due.")
                continue
            self._tar_bytes += len(segment)
            parts.append(segment[:missing])
            self._segment, self._offset = segment, len(parts[-1])
            missing -= len(parts[-1])
        return b"".join(parts)

    def skip_content(self, size_bytes: int) -> int | None:
        if self._offset < len(self._segment):
            raise UnreadableLayer("its tar-split metadata has a header where content is due.")
        for segment, content in self._records:
            if content is None:
                if segment:
                    break
            elif content[0]:
                if content[0] != size_bytes:
                    break
                self._tar_bytes += size_bytes
                self.read(padding(size_bytes))
                return content[1]
        raise UnreadableLayer("its tar-split metadata does not fit its own headers.")

    def finish(self) -> int:
        for segment, content in self._records:
            self._tar_bytes += len(segment) if content is None else content[0]
        return self._tar_bytes


def _records(stream: BinaryIO) -> Iterator[tuple[bytes, tuple[int, int | None] | None]]:
    """A segment's bytes, or a content's size and CRC-64, per line."""
    try:
        for line in _lines(stream):
            entry = orjson.loads(line)
            payload = a2b_base64(entry.get("payload") or b"")
            if entry["type"] == _SEGMENT:
                yield payload, None
            elif entry["type"] == _FILE:
                yield b"", (entry.get("size", 0), int.from_bytes(payload, "big") if payload else None)
    except (ValueError, KeyError, TypeError, AttributeError, Base64Error) as error:
        raise UnreadableLayer("its tar-split metadata is malformed.") from error


def _lines(stream: BinaryIO) -> Iterator[bytes]:
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
            yield from filter(None, (b"".join(parts), *whole))
            parts, held_bytes = [rest], len(rest)
    if line := b"".join(parts).strip():
        yield line
