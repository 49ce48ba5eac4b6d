"""GPU code that may be of no use is for a person to decide on, and what stays of it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planning.warehouse_made import BASE, BASE_LAYER, COPY, GB, MB, PIP, Layer, Row, Server

GPU_LAYER = Layer("pip", PIP, 2200 * MB, {"R1:low": 1400 * MB, "R1:likely,R9:high": 270 * MB, "R6:low": 9 * MB})


def planned(folder: Path, *, layer: Layer = GPU_LAYER, reference: str = "app:1", **image: object) -> Row:
    server = Server(has_gpu=True)
    made = server.image(reference, [BASE_LAYER, layer], build="cuda", gpu_bytes=1670 * MB, **image)  # type: ignore[arg-type]
    server.container("app", made)
    (row,) = server.plan(folder)
    return row


@pytest.mark.parametrize("verdict", [{"verdict": "unknown"}, {"verdict": "granted", "granted": True, "used": False}])
def test_much_gpu_code_that_may_be_needless_is_for_a_person(tmp_path: Path, verdict: Row) -> None:
    row = planned(tmp_path, **verdict)
    assert (row["decision"], row["action"]) == ("needs a person", "decide whether it needs its GPU build")
    assert (row["complexity"], row["risk"], row["priority"], row["phase"]) == ("medium", "medium", "low", 3)
    assert (row["low_bytes"], row["likely_bytes"], row["high_bytes"]) == (9 * MB, 9 * MB, 1679 * MB)
    assert "A CPU-only build would free another 1.67 GB if it needs no GPU." in row["reason"]
    assert ("As it is." if verdict["verdict"] == "unknown" else "No process of it was seen on a GPU") in row["reason"]
    assert "R1 GPU code at most 1.67 GB" in row["counted"]
    assert row["prerequisites"][0].startswith("Try it without a GPU")
    assert "imgopt deploy --host big" in row["prerequisites"][-1]
    assert row["command"] == "imgopt optimize --host big app:1"


@pytest.mark.parametrize(
    "image",
    [
        {"verdict": "granted", "granted": True},
        {"verdict": "used", "granted": True, "used": True},
        {"verdict": "required"},
        {"verdict": "unknown", "digests": ["app@sha256:" + "1" * 64]},
        {"verdict": "unknown", "layer": Layer("pip", PIP, 2200 * MB, {"R1:low": 99 * MB})},
        {"verdict": "unknown", "layer": Layer("pip", PIP, 2200 * MB, {"R1:low": 110 * MB})},
    ],
    ids=["granted", "used", "required", "third party", "few bytes", "small share"],
)
def test_gpu_code_in_use_of_others_or_small_is_left_alone(tmp_path: Path, image: Row) -> None:
    row = planned(tmp_path, **image)
    assert (row["decision"], row["phase"]) == ("accept", None)
    assert "R1" not in row["techniques"]
    assert "if it needs no GPU" not in row["reason"]


def test_of_an_image_of_unknown_origin_the_maker_is_asked_too(tmp_path: Path) -> None:
    row = planned(tmp_path, verdict="unknown", reference="acme/app:1")
    assert row["action"] == "decide whether it needs its GPU build"
    assert row["prerequisites"][1] == "Find its Dockerfile, or its maker."
    assert row["command"] == ""


def test_what_pays_anyway_is_done_and_the_question_told(tmp_path: Path) -> None:
    layer = Layer("pip", PIP, 4 * GB, {"R1:low": 1670 * MB, "R6:low": 900 * MB})
    row = planned(tmp_path, layer=layer, verdict="unknown")
    assert (row["decision"], row["high_bytes"]) == ("optimize", 900 * MB)
    assert "R1" not in row["techniques"]
    assert "another 1.67 GB if it needs no GPU" in row["reason"]


def test_gpu_code_that_others_require_stays_and_is_told(tmp_path: Path) -> None:
    def reason(folder: str, gpu_bytes: int) -> str:
        server = Server()
        layer = Layer("pip", PIP, 9 * GB, {"R1:low": 5 * GB, "R1:high": 400 * MB})
        image = server.image(
            "app:1", [layer], build="cuda", verdict="denied", gpu_bytes=gpu_bytes, compilers=["triton"]
        )
        server.container("app", image)
        (row,) = server.plan(tmp_path / folder)
        return str(row["reason"])

    told = "565 MB of it stay: packages outside the GPU stack require them (triton)."
    assert told in reason("needed", 5965 * MB)
    assert "stay:" not in reason("free", 5400 * MB)


def test_shared_gpu_code_is_not_said_to_be_required(tmp_path: Path) -> None:
    server = Server()
    shared = Layer("shared", BASE, 3 * GB, {"R1:low": GB})
    for name in ("one", "two"):
        own = Layer(name, COPY, 3 * GB, {"R1:low": GB})
        layers = [shared, own]
        server.container(name, server.image(f"{name}:1", layers, build="cuda", verdict="denied", gpu_bytes=2 * GB))
    assert [("stay:" in row["reason"], row["likely_bytes"]) for row in server.plan(tmp_path)] == [(False, GB)] * 2
