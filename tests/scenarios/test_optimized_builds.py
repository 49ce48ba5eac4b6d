"""Real applications optimized by `imgopt optimize` as a user would: measured, checked, asked the same questions.

The cases that need gigabytes or minutes run where IMGOPT_SCENARIOS=1 asks for them (`make scenarios`).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.dockerfiles.linting import new_findings
from tests.engine.daemons import Daemon, private_daemon
from tests.engine.program import PROGRAM, environment
from tests.engine.real_images import wheel_folders
from tests.engine.usual_bases import make_usual_bases
from tests.scenarios.cases import (
    CLASSIFIER,
    PLANNER,
    REPORTS,
    SEGMENTER,
    SHOP_API,
    STOREFRONT,
    TIDY,
    TRANSCRIBER,
    TRANSCRIBER_GPU,
    Answer,
    Case,
    ask,
    build_original,
    linked_assets,
    start_original,
)

SECONDS = 1_800
ROOT = Path("/var/tmp")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(2 * SECONDS),
    pytest.mark.skipif(os.environ.get("SKIP_ENGINE") == "1", reason="SKIP_ENGINE=1 is set"),
]
at_leisure = pytest.mark.skipif(
    os.environ.get("IMGOPT_SCENARIOS") != "1", reason="takes gigabytes or minutes: `make scenarios` runs it"
)


@dataclass(frozen=True)
class Optimized:
    """What one run of `imgopt optimize` gave: the rows of its build, and where it ran."""

    daemon: Daemon
    case: Case
    context: Path
    rows: Mapping[str, list[dict[str, Any]]]
    seconds: float

    @property
    def build(self) -> dict[str, Any]:
        """The row of `builds`."""
        return self.rows["builds"][0]

    @property
    def smaller(self) -> float:
        """The share of bytes that went."""
        assert self.build["new_bytes"] is not None, self.build["summary"]
        return 1.0 - float(self.build["new_bytes"]) / float(self.build["old_bytes"])

    def check(self, name: str) -> dict[str, Any]:
        """The last row of a check."""
        return [row for row in self.rows["build_checks"] if row["check_name"] == name][-1]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A private daemon for originals and candidates."""
    with private_daemon("classic", ROOT) as started:
        yield started


