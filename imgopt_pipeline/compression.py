"""Decompression of layers and archives, chosen by their first bytes and never by a name.

Formats: plain, gzip (RFC 1952, several members), zstd (RFC 8878, several frames), bzip2 and xz,
which `docker load` accepts as well.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from typing import Any, BinaryIO, cast

import zstandard
from isal import igzip
from isal.igzip_lib import IsalError

from imgopt_pipeline.errors import UnreadableLayer

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
}
# A skippable zstd frame (RFC 8878 §3.1.2) may come first: 0x184D2A50 to 0x184D2A5F, little-endian.
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"

_ISAL_ERROR = cast(type[Exception], IsalError)  # its stub calls the class an instance
BROKEN_STREAM = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError, _ISAL_ERROR)
"""What a decompressor raises on broken input."""


def sniff(first: bytes) -> str:
    """`gzip`, `zstd`, `bzip2`, `xz` or `plain`, by magic bytes (six are enough)."""
    for magic, name in _MAGIC.items():
        if first.startswith(magic):
            return name
    if first[1:4] == _ZSTD_SKIPPABLE and 0x50 <= first[0] <= 0x5F:
        return "zstd"
    return "plain"


def decompressed(stream: BinaryIO) -> BinaryIO:
    """The stream's plain bytes. Broken input raises UnreadableLayer when it is reached."""
    head = Rejoined(stream)
    first = head.peek(6)
    form = sniff(first)
    if form == "plain":
        return cast(BinaryIO, head)
    if form == "gzip":
        plain: object = igzip.IGzipFile(fileobj=head, mode="rb")  # type: ignore[no-untyped-call]
    elif form == "zstd":
        plain = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            cast(BinaryIO, head), read_across_frames=True
        )
    elif form == "bzip2":
        plain = bz2.BZ2File(cast(BinaryIO, head))
    else:
        plain = lzma.LZMAFile(cast(BinaryIO, head))  # noqa: SIM115  (its reader ends it)
    return cast(BinaryIO, _Guarded(cast(BinaryIO, plain), form))


class Rejoined(io.RawIOBase):
    """A forward stream whose first bytes can be looked at before they are read."""

    def __init__(self, rest: BinaryIO) -> None:
        self._head = b""
        self._rest = rest

    def peek(self, size_bytes: int) -> bytes:
        """The next bytes, fewer only at the end, without reading past them."""
        while len(self._head) < size_bytes and (chunk := self._rest.read(size_bytes - len(self._head))):
            self._head += chunk
        return self._head[:size_bytes]

    def read(self, size_bytes: int = -1, /) -> bytes:
        if not self._head:
            return self._rest.read(size_bytes)
        if size_bytes < 0:
            data, self._head = self._head + self._rest.read(), b""
            return data
        data, self._head = self._head[:size_bytes], self._head[size_bytes:]
        return data

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        return True


class _Guarded:
    """A decompressor whose failures are said in our words."""

    def __init__(self, plain: BinaryIO, form: str) -> None:
        self._plain = plain
        self._form = form

    def read(self, size_bytes: int = -1) -> bytes:
        try:
            return self._plain.read(size_bytes)
        except BROKEN_STREAM as error:
            raise UnreadableLayer(
                f"its {self._form} data is broken ({error}).",
                hint="The archive or blob is damaged; make it again.",
            ) from error
