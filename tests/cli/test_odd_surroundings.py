"""The program in surroundings that nobody wishes for: folders gone, output closed, four first audits at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imgopt_pipeline.cli.output import told
from imgopt_pipeline.errors import ImgoptError
from tests.cli.test_commands import LAYERS, environment
from tests.small_archive import digest, layer_tar, write_archive

PROGRAM = [sys.executable, "-m", "imgopt_pipeline.cli"]


def shell(command: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in which $IMGOPT stands for the program."""
    return subprocess.run(
        ["sh", "-c", command],
        env=environment(home) | {"IMGOPT": " ".join(PROGRAM)} | more,
        cwd=home.parent,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    write_archive(folder / "archives" / "one.tar", "demo/one:1", LAYERS)
    return folder


def test_four_first_audits_at_once(home: Path) -> None:
    running = [
        subprocess.Popen([*PROGRAM, "audit"], env=environment(home), cwd=home, stdout=-1, stderr=-1, text=True)
        for _ in range(4)
    ]
    for process in running:
        said = "".join(process.communicate())
        assert process.returncode == 0, said
        assert "Traceback" not in said
    after = shell("$IMGOPT audit && $IMGOPT sql --json 'SELECT status FROM audits'", home)
    assert after.stdout.count('"complete"') == 5, after.stderr


def test_a_folder_that_is_gone(home: Path) -> None:
    done = shell("mkdir gone && cd gone && rmdir ../gone && $IMGOPT images", home)
    assert "Traceback" not in done.stderr
    assert done.returncode == 3
    assert "imgopt audit" in done.stderr


@pytest.mark.parametrize("name", ["a*b", "a?b", "a[b]", "a\tb"])
def test_a_home_that_databases_cannot_name(home: Path, name: str) -> None:
    done = shell("$IMGOPT images", home, IMGOPT_HOME=str(home / name))
    assert done.returncode == 2
    assert "folder's name" in done.stderr


@pytest.mark.parametrize("name", ["with space", "it's", 'a "quote"', "größer"])
def test_a_home_with_an_odd_name(home: Path, name: str) -> None:
    odd = home.parent / name
    shutil.move(home, odd)
    done = shell("$IMGOPT audit", home.parent / "x", IMGOPT_HOME=str(odd))
    assert done.returncode == 0, done.stderr
    assert "demo/one:1" in done.stdout


def test_a_name_that_is_typed_with_a_line_break_stays_on_its_line(home: Path) -> None:
    name = "a\nb\x1b[31m\\c"
    done = subprocess.run([*PROGRAM, "rollback", name], env=environment(home), cwd=home, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("imgopt: a\\x0ab\\x1b[31m\\\\c: no deployment of it"), done.stderr
    assert (done.stderr.count("\n"), "\x1b" in done.stderr) == (1, False)
    # What a message says in several lines stays so.
    error = ImgoptError("what stands where:\n  a\nb is gone\n  tab\there", subject="a\nb")
    assert told(error) == "what stands where:\n  a\\x0ab is gone\n  tab\\x09here"


def test_output_that_cannot_be_written(home: Path) -> None:
    assert shell("$IMGOPT audit >/dev/null", home).returncode == 0
    for command in (
        "$IMGOPT report >&-",
        "$IMGOPT report >/dev/full",
        "$IMGOPT report 2>&-",
        "$IMGOPT report | head -1",
    ):
        assert "Traceback" not in shell(command, home).stderr, command
    assert "demo/one:1" in shell("$IMGOPT report", home, PYTHONIOENCODING="ascii").stdout


def test_unreadable_files_are_problems_of_their_own(home: Path) -> None:
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    for name in ("locked", "locked.tar"):
        write_archive(home / "archives" / name, "locked:1", LAYERS)
        (home / "archives" / name).chmod(0)
    (home / "archives" / "folder").mkdir(mode=0)
    without_powers = "setpriv --bounding-set=-all --inh-caps=-all " if os.geteuid() == 0 else ""
    done = shell(f"{without_powers}$IMGOPT audit", home)
    assert done.returncode == 0, done.stderr
    assert "demo/one:1" in done.stdout
    assert "locked.tar" in done.stdout


def test_a_date_no_calendar_has(home: Path) -> None:
    layer = layer_tar({"a": b"1"})
    config = {"created": "9999-12-31T23:59:59-23:59", "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}
    content = json.dumps(config).encode()
    name = f"{digest(content)[7:]}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["late:1"], "Layers": ["l.tar"]}]).encode()
    members = {name: content, "l.tar": layer, "manifest.json": manifest}
    (home / "archives" / "late.tar").write_bytes(layer_tar(members))
    done = shell("$IMGOPT audit", home)
    assert done.returncode == 0, done.stderr
    assert "late:1" in done.stdout
