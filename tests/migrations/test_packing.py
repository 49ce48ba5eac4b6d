"""Backups and archives of unused files: what comes out is what went in, or it is said."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imgopt_pipeline.migrations.archiving import archive_unused, find_unused, restore_archived
from imgopt_pipeline.migrations.backing_up import back_up, entries_of, restore_backup, verify_backup
from imgopt_pipeline.migrations.models import CopyDiffers
from imgopt_pipeline.migrations.packing import pack
from imgopt_pipeline.services.models import Refused, SubjectNotFound

from .grounds import contents, lost, make_tree

_DAYS = 86_400


def test_a_backup_comes_back_as_it_was(tmp_path: Path) -> None:
    before = make_tree(tmp_path / "music")
    os.setxattr(tmp_path / "music" / "empty", "user.binary", b"\xff\0=\n")
    packed = back_up(tmp_path / "music", tmp_path / "backups", "m1")
    again = back_up(tmp_path / "music", tmp_path / "backups", "m1")
    assert again == packed and packed.archive_bytes < packed.file_bytes
    restored = tmp_path / "restored"
    restore_backup(packed.archive, restored)
    assert contents(restored) == before
    for path in before:
        old, new = os.lstat(tmp_path / "music" / os.fsdecode(path)), os.lstat(restored / os.fsdecode(path))
        assert (old.st_mode, old.st_uid, old.st_gid, old.st_mtime_ns) == (
            new.st_mode,
            new.st_uid,
            new.st_gid,
            new.st_mtime_ns,
        ), path
    assert (restored / "sparse").stat().st_blocks * 512 < 200_000
    assert (restored / "deep" / "hard link").stat().st_nlink == 3
    assert os.getxattr(restored / "empty", "user.binary") == b"\xff\0=\n"
    (restored / "album 1" / "1.mp3").unlink()
    restore_backup(packed.archive, restored)  # what is there and equal stays
    assert contents(restored) == before
    (restored / "album 1" / "9.mp3").write_text("another")
    with pytest.raises(Refused):
        restore_backup(packed.archive, restored)


def test_a_damaged_backup_is_found(tmp_path: Path) -> None:
    make_tree(tmp_path / "music")
    archive = back_up(tmp_path / "music", tmp_path / "backups", "m1").archive
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(CopyDiffers):
        verify_backup(archive)
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(CopyDiffers):
        verify_backup(archive)


def test_unused_files_go_into_an_archive_and_come_back_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    make_tree(folder, special=False)
    before = contents(folder)
    now = datetime.now(UTC)
    old = time.time() - 200 * _DAYS
    for path in (*folder.glob("album 1/*"), folder / "deep" / "hard link", folder / "latin \udce9.txt"):
        os.utime(path, (old, old))
    os.utime(folder / "album 1" / "9.mp3", (time.time(), old))  # read lately
    unused = find_unused(folder, 100, now)
    archived = archive_unused(folder, tmp_path / "archives", "a1", 100, now)
    assert archived.deleted == unused.files == 4 + 2 + 1
    assert f"music-{now:%Y-%m-%d}-a1" in archived.packed.archive.name
    assert (folder / "album 1" / "9.mp3").exists() and not (folder / "album 1" / "17.mp3").exists()
    assert archive_unused(folder, tmp_path / "archives", "a1", 100, now).deleted == 0
    restore_archived(archived.packed.archive, folder, [b"album 1/17.mp3", b"latin \xe9.txt"])
    assert (folder / "album 1" / "17.mp3").exists() and not (folder / "album 1" / "25.mp3").exists()
    with pytest.raises(SubjectNotFound, match="no such"):
        restore_archived(archived.packed.archive, folder, [b"no such"])
    restore_archived(archived.packed.archive, folder)
    assert lost(before, folder) == []


def test_an_original_that_changed_since_stays(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    make_tree(folder, special=False, links=False)
    old = time.time() - 200 * _DAYS
    for path in folder.glob("album 2/*"):
        os.utime(path, (old, old))
    now = datetime.now(UTC)
    entries = [e for e in entries_of(folder) if e.path.startswith(b"album 2/")]
    archive = tmp_path / "archives" / f"music-{now:%Y-%m-%d}-a1.tar.zst"
    pack(folder, archive, entries, hard_links=False)
    (folder / "album 2" / "2.mp3").write_text("used again")
    archived = archive_unused(folder, tmp_path / "archives", "a1", 100, now)
    assert archived.kept == (b"album 2/2.mp3",) and (folder / "album 2" / "2.mp3").read_text() == "used again"
    assert archived.deleted == len(entries) - 1
