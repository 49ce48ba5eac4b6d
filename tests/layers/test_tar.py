"""The header scan: every dialect of tar, with Python's `tarfile` as the oracle where it is one, and broken ones.

Where `tarfile` and the engines (Go's archive/tar) differ, the engines are right and the figures stand here.
"""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import pytest

from imgopt_pipeline.errors import ImgoptError, LimitExceeded, UnreadableLayer
from imgopt_pipeline.layers.entries import COLUMNS, EntryCollector
from imgopt_pipeline.layers.tar import StreamSource, scan_tar
from imgopt_pipeline.limits import DEFAULT_LIMITS, Limits
from imgopt_pipeline.names import printable
from tests.archives_made import END, MTIME, entry, header, padded, pax, pax_record, sealed, tar_of
from tests.layers.layers_made import scanned

Row = dict[str, Any]
_KINDS = {
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}


class Dripping(io.BytesIO):
    """A stream that gives little at a time, as a socket may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, 7 if size is None or size < 0 else size))


def rows(tar: bytes) -> list[Row]:
    """What the scan makes of a tar, without the directories that nobody wrote."""
    found = [dict(zip(COLUMNS, row, strict=True)) for row in scanned(tar).rows()]
    return [row for row in found if row["kind"] != "implied"]


def only(tar: bytes) -> Row:
    (row,) = rows(tar)
    return row


def oracle(tar: bytes) -> list[Row]:
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", errors="surrogateescape") as members:
        return sorted(map(_by_tarfile, members), key=lambda row: str(row["path"]))


def _by_tarfile(member: tarfile.TarInfo) -> Row:
    kind = _KINDS.get(member.type, "file")
    return {
        "path": _printable(member.name),
        "kind": kind,
        "size_bytes": member.size if kind == "file" else 0,
        "mode": member.mode & 0o7777,
        "uid": member.uid,
        "gid": member.gid,
        "mtime_seconds": math.floor(member.mtime),
        "link_target": _printable(member.linkname) if kind == "symlink" else None,
        "crc64": None,
        "shadowed": False,
    }


def _printable(name: str) -> str:
    return printable(name.encode("utf-8", "surrogateescape"))


def same_as_tarfile(tar: bytes) -> list[Row]:
    found = rows(tar)
    assert sorted(found, key=lambda row: str(row["path"])) == oracle(tar)
    return found


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_writes(form: int) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form, errors="surrogateescape") as tar:
        for number, name in enumerate(_names(form)):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = number * 511, MTIME + number, 0o4755
            member.uid, member.gid = number, number + 1
            tar.addfile(member, io.BytesIO(b"x" * member.size))
        for kind in (*_KINDS, tarfile.CONTTYPE):
            member = tarfile.TarInfo(f"kind-{kind.decode()}")
            member.type, member.linkname, member.devmajor = kind, "l" * (90 if form == tarfile.USTAR_FORMAT else 300), 1
            member.linkname = member.linkname if kind == tarfile.SYMTYPE else ""
            tar.addfile(member)
    same_as_tarfile(packed.getvalue())


def _names(form: int) -> Iterator[str]:
    raw = [b"plain", b"a/b/c", b"not\xffutf8", b"esc\x1b[31m", b"two\nlines", b"back\\slash", b"tab\t", "ü".encode()]
    yield from (name.decode("utf-8", "surrogateescape") for name in raw)
    yield "p" * 100
    yield "d" * 100 + "/" + "f" * 99
    if form != tarfile.USTAR_FORMAT:
        yield "/".join(["long" * 40] * 8)


def test_a_name_in_two_fields() -> None:
    tar = tar_of(header(b"f" * 100, prefix=b"d" * 155))
    assert [row["path"] for row in same_as_tarfile(tar)] == ["d" * 155 + "/" + "f" * 100]


def test_gnu_headers_use_the_prefix_for_other_things() -> None:
    assert only(tar_of(header(b"file", magic=b"ustar  \0", prefix=b"00000000000\0")))["path"] == "file"


def test_the_oldest_form_has_no_magic() -> None:
    tar = tar_of(header(b"file", 3, flag=b"\0", magic=b"\0" * 8) + padded(b"abc"), header(b"dir/", flag=b"\0"))
    assert [(row["path"], row["kind"]) for row in same_as_tarfile(tar)] == [("dir", "dir"), ("file", "file")]


def test_a_directory_with_a_size_has_no_content() -> None:
    tar = tar_of(header(b"dir/", 512, flag=b"5"), header(b"link", 700, flag=b"2", link=b"x"), entry(b"file", b"abc"))
    assert [(row["path"], row["size_bytes"]) for row in same_as_tarfile(tar)] == [("dir", 0), ("file", 3), ("link", 0)]


def test_a_hard_link_with_a_size_has_no_content() -> None:
    tar = tar_of(entry(b"a", b"abc"), header(b"b", 3, flag=b"1", link=b"a"), entry(b"c", b"d"))
    assert [(row["path"], row["kind"], row["size_bytes"]) for row in rows(tar)] == [
        ("a", "file", 3),
        ("b", "hardlink", 0),
        ("c", "file", 1),
    ]


def test_an_unknown_type_is_a_file() -> None:
    assert [row["kind"] for row in same_as_tarfile(tar_of(entry(b"a", b"abc", flag=b"Z"), entry(b"b")))] == ["file"] * 2


def test_pax_records_win_over_the_header() -> None:
    name = "ümläut\n".encode() + b"\xff"
    records = [
        (b"path", name),
        (b"size", b"3"),
        (b"uid", b"4294967296"),
        (b"gid", b"5000000000"),
        (b"mtime", b"1500000000.75"),
        (b"SCHILY.xattr.user.any", b"\0=\n binary \xff"),
    ]
    tar = tar_of(pax(records), header(b"ascii", 0) + padded(b"abc"), entry(b"next", b"d"))
    first, last = same_as_tarfile(tar)
    assert (first["path"], last["path"]) == ("next", "ümläut\\x0a\\xff")
    assert (last["uid"], last["gid"], last["mtime_seconds"]) == (4294967296, 5000000000, 1_500_000_000)
    assert (first["uid"], first["size_bytes"]) == (0, 1)


@pytest.mark.parametrize(
    ("text", "seconds"), [(b"-0.5", -1), (b"-1", -1), (b"0.999999999", 0), (b"9000000000", 9 * 10**9)]
)
def test_times_are_rounded_down(text: bytes, seconds: int) -> None:
    assert only(tar_of(pax([(b"mtime", text)]), entry(b"a")))["mtime_seconds"] == seconds


def test_pax_link_targets() -> None:
    target = b"t" * 300 + b"\xff"
    tar = tar_of(pax([(b"linkpath", target)]), header(b"a", flag=b"2", link=b"short"))
    assert same_as_tarfile(tar)[0]["link_target"] == "t" * 300 + "\\xff"


def test_an_empty_pax_value_means_the_header() -> None:
    assert only(tar_of(pax([(b"path", b""), (b"uid", b"")]), header(b"a", uid=7)))["path"] == "a"


def test_two_pax_headers_add_up() -> None:
    tar = tar_of(pax([(b"path", b"b")]), pax([(b"uid", b"9")], flag=b"X"), entry(b"a"))
    assert (only(tar)["path"], only(tar)["uid"]) == ("b", 9)


def test_pax_directories_of_the_old_flag() -> None:
    assert only(tar_of(pax([(b"path", b"d" * 200 + b"/")]), header(b"d", flag=b"\0")))["kind"] == "dir"


def test_global_headers_are_passed_over_as_engines_do() -> None:
    tar = tar_of(pax([(b"comment", b"git"), (b"uid", b"9"), (b"path", b"x")], flag=b"g"), entry(b"a", b"abc"))
    assert (only(tar)["path"], only(tar)["uid"]) == ("a", 0)


def test_long_gnu_names_and_targets() -> None:
    name, target = b"n" * 3000, b"t" * 1000
    found = same_as_tarfile(tar_of(entry(name, flag=b"2", link=target), entry(b"next")))
    assert [row["path"] for row in found] == ["next", "n" * 3000]


def test_old_gnu_sparse_files() -> None:
    """Three blocks of data of a file of a million bytes; the map goes on in an extension block."""
    numbers = [b"%011o\0%011o\0" % (number * 100_000, 512) for number in range(5)]
    fields = {386: b"".join(numbers[:4]), 482: b"\1", 483: b"%011o\0" % 1_000_000}
    extension = (numbers[4]).ljust(504, b"\0") + b"\0" * 8
    data = b"x" * 512 * 5
    tar = tar_of(header(b"sparse", 512 * 5, flag=b"S", magic=b"ustar  \0", fields=fields), extension, data, entry(b"z"))
    assert [(row["path"], row["size_bytes"]) for row in same_as_tarfile(tar)] == [("sparse", 1_000_000), ("z", 0)]


def test_pax_sparse_files() -> None:
    stored = b"x" * 512
    first = pax([(b"GNU.sparse.size", b"1000000"), (b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.offset", b"5"),
                 (b"GNU.sparse.numbytes", b"512")])  # fmt: skip
    second = pax([(b"GNU.sparse.size", b"2000000"), (b"GNU.sparse.map", b"5,512"), (b"GNU.sparse.name", b"0.1")])
    third = pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"1.0"),
                 (b"GNU.sparse.realsize", b"3000000")])  # fmt: skip
    tar = tar_of(
        first, entry(b"0.0", stored),
        second, entry(b"GNUSparseFile.1/0.1", stored),
        third, entry(b"GNUSparseFile.1/1.0", b"1\n5\n512\n".ljust(512, b"\0") + stored),
        entry(b"z", b"abc"),
    )  # fmt: skip
    assert [(row["path"], row["size_bytes"]) for row in rows(tar)] == [
        ("0.0", 1_000_000),
        ("0.1", 2_000_000),
        ("1.0", 3_000_000),
        ("z", 3),
    ]


def base256(number: int, width: int) -> bytes:
    data = bytearray(number.to_bytes(width, "big", signed=True))
    data[0] |= 0x80
    return bytes(data)


def test_binary_numbers() -> None:
    fields = {108: base256(1 << 32, 8), 116: base256((1 << 40) + 1, 8), 136: base256(-86_400, 12)}
    tar = tar_of(header(b"a", fields={**fields, 124: base256(3, 12)}) + padded(b"abc"), entry(b"b"))
    first, _ = same_as_tarfile(tar)
    assert (first["uid"], first["mtime_seconds"], first["size_bytes"]) == (1 << 32, -86_400, 3)


def test_numbers_written_loosely() -> None:
    fields = {100: b"    644 ", 108: b"\0" * 8, 116: b"0000007 ", 124: b"        3 \0\0", 136: b"14524770610\0"}
    found = same_as_tarfile(tar_of(header(b"a", fields=fields) + padded(b"abc")))
    assert [(row["mode"], row["uid"], row["gid"], row["size_bytes"]) for row in found] == [(0o644, 0, 7, 3)]


def test_checksums_of_signed_bytes() -> None:
    block = header(b"not\xff\xfeutf8")
    blanked = block[:148] + b" " * 8 + block[156:]
    total = sum(byte - 256 if byte > 127 else byte for byte in blanked)
    tar = tar_of(block[:148] + b"%06o\0 " % total + block[156:])
    assert [row["path"] for row in same_as_tarfile(tar)] == ["not\\xff\\xfeutf8"]


@pytest.mark.parametrize("end", [b"", bytes(512), bytes(1024), bytes(10240)])
def test_ends(end: bytes) -> None:
    assert only(entry(b"a", b"abc") + end)["size_bytes"] == 3


def test_what_follows_the_end_is_counted_and_not_read() -> None:
    tar = tar_of(entry(b"a", b"abc")) + b"an index of its own, as eStargz has"
    collector = EntryCollector()
    assert scan_tar(StreamSource(io.BytesIO(tar), DEFAULT_LIMITS), collector, DEFAULT_LIMITS) == len(tar)
    assert len(rows(tar)) == 1


def test_a_tar_that_comes_in_drops() -> None:
    tar = tar_of(entry(b"a" * 300, b"abc" * 700), pax([(b"uid", b"9")]), entry(b"b"), entry(b"c/d", b"x"))
    collector = EntryCollector()
    stream = cast(BinaryIO, Dripping(tar))
    entries = collector.finish(scan_tar(StreamSource(stream, DEFAULT_LIMITS), collector, DEFAULT_LIMITS))
    assert entries.tar_bytes == len(tar)
    assert entries.rows() == scanned(tar).rows()


def test_every_cut() -> None:
    """A tar that ends between two entries is one that engines take; any other cut is told."""
    parts = [entry(b"a" * 120, b"abc"), pax([(b"uid", b"9")]) + entry(b"b", b"x" * 600), entry(b"c"), END]
    tar = b"".join(parts)
    fine = {0, *range(len(tar) - 512, len(tar))}
    position = 0
    for part, content in zip(parts[:3], (3, 600, 0), strict=True):
        position += len(part)
        # Without its last padding, but with all of its content, it is whole as well.
        fine |= set(range(position - (-content % 512), position + 1))
    for cut in range(len(tar)):
        told = _error_of(tar[:cut])
        assert (told is None) == (cut in fine), cut
        assert told is None or isinstance(told, UnreadableLayer)


def _error_of(tar: bytes, limits: Limits = DEFAULT_LIMITS) -> ImgoptError | None:
    try:
        scan_tar(StreamSource(io.BytesIO(tar), limits), EntryCollector(limits), limits)
    except ImgoptError as error:
        return error
    return None


BROKEN = {
    "text": b"this is no tar at all, but a text of some length" * 20,
    "a wrong checksum": tar_of(entry(b"a")[:148] + b"000000\0 " + entry(b"a")[156:]),
    "a flipped bit in a header": tar_of(entry(b"b").replace(b"b", b"c", 1)),
    "data after one zero block": entry(b"a") + bytes(512) + entry(b"b") + END,
    "a malformed number": tar_of(header(b"a", fields={124: b"12x45678901\0"})),
    "a negative size": tar_of(header(b"a", fields={124: base256(-512, 12)})),
    "a negative size in a PAX record": tar_of(pax([(b"size", b"-5")]), header(b"a")),
    "a negative real size": tar_of(pax([(b"GNU.sparse.realsize", b"-5")]), header(b"a")),
    "a size that is no number": tar_of(pax([(b"size", b"five")]), header(b"a")),
    "an endless number": tar_of(pax([(b"mtime", b"9" * 5000)]), header(b"a")),
    "an infinite time": tar_of(pax([(b"mtime", b"inf")]), header(b"a")),
    "no time at all": tar_of(pax([(b"mtime", b"nan")]), header(b"a")),
    "a record without length": tar_of(header(b"x", 10, flag=b"x") + padded(b"path=abcd\n"), entry(b"a")),
    "a record longer than its header": tar_of(header(b"x", 10, flag=b"x") + padded(b"99 path=a\n"), entry(b"a")),
    "a record of length 0": tar_of(header(b"x", 10, flag=b"x") + padded(b"0 path=ab\n"), entry(b"a")),
    "a record with an endless length": tar_of(header(b"x", 9000, flag=b"x") + padded(b"9" * 9000), entry(b"a")),
    "a file larger than the tar": tar_of(header(b"a", 10_000)),
    "an entry that leads out": tar_of(entry(b"a/../../etc/passwd")),
    "a link that leads out": tar_of(header(b"a", flag=b"1", link=b"../../etc/passwd")),
    "a sparse file without the end of its map": header(b"a", flag=b"S", fields={482: b"\1", 483: b"%011o\0" % 9}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tars_are_told(name: str) -> None:
    error = _error_of(BROKEN[name])
    assert isinstance(error, UnreadableLayer)
    assert error.message.endswith(".")


def test_numbers_that_no_file_system_holds_are_told() -> None:
    for records in ([(b"uid", b"9" * 30)], [(b"mtime", b"9" * 30)]):
        with pytest.raises(UnreadableLayer, match="out of range"):
            scanned(tar_of(pax(records), entry(b"a"))).rows()


HUGE = {
    "a huge size": tar_of(header(b"a", fields={124: base256(1 << 62, 12)})),
    "a huge size in a PAX record": tar_of(pax([(b"size", b"9" * 30)]), header(b"a")),
    "a huge real size": tar_of(pax([(b"GNU.sparse.realsize", b"9" * 15)]), header(b"a")),
    "a huge header": tar_of(header(b"x", 2_000_000, flag=b"x") + padded(b"x" * 2_000_000), entry(b"a")),
    "headers without end": pax([(b"comment", b"x" * 900)], flag=b"g") * 2_000,
    "PAX headers without end": b"".join(pax([(b"key%d" % number, b"x" * 900)]) for number in range(2_000)),
    "a sparse map without end": header(b"a", flag=b"S", fields={482: b"\1"}) + (bytes(504) + b"\1" + bytes(7)) * 3_000,
    "a name no system takes": tar_of(pax([(b"path", b"n" * 5000)]), entry(b"a")),
}


@pytest.mark.parametrize("name", HUGE)
def test_what_passes_a_bound_is_told(name: str) -> None:
    assert isinstance(_error_of(HUGE[name]), LimitExceeded)


def test_bounds_of_a_layer() -> None:
    many = tar_of(*(entry(b"%d" % number) for number in range(20)))
    collector = EntryCollector(Limits(entries=10))
    scan_tar(StreamSource(io.BytesIO(many), DEFAULT_LIMITS), collector, DEFAULT_LIMITS)
    with pytest.raises(LimitExceeded, match="10 entries"):
        collector.finish(None)
    assert isinstance(_error_of(tar_of(entry(b"a", b"x" * 600)), Limits(layer_bytes=599)), LimitExceeded)
    assert isinstance(_error_of(tar_of(entry(b"a")) + bytes(2000), Limits(trailing_bytes=1999)), LimitExceeded)
    assert _error_of(tar_of(entry(b"a")) + bytes(2000), Limits(trailing_bytes=2000)) is None


def test_a_header_full_of_tiny_records_is_read_at_once() -> None:
    record = pax_record(b"a", b"b")
    tar = tar_of(header(b"x", len(record) * 150_000, flag=b"x") + padded(record * 150_000), entry(b"a"))
    assert only(tar)["path"] == "a"


def test_a_checksum_beyond_what_its_field_can_say_is_wrong() -> None:
    block = bytearray(sealed(bytes(header(b"a"))))
    block[148:156] = b"7777777\0"
    assert isinstance(_error_of(bytes(block) + END), UnreadableLayer)
