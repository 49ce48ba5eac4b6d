"""A whole move on a disk of its own: everything a folder can hold arrives, and everything is still there at the end."""

import mmap
import os
import subprocess
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from imgopt_pipeline.migrations.content import Pace, SourceChanged, copy_file
from imgopt_pipeline.migrations.copying import copy
from imgopt_pipeline.migrations.deleting import delete_set_aside
from imgopt_pipeline.migrations.ledger import ledger
from imgopt_pipeline.migrations.manifest import read_rows, write_manifest
from imgopt_pipeline.migrations.models import CopyDiffers, Move, MoveFailed, StillWritten
from imgopt_pipeline.migrations.setting_aside import discard_copy, promote, put_back, set_aside, take_back
from imgopt_pipeline.migrations.tree import entry_of, folders, open_folder, opened
from imgopt_pipeline.migrations.verifying import bring_over, compare, verify
from imgopt_pipeline.services.models import Refused
from tests.fault_table import Record

from .grounds import Tree, a_move, contents, lost, make_tree, tmpfs


@pytest.fixture
def before(tmp_path: Path) -> Tree:
    return make_tree(tmp_path / "music")


@pytest.fixture
def move(before: Tree, tmp_path: Path, disk: Path) -> Move:
    return a_move(tmp_path / "music", disk / "music", tmp_path / "actions")


def test_everything_arrives_with_its_properties(move: Move, before: Tree, record_fault: Record) -> None:
    brought = bring_over(move, writers_stopped=True)
    assert contents(move.partial) == before
    assert (brought.open, brought.lost, brought.totals.left_out) == (0, {}, 2)
    assert brought.totals.files == sum(kind == "file" for kind, _ in before.values())
    assert brought.copied_bytes < brought.verified_bytes  # hard links are copied once
    for path in [b"", *before]:
        old = os.lstat(os.path.join(os.fsencode(move.source), path))
        new = os.lstat(os.path.join(os.fsencode(move.partial), path))
        assert (old.st_mode, old.st_uid, old.st_gid, old.st_mtime_ns) == (
            new.st_mode,
            new.st_uid,
            new.st_gid,
            new.st_mtime_ns,
        ), path
    assert (move.partial / "sparse").stat().st_blocks * 512 < 100_000
    assert (move.partial / "deep" / "hard link").stat().st_ino == (move.partial / "another hard link").stat().st_ino
    odd = "names that are not UTF-8, hard links, sparse, 0 bytes, a socket, a pipe"
    record_fault(odd, "copied as they are; socket and pipe left out and told", files_lost=0)


def test_a_move_and_all_the_way_back(move: Move, before: Tree) -> None:
    bring_over(move)
    promote(move)
    assert contents(move.final) == before and not move.partial.exists()
    set_aside(move)
    assert not move.source.exists() and contents(move.aside) == before
    for step in (promote, set_aside):  # again, as after a crash
        step(move)
    put_back(move)
    take_back(move)
    assert contents(move.source) == before and contents(move.partial) == before and not move.final.exists()
    for step in (put_back, take_back):
        step(move)
    discard_copy(move)
    assert not move.partial.exists() and contents(move.source) == before


def test_the_manifest_lists_what_there_was(move: Move, before: Tree) -> None:
    bring_over(move)
    write_manifest(move)
    files = {path: digest for path, (kind, digest) in before.items() if kind == "file"}
    assert {entry.path: digest for entry, digest in read_rows(move.manifest) if digest} == files
    table = pq.read_table(move.manifest)
    assert table.num_rows == len(before) + 1 + 2  # the folder itself, a pipe and a socket
    with ledger(move.ledger) as known:
        samples = known.samples(7)
    assert len(samples) == 7 and all(files[path].hex() == digest for path, _, digest in samples)


