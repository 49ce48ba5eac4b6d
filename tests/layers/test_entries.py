"""The canonical form of entries: names, markers, hard links, implied directories, repeated paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.errors import LimitExceeded, StorageError, UnreadableLayer
from imgopt_pipeline.layers.entries import COLUMNS, EntryCollector, clean_name
from imgopt_pipeline.names import original

Row = dict[str, Any]


def rows(collector: EntryCollector) -> list[Row]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in collector.finish(None).rows()]


def brief(collector: EntryCollector) -> list[tuple[Any, ...]]:
    return [(row["path"], row["kind"], row["size_bytes"], row["link_target"]) for row in rows(collector)]


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        (b"a", b"a"),
        (b"./a", b"a"),
        (b"/a", b"a"),
        (b"//a", b"a"),
        (b"a/", b"a"),
        (b"a//b/./c/", b"a/b/c"),
        (b"a/../b", b"b"),
        (b".", b""),
        (b"/", b""),
        (b"./", b""),
        (b"", b""),
        (b"...", b"..."),
        (b"a/..b", b"a/..b"),
        (b".a/.b", b".a/.b"),
        (b"./.wh.a", b".wh.a"),
        (b"a\\b", b"a\\b"),
    ],
)
def test_spellings_of_a_name(name: bytes, cleaned: bytes) -> None:
    assert clean_name(name) == cleaned


@pytest.mark.parametrize("name", [b"..", b"../a", b"a/../../b", b"/../a", b"./.."])
def test_names_that_lead_out_are_refused(name: bytes) -> None:
    with pytest.raises(UnreadableLayer, match="leads out"):
        EntryCollector().add(name, "file")


def test_names_that_no_system_takes_are_refused() -> None:
    with pytest.raises(LimitExceeded):
        EntryCollector().add(b"n/" * 2049, "file")


def test_the_root_itself_is_no_entry() -> None:
    collector = EntryCollector()
    collector.add(b"./", "dir", 0, 0o755)
    assert rows(collector) == []


def test_markers() -> None:
    collector = EntryCollector()
    for name in (b"d/.wh.a", b".wh.b", b"e/.wh..wh..opq", b".wh..wh..opq", b"d/.wh..wh.x", b".wh.", b"wh.c", b".whd"):
        collector.add(name, "file")
    collector.add(b"d/.wh.a", "file")
    assert {(path, kind) for path, kind, *_ in brief(collector)} == {
        ("d/a", "whiteout"),
        ("b", "whiteout"),
        ("e", "opaque"),
        ("", "opaque"),
        ("d/.wh.x", "whiteout"),
        (".wh.", "file"),
        ("wh.c", "file"),
        (".whd", "file"),
        ("d", "implied"),
        ("e", "implied"),
    }


def test_a_link_group_stands_at_the_name_a_walk_meets_first() -> None:
    """The rows must not depend on which name the tar happened to write first."""
    found = []
    for first, *others in (("m", "z", "b/x", "b!"), ("b!", "m", "z", "b/x"), ("b/x", "b!", "m", "z")):
        collector = EntryCollector()
        collector.add(first.encode(), "file", 9, 0o600, 1, 2, 3, None, 77)
        for other in others:
            collector.add(other.encode(), "hardlink", 0, 0o777, 8, 8, 8, first.encode())
        found.append(rows(collector))
    assert found[0] == found[1] == found[2]
    kinds = {row["path"]: (row["kind"], row["size_bytes"], row["link_target"], row["crc64"]) for row in found[0]}
    assert kinds["b/x"] == ("file", 9, None, 77)
    assert kinds["m"] == kinds["z"] == kinds["b!"] == ("hardlink", 0, "b/x", None)
    assert {row["uid"] for row in found[0] if row["kind"] != "implied"} == {1}


def test_links_name_what_they_were_bound_to() -> None:
    collector = EntryCollector()
    collector.add(b"early", "hardlink", link_target=b"late")
    collector.add(b"late", "file", 5, 0o644, 0, 0, 0)
    collector.add(b"other", "hardlink", link_target=b"not/here")
    collector.add(b"folder", "dir", 0, 0o755, 0, 0, 0)
    collector.add(b"to-folder", "hardlink", link_target=b"folder")
    collector.add(b"late", "hardlink", link_target=b"./late")
    assert brief(collector) == [
        ("early", "hardlink", 0, "/late"),
        ("folder", "dir", 0, None),
        ("late", "file", 5, None),
        ("other", "hardlink", 0, "/not/here"),
        ("to-folder", "hardlink", 0, None),
    ]


def test_repeated_paths() -> None:
    collector = EntryCollector()
    collector.add(b"a", "file", 5, 0o644, 0, 0, 0)
    collector.add(b"a", "file", 7, 0o644, 0, 0, 0)
    collector.add(b"b", "file", 0, 0o644, 0, 0, 0)
    collector.add(b"b", "dir", 0, 0o644, 0, 0, 0)
    found = [(row["path"], row["kind"], row["size_bytes"], row["shadowed"]) for row in rows(collector)]
    assert sorted(found) == [("a", "file", 5, True), ("a", "file", 7, False), ("b", "dir", 0, False)]


def test_directories_of_a_layer_replaced_again_and_again_are_refused() -> None:
    collector = EntryCollector()
    with pytest.raises(LimitExceeded, match="own directories"):
        for _ in range(1000):
            collector.add(b"a/b", "file", 1)
            collector.add(b"a", "file", 1)
            collector.add(b"a", "dir")


def test_any_name_comes_through_the_file_of_entries() -> None:
    names = [bytes([byte]) * 3 for byte in range(256) if byte not in b"/."]
    names += [b"\\N", b'"quoted"', b"a\tb", b"a,b", b"a\r\nb", b" lead", b"trail ", "ü\u2028\u202e".encode(), b"NULL"]
    collector = EntryCollector()
    for number, name in enumerate(names):
        collector.add(name, "symlink", 0, 0o777, 0, 0, number, link_target=name)
    found = rows(collector)
    assert {original(row["path"]) for row in found} == set(names)
    assert all(row["path"] == row["link_target"] for row in found)
    assert all(row["path"].isprintable() for row in found)


def test_more_entries_than_are_held_in_memory() -> None:
    collector = EntryCollector()
    for number in range(20_000):
        collector.add(b"d/%d" % number, "file", number, 0o644, 0, 0, number)
    found = rows(collector)
    assert len(found) == 20_001
    assert sum(row["size_bytes"] for row in found) == sum(range(20_000))


def test_a_full_temporary_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
        collector = EntryCollector()
        collector.add(b"a", "file", 1)
        with pytest.raises(StorageError, match="No space left") as caught:
            collector.finish(None)
    assert "TMPDIR" in caught.value.hint
