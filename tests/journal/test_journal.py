"""The journal survives what ends a process at any moment, and says so where it is damaged."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.journal.journal import BEGUN, DONE, FILE_NAME, Journal, journals, write_durably


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one")
    journal.append("switch", BEGUN)
    journal.append("switch", DONE, container="web", count=3)
    again = Journal(tmp_path / "one")
    assert again.entries == journal.entries
    assert again.facts("switch") == {"container": "web", "count": 3}
    assert again.last("switch", BEGUN) == journal.entries[0]


@given(cut=st.integers(min_value=0))
def test_wherever_a_crash_cuts_it_the_whole_lines_before_count(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    journal = Journal(folder)
    for number in range(4):
        journal.append(f"step {number}", DONE, text="x" * number)
    whole = journal.path.read_bytes()
    kept = whole[: cut % (len(whole) + 1)]
    journal.path.write_bytes(kept)
    again = Journal(folder)
    assert len(again.entries) == kept.count(b"\n")
    again.append("after", DONE)
    lines = again.path.read_bytes().splitlines()
    assert len(lines) == kept.count(b"\n") + 1
    assert Journal(folder).entries[-1].step == "after"


def test_damage_in_the_middle_is_told_and_not_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append(f"step {number}", DONE)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(lines[0] + b"\0" * len(lines[1]) + b"\n" + lines[2])
    with pytest.raises(StorageError, match="line 2 of the journal is damaged"):
        Journal(tmp_path)


def test_a_reserve_lets_it_go_on_where_the_disk_is_full(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        journal = Journal(disk / "action")
        journal.append("switch", BEGUN)
        journal.reserve()
        _fill(disk / "other")
        for number in range(100):
            journal.append("switch", DONE, number=number, text="x" * 1000)
        assert len(Journal(disk / "action").entries) == 101
        with pytest.raises(StorageError, match="cannot be written"):
            for _ in range(2000):
                journal.append("switch", DONE, text="x" * 1000)
        assert len(Journal(disk / "action").entries) == len(journal.entries)
    finally:
        subprocess.run(["umount", disk], check=True)


def _fill(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(OSError, match="space"):
            while True:
                os.write(descriptor, b"\0" * 4096)
    finally:
        os.close(descriptor)


def test_journals_come_oldest_first(tmp_path: Path) -> None:
    for name in ("b", "a"):
        Journal(tmp_path / name).append("action", DONE)
    assert [journal.action_id for journal in journals(tmp_path)] == ["b", "a"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    script = (
        "import os, sys, pathlib\n"
        "from imgopt_pipeline.journal import journal\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "journal.write_durably(pathlib.Path(sys.argv[1]), b'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == 9
    assert path.read_bytes() == b"old"
    write_durably(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_link_that_waits_beside_is_not_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, path = tmp_path / "victim", tmp_path / "folder" / "file"
    path.parent.mkdir()
    victim.write_bytes(b"theirs")
    (path.parent / ".file.part").symlink_to(victim)
    write_durably(path, b"ours")
    assert (victim.read_bytes(), path.read_bytes()) == (b"theirs", b"ours")

    # Not even where its name is guessed.
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    monkeypatch.setattr("pathlib.Path.glob", lambda *_: ())
    (path.parent / ".file.guessed.part").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_durably(path, b"newer")
    assert (victim.read_bytes(), path.read_bytes()) == (b"theirs", b"ours")


def test_a_file_has_its_mode_and_owner_when_it_comes_into_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, owner = tmp_path / "file", (4321, 4322) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    path.symlink_to(tmp_path / "elsewhere")
    write_durably(path, b"", mode=0o644, owner=owner)
    found = path.lstat()
    assert (found.st_mode, found.st_uid, found.st_gid) == (stat.S_IFREG | 0o644, *owner)
    write_durably(path, b"")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_part_of_a_file_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f[i]le"
    (tmp_path / ".f[i]le.0123.part").write_bytes(b"of a crash")
    (tmp_path / ".f[i]le.folder.part").mkdir()
    (tmp_path / ".file.0123.part").write_bytes(b"another's")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_durably(path, b"new")
    assert {each.name for each in tmp_path.iterdir()} == {".f[i]le.folder.part", ".file.0123.part"}


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one")
    journal.append("action", DONE)
    assert (tmp_path / "one" / FILE_NAME).stat().st_mode & 0o077 == 0