def test_the_second_pass_takes_only_what_changed(move: Move) -> None:
    bring_over(move)
    source = move.source
    (source / "album 1" / "1.mp3").write_bytes(b"changed, with its hard links")
    (source / "album 2" / "new").write_bytes(b"new")
    (source / "album 3" / "3.mp3").unlink()
    (source / "empty").unlink()
    (source / "empty").mkdir()  # a file that became a folder
    (source / "empty folder").rmdir()
    (source / "empty folder").write_bytes(b"a folder that became a file")
    os.rename(source / "album 4", source / "album 4 renamed")
    before = contents(source)
    brought = bring_over(move, writers_stopped=True)
    assert contents(move.partial) == before
    assert brought.copied_files < 15
    assert (move.partial / "deep" / "hard link").stat().st_nlink == 3
    assert copy(move).files == 0


def test_same_size_same_time_but_another_content_is_noticed(move: Move) -> None:
    bring_over(move)
    file = move.source / "album 7" / "7.mp3"
    was = file.stat()
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    bring_over(move, writers_stopped=True)
    assert (move.partial / "album 7" / "7.mp3").read_bytes() == content


def test_what_a_program_writes_through_a_mapping_is_noticed(move: Move) -> None:
    """The page is dirty before the copy, so that writing on does not show in the file's times by itself."""
    path = move.source / "album 6" / "30.mp3"
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0:5] = b"first"
        bring_over(move)
        mapped[0:6] = b"second"
    bring_over(move, writers_stopped=True)
    assert (move.partial / "album 6" / "30.mp3").read_bytes() == path.read_bytes()


