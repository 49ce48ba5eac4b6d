"""Moving aside, back, and away for good: nothing is followed, overwritten or mistaken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgopt_pipeline.cleaning.aside import aside_path, lies_aside, move_aside, put_back, remove_for_good, stands
from imgopt_pipeline.cleaning.models import CleaningFailed
from imgopt_pipeline.services.models import Refused
from tests.cleaning.made import application

ACTION = "clean-1"


@pytest.fixture(params=["shop", "-rf", "line\nbreak", "\udcff\udcfe", "$(touch x)"])
def modules(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(application(tmp_path / request.param) / "node_modules")


def inode(path: str) -> int:
    return os.lstat(path).st_ino


def test_forth_and_back_any_number_of_times(modules: str) -> None:
    known = inode(modules)
    for _ in range(2):
        move_aside(modules, ACTION, known)
    assert lies_aside(modules, ACTION, known)
    assert not os.path.lexists(modules)
    for _ in range(2):
        put_back(modules, ACTION, known)
    assert stands(modules, known)
    assert not lies_aside(modules, ACTION, known)


def test_what_was_made_again_is_never_touched(modules: str) -> None:
    known = inode(modules)
    move_aside(modules, ACTION, known)
    os.mkdir(modules)
    with pytest.raises(Refused, match="something else stands in that place"):
        put_back(modules, ACTION, known)
    with pytest.raises(Refused, match="something else stands in that place"):
        move_aside(modules, ACTION, inode(modules))
    assert lies_aside(modules, ACTION, known)
    assert os.listdir(modules) == []


def test_another_directory_is_refused(modules: str) -> None:
    with pytest.raises(Refused, match="not what it was"):
        move_aside(modules, ACTION, inode(modules) + 1)
    move_aside(modules, ACTION, known := inode(modules))
    with pytest.raises(Refused, match="another directory"):
        remove_for_good(modules, ACTION, known + 1)
    assert lies_aside(modules, ACTION, known)


@pytest.mark.parametrize("where", ["parent", "itself"])
def test_no_link_is_followed(modules: str, tmp_path: Path, where: str) -> None:
    known = inode(modules)
    if where == "parent":
        elsewhere = tmp_path / "elsewhere"
        os.rename(os.path.dirname(modules), elsewhere)
        os.symlink(elsewhere, os.path.dirname(modules))
    else:
        os.rename(modules, modules + "-real")
        os.symlink(modules + "-real", modules)
    with pytest.raises(Refused):
        move_aside(modules, ACTION, known)
    with pytest.raises(Refused):
        move_aside(modules, ACTION, 0)


def test_removing_stays_inside_and_can_be_begun_again(modules: str, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    os.symlink(precious, os.path.join(modules, "link"))
    move_aside(modules, ACTION, known := inode(modules))
    os.unlink(os.path.join(aside_path(modules, ACTION), "left-pad", "index.js"))  # as a kill left it
    for _ in range(2):
        remove_for_good(modules, ACTION, known)
    assert not os.path.lexists(aside_path(modules, ACTION))
    assert (precious / "file").exists()
    assert "package.json" in os.listdir(os.path.dirname(modules))


def test_a_folder_that_went(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone" / "node_modules")
    assert not lies_aside(gone, ACTION, 1)
    with pytest.raises(CleaningFailed, match="cannot be moved"):
        move_aside(gone, ACTION, 1)
