"""The Parquet cache: what was put comes back, damage is read again, and a folder that cannot be written is named."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from imgopt_pipeline.errors import ImgoptError, StorageError, UnreadableLayer
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.layers.analysis import analyse_image
from imgopt_pipeline.layers.cache import ANALYSER_VERSION, LayerCache
from imgopt_pipeline.layers.entries import EntryCollector, LayerEntries
from tests.small_archive import write_archive

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def some_entries(count: int = 3, tar_bytes: int | None = 5120) -> LayerEntries:
    collector = EntryCollector()
    for number in range(count):
        collector.add(b"d/%d-%s" % (number, os.urandom(16).hex().encode()), "file", 10, 0o644, 0, 0, 0)
    collector.add(b"d/.wh.gone", "file")
    return collector.finish(tar_bytes)


@pytest.mark.parametrize("tar_bytes", [5120, 0, None])
def test_what_was_put_comes_back(tmp_path: Path, tar_bytes: int | None) -> None:
    cache = LayerCache(tmp_path)
    assert cache.facts(ONE) is None
    put = cache.put(ONE, some_entries(tar_bytes=tar_bytes), reader="a reader's name", read_seconds=1.25)
    assert (put.tar_bytes, put.file_bytes, put.entry_count) == (tar_bytes, 30, 4)
    assert (put.reader, put.read_seconds) == ("a reader's name", 1.25)
    assert LayerCache(tmp_path).facts(ONE) == put
    assert cache.facts(TWO) is None
    assert [path.name for path in cache.folder.iterdir()] == [f"{'1' * 64}.parquet"]


def test_only_a_digest_becomes_a_file_name(tmp_path: Path) -> None:
    for name in (
        "../../etc/passwd",
        "sha256:../x",
        "sha256:" + "A" * 64,
        f"sha256:{'1' * 64}/",
        f"sha256:{'1' * 64}\n",
    ):
        with pytest.raises(StorageError):
            LayerCache(tmp_path).path(name)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "a flipped footer", "of another program"])
def test_a_damaged_file_is_read_again(tmp_path: Path, damage: str) -> None:
    write_archive(tmp_path / "one.tar", "demo/one:1", [{"a": b"x" * 1000}])
    host = ArchiveHost("archives", tmp_path / "one.tar")
    before = analyse_image(host, host.image(""), tmp_path / "layers")
    (path,) = (tmp_path / "layers").rglob("*.parquet")
    content = path.read_bytes()
    path.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "empty": b"",
            "text": b"no Parquet at all",
            "a flipped footer": content[:-20] + bytes([content[-20] ^ 0xFF]) + content[-19:],
            "of another program": _foreign_parquet(tmp_path),
        }[damage]
    )
    after = analyse_image(host, host.image(""), tmp_path / "layers")
    assert after.merged == before.merged
    assert len(path.read_bytes()) == len(content)


def test_whatever_byte_is_damaged_ends_in_an_answer_or_an_error_of_ours(tmp_path: Path) -> None:
    write_archive(tmp_path / "one.tar", "demo/one:1", [{f"a/{number}": b"x" * number for number in range(200)}])
    host = ArchiveHost("archives", tmp_path / "one.tar")
    image = host.image("")
    analyse_image(host, image, tmp_path / "layers")
    (path,) = (tmp_path / "layers").rglob("*.parquet")
    content = path.read_bytes()
    for position in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        with suppress(ImgoptError):
            analyse_image(host, image, tmp_path / "layers")


def _foreign_parquet(folder: Path) -> bytes:
    import duckdb

    duckdb.execute(f"COPY (SELECT 1 AS path) TO '{folder}/foreign.parquet' (FORMAT parquet)")
    return (folder / "foreign.parquet").read_bytes()


def test_numbers_out_of_range_leave_nothing(tmp_path: Path) -> None:
    collector = EntryCollector()
    collector.add(b"a", "file", 1, 0o644, 10**30, 0, 0)
    with pytest.raises(UnreadableLayer, match="out of range"):
        LayerCache(tmp_path).put(ONE, collector.finish(None), reader="r", read_seconds=0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = LayerCache(tmp_path / "file")
    with pytest.raises(StorageError) as caught:
        cache.put(ONE, some_entries(), reader="r", read_seconds=0)
    assert caught.value.subject == str(cache.folder)
    assert "IMGOPT_HOME" in caught.value.hint


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("this user may not mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    cache = LayerCache(small_disk)
    kept = cache.put(ONE, some_entries(), reader="r", read_seconds=0)
    with pytest.raises(StorageError) as caught:
        cache.put(TWO, some_entries(60_000), reader="r", read_seconds=0)
    assert caught.value.subject == str(cache.folder)
    assert "Free some space" in caught.value.hint
    assert cache.facts(ONE) == kept
    assert [path.name for path in cache.folder.iterdir()] == [f"{'1' * 64}.parquet"]


def test_a_file_size_limit_is_told(tmp_path: Path) -> None:
    """The same without root: a process may write no more than some bytes into one file."""
    cache = LayerCache(tmp_path)
    entries = some_entries(60_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(StorageError):
            cache.put(ONE, entries, reader="r", read_seconds=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert cache.facts(ONE) is None
    assert list(cache.folder.iterdir()) == []


def test_prune(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    for name in (ONE, TWO):
        cache.put(name, some_entries(), reader="r", read_seconds=0)
    older = tmp_path / "0" / f"{'1' * 64}.parquet"
    older.parent.mkdir()
    older.write_bytes(b"x" * 100)
    crashed, running = cache.folder / ".part-1-a", cache.folder / ".part-2-b"
    for path in (crashed, running):
        path.write_bytes(b"x" * 10)
    long_ago = time.time() - 2 * 86_400
    os.utime(crashed, (long_ago, long_ago))
    in_use = tmp_path / ".unverified-x" / ANALYSER_VERSION / f"{'3' * 64}.parquet"
    in_use.parent.mkdir(parents=True)
    in_use.write_bytes(b"of an audit that runs now")
    size = cache.path(TWO).stat().st_size
    assert cache.prune({ONE}) == (3, 110 + size)
    assert sorted(path.name for path in (tmp_path / ANALYSER_VERSION).iterdir()) == [
        running.name,
        f"{'1' * 64}.parquet",
    ]
    assert cache.prune({ONE}) == (0, 0)
    assert in_use.exists()
    assert LayerCache(tmp_path / "nothing").prune(set()) == (0, 0)


def test_prune_removes_what_a_killed_audit_left_once_it_is_old(tmp_path: Path) -> None:
    old, young = tmp_path / ".unverified-old", tmp_path / ".unverified-young"
    for folder in (old, young):
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "x.parquet").write_bytes(b"x")
    long_ago = time.time() - 100_000
    os.utime(old, (long_ago, long_ago))
    LayerCache(tmp_path).prune(set())
    assert not old.exists()
    assert (young / "1" / "x.parquet").exists()