def optimized(daemon: Daemon, case: Case, home: Path, level: str = "safe", **settings: str) -> Optimized:
    """Build and start an original, optimize it, and check what must hold of every case."""
    make_usual_bases(daemon, *case.bases)
    original = build_original(daemon, case)
    container = start_original(daemon, case)
    try:
        before = {path: ask(daemon, container, case.port, path) for path in case.paths} if case.starts else {}
        began = time.monotonic()
        words = ["optimize", case.tag, "--yes", "--json", "--level", level]
        if case.compose_file is None:
            words += ["--context", str(original.context)]
        env = environment(home, daemon.url, IMGOPT_BUILDS__NETWORK="host", **settings)
        done = subprocess.run(
            [PROGRAM, *words], check=False, capture_output=True, text=True, env=env, cwd=home, timeout=SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        result = Optimized(daemon, case, original.context, json.loads(done.stdout), time.monotonic() - began)
        _record(result)
        if result.build["outcome"] == "kept":
            _check_candidate(result, before)
    finally:
        daemon.docker("rm", "--force", "--volumes", container)
    return result


def _check_candidate(result: Optimized, before: Mapping[str, Answer]) -> None:
    """It answers as the original does, is what it says it is, and its estimate and its Dockerfile hold."""
    build, daemon, case = result.build, result.daemon, result.case
    assert daemon.image_id(build["candidate_reference"]) == build["candidate_image_id"]
    assert not daemon.docker("images", "--quiet", "imgopt-attempt")
    folder = Path(build["folder"])
    original = (result.context / "Dockerfile").read_text()
    assert new_findings(original, (folder / "Dockerfile").read_text()) == []
    measured_bytes = build["old_bytes"] - build["new_bytes"]
    assert build["low_bytes"] <= measured_bytes <= build["high_bytes"], build["summary"]
    if not case.starts:
        return
    container = daemon.docker("run", "--detach", "--network=none", build["candidate_reference"])
    try:
        for path, old in before.items():
            new = ask(daemon, container, case.port, path)
            assert (new.status, new.content_type) == (old.status, old.content_type), path
            # Pages of Next.js name their build, which another build changes.
            assert case is STOREFRONT or new.body == old.body, path
        if case is STOREFRONT:
            (asset, *_) = linked_assets(ask(daemon, container, case.port, "/"))
            assert ask(daemon, container, case.port, asset).status == 200
    finally:
        daemon.docker("rm", "--force", "--volumes", container)


def _record(result: Optimized) -> None:
    """Keep the figures for docs/benchmarks.md, where somebody asks for them."""
    if path := os.environ.get("IMGOPT_SCENARIO_RESULTS"):
        line = {"case": result.case.name, "seconds": result.seconds, **asdict(result)["rows"]}
        with Path(path).open("a") as file:
            file.write(json.dumps(line) + "\n")


def techniques(result: Optimized) -> set[str]:
    """The rules in the candidate."""
    return set(result.build["techniques"])


@at_leisure
def test_onnxruntime_without_a_gpu(daemon: Daemon, tmp_path: Path) -> None:
    result = optimized(daemon, CLASSIFIER, tmp_path, "balanced")
    assert "R1" in techniques(result)
    assert result.smaller >= 0.6
    names = daemon.docker(
        "run",
        "--rm",
        "--entrypoint=python",
        result.build["candidate_reference"],
        "-m",
        "pip",
        "list",
        "--format=freeze",
    )
    assert "onnxruntime==" in names
    assert "onnxruntime-gpu" not in names and "nvidia" not in names


def test_node_application(daemon: Daemon, tmp_path: Path) -> None:
    result = optimized(daemon, SHOP_API, tmp_path, "balanced")
    assert "R7" in techniques(result)
    assert result.smaller >= 0.5
    assert result.check("probe")["outcome"] == "passed"


def test_compilers_and_caches_left_in(daemon: Daemon, tmp_path: Path) -> None:
    result = optimized(daemon, REPORTS, tmp_path)
    assert {"R3", "R12"} <= techniques(result)
    assert result.smaller >= 0.5


@at_leisure
def test_a_test_helper_imported_at_run_time(daemon: Daemon, tmp_path: Path) -> None:
    result = optimized(daemon, PLANNER, tmp_path, "balanced")
    assert result.build["dropped"] == ["R9"]
    assert {"R3", "R8"} & techniques(result)
    (fate,) = (row for row in result.rows["build_rules"] if row["technique"] == "R9")
    assert "networkx" in fate["reason"] and fate["decision"] == "dropped"


def test_already_good(daemon: Daemon, tmp_path: Path) -> None:
    result = optimized(daemon, TIDY, tmp_path, "balanced")
    assert result.build["outcome"] == "nothing to change"
    assert result.build["summary"].startswith("Nothing worth changing")
    assert result.rows["build_attempts"] == []


@at_leisure
def test_nextjs(daemon: Daemon, tmp_path: Path) -> None:
    result = optimized(daemon, STOREFRONT, tmp_path, "balanced")
    assert "R13" in techniques(result)
    assert result.smaller >= 0.5


@at_leisure
def test_torch_without_a_gpu(daemon: Daemon, tmp_path: Path) -> None:
    folder = next((folder for folder in wheel_folders() if any(folder.glob("torch-*+cpu-*.whl"))), None)
    if folder is None:
        pytest.skip("pip's find-links has no CPU wheel of torch")
    result = optimized(daemon, TRANSCRIBER, tmp_path, IMGOPT_BUILDS__FIND_LINKS=json.dumps([str(folder)]))
    assert "R1" in techniques(result)
    assert result.smaller >= 0.6
    code = "import torch; print(torch.version.cuda)"
    reference = result.build["candidate_reference"]
    assert daemon.docker("run", "--rm", "--entrypoint=python", reference, "-c", code) == "None"


@at_leisure
def test_torch_with_a_gpu_granted(daemon: Daemon, tmp_path: Path) -> None:
    result = optimized(daemon, TRANSCRIBER_GPU, tmp_path, "balanced")
    assert "R1" not in techniques(result)
    assert result.smaller >= 0.1
    assert result.check("gpu")["outcome"] == "unverified"
    code = "import torch; print(torch.version.cuda)"
    reference = result.build["candidate_reference"]
    assert daemon.docker("run", "--rm", "--entrypoint=python", reference, "-c", code).startswith("13")


@at_leisure
def test_tensorflow_without_a_gpu(daemon: Daemon, tmp_path: Path) -> None:
    result = optimized(daemon, SEGMENTER, tmp_path, "balanced")
    assert "R1" in techniques(result)
    assert result.smaller >= 0.6
