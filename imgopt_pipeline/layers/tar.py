"""Entries from tar headers: ustar, GNU and PAX, without touching file contents.

Only the format stands here. Where the bytes come from is the business of a `TarSource`: a stream, a
file that can be sought, or the tar-split metadata of an engine.

Sources: POSIX.1-2017 `pax` ("ustar" and "pax Interchange Format"); GNU tar manual, "Basic Tar Format"
and "Storing Sparse Files". Like the engines (Go's archive/tar), global PAX headers are passed over,
an unknown type is a regular file, and a stream may end without its end-of-archive blocks.
"""

from __future__ import annotations

import re
import zlib
from contextlib import nullcontext
from functools import lru_cache
from typing import BinaryIO, Protocol

from imgopt_pipeline.errors import LimitExceeded, UnreadableLayer
from imgopt_pipeline.layers.documents import is_document
from imgopt_pipeline.layers.entries import EntryCollector
from imgopt_pipeline.limits import Limits

BLOCK_BYTES = 512
_ZERO_BLOCK = bytes(BLOCK_BYTES)
_ADLER_MODULUS = 65_521
_DECIMAL = re.compile(rb"(-?)(\d{1,4000})(?:\.(\d*))?")
_LENGTH_DIGITS = 12
_KINDS = {
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "char",
    b"4": "block",
    b"5": "dir",
    b"6": "fifo",
}


class TarSource(Protocol):
    """Where a tar comes from, read strictly forwards."""

    @property
    def headers_checked(self) -> bool:
        """Whether the headers' checksums need no second look."""
        ...

    @property
    def has_contents(self) -> bool:
        """Whether `read` also gives the contents of files; otherwise they can only be skipped."""
        ...

    def read(self, size_bytes: int) -> bytes:
        """The next bytes; fewer only where the stream ends."""
        ...

    def skip_content(self, size_bytes: int) -> int | None:
        """Pass over a file's content and its padding; its CRC-64 where that is known for nothing."""
        ...

    def finish(self) -> int | None:
        """Read on to the end of the stream; its length where it is known."""
        ...


def scan_tar(source: TarSource, collector: EntryCollector, limits: Limits) -> int | None:
    """Hand every entry of a tar to the collector; the length of the stream in bytes, where known.

    Raises UnreadableLayer for what is no tar or ends too early, LimitExceeded for what is too large.
    """
    with collector.documents_kept() if source.has_contents else nullcontext():
        return _scan(source, collector, limits)


def _scan(source: TarSource, collector: EntryCollector, limits: Limits) -> int | None:
    extended: dict[str, bytes] = {}
    total_bytes = extended_bytes = 0
    headers_checked = source.headers_checked
    while header := source.read(BLOCK_BYTES):
        if len(header) < BLOCK_BYTES:
            raise _truncated()
        if header == _ZERO_BLOCK:
            if source.read(BLOCK_BYTES).strip(b"\0"):
                raise UnreadableLayer("the tar has data after a single zero block.", hint="The layer is corrupt.")
            break
        if not headers_checked:
            _check_sum(header)
        kind = header[156:157]
        size = _number(header[124:136])
        if kind in b"xXgLK":
            extended_bytes += BLOCK_BYTES + max(size, 0)
            if size < 0 or extended_bytes > limits.header_bytes:
                raise _too_large(limits)
            content = _extension(source, size)
            if kind in b"xX":
                extended |= _pax_records(content)
            elif kind != b"g":
                extended["path" if kind == b"L" else "linkpath"] = content.split(b"\0", 1)[0]
            continue
        total_bytes += _add_entry(source, collector, header, kind, size, extended, limits)
        if total_bytes > limits.layer_bytes:
            raise LimitExceeded(
                f"a layer holds more than {limits.layer_bytes:,} bytes.",
                hint="Raise limits.layer_bytes in imgopt.yaml if the image is trusted.",
            )
        if extended_bytes:
            extended, extended_bytes = {}, 0
    if extended:
        raise _truncated()
    return source.finish()


