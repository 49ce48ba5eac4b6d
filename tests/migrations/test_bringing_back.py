"""What was written at the destination is there afterwards, and of what was there before nothing is lost or half."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from imgopt_pipeline.migrations.bringing_back import bring_back
from imgopt_pipeline.migrations.handed_over import note_handed_over
from imgopt_pipeline.migrations.models import Move, MoveFailed
from imgopt_pipeline.migrations.setting_aside import discard_copy, promote, put_back, set_aside, take_back
from imgopt_pipeline.migrations.standing import manual_commands
from imgopt_pipeline.migrations.verifying import bring_over

from .grounds import Tree, a_move, contents, make_tree, tmpfs
from .killing import killed_before_change
from .test_by_hand import a_migration

KINDS = ("file", "folder", "link")


@pytest.fixture
def move(tmp_path: Path, disk: Path) -> Move:
    make_tree(tmp_path / "music")
    return a_move(tmp_path / "music", disk / "music", tmp_path / "actions")


def test_killed_before_every_change(tmp_path: Path) -> None:
    """At every moment each file is as it was or as it is at the destination; the next call makes up for the rest."""
    with tmpfs(tmp_path / "here", "64m") as here, tmpfs(tmp_path / "there", "64m") as there:
        number, killed = 1, True
        while killed:
            move = _used(here / f"{number}" / "data", there / f"{number}", here / "actions" / f"{number}", _small_tree)
            before = contents(move.aside)
            final = _written_to(move)
            killed = killed_before_change(number, partial(_bring_back, move))
            now = contents(move.aside)
            assert _half(now, before, final) == []
            assert _lost_to(now, before, final) == []
            returned = bring_back(move, move.aside)
            now = contents(move.aside)
            assert {path: now.get(path) for path in final} == final
            assert now.keys() - before.keys() - final.keys() == set(map(_kept, _REPLACED)) | {
                _kept(b"folder") + b"/" + name for name in (b"c", b"b again")
            }
            assert all(now[_kept(path)] == before[path] for path in _REPLACED)
            assert set(returned.originals) == set(map(_kept, _REPLACED))
            new = os.stat(move.aside / "new folder")
            assert (new.st_uid, new.st_mode & 0o777) == (1234, 0o751), "a folder has its owner at once"
            for folder in (here / f"{number}", here / "actions", there / f"{number}"):
                shutil.rmtree(folder)
            number += 1
    assert number > 30


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", KINDS)
def test_something_of_another_kind_in_its_place(move: Move, old: str, new: str) -> None:
    _make(move.source / "thing", old, b"original")
    before = contents(move.source)
    _hand_over(move)
    subprocess.run(["rm", "-rf", move.final / "thing"], check=True)
    _make(move.final / "thing", new, b"new")
    final = contents(move.final)
    for _ in range(2):
        returned = bring_back(move, move.aside)
        now = contents(move.aside)
        assert {path: now.get(path) for path in final} == final
        moved = {b"thing.original-m1" + path[5:] for path in before if path.split(b"/")[0] == b"thing"}
        if old == new:
            assert returned.originals == () and not moved & now.keys()
        else:
            assert returned.originals == (b"thing.original-m1",)
            assert {path: now.get(path) for path in moved} == {
                path: before[path.replace(b".original-m1", b"")] for path in moved
            }


def test_names_of_originals_that_are_taken_or_too_long(move: Move) -> None:
    long = b"y" * 255
    for name in (b"a", long):
        Path(os.fsdecode(os.fsencode(move.source) + b"/" + name)).write_bytes(name)
    (move.source / "a.original-m1").write_bytes(b"of an earlier time")
    _hand_over(move)
    for name in (b"a", long):
        os.unlink(os.fsencode(move.final) + b"/" + name)
        os.mkdir(os.fsencode(move.final) + b"/" + name)
    (move.final / "a.original-m1-2").write_bytes(b"new there")
    bring_back(move, move.aside)
    now = contents(move.aside)
    assert _sha256_of(move.aside / "a.original-m1") == now[b"a.original-m1"][1]
    assert (move.aside / "a.original-m1").read_bytes() == b"of an earlier time"
    assert (move.aside / "a.original-m1-2").read_bytes() == b"new there"
    assert (move.aside / "a.original-m1-3").read_bytes() == b"a"
    assert (move.aside / (os.fsdecode(long[: -len(".original-m1")]) + ".original-m1")).read_bytes() == long


def test_a_socket_in_place_of_a_folder_takes_nothing_away(move: Move) -> None:
    before = contents(move.source)
    _hand_over(move)
    shutil.rmtree(move.final / "album 1")
    os.mkfifo(move.final / "album 1")
    assert bring_back(move, move.aside).originals == ()
    assert contents(move.aside) == before


def test_hard_links_stay_links(move: Move) -> None:
    _hand_over(move)
    names = ("album 1/1.mp3", "deep/hard link", "another hard link")
    with open(move.final / names[0], "r+b") as file:
        file.write(b"changed through one name")
    bring_back(move, move.aside)
    assert {(move.aside / name).read_bytes()[:7] for name in names} == {b"changed"}
    assert len({(move.aside / name).stat().st_ino for name in names}) == 1


def test_the_disk_of_the_source_is_full(tmp_path: Path, disk: Path) -> None:
    with tmpfs(tmp_path / "here", "6m") as here:
        (here / "data").mkdir()
        for name in ("a", "b"):
            (here / "data" / name).write_bytes(os.urandom(1_500_000))
        move = a_move(here / "data", disk / "data", tmp_path / "actions")
        _hand_over(move)
        before = contents(move.aside)
        for name in ("a", "b", "new"):
            (move.final / name).write_bytes(os.urandom(1_600_000))
        final = contents(move.final)
        (here / "filling").write_bytes(b"x" * 2_500_000)
        with pytest.raises(MoveFailed, match="no space is left there"):
            bring_back(move, move.aside)
        now = contents(move.aside)
        assert now.keys() == before.keys()
        assert _half(now, before, final) == []
        (here / "filling").unlink()
        bring_back(move, move.aside)
        assert contents(move.aside) == final


def test_given_up_after_originals_were_kept(move: Move) -> None:
    """What is kept beside is the source's own by then: it does not keep the copy from being given up."""
    _hand_over(move)
    shutil.rmtree(move.final / "album 1")
    os.symlink("album 2", move.final / "album 1")
    bring_back(move, move.aside)
    put_back(move)
    take_back(move)
    now = contents(move.source)
    bring_over(move)
    discard_copy(move)
    assert contents(move.source) == now and not move.partial.exists()


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is missing")
def test_by_hand_a_file_that_was_cut_short_is_made_up_for(move: Move) -> None:
    """It is newer than the whole one, as what was cut off leaves it."""
    _hand_over(move)
    changed = Path("album 7") / "7.mp3"
    with open(move.final / changed, "r+b") as file:
        file.write(b"changed")
    (move.aside / changed).write_bytes(b"chan")
    final = contents(move.final)
    commands = manual_commands(a_migration(move.source, move.final), move.folder)
    (command,) = [command for command in commands if command.startswith("rsync ")]
    subprocess.run(["bash", "-c", command], check=True)
    assert contents(move.aside) == final


