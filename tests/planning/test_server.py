"""The plan of a full server says what a careful engineer would say, and changes when the server does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planning.server_made import full_server
from tests.planning.warehouse_made import GB, MB, Row, Server, item

WHISPERX, WORKER = "whisperx_whisperx:latest", "paperflow_paperflow-worker:latest"
KOKORO, RAGFLOW, CALCOM = "kokoro-fastapi-cpu:latest", "infiniflow/ragflow:v0.21.0-slim", "calcom/cal.com:v4.7.8"
MUSIC, NEXTJS = "/srv/impro-manager/music", "/srv/impro-manager/nextjs-app"


def judgement(row: Row) -> tuple[object, ...]:
    return row["decision"], row["complexity"], row["risk"], row["priority"], row["phase"]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return full_server().plan(tmp_path_factory.mktemp("server"))


@pytest.mark.parametrize(
    ("subject", "expected", "least_bytes", "most_bytes"),
    [
        (WHISPERX, ("optimize", "medium", "medium", "high", 1), 5000 * MB, 6200 * MB),
        (MUSIC, ("optimize", "low", "low", "high", 1), 4100 * MB, 4100 * MB),
        (WORKER, ("optimize", "medium", "medium", "medium", 2), 2 * GB, 3 * GB),
        (KOKORO, ("optimize", "medium", "medium", "medium", 2), 2 * GB, 3 * GB),
        (NEXTJS, ("needs a person", "low", "low", "medium", 2), 500 * MB, 500 * MB),
        (RAGFLOW, ("needs a person", "high", "high", "low", 3), 1 * GB, 2 * GB),
        (CALCOM, ("accept", "high", "high", "low", None), 1900 * MB, 2200 * MB),
    ],
)
def test_each_subject_is_judged_as_by_hand(
    plan: list[Row], subject: str, expected: tuple[object, ...], least_bytes: int, most_bytes: int
) -> None:
    row = item(plan, subject)
    assert judgement(row) == expected
    assert least_bytes <= row["likely_bytes"] <= most_bytes


def test_the_first_two_phases_give_what_they_should(plan: list[Row]) -> None:
    total = sum(row["likely_bytes"] for row in plan if row["phase"] in (1, 2))
    assert 13 * GB <= total <= 18 * GB
    assert {row["subject"] for row in plan[:2]} == {WHISPERX, MUSIC}
    assert [row["phase"] or 4 for row in plan] == sorted(row["phase"] or 4 for row in plan)


def test_ordinary_images_are_left_alone(plan: list[Row]) -> None:
    row = item(plan, "postgres:16")
    assert judgement(row) == ("accept", "high", "high", "none", None)
    assert row["likely_bytes"] == 430 * MB // 50
    assert row["command"] == ""


def test_the_words_say_why_with_figures(plan: list[Row]) -> None:
    whisperx = item(plan, WHISPERX)
    assert whisperx["action"].startswith("rebuild with CPU-only torch")
    assert "a multi-stage build" in whisperx["action"]
    assert "No container of it is given a GPU and the host has none" in whisperx["reason"]
    assert "service whisperx of project whisperx" in whisperx["reason"]
    assert "R1 GPU code 5.4 GB in 20 files, such as opt/R1:low/biggest" in whisperx["counted"]
    assert whisperx["rules"] == ["cuda_without_gpu"]
    assert whisperx["command"] == f"imgopt optimize --host big {WHISPERX}"
    steps = whisperx["prerequisites"]
    assert "torch==2.8.0+cpu torchaudio==2.8.0+cpu" in steps[0]
    assert "re-installs the CUDA build" in steps[1]
    assert "torch.version.cuda is None" in steps[2]
    assert "(imgopt deploy --host big whisperx/whisperx)" in steps[-1]
    assert "Its name says cpu, its content is a CUDA build with 2.2 GB" in item(plan, KOKORO)["reason"]
    assert "although its name says slim" in item(plan, RAGFLOW)["reason"]
    assert "avoid a custom image" in item(plan, CALCOM)["action"]
    assert "1.5 GB were neither modified nor read for 180 days" in item(plan, MUSIC)["reason"]


def test_with_a_gpu_whisperx_keeps_cuda(tmp_path: Path) -> None:
    row = item(full_server(whisperx_gpu=True).plan(tmp_path), WHISPERX)
    assert row["decision"] == "optimize"
    assert "R1" not in row["techniques"]
    assert 500 * MB <= row["likely_bytes"] <= 2 * GB
    assert "A GPU is given to it: it keeps CUDA." in row["reason"]
    assert "CPU-only" not in row["action"] and not any("+cpu" in step for step in row["prerequisites"])


def test_another_name_changes_nothing_but_the_name(tmp_path: Path, plan: list[Row]) -> None:
    before = item(plan, WHISPERX)
    after = item(full_server(whisperx_name="speech:2").plan(tmp_path), "speech:2")
    assert judgement(after) == judgement(before)
    assert (after["likely_bytes"], after["counted"]) == (before["likely_bytes"], before["counted"])
    assert after["command"] == "imgopt optimize --host big speech:2"


def test_a_true_cpu_build_gives_less(tmp_path: Path) -> None:
    row = item(full_server(kokoro_cpu=True).plan(tmp_path), KOKORO)
    assert "R1" not in row["techniques"]
    assert row["likely_bytes"] == 2 * (3330 * MB // 20)
    assert "CUDA" not in row["reason"]


def test_a_stopped_app_may_lose_what_can_be_made_again(tmp_path: Path, plan: list[Row]) -> None:
    running = item(plan, NEXTJS)
    assert running["prerequisites"][0] == "Stop the application that runs there: node (4711)."
    stopped = item(full_server(app_running=False).plan(tmp_path), NEXTJS)
    assert judgement(stopped) == ("optimize", "low", "low", "medium", 2)
    assert stopped["command"] == f"imgopt clean --host big --directory={NEXTJS}"


def test_the_plan_is_the_same_whatever_the_order_of_rows(tmp_path: Path, plan: list[Row]) -> None:
    server = full_server()
    server.tables = {table: rows[::-1] for table, rows in server.tables.items()}
    assert server.plan(tmp_path) == plan


def test_other_audits_do_not_show(tmp_path: Path, plan: list[Row]) -> None:
    other = Server()
    image = other.image("elsewhere:1", [])
    other.container("elsewhere", image)
    other.publish(tmp_path, audit_id="a0")
    assert full_server().plan(tmp_path) == plan