class StreamSource:
    """A tar from a stream that can only be read on, such as a decompressor's."""

    headers_checked = False
    has_contents = True

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._buffer = b""
        self._offset = 0
        self._consumed = 0

    def read(self, size_bytes: int) -> bytes:
        missing = size_bytes - (len(self._buffer) - self._offset)
        if missing > 0:
            self._fill(missing)
        data = self._buffer[self._offset : self._offset + size_bytes]
        self._offset += len(data)
        self._consumed += len(data)
        return data

    def skip_content(self, size_bytes: int) -> None:
        wanted = size_bytes + padding(size_bytes)
        buffered = min(wanted, len(self._buffer) - self._offset)
        self._offset += buffered
        self._consumed += wanted
        if self._consumed > self._limits.layer_bytes:
            raise LimitExceeded(f"a layer holds more than {self._limits.layer_bytes:,} bytes.")
        left = wanted - buffered
        while left > 0:
            chunk = self._stream.read(min(left, 1 << 20))
            if not chunk:
                if left > padding(size_bytes):
                    raise _truncated()
                self._consumed -= left  # engines, too, take a tar whose last padding is cut off
                return
            left -= len(chunk)

    def finish(self) -> int:
        trailing = len(self._buffer) - self._offset
        self._buffer, self._offset = b"", 0
        while trailing <= self._limits.trailing_bytes:
            chunk = self._stream.read(1 << 20)
            if not chunk:
                return self._consumed + trailing
            trailing += len(chunk)
        raise LimitExceeded(
            f"more than {self._limits.trailing_bytes:,} bytes follow the end of a layer's tar.",
            hint="This looks like a decompression bomb; do not use the image.",
        )

    def _fill(self, missing: int) -> None:
        parts = [self._buffer[self._offset :]]
        while missing > 0 and (chunk := self._stream.read(max(missing, 1 << 18))):
            parts.append(chunk)
            missing -= len(chunk)
        self._buffer, self._offset = b"".join(parts), 0


def padding(size_bytes: int) -> int:
    """Bytes from the end of a content to the next block."""
    return -size_bytes % BLOCK_BYTES


def _add_entry(
    source: TarSource,
    collector: EntryCollector,
    header: bytes,
    kind_flag: bytes,
    stored: int,
    extended: dict[str, bytes],
    limits: Limits,
) -> int:
    """Hand one entry on and pass over its content; the bytes of its content."""
    name = _until_nul(header[:100])
    target = _until_nul(header[157:257]) if kind_flag in b"12" else b""
    if header[257:263] == b"ustar\0" and header[345]:
        name = _until_nul(header[345:500]) + b"/" + name
    mode, uid, gid = _number(header[100:108]), _number(header[108:116]), _number(header[116:124])
    mtime = _number(header[136:148])
    real = None
    if kind_flag == b"S":
        real = _gnu_sparse_size(source, header, limits)
    if extended:
        name, target = extended.get("path", name), extended.get("linkpath", target)
        uid, gid = _decimal(extended, "uid", uid), _decimal(extended, "gid", gid)
        mtime, stored = _decimal(extended, "mtime", mtime), _decimal(extended, "size", stored)
        name = extended.get("GNU.sparse.name", name)
        for key in ("GNU.sparse.realsize", "GNU.sparse.size"):
            real = _decimal(extended, key, real) if key in extended else real
    kind = _KINDS.get(kind_flag, "dir" if name.endswith(b"/") and kind_flag == b"\0" else "file")
    if kind != "file":
        # Only regular files carry content, whatever the size field of a link or device says.
        collector.add(
            name, kind, 0, mode & 0o7777, uid, gid, mtime, target if kind in ("symlink", "hardlink") else None
        )
        return 0
    size_bytes = stored if real is None else real
    if stored < 0 or size_bytes < 0:
        raise UnreadableLayer("an entry has a negative size.", hint="The layer is corrupt.")
    crc64 = None
    if source.has_contents and real is None and is_document(name, stored):
        collector.add_document(name, _content(source, stored))
    elif stored:
        crc64 = source.skip_content(stored)
    collector.add(name, kind, size_bytes, mode & 0o7777, uid, gid, mtime, None, crc64)
    return max(stored, size_bytes)


