"""The commands about contents, findings and the plan, as a user runs them on a folder of two archives.

One holds a Python package, a Node package with broken neighbours, caches and dead bytes; the other a CUDA build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.small_archive import write_archive

TOP = Path(__file__).parents[2]
SITE = "usr/lib/python3/site-packages"
APP = [
    {
        f"{SITE}/shop-1.2.dist-info/METADATA": b"Metadata-Version: 2.1\nName: shop\nVersion: 1.2\n",
        f"{SITE}/shop-1.2.dist-info/RECORD": (
            b"shop/__init__.py,,\nshop-1.2.dist-info/METADATA,,\nshop-1.2.dist-info/RECORD,,\n"
        ),
        f"{SITE}/shop/__init__.py": b"x" * 3_000_000,
        "srv/node_modules/left/package.json": b'{"name": "left", "version": "3.0.0"}',
        "srv/node_modules/left/index.js": b"y" * 700,
        "srv/node_modules/right/package.json": b"{not json",
        "root/.cache/pip/http/body": b"z" * 5_000_000,
        "srv/data": b"w" * 2_000_000,
    },
    {"srv/data": b"v" * 1_000_000},
]
CUDA = [
    {
        f"{SITE}/torch-2.8.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: torch\nVersion: 2.8.0\n",
        f"{SITE}/torch-2.8.0.dist-info/RECORD": b"torch/version.py,,\ntorch/lib/libtorch_cuda.so,,\n",
        f"{SITE}/torch/version.py": b"__version__ = '2.8.0+cu128'\ncuda = '12.8'\nhip = None\n",
        f"{SITE}/torch/lib/libtorch_cuda.so": b"c" * 9_000_000,
        "app/main.py": b"import torch\ndevice = 'cuda' if torch.cuda.is_available() else 'cpu'\n",
    }
]


class Program:
    """The program with a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("IMGOPT_", "DOCKER_"))}
        self.environment = kept | {"IMGOPT_HOME": str(home), "HOME": str(home), "PYTHONPATH": str(TOP)}

    def run(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "imgopt_pipeline.cli", *arguments]
        done = subprocess.run(command, env=self.environment, cwd=self.home, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    home = tmp_path_factory.mktemp("contents")
    write_archive(home / "archives" / "shop.tar", "shop:1", APP)
    write_archive(home / "archives" / "cuda.tar", "speech:1", CUDA)
    made = Program(home)
    made.run("audit", "--host", "archives")
    return made


def test_inspect_promises_packages_space_and_gpu(program: Program) -> None:
    told = program.json("inspect", str(program.home / "archives" / "shop.tar"))
    packages = {item["name"]: item for item in told["packages"]}
    assert packages["shop"]["version"] == "1.2"
    assert packages["shop"]["ecosystem"] == "python"
    assert packages["shop"]["layer"] == 0
    assert packages["left"]["bytes"] == 736
    assert sum(item["bytes"] for item in told["packages"]) + told["unowned_bytes"] == told["live_bytes"]
    assert sum(item["bytes"] for item in told["space"]) == told["live_bytes"]
    assert {item["category"]: item["bytes"] for item in told["space"]}["package caches and lists"] == 5_000_000
    assert told["gpu"]["build"] == "none"
    assert any("right/package.json" in warning for warning in told["warnings"])


def test_inspect_says_for_whom_a_gpu_build_is_there(program: Program) -> None:
    gpu = program.json("inspect", str(program.home / "archives" / "cuda.tar"))["gpu"]
    assert (gpu["build"], gpu["verdict"], gpu["gpu_bytes"]) == ("cuda", "unknown", 9_000_000)
    assert "torch 2.8.0+cu128" in gpu["versions"]
    assert {"aspect", "statement", "source", "weight"} == gpu["evidence"][0].keys()


def test_packages_of_one_image_and_of_all(program: Program) -> None:
    rows = program.json("packages", "shop:1", "--ecosystem", "python")
    assert [(row["name"], row["files"]) for row in rows] == [("shop", 3)]
    assert {row["name"] for row in program.json("packages")} == {"shop", "left", "torch", ""}
    assert "shop" in program.run("packages", "shop:1")
    assert "there is no ecosystem 'pyton'" in program.run("packages", "--ecosystem", "pyton", code=2)


def test_space_of_one_image_and_of_the_host(program: Program) -> None:
    rows = program.json("space", "shop:1")
    assert sum(row["size_bytes"] for row in rows if row["category"] == "package caches and lists") == 5_000_000
    assert {"position", "category", "prefix", "size_bytes", "files"} <= rows[0].keys()
    assert "package caches and lists" in program.run("space")


def test_findings_and_their_evidence(program: Program) -> None:
    rules = {row["rule_id"] for row in program.json("findings", "shop:1")}
    assert {"package-caches-left-in", "overwritten-or-deleted-files"} <= rules
    told = program.run("findings", "shop:1", "--rule", "package-caches-left-in")
    assert "root/.cache/pip/http/body" in told
    assert "→" in told
    assert "Did you mean shop:1?" in program.run("findings", "shup:1", code=3), "a typo is no clean bill"


def test_plan_and_explanation(program: Program) -> None:
    plan = {row["subject"]: row for row in program.json("plan")}
    assert plan["shop:1"]["likely_bytes"] == 7_000_000, "caches and dead bytes"
    assert program.run("plan", "--all").count("shop:1") >= 2
    explained = program.json("explain", "shop:1")
    assert explained["plan"][0]["likely_bytes"] == 7_000_000
    assert len(explained["layers"]) == 2
    screen = program.run("explain", "speech")
    for part in ("Plan", "Layers", "What fills it", "Biggest packages", "GPU", "libtorch_cuda.so"):
        assert part in screen


def test_gpu_check_finds_by_image_and_tells_where_nothing_is(program: Program) -> None:
    (check,) = program.json("gpu-check", "speech:1")
    assert check["build"] == "cuda"
    assert "Nothing in shop:1 has to do with a GPU" in program.run("gpu-check", "shop:1")
    assert "Did you mean speech:1?" in program.run("gpu-check", "speach:1", code=3)
    assert "needs the name of a running container" in program.run("gpu-check", "--exec", code=2)


def test_a_broken_piece_of_metadata_is_a_remark_and_the_audit_complete(program: Program) -> None:
    (report,) = program.json("report", "--host", "archives")
    assert report["audit"]["status"] == "complete"
    (problem,) = report["problems"]
    assert (problem["kind"], problem["subject"]) == ("remark", "shop:1")
    assert "right/package.json" in problem["message"]
    assert "Passed over" in program.run("report", "--host", "archives")


def test_a_second_audit_looks_into_nothing_again_and_says_the_same(program: Program) -> None:
    before = program.json("plan")
    program.run("audit", "--host", "archives")
    after = program.json("plan")
    for row in (*before, *after):
        del row["audit_id"]
    assert after == before


def test_lines_of_a_file_end_without_spaces(program: Program) -> None:
    assert all(line == line.rstrip() for line in program.run("plan", "--all").splitlines())


def test_the_demo_stays_apart_from_real_hosts_and_goes_when_asked(program: Program) -> None:
    fleet = program.home / "fleet.yaml"
    fleet.write_text("images:\n  - name: made-up:1\n    layers: [{copy: a /a, size: 1kB}]\n")
    told = program.run("demo", "--fleet", str(fleet))
    assert "Host demo" in told
    assert {row["host"] for row in program.json("images")} == {"archives"}
    assert "made-up:1" not in program.run("report")
    assert program.json("images", "--host", "demo")[0]["name"] == "made-up:1"
    program.run("demo", "--remove")
    assert not (program.home / "demo").exists()
    assert "there is no audit of a host 'demo'" in program.run("images", "--host", "demo", code=2)


def test_documents_damaged_in_the_cache_are_told_and_read_again(program: Program, tmp_path: Path) -> None:
    own = Program(tmp_path)
    write_archive(tmp_path / "archives" / "shop.tar", "shop:1", APP)
    own.run("audit", "--host", "archives")
    before = own.json("packages", "shop:1")
    for kept in (tmp_path / "layers").glob("*/*.documents.zip"):
        kept.write_bytes(kept.read_bytes()[:40])
    (tmp_path / "imgopt.duckdb").unlink()
    own.run("audit", "--host", "archives")
    (report,) = own.json("report")
    assert report["audit"]["status"] == "partial"
    assert any("the next audit reads it again" in problem["message"] for problem in report["problems"])
    own.run("audit", "--host", "archives")
    (report,) = own.json("report")
    assert report["audit"]["status"] == "complete"
    assert own.json("packages", "shop:1") == before
