"""Proves that reading ahead hands on every byte, in the order and sizes asked for, every error, and that it ends."""

import io
import threading

import pytest

from imgopt_pipeline.hosts.read_ahead import CHUNK_BYTES, ReadAhead

CONTENT = bytes(range(256)) * 40_000


def test_every_byte_arrives_whatever_sizes_are_asked_for() -> None:
    for sizes in ([1], [7, CHUNK_BYTES + 1, 3], [CHUNK_BYTES], [len(CONTENT) + 1]):
        stream = ReadAhead(io.BytesIO(CONTENT).read)
        parts, turn = [], 0
        while part := stream.read(sizes[turn % len(sizes)] if turn < 1_000 else CHUNK_BYTES):
            parts.append(part)
            turn += 1
        stream.close()
        assert b"".join(parts) == CONTENT


def test_a_read_is_short_only_at_the_end() -> None:
    stream = ReadAhead(io.BytesIO(CONTENT).read)
    assert len(stream.read(3 * CHUNK_BYTES)) == 3 * CHUNK_BYTES
    assert len(stream.read(len(CONTENT))) == len(CONTENT) - 3 * CHUNK_BYTES
    assert stream.read(1) == b""
    stream.close()


def test_what_the_source_raises_is_raised_after_what_it_gave() -> None:
    given = iter([b"first"])

    def fetch(_size_bytes: int) -> bytes:
        try:
            return next(given)
        except StopIteration:
            raise ConnectionResetError("gone") from None

    stream = ReadAhead(fetch)
    assert stream.read(5) == b"first"
    with pytest.raises(ConnectionResetError, match="gone"):
        stream.read(1)
    stream.close()


def test_closing_early_ends_the_thread() -> None:
    stream = ReadAhead(lambda size_bytes: bytes(size_bytes))
    assert stream.read(10) == bytes(10)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
