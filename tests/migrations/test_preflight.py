"""Looking before: what cannot work is refused before anything is copied, and what is lost is said."""

import os
import subprocess
from pathlib import Path

import pytest

from imgopt_pipeline.migrations.models import Move
from imgopt_pipeline.migrations.preflight import Preflight, preflight
from imgopt_pipeline.migrations.verifying import bring_over

from .grounds import contents, exfat, make_tree, rclone, tmpfs


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_tree(tmp_path / "music")
    return tmp_path / "music"


def failed(looked: Preflight) -> set[str]:
    return {check.check for check in looked.checks if check.outcome == "failed"}


def test_a_disk_takes_it_all(source: Path, disk: Path) -> None:
    looked = preflight(source, disk / "music", filesystem="ext4")
    assert looked.passed and looked.final == disk / "music" and looked.filesystem == "ext4"
    assert looked.losses == ("2 socket, FIFO or devices left out: pipe, s",) or "left out: pipe, s" in looked.losses[0]
    assert looked.free_bytes is not None and looked.largest_bytes == 8_000_000
    assert looked.needed_bytes < looked.totals.file_bytes
    assert list(disk.iterdir()) == []


def test_a_mount_point_itself_takes_it_under_its_name(source: Path, disk: Path) -> None:
    assert preflight(source, disk).final == disk / "music"


def test_an_unmounted_mount_point_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    assert "mounted" in failed(preflight(source, tmp_path / "remote" / "music"))


def test_another_kind_of_mount_is_refused(source: Path, disk: Path) -> None:
    assert failed(preflight(source, disk / "music", filesystem="fuse.rclone")) == {"mounted"}


def test_sources_that_cannot_be_moved(source: Path, disk: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    assert "source" in failed(preflight(tmp_path / "link", disk / "x"))
    assert "source" in failed(preflight(tmp_path / "none", disk / "x"))
    with tmpfs(tmp_path, "1m") as mounted:
        assert "source" in failed(preflight(mounted, disk / "x"))
    subprocess.run(["mount", "--bind", source / "album 1", source / "empty folder"], check=True)
    try:
        assert failed(preflight(source, disk / "x")) == {"nothing mounted in the source"}
    finally:
        subprocess.run(["umount", source / "empty folder"], check=True)


def test_destinations_that_are_taken(source: Path, disk: Path) -> None:
    (disk / "music").mkdir()
    (disk / ".partial-m1").mkdir()
    assert preflight(source, disk / "music").passed
    (disk / "music" / "x").touch()
    assert failed(preflight(source, disk / "music")) == {"destination free"}
    assert failed(preflight(source, disk / "no" / "music")) == {"destination"}
    assert "apart" in failed(preflight(source, source / "inside"))


def test_too_little_space_and_read_only(source: Path, disk: Path, tmp_path: Path) -> None:
    with tmpfs(tmp_path, "1m") as small:
        assert "space" in failed(preflight(source, small / "music"))
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(Exception, match="Read-only"):
        preflight(source, disk / "music")


@pytest.mark.needs("rclone")
def test_a_remote_that_does_not_know_its_size(source: Path, tmp_path: Path) -> None:
    with rclone(tmp_path, ":memory:bucket") as mounted:
        looked = preflight(source, mounted / "music", filesystem="fuse.rclone")
    outcomes = {check.check: check.outcome for check in looked.checks}
    assert looked.free_bytes is None and outcomes["space"] == "unverified"
    assert "symbolic links" in failed(looked)
    assert any("owners" in loss for loss in looked.losses)


@pytest.mark.needs("exfat")
def test_a_file_system_of_few_abilities(tmp_path: Path) -> None:
    source = tmp_path / "data"
    source.mkdir()
    for name in ("Read me", "read ME", "what?", "plain"):
        (source / name).write_text(name)
    os.chown(source / "plain", 1000, 1000)
    with exfat(tmp_path / "exfat") as mounted:
        looked = preflight(source, mounted / "data")
        assert {"names", "names in another case"} <= failed(looked)
        assert {"owners", "modes"} <= {loss.split()[0] for loss in looked.losses}
        (source / "read ME").unlink()
        (source / "what?").rename(source / "what")
        looked = preflight(source, mounted / "data")
        assert looked.passed, looked.checks
        move = Move("m1", source, looked.final, tmp_path / "m1", looked.mount_point, looked.filesystem)
        bring_over(move)
        assert contents(move.partial) == contents(source)
