"""tar-split metadata gives the entries of the tar it describes, checksums besides, and tells what does not fit."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest

from imgopt_pipeline.errors import ImgoptError, UnreadableLayer
from imgopt_pipeline.layers.entries import COLUMNS, EntryCollector
from imgopt_pipeline.layers.tar import scan_tar
from imgopt_pipeline.layers.tarsplit import TarSplitSource
from imgopt_pipeline.limits import DEFAULT_LIMITS
from tests.archives_made import END, entry, header, padded, pax, tar_of
from tests.layers.layers_made import scanned, scanned_with_sums
from tests.layers.tarsplit_made import crc64, tar_split

TAR = tar_of(
    header(b"d/", flag=b"5"),
    entry(b"d/" + b"long" * 60, b"abc"),
    pax([(b"path", b"d/\xc3\xbc\xff\n"), (b"uid", b"9")]),
    entry(b"d/short", b"x" * 512),
    entry(b"empty"),
    header(b"link", flag=b"1", link=b"d/short"),
    entry(b".wh.gone"),
    entry(b"d/.wh..wh..opq"),
    entry(b"big", bytes(100_000)),
)


def read(metadata: bytes) -> EntryCollector:
    collector = EntryCollector()
    collector.finish(scan_tar(TarSplitSource(io.BytesIO(metadata)), collector, DEFAULT_LIMITS))
    return collector


def records(metadata: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in metadata.splitlines()]


def lines(*items: Any) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def segment(data: bytes) -> dict[str, Any]:
    return {"type": 2, "payload": base64.b64encode(data).decode()}


@pytest.mark.parametrize("tar", [TAR, END, entry(b"a", b"x"), tar_of(entry(b"a")) + b"trailing" * 100])
def test_the_same_entries_as_the_tar(tar: bytes) -> None:
    by_metadata, by_tar = scanned_with_sums(tar), scanned(tar)
    without_sums = [(*row[:8], None, *row[9:]) for row in by_metadata.rows()]
    assert without_sums == by_tar.rows()
    assert by_metadata.tar_bytes == by_tar.tar_bytes == len(tar)


def test_checksums_come_with_it() -> None:
    sums = {row[0]: row[list(COLUMNS).index("crc64")] for row in scanned_with_sums(TAR).rows()}
    assert sums["big"] == crc64(bytes(100_000))
    assert sums["empty"] is None
    assert sums["d"] is None


def test_the_published_check_value_of_the_checksum() -> None:
    """CRC-64/GO-ISO of "123456789", from the catalogue of parametrised CRC algorithms."""
    assert crc64(b"123456789") == 0xB90956C775A41001


def test_segments_may_be_cut_anywhere() -> None:
    """Engines write a segment per read, and a record without payload for what is empty."""
    cut: list[dict[str, Any]] = []
    for record in records(tar_split(TAR)):
        data = base64.b64decode(record["payload"] or "") if record["type"] == 2 else b""
        cut += [segment(data[start : start + 100]) for start in range(0, len(data), 100)] or [record]
        cut.append({"type": 2})
    assert _rows(lines(*cut)) == scanned_with_sums(TAR).rows()


def _rows(metadata: bytes) -> list[tuple[object, ...]]:
    collector = EntryCollector()
    return collector.finish(scan_tar(TarSplitSource(io.BytesIO(metadata)), collector, DEFAULT_LIMITS)).rows()


FILE = {"type": 1, "name": "a", "size": 3, "payload": "AAAAAAAAAAA="}
A = header(b"a", 3)

BROKEN = {
    "no JSON": b"not json\n",
    "half a line": tar_split(TAR)[:-20],
    "a list": lines([1, 2]),
    "a number": lines(7),
    "no type": lines({"payload": "AAAA"}),
    "payload of another type": lines({"type": 2, "payload": 7}),
    "no base64": lines({"type": 2, "payload": "AAA"}),
    "content where a header is due": lines(FILE, segment(A)),
    "a header where content is due": lines(segment(A + padded(b"abc") + END)),
    "another size": lines(segment(A), {**FILE, "size": 4}, segment(bytes(509) + END)),
    "a size that is text": lines(segment(A), {**FILE, "size": "3"}, segment(bytes(509) + END)),
    "a size that is negative": lines(segment(A), {**FILE, "size": -3}, segment(bytes(509) + END)),
    "the content missing": lines(segment(A), segment(bytes(509) + END)),
    "the end missing after a header": lines(segment(A)),
    "half a header": lines(segment(A[:100])),
    "no tar": lines(segment(b"x" * 2000)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_metadata_is_told(name: str) -> None:
    with pytest.raises(UnreadableLayer):
        read(BROKEN[name])


def test_an_endless_line_is_told() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            return b"x" * min(size, 1 << 18)

    with pytest.raises(ImgoptError, match="endless line"):
        scan_tar(TarSplitSource(Endless()), EntryCollector(), DEFAULT_LIMITS)  # type: ignore[arg-type]


def test_any_byte_may_be_wrong() -> None:
    """Whatever stands in the metadata, the answer is entries or an error of ours."""
    metadata = tar_split(tar_of(entry(b"a", b"abc"), pax([(b"uid", b"9")]), entry(b"b/c")))
    for position in range(len(metadata)):
        for wrong in (b"\0", b'"', b"9", b"\xff", b""):
            try:
                read(metadata[:position] + wrong + metadata[position + 1 :])
            except ImgoptError:
                continue
