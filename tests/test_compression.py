"""Decompression by what the first bytes say: every format, however it is cut up, and every way to break it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable
from typing import BinaryIO, cast

import pytest
import zstandard

from imgopt_pipeline.compression import Rejoined, decompressed, sniff
from imgopt_pipeline.errors import UnreadableLayer
from tests.archives_made import COMPRESSORS

DATA = os.urandom(3000) + bytes(200_000) + b"end"
FORMS = ("gzip", "zstd", "bzip2", "xz")


class Dripping(io.BytesIO):
    """A stream that gives little at a time, as a socket may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(11, 11 if size is None or size < 0 else size))


def plain(stored: bytes, stream: Callable[[bytes], io.BytesIO] = io.BytesIO) -> bytes:
    found, source = b"", decompressed(cast(BinaryIO, stream(stored)))
    while chunk := source.read(5000):
        found += chunk
    return found


@pytest.mark.parametrize("form", COMPRESSORS)
@pytest.mark.parametrize("stream", [io.BytesIO, Dripping])
def test_every_format(form: str, stream: Callable[[bytes], io.BytesIO]) -> None:
    stored = COMPRESSORS[form](DATA)
    assert sniff(stored[:6]) == form
    assert plain(stored, stream) == DATA
    assert plain(COMPRESSORS[form](b""), stream) == b""


@pytest.mark.parametrize("form", FORMS)
def test_members_and_frames_one_after_another(form: str) -> None:
    assert plain(COMPRESSORS[form](DATA) + COMPRESSORS[form](b"second")) == DATA + b"second"


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("cut", [1, 7, 20, 2000])
def test_what_ends_too_early_is_told(form: str, cut: int) -> None:
    with pytest.raises(UnreadableLayer, match=f"{form} data is broken") as caught:
        plain(COMPRESSORS[form](DATA)[:-cut])
    assert caught.value.hint


def test_zstd_that_ends_too_early_gives_less() -> None:
    """Its reader takes the end of the stream for the end of the frame; whoever hashes or scans the content tells."""
    for cut in (20, 2000):
        found = plain(COMPRESSORS["zstd"](DATA)[:-cut])
        assert found != DATA
        assert DATA.startswith(found)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_damaged_is_told_or_another_content(form: str) -> None:
    stored = COMPRESSORS[form](DATA)
    told = 0
    for position in range(6, len(stored), max(1, len(stored) // 60)):
        damaged = stored[:position] + bytes([stored[position] ^ 0xFF]) + stored[position + 1 :]
        try:
            plain(damaged)
        except UnreadableLayer:
            told += 1
    assert told > 0


def test_skippable_frames_of_zstd() -> None:
    skippable = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"skip!"
    assert sniff(skippable[:6]) == "zstd"
    assert plain(skippable + COMPRESSORS["zstd"](DATA)) == DATA


def test_a_window_that_wants_too_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    stored = zstandard.ZstdCompressor(compression_params=parameters).compressobj().compress(bytes(1 << 29))
    with pytest.raises(UnreadableLayer, match="zstd"):
        plain(stored)


def test_formats_by_their_own_tools() -> None:
    assert sniff(gzip.compress(b"")[:6]) == "gzip"
    assert sniff(bz2.compress(b"")[:6]) == "bzip2"
    assert sniff(lzma.compress(b"")[:6]) == "xz"
    for first in (b"", b"\x1f", b"P", b"ustar", bytes(6), b"\x4f\x2a\x4d\x18", b"BZ"):
        assert sniff(first) == "plain"


def test_looking_ahead_loses_nothing() -> None:
    for size in (0, 3, 6, 100):
        head = Rejoined(cast(BinaryIO, Dripping(DATA[:size])))
        assert head.peek(6) == DATA[: min(size, 6)]
        assert head.peek(20) == DATA[: min(size, 20)]
        buffer = bytearray(2)
        taken = bytes(buffer[: head.readinto(buffer)])
        rest = b""
        while chunk := head.read(1000):
            rest += chunk
        assert taken + rest == DATA[:size]
    head = Rejoined(io.BytesIO(DATA))
    head.peek(6)
    assert head.read() == DATA