def test_files_written_meanwhile_stay_open_until_the_writer_stops(move: Move) -> None:
    log, stop = move.source / "album 0" / "log", threading.Event()
    log.write_bytes(b"x" * 20_000_000)

    def write() -> None:
        with open(log, "ab", buffering=0) as file:
            while not stop.wait(0.001):
                file.write(b"line\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        brought = bring_over(move)
        assert brought.open == 1
        with pytest.raises(StillWritten, match="album 0/log"):
            bring_over(move, writers_stopped=True)
    finally:
        stop.set()
        writer.join()
    before = contents(move.source)
    assert bring_over(move, writers_stopped=True).open == 0
    assert contents(move.partial) == before


def test_a_copy_that_rots_is_found_and_made_again(move: Move, before: Tree) -> None:
    copy(move)
    with open(move.partial / "album 5" / "5.mp3", "r+b") as file:
        file.write(b"rotten")
    (move.partial / "album 1" / "9.mp3").unlink()
    os.unlink(move.partial / "dangling")
    found = verify(move)
    assert set(found.different) == {b"album 5/5.mp3", b"album 1/9.mp3", b"dangling"}
    bring_over(move)
    assert contents(move.partial) == before


def test_something_else_in_the_copy_is_said(move: Move) -> None:
    copy(move)
    (move.partial / "album 5" / "foreign").write_text("?")
    with pytest.raises(CopyDiffers, match="album 5/foreign"):
        bring_over(move)


def test_a_copy_that_somebody_removed_is_made_again(move: Move, before: Tree) -> None:
    bring_over(move)
    subprocess.run(["rm", "-rf", move.partial], check=True)
    bring_over(move)
    assert contents(move.partial) == before


def test_nothing_is_promoted_that_was_not_read_back(move: Move) -> None:
    with pytest.raises(MoveFailed):
        promote(move)
    copy(move)
    with pytest.raises(MoveFailed, match="not complete"):
        promote(move)


def test_a_rename_that_was_cut_off_is_made_up_for(move: Move, before: Tree) -> None:
    """Where a rename copies and deletes, a crash leaves some files under either name."""
    bring_over(move)
    with ledger(move.ledger) as known:
        known.note("promoting", 1)
    for name in ("album 1", "empty", "deep"):
        move.final.mkdir(exist_ok=True)
        os.rename(move.partial / name, move.final / name)
    (move.final / "empty").write_bytes(b"half")
    promote(move)
    assert contents(move.final) == before and not move.partial.exists()


def test_what_appears_in_the_way_is_never_written_over(move: Move, before: Tree) -> None:
    bring_over(move)
    move.final.mkdir()
    (move.final / "theirs").write_text("theirs")
    with pytest.raises(Refused):
        promote(move)
    (move.final / "theirs").unlink()
    promote(move)
    set_aside(move)
    move.source.mkdir()  # an engine does so for a container
    set_aside(move)
    put_back(move)
    set_aside(move)
    move.source.mkdir()
    (move.source / "new").write_text("new")
    for step in (set_aside, put_back):
        with pytest.raises(Refused):
            step(move)
    assert (move.source / "new").read_text() == "new" and contents(move.aside) == before


def test_what_a_service_wrote_at_the_new_place_keeps_the_copy(move: Move) -> None:
    bring_over(move)
    promote(move)
    set_aside(move)
    (move.final / "album 1" / "written since").write_text("since")
    assert compare(move).foreign == (b"album 1/written since",)
    put_back(move)
    take_back(move)
    with pytest.raises(Refused, match="album 1/written since"):
        discard_copy(move)
    assert (move.partial / "album 1" / "written since").exists()


def test_the_source_goes_only_where_both_sides_are_equal(tmp_path: Path, disk: Path) -> None:
    # On a disk of its own, where nobody else takes or frees anything.
    with tmpfs(tmp_path / "own", "64m") as own:
        before = make_tree(own / "music")
        _go_when_equal(a_move(own / "music", disk / "music", tmp_path / "actions"), before)


def _go_when_equal(move: Move, before: Tree) -> None:
    bring_over(move)
    with pytest.raises(Refused, match="final name"):
        delete_set_aside(move, kept=move.source)
    promote(move)
    set_aside(move)
    changed = move.final / "album 7" / "7.mp3"
    with open(changed, "r+b") as file:
        file.write(b"changed")
    (move.final / "album 2" / "2.mp3").unlink()
    with pytest.raises(Refused, match=r"album 2/2\.mp3, album 7/7\.mp3"):
        delete_set_aside(move)
    assert contents(move.aside) == before
    (move.aside / "late").write_text("written by a program that had the folder open")
    accepted = [b"album 7/7.mp3", b"album 2/2.mp3"]
    with pytest.raises(Refused, match="late"):
        delete_set_aside(move, accepted=accepted)
    (move.aside / "late").unlink()
    deleted = delete_set_aside(move, accepted=accepted)
    assert not move.aside.exists()
    assert deleted.counted_bytes > 2_000_000
    assert deleted.freed_bytes == pytest.approx(deleted.counted_bytes, rel=0.1)
    assert sorted(lost(before, move.final)) == sorted(accepted)
    assert delete_set_aside(move).files == 0


def test_a_volume_keeps_its_folder(move: Move, before: Tree) -> None:
    bring_over(move)
    promote(move)
    delete_set_aside(move, kept=move.source)
    assert move.source.is_dir() and not any(move.source.iterdir())
    assert lost(before, move.final) == []


def test_a_link_in_place_of_a_folder_leads_nowhere(move: Move, tmp_path: Path) -> None:
    """Whoever owns the data may swap a folder for a link after it was listed; what it leads to must not be taken."""
    outside = tmp_path / "secrets"
    os.rename(move.source / "album 1", outside)
    os.symlink(outside, move.source / "album 1")
    secret = outside / "1.mp3"
    entry = entry_of(b"album 1/1.mp3", secret.stat())
    move.final.mkdir()
    with opened(move.source) as source, opened(move.final) as copy_root:
        with folders(source) as reading, folders(copy_root) as writing, pytest.raises(SourceChanged):
            copy_file(entry, reading, writing, Pace(), holes=True, flush_each=False)
        with pytest.raises(OSError):
            open_folder(source, b"album 1")


def test_times_beyond_all_measure(move: Move, before: Tree) -> None:
    os.utime(move.source / "empty", ns=(2**63 + 5_000_000_000, 2**63 + 5_000_000_000))
    bring_over(move, writers_stopped=True)
    assert lost(before, move.partial) == []