_REPLACED = (b"a", b"folder", b"link")


def _kept(path: bytes) -> bytes:
    return path + b".original-m1"


def _small_tree(source: Path) -> None:
    (source / "folder").mkdir(parents=True)
    for name, size in (("a", 10), ("b", 5000), ("large", 2_500_000), ("deleted", 100), ("folder/c", 70_000)):
        (source / name).write_bytes(os.urandom(size))
    os.link(source / "b", source / "folder" / "b again")
    os.symlink("a", source / "link")
    os.symlink("b", source / "another link")


def _written_to(move: Move) -> Tree:
    """What a service may do with it; what is there then."""
    there = move.final
    shutil.rmtree(there / "folder")
    os.symlink("/tmp", there / "folder")
    (there / "a").unlink()
    (there / "a").mkdir()
    (there / "a" / "below").write_bytes(b"below")
    (there / "link").unlink()
    (there / "link").write_bytes(b"a file by now")
    (there / "another link").unlink()
    os.symlink("large", there / "another link")
    (there / "deleted").unlink()
    with open(there / "large", "r+b") as file:
        file.write(b"changed")
    (there / "new folder").mkdir()
    (there / "new folder" / "new").write_bytes(os.urandom(3000))
    os.link(there / "new folder" / "new", there / "new folder" / "again")
    os.chown(there / "new folder", 1234, 1234)
    os.chmod(there / "new folder", 0o751)
    return contents(there)


def _used(source: Path, final: Path, actions: Path, make: Callable[[Path], None]) -> Move:
    """A source that was moved, and is in use at the destination."""
    make(source)
    move = a_move(source, final, actions, workers=1)
    _hand_over(move)
    return move


def _hand_over(move: Move) -> None:
    bring_over(move)
    promote(move)
    note_handed_over(move)
    set_aside(move)


def _bring_back(move: Move) -> None:
    bring_back(move, move.aside)


def _half(now: Tree, before: Tree, final: Tree) -> list[bytes]:
    """Files that are neither as they were nor as they are to be, but for what is being made beside."""
    return [
        path
        for path, what in now.items()
        if what[0] == "file"
        and b".bringing-" not in path
        and what not in (before.get(path), final.get(path), before.get(path.replace(b".original-m1", b"")))
    ]


def _lost_to(now: Tree, before: Tree, final: Tree) -> list[bytes]:
    """Files of before that are nowhere, and that the service did not write over."""
    there = set(now.values())
    return [
        path
        for path, what in before.items()
        if what[0] == "file" and what not in there and final.get(path, ("",))[0] != "file"
    ]


def _make(path: Path, kind: str, content: bytes) -> None:
    if kind == "file":
        path.write_bytes(content)
    elif kind == "link":
        os.symlink(os.fsdecode(content), path)
    else:
        path.mkdir()
        (path / "in it").write_bytes(content)


def _sha256_of(path: Path) -> bytes:
    return contents(path.parent)[os.fsencode(path.name)][1]
