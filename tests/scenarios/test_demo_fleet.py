"""The demo fleet's plan is what a careful engineer wrote by hand, and follows the facts when they change.

Runs the program as a user does, at the fleet's true sizes; each change to the declaration makes again only what
it touches. Decision, complexity, risk, priority and phase are the engineer's; gains are what the bytes say.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgopt_pipeline.demo.generator import built_in_declaration
from imgopt_pipeline.units import format_bytes

TOP = Path(__file__).parents[2]
GB = 1_000_000_000
Fleet = dict[str, Any]
Row = dict[str, Any]


class Demo:
    """The program with a folder of its own; `plan` makes a fleet, audits it, and tells its plan by subject."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("IMGOPT_", "DOCKER_"))}
        self.environment = kept | {"IMGOPT_HOME": str(home), "HOME": str(home), "PYTHONPATH": str(TOP)}

    def run(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "imgopt_pipeline.cli", *arguments]
        done = subprocess.run(command, env=self.environment, cwd=self.home, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def plan(self, change: Callable[[Fleet], None] | None = None) -> dict[str, Row]:
        arguments = []
        if change is not None:
            fleet = yaml.safe_load(built_in_declaration().read_text())
            change(fleet)
            path = self.home / "changed.yaml"
            path.write_text(yaml.safe_dump(fleet, sort_keys=False))
            arguments = ["--fleet", str(path)]
        (report,) = json.loads(self.run("demo", "--json", *arguments))
        assert report["problems"] == []
        return {row["subject"]: row for row in report["plan"]}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    made = Demo(tmp_path_factory.mktemp("demo"))
    made.run("demo")
    return made


@pytest.fixture(scope="module")
def plan(demo: Demo) -> dict[str, Row]:
    return demo.plan()


def graded(row: Row) -> tuple[str, str, str, str, int | None]:
    return row["decision"], row["complexity"], row["risk"], row["priority"], row["phase"]


MUSIC = "/srv/impro-manager/music"
NEXTJS = "/srv/impro-manager/nextjs-app"
WHISPERX = "whisperx_whisperx:latest"
WORKER = "paperflow_paperflow-worker:latest"
KOKORO = "kokoro-fastapi-cpu:latest"
RAGFLOW = "infiniflow/ragflow:v0.21.0-slim"
CALCOM = "calcom/cal.com:v4.7.8"


@pytest.mark.parametrize(
    ("subject", "size", "grades", "gain_gb"),
    [
        (WHISPERX, "8.77 GB", ("optimize", "medium", "medium", "high", 1), (5, 6)),
        (MUSIC, "4.1 GB", ("optimize", "low", "low", "high", 1), (4.1, 4.1)),
        (WORKER, "6.65 GB", ("optimize", "medium", "medium", "medium", 2), (2, 3)),
        (KOKORO, "5.61 GB", ("optimize", "medium", "medium", "medium", 2), (2, 3)),
        (RAGFLOW, "7.06 GB", ("needs a person", "high", "high", "low", 3), (1, 2)),
        (CALCOM, "4.82 GB", ("accept", "high", "high", "low", None), (1.5, 2.5)),
        (NEXTJS, "497 MB", ("needs a person", "low", "low", "medium", 2), (0.45, 0.55)),
    ],
)
def test_the_plan_is_the_engineers(
    plan: dict[str, Row], subject: str, size: str, grades: tuple[Any, ...], gain_gb: tuple[float, float]
) -> None:
    row = plan[subject]
    assert format_bytes(row["size_bytes"]) == size
    assert graded(row) == grades
    assert gain_gb[0] <= row["likely_bytes"] / GB <= gain_gb[1]
    assert row["low_bytes"] <= row["likely_bytes"] <= row["high_bytes"]


def test_the_whole_is_the_servers(demo: Demo, plan: dict[str, Row]) -> None:
    (report,) = json.loads(demo.run("report", "--host", "demo", "--json"))
    (images,) = [row for row in report["disk_usage"] if row["kind"] == "images"]
    assert f"{images['size_bytes'] / GB:.2f}" == "48.31"
    soon = [row["likely_bytes"] for row in plan.values() if row["phase"] in (1, 2)]
    assert 13 * GB <= sum(soon) <= 18 * GB


def test_what_is_first_stands_first(plan: dict[str, Row]) -> None:
    first, second, *rest = plan.values()
    assert {first["subject"], second["subject"]} == {MUSIC, WHISPERX}
    assert all(row["phase"] != 1 for row in rest)


def test_the_layers_of_whisperx_agree_to_the_unit(demo: Demo) -> None:
    explained = json.loads(demo.run("explain", WHISPERX, "--json"))
    sizes = [format_bytes(layer["file_bytes"]) for layer in explained["layers"]]
    assert [size for size in sizes if size in ("78.6 MB", "745 MB", "7.9 GB", "17.3 kB")] == [
        "78.6 MB",
        "745 MB",
        "7.9 GB",
        "17.3 kB",
    ]
    assert format_bytes(explained["size_bytes"]) == "8.77 GB"
    versions = {package["name"]: package["version"] for package in explained["packages"]}
    assert versions["whisperx"] == "3.7.4"
    assert versions["pytorch-lightning"] == "2.6.0"
    assert versions["faster-whisper"] == "1.2.1"
    assert {"triton", "torchaudio", "fastapi"} <= versions.keys()
    torch = next(package for package in explained["packages"] if package["name"] == "torch")
    assert torch["local_version"] == "2.8.0+cu128"
    assert sum(package["size_bytes"] for package in explained["packages"]) == explained["live_bytes"]


def test_reasons_say_what_a_person_asks(plan: dict[str, Row]) -> None:
    assert "CPU-only torch" in plan[WHISPERX]["action"]
    assert "a multi-stage build" in plan[WHISPERX]["action"]
    assert "No container of it is given a GPU and the host has none" in plan[WHISPERX]["reason"]
    assert "Its name says cpu, its content is a CUDA build" in plan[KOKORO]["reason"]
    assert "180 days" in plan[MUSIC]["reason"] + plan[MUSIC]["counted"]
    assert "custom image" in plan[CALCOM]["reason"]
    assert plan[WHISPERX]["command"] == f"imgopt optimize --host demo {WHISPERX}"


def test_a_command_to_copy_is_one_line(demo: Demo, plan: dict[str, Row]) -> None:
    told = demo.run("plan").splitlines()
    commands = [row["command"] for row in plan.values() if row["command"] and row["phase"]]
    assert len(commands) >= 8
    for command in commands:
        assert f"   $ {command}" in told
    steps = [step for row in plan.values() if row["phase"] for step in row["prerequisites"] if "docker builder" in step]
    assert max(map(len, steps)) > 140, "longer than what is printed in a line"
    assert all(any(line.endswith(step) for line in told) for step in steps)


def test_what_was_optimized_is_deployed_by_imgopt(plan: dict[str, Row]) -> None:
    assert "(imgopt deploy --host demo whisperx/whisperx)" in plan[WHISPERX]["prerequisites"][-1]
    assert plan["build cache"]["command"] == "imgopt clean --host demo --build-cache"


def test_with_a_gpu_whisperx_keeps_cuda(demo: Demo) -> None:
    def give(fleet: Fleet) -> None:
        fleet["gpu"] = {"devices": ["/dev/nvidia0"], "driver": "570.86.15", "runtimes": ["nvidia"]}
        next(item for item in fleet["containers"] if item["name"] == "whisperx_whisperx_1")["gpus"] = "all"

    row = demo.plan(give)[WHISPERX]
    assert "R1" not in row["techniques"]
    assert "keeps CUDA" in row["reason"]
    assert row["decision"] == "optimize"
    assert 0.4 <= row["likely_bytes"] / GB <= 2
    assert row["phase"] != 1


def test_other_names_change_nothing_but_names(demo: Demo, plan: dict[str, Row]) -> None:
    names = {WHISPERX: "speech_api:latest", KOKORO: "talker:latest", CALCOM: "acme/calendar:1"}

    def rename(fleet: Fleet) -> None:
        for item in fleet["images"]:
            item["name"] = names.get(item.get("name"), item.get("name"))
        for item in fleet["containers"]:
            item["image"] = names.get(item["image"], item["image"])
            if item["name"] == "whisperx_whisperx_1":
                item["compose"] |= {"project": "speech", "service": "api"}

    changed = demo.plan(rename)
    for old, new in names.items():
        assert graded(changed[new]) == graded(plan[old])
        assert changed[new]["likely_bytes"] == plan[old]["likely_bytes"]
    assert "Its name says cpu" not in changed["talker:latest"]["reason"]


def test_a_true_cpu_build_of_kokoro_gives_less(demo: Demo, plan: dict[str, Row]) -> None:
    def without_cuda(fleet: Fleet) -> None:
        kokoro = next(item for item in fleet["images"] if item.get("name") == KOKORO)
        (layer,) = [layer for layer in kokoro["layers"] if "python" in layer]
        packages = layer["python"]["packages"]
        cuda = [item for item in packages if str(next(iter(item))).startswith(("onnxruntime-gpu", "nvidia-"))]
        layer["python"]["packages"] = [item for item in packages if item not in cuda] + [
            {"onnxruntime==1.22.0": "46MB"}
        ]
        layer["size"] = "1.84GB"

    row = demo.plan(without_cuda)[KOKORO]
    assert "R1" not in row["techniques"]
    assert row["likely_bytes"] < 0.5 * GB < plan[KOKORO]["likely_bytes"]
    assert "no GPU build" in row["reason"]


def test_beside_a_stopped_app_its_modules_may_go(demo: Demo) -> None:
    def stop(fleet: Fleet) -> None:
        next(item for item in fleet["containers"] if item["name"] == "impro-manager_web_1")["state"] = "exited"

    row = demo.plan(stop)[NEXTJS]
    assert (row["decision"], row["phase"]) == ("optimize", 2)
    assert row["command"] == f"imgopt clean --host demo --directory={NEXTJS}"