def _extension(source: TarSource, size: int) -> bytes:
    wanted = size + padding(size)
    content = source.read(wanted)
    if len(content) < wanted:
        raise _truncated()
    return content[:size]


def _content(source: TarSource, size: int) -> bytes:
    """A file's content; unlike an extension it may be the last thing of a tar whose padding is cut off."""
    content = source.read(size + padding(size))
    if len(content) < size:
        raise _truncated()
    return content[:size]


def _pax_records(content: bytes) -> dict[str, bytes]:
    """`"%d %s=%s\\n"` records; the length counts the whole record, an empty value means the header's own."""
    records: dict[str, bytes] = {}
    start = 0
    while start < len(content):
        space = content.find(b" ", start, start + _LENGTH_DIGITS)
        length = content[start : max(space, start)]
        end = start + int(length) if length.isdigit() else 0
        if not space + 1 < end <= len(content):
            raise UnreadableLayer("a PAX header is malformed.", hint="The layer is corrupt.")
        key, _, value = content[space + 1 : end - 1].partition(b"=")
        if value:
            records[key.decode("utf-8", "replace")] = value
        start = end
    return records


def _gnu_sparse_size(source: TarSource, header: bytes, limits: Limits) -> int:
    """The real size of an old GNU sparse file; reads on past its extension blocks."""
    real, extended, extended_bytes = _number(header[483:495]), header[482], 0
    while extended:
        extended_bytes += BLOCK_BYTES
        if extended_bytes > limits.header_bytes:
            raise _too_large(limits)
        block = source.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES:
            raise _truncated()
        extended = block[504]
    return real


def _check_sum(header: bytes) -> None:
    stated = _number(header[148:156])
    # Adler-32's low half is 1 + Σ bytes mod 65521: the header's plain sum at the speed of C.
    adler = zlib.adler32(header[156:], zlib.adler32(b"        ", zlib.adler32(header[:148]))) & 0xFFFF
    if (stated + 1) % _ADLER_MODULUS == adler:
        return
    blanked = header[:148] + b" " * 8 + header[156:]
    if stated != sum(byte - 256 if byte > 127 else byte for byte in blanked):
        raise UnreadableLayer("a tar header has a wrong checksum.", hint="The layer is corrupt or is no tar.")


@lru_cache(maxsize=8_192)
def _number(field: bytes) -> int:
    """Octal text, or big-endian two's complement where the first bit is set (GNU base-256).

    Cached, since modes, owners and times of one layer are few.
    """
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (len(field) * 8 - 1)) - 1)
        return value - (1 << (len(field) * 8 - 1)) if field[0] & 0x40 else value
    text = field.split(b"\0", 1)[0].strip()
    try:
        return int(text, 8) if text else 0
    except ValueError as error:
        raise UnreadableLayer(
            "a tar header has a malformed number.", hint="The layer is corrupt or is no tar."
        ) from error


def _decimal(records: dict[str, bytes], key: str, otherwise: int | None) -> int:
    if key not in records:
        return otherwise or 0
    number = _DECIMAL.fullmatch(records[key])
    if number is None:
        raise UnreadableLayer(f"the PAX record {key} is no number.", hint="The layer is corrupt.")
    sign, whole, fraction = number.groups()
    # Rounded down, as file systems do with times before 1970; through a float, digits would get lost.
    below = 1 if sign and fraction and fraction.strip(b"0") else 0
    return -int(whole) - below if sign else int(whole)


def _until_nul(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _too_large(limits: Limits) -> LimitExceeded:
    return LimitExceeded(
        f"the headers of a layer's entry take more than {limits.header_bytes:,} bytes.", hint="Do not use this image."
    )


def _truncated() -> UnreadableLayer:
    return UnreadableLayer(
        "the tar ends in the middle of an entry.", hint="The archive or blob is truncated; make it again."
    )
