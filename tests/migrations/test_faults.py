"""What goes wrong on the way, really: no fault may cost a file, and each is made up for by going on."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.journal.journal import Journal
from imgopt_pipeline.journal.steps import Step, run_steps
from imgopt_pipeline.migrations.copying import copy
from imgopt_pipeline.migrations.deleting import delete_set_aside
from imgopt_pipeline.migrations.manifest import write_manifest
from imgopt_pipeline.migrations.models import DestinationFull, MountGone, Move, MoveFailed, Unreadable
from imgopt_pipeline.migrations.setting_aside import promote, set_aside
from imgopt_pipeline.migrations.verifying import bring_over, verify
from tests.fault_table import Record

from .grounds import a_move, contents, ext4, lost, make_tree, rclone, tmpfs, unmount
from .killing import killed_before_change


def test_killed_before_every_change_of_anything(tmp_path: Path, record_fault: Record) -> None:
    """kill -9 before each system call that changes something, journal included; then it goes on by itself."""
    with tmpfs(tmp_path / "here", "64m") as here, tmpfs(tmp_path / "there", "64m") as there:
        number, killed = 1, True
        while killed:
            source, final = here / f"{number}" / "data", there / f"{number}"
            before = _small_tree(source)
            move = a_move(source, final, here / "actions", action_id=f"k{number}", workers=1)
            killed = killed_before_change(number, partial(_whole_move, move))
            assert lost(before, move.source, move.aside, move.final) == []
            _whole_move(move)
            assert contents(final) == before
            assert not move.source.exists() and not move.aside.exists() and not move.partial.exists()
            for folder in (here / f"{number}", here / "actions", final):
                shutil.rmtree(folder)
            number += 1
    assert number > 60
    record_fault(f"kill -9 before each of {number} system calls of moving files", "gone on with", files_lost=0)


def test_the_destination_fills_up(tmp_path: Path, record_fault: Record) -> None:
    before = make_tree(tmp_path / "music", special=False)
    with tmpfs(tmp_path, "4m") as small:
        move = a_move(tmp_path / "music", small / "music", tmp_path / "actions")
        with pytest.raises(DestinationFull, match="the source is whole"):
            bring_over(move)
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        brought = bring_over(move)
        assert brought.copied_files < brought.totals.files
        assert contents(move.partial) == before
    assert lost(before, move.source) == []
    record_fault("disk full while copying", "stopped, gone on with once there was room", files_lost=0)


def test_the_destination_is_unmounted_in_the_middle(tmp_path: Path, record_fault: Record) -> None:
    before = make_tree(tmp_path / "music", special=False)
    with ext4(tmp_path / "ext4") as mounted:
        move = replace(a_move(tmp_path / "music", mounted / "music", tmp_path / "actions"), bytes_per_second=2_000_000)
        cut = threading.Timer(0.7, lambda: unmount(mounted))
        cut.start()
        with pytest.raises(MountGone):
            bring_over(move)
        cut.join()
        assert list(mounted.iterdir()) == []
        for step in (copy, verify, promote, delete_set_aside):
            if step is delete_set_aside:
                set_aside(move)
            with pytest.raises(MountGone):
                step(move)
        assert list(mounted.iterdir()) == [] and lost(before, move.aside) == []
        os.rename(move.aside, move.source)
        subprocess.run(["mount", "-o", "loop", tmp_path / "ext4" / "disk", mounted], check=True)
        bring_over(replace(move, bytes_per_second=None))
        assert contents(move.partial) == before
        record_fault("destination unmounted while copying", "stopped, nothing below the mount point", files_lost=0)


def test_another_file_system_in_its_place(tmp_path: Path, disk: Path, record_fault: Record) -> None:
    make_tree(tmp_path / "music")
    move = a_move(tmp_path / "music", disk / "music", tmp_path / "actions")
    copy(move)
    subprocess.run(["mount", "-t", "tmpfs", "other", disk], check=True)
    with pytest.raises(MountGone, match="ext4"):
        copy(move)
    assert list(disk.iterdir()) == []
    record_fault("another file system mounted over it", "stopped, nothing written there", files_lost=0)


def test_the_source_is_emptied_while_it_is_copied(tmp_path: Path, disk: Path, record_fault: Record) -> None:
    make_tree(tmp_path / "music")
    move = replace(a_move(tmp_path / "music", disk / "music", tmp_path / "actions"), bytes_per_second=8_000_000)

    def delete() -> None:
        for path in sorted(move.source.rglob("*.mp3"), reverse=True):
            path.unlink()
            time.sleep(0.01)

    deleting = threading.Thread(target=delete)
    deleting.start()
    bring_over(move)
    deleting.join()
    before = contents(move.source)
    bring_over(move, writers_stopped=True)
    assert contents(move.partial) == before
    record_fault("source deleted while it is copied", "the copy is what is left of it", files_lost=0)


def test_unreadable_files_stop_it_with_their_names(tmp_path: Path, disk: Path, record_fault: Record) -> None:
    """Root reads everything, so somebody else moves here."""
    source = tmp_path / "data"
    before = _small_tree(source)
    (source / "folder" / "closed").write_text("closed")
    (source / "shut").mkdir()
    for path, mode in ((source / "folder" / "closed", 0), (source / "shut", 0)):
        path.chmod(mode)
    move = a_move(source, disk / "data", tmp_path / "actions")
    for path in (disk, tmp_path):
        os.chown(path, 65534, 65534)
    for path in (source, *source.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and parent != Path("/") and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    assert "shut" in _as_nobody(lambda: copy(move), Unreadable)
    (source / "shut").rmdir()
    assert "folder/closed" in _as_nobody(lambda: copy(move), Unreadable)
    (source / "folder" / "closed").unlink()
    assert _as_nobody(lambda: bring_over(move), Unreadable) == ""
    assert contents(move.partial) == before
    record_fault("unreadable files", "stopped with their names", files_lost=0)


def test_four_gigabytes_that_are_mostly_holes(tmp_path: Path, disk: Path, record_fault: Record) -> None:
    source = tmp_path / "data"
    source.mkdir()
    with open(source / "large", "wb") as file:
        file.truncate(4 << 30)
        file.seek(2 << 30)
        file.write(b"middle")
    move = a_move(source, disk / "data", tmp_path / "actions")
    copied = copy(move)
    assert copied.file_bytes == 4 << 30
    there = move.partial / "large"
    assert there.stat().st_size == 4 << 30 and there.stat().st_blocks < 100
    with open(there, "r+b") as file:
        file.seek(3 << 30)
        file.write(b"x")
    assert verify(move).different == (b"large",)
    record_fault("4 GB, sparse; a byte of the copy changed", "copied with its holes; the change is found", files_lost=0)


@pytest.mark.needs("rclone")
@pytest.mark.parametrize("remote", [":local:", ":memory:bucket"])
def test_a_remote_by_rclone(tmp_path: Path, remote: str) -> None:
    make_tree(tmp_path / "music", links=False, odd_names=False, special=False)
    with rclone(tmp_path, remote) as mounted:
        move = a_move(tmp_path / "music", mounted / "music", tmp_path / "actions")
        assert move.filesystem == "fuse.rclone"
        bring_over(move)
        if remote == ":local:":  # what was read back was sent, and did not only come out of rclone's cache
            assert contents(tmp_path / "behind the remote" / move.partial.name) == contents(move.source)
        (move.source / "album 2" / "late").write_text("late")
        (move.source / "empty").unlink()
        before = contents(move.source)
        bring_over(move, writers_stopped=True)
        promote(move)
        set_aside(move)
        assert contents(move.final) == before
        delete_set_aside(move)
        assert not move.aside.exists() and contents(move.final) == before


@pytest.mark.needs("rclone")
def test_rclone_dies_in_the_middle(tmp_path: Path, record_fault: Record) -> None:
    before = make_tree(tmp_path / "music", links=False, odd_names=False, special=False)
    with rclone(tmp_path) as mounted:
        move = replace(a_move(tmp_path / "music", mounted / "music", tmp_path / "actions"), bytes_per_second=3_000_000)
        [pid] = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _runs(int(pid), mounted)]
        killing = threading.Timer(0.5, lambda: os.kill(pid, signal.SIGKILL))
        killing.start()
        with pytest.raises(MoveFailed, match="the source is whole"):
            bring_over(move)
        killing.join()
    assert lost(before, move.source) == []
    record_fault("rclone killed while copying", "stopped, the source is whole", files_lost=0)


def _runs(pid: int, mounted: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].endswith(b"rclone") and os.fsencode(mounted) in words


def _small_tree(source: Path) -> dict[bytes, tuple[str, bytes]]:
    (source / "folder").mkdir(parents=True)
    for name, size in (("a", 0), ("b", 5000), ("folder/c", 70_000)):
        (source / name).write_bytes(os.urandom(size))
    os.link(source / "b", source / "folder" / "b again")
    os.symlink("a", source / "link")
    return contents(source)


def _whole_move(move: Move) -> None:
    def second_pass() -> None:
        bring_over(move, writers_stopped=True)
        write_manifest(move)

    steps: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("copy", lambda: bring_over(move)),
        ("delta", second_pass),
        ("promote", lambda: promote(move)),
        ("set aside", lambda: set_aside(move)),
        ("delete", lambda: delete_set_aside(move)),
    )

    def quiet(do: Callable[[], Any]) -> Callable[[], None]:
        return lambda: do() and None

    run_steps(Journal(move.folder), [Step(name, quiet(do)) for name, do in steps])


def _as_nobody(work: Callable[[], Any], expected: type[Exception]) -> str:
    """What work says that it failed with, or nothing."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        try:
            work()
        except expected as error:
            os.write(writing, str(error).encode())
        except BaseException as error:  # noqa: BLE001  (nothing may get back into pytest)
            os.write(writing, f"unexpected {error!r}".encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with open(reading) as said:
        return said.read()
