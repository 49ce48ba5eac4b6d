"""The verdict table, a test per row, on containers, on images over their containers, and from warehouse rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.gpu.evidence import Evidence
from imgopt_pipeline.gpu.image import ImageGpu
from imgopt_pipeline.gpu.verdict import GpuCheck, check_container, check_image, gpu_checks
from imgopt_pipeline.hosts.models import ContainerGpu, HostGpu
from imgopt_pipeline.warehouse.store import publish, replace_rows, snapshot

NO_GPU = HostGpu(known=True, runtimes=("runc",), default_runtime="runc", evidence=("no /dev/nvidia*",))
WITH_GPU = HostGpu(True, ("/dev/nvidia0",), "550.54.14", ("nvidia", "runc"), "runc", ("devices /dev/nvidia0",))
BY_DEFAULT = HostGpu(True, ("/dev/nvidia0",), "550.54.14", ("nvidia", "runc"), "nvidia", ("devices /dev/nvidia0",))
UNKNOWN = HostGpu(known=False)
PRESET = {"NVIDIA_VISIBLE_DEVICES": "all"}


def cuda_image(need: str = "unknown", **environment: str) -> ImageGpu:
    values = {"optional": "optional", "required": "required", "likely": "likely", "none": "none"}
    evidence = [Evidence("build", "torch says CUDA 12.8", "torch/version.py", "very high", "cuda")]
    evidence += [Evidence("need", "seen", "app/main.py:1", "high", values[need])] if need in values else []
    return ImageGpu("cuda", ("torch 2.8.0+cu128",), 4_390_000_000, need, environment, tuple(evidence))


def verdict(check: GpuCheck) -> tuple[str, str, bool | None]:
    return check.verdict, check.confidence, check.granted


@pytest.mark.parametrize(
    "request_",
    ["capability gpu, count all", "capability gpu, devices 0,1", "CDI nvidia.com/gpu=all", "device /dev/nvidia0"],
)
def test_a_device_request_is_a_grant(request_: str) -> None:
    check = check_container(cuda_image("optional"), ContainerGpu("runc", (request_,)), WITH_GPU)
    assert verdict(check) == ("granted", "high", True)
    assert request_ in " ".join(piece.statement for piece in check.evidence)
    assert "person" in check.explanation


@pytest.mark.parametrize("visible", ["all", "0", "GPU-fef8089b"])
def test_nvidias_runtime_with_visible_devices_is_a_grant(visible: str) -> None:
    container = ContainerGpu("nvidia", environment={"NVIDIA_VISIBLE_DEVICES": visible})
    assert verdict(check_container(cuda_image(), container, WITH_GPU)) == ("granted", "high", True)


@pytest.mark.parametrize("visible", ["void", "", "none"])
def test_nvidias_runtime_without_visible_devices_is_none(visible: str) -> None:
    container = ContainerGpu("nvidia", environment={"NVIDIA_VISIBLE_DEVICES": visible})
    assert check_container(cuda_image(**PRESET), container, WITH_GPU).granted is False


@pytest.mark.parametrize("runtime", ["", "nvidia"])
def test_a_default_runtime_grants_what_the_images_environment_asks_for(runtime: str) -> None:
    check = check_container(cuda_image(**PRESET), ContainerGpu(runtime), BY_DEFAULT)
    assert verdict(check) == ("granted", "high", True)
    assert "default runtime" in " ".join(piece.statement for piece in check.evidence)
    assert check_container(cuda_image(), ContainerGpu(runtime), BY_DEFAULT).granted is False
    assert check_container(cuda_image(**PRESET), ContainerGpu("runc"), BY_DEFAULT).granted is False


def test_visible_devices_alone_grant_nothing() -> None:
    check = check_container(cuda_image("optional", **PRESET), ContainerGpu("runc"), NO_GPU)
    assert verdict(check) == ("denied", "very high", False)
    assert "preset" in " ".join(piece.statement for piece in check.evidence)


def test_no_grant_no_gpu_and_no_demand_is_denied() -> None:
    check = check_container(cuda_image("optional"), ContainerGpu("runc"), NO_GPU, name="whisperx")
    assert verdict(check) == ("denied", "very high", False)
    assert check.explanation == (
        "No GPU is given to whisperx, the host has none, and its code goes on without one:"
        " 4.39 GB of CUDA lie there for nothing."
    )
    assert verdict(check_container(cuda_image(), ContainerGpu("runc"), NO_GPU)) == ("denied", "high", False)


def test_a_sentence_does_not_change_the_name_it_begins_with() -> None:
    image = cuda_image("required")
    assert check_image(image, [], NO_GPU, name="h/sources:1").explanation.startswith("h/sources:1 asks for a GPU")
    check = check_container(image, ContainerGpu("runc"), NO_GPU, name="web")
    assert check.explanation.startswith("web asks for a GPU")
    assert check_image(image, [check], NO_GPU).explanation.startswith("web asks for a GPU")
    assert check_image(image, [], NO_GPU).explanation.startswith("This image asks for a GPU")


def test_a_process_on_the_gpu_is_certain_use() -> None:
    container = ContainerGpu("runc", ("capability gpu, count all",), processes=("python3 (PID 4321)",))
    check = check_container(cuda_image("required"), container, WITH_GPU)
    assert (check.verdict, check.confidence, check.used) == ("used", "certain", True)


def test_granted_and_unused_is_a_persons_decision() -> None:
    container = ContainerGpu("runc", ("capability gpu, count all",), processes=())
    check = check_container(cuda_image(), container, WITH_GPU)
    assert (check.verdict, check.used) == ("granted", False)
    assert "person's decision" in check.explanation


def test_a_demand_without_a_gpu_is_broken() -> None:
    for host, confidence in ((NO_GPU, "high"), (WITH_GPU, "medium"), (UNKNOWN, "medium")):
        assert verdict(check_container(cuda_image("required"), ContainerGpu("runc"), host)) == (
            "broken",
            confidence,
            False,
        )


def test_a_grant_in_the_settings_gives_no_gpu_that_is_not_there() -> None:
    container = ContainerGpu("runc", ("CDI nvidia.com/gpu=all",))
    assert verdict(check_container(cuda_image("optional"), container, NO_GPU)) == ("granted", "medium", True)
    assert check_container(cuda_image("required"), container, NO_GPU).verdict == "broken"


@pytest.mark.parametrize(
    ("environment", "arguments", "need"),
    [
        ({"DEVICE": "cpu"}, (), "none"),
        ({"CUDA_VISIBLE_DEVICES": ""}, (), "none"),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, (), "none"),
        ({}, ("--device cpu",), "none"),
        ({"DEVICE": "cuda"}, ("--device cpu",), "none"),
        ({"DEVICE": "cuda"}, (), "required"),
        ({}, ("--device cuda:0",), "required"),
        ({"USE_GPU": "true"}, (), "optional"),
        ({}, (), "unknown"),
    ],
)
def test_what_a_container_is_told(environment: dict[str, str], arguments: tuple[str, ...], need: str) -> None:
    check = check_container(cuda_image(), ContainerGpu("runc", (), environment, arguments), NO_GPU)
    assert check.need == need
    assert check.verdict == ("broken" if need == "required" else "denied")


def test_a_container_overrides_what_its_image_is_told() -> None:
    image = cuda_image(DEVICE="cuda")
    assert check_container(image, ContainerGpu("runc"), NO_GPU).verdict == "broken"
    assert check_container(image, ContainerGpu("runc", (), {"DEVICE": "cpu"}), NO_GPU).verdict == "denied"


def test_what_likely_needs_a_gpu_is_not_denied() -> None:
    assert verdict(check_container(cuda_image("likely"), ContainerGpu("runc"), NO_GPU)) == ("unknown", "low", False)
    told = ContainerGpu("runc", (), {"DEVICE": "cpu"})
    assert check_container(cuda_image("likely"), told, NO_GPU).verdict == "denied"


def test_a_gpu_of_another_maker_is_none_for_a_cuda_build() -> None:
    amd = HostGpu(True, ("/dev/kfd", "/dev/dri/renderD128"), None, ("runc",), "runc")
    assert check_container(cuda_image(), ContainerGpu("runc"), amd).verdict == "denied"
    rocm = ImageGpu("rocm", (), 1, "unknown", {})
    assert check_container(rocm, ContainerGpu("runc"), amd).verdict == "unknown"


def test_nvidias_runtime_without_a_device_leaves_it_open() -> None:
    host = HostGpu(True, (), None, ("nvidia", "runc"), "runc")
    assert check_container(cuda_image("optional"), ContainerGpu("runc"), host).verdict == "unknown"


def test_privilege_grants_only_where_the_host_has_a_gpu() -> None:
    container = ContainerGpu("runc", ("privileged",))
    assert verdict(check_container(cuda_image(), container, WITH_GPU)) == ("granted", "medium", True)
    assert check_container(cuda_image(), container, NO_GPU).verdict == "denied"


HOSTS = (NO_GPU, WITH_GPU, BY_DEFAULT, UNKNOWN, HostGpu(True, ("/dev/kfd",)), HostGpu(True, (), None, ("nvidia",)))


@given(
    st.sampled_from(["optional", "required", "likely", "none", "unknown"]),
    st.sampled_from(HOSTS),
    st.sampled_from([(), ("privileged",), ("device /dev/nvidia0",), ("device /dev/dri",)]),
    st.sampled_from(["", "runc", "nvidia"]),
    st.sampled_from([{}, PRESET, {"DEVICE": "cpu"}, {"DEVICE": "cuda"}]),
    st.sampled_from([None, (), ("x (PID 1)",)]),
)
def test_denied_needs_all_three(
    need: str,
    host: HostGpu,
    requests: tuple[str, ...],
    runtime: str,
    environment: dict[str, str],
    processes: tuple[str, ...] | None,
) -> None:
    container = ContainerGpu(runtime, requests, environment, (), processes)
    check = check_container(cuda_image(need), container, host)
    denied = not check.granted and not processes and check.need not in ("required", "likely")
    no_gpu = host.known and not any("nvidia" in name for name in (*host.devices, *host.runtimes))
    assert (check.verdict == "denied") == (denied and no_gpu)
    if check.verdict in ("used", "broken"):
        assert processes or check.need == "required"


def test_an_image_is_judged_over_all_its_containers() -> None:
    image = cuda_image("optional")
    plain = check_container(image, ContainerGpu("runc"), NO_GPU, name="a")
    given = check_container(image, ContainerGpu("runc", ("capability gpu, count all",)), NO_GPU, name="b")
    for order in itertools.permutations([plain, given, plain]):
        check = check_image(image, order, NO_GPU, name="img")
        assert (check.verdict, check.granted) == ("granted", True)
        assert "1 of its 3 containers" in check.explanation
    assert check_image(image, [plain, plain], NO_GPU).verdict == "denied"


@pytest.mark.parametrize(
    ("need", "host", "expected"),
    [
        ("optional", NO_GPU, ("denied", "high", None)),
        ("unknown", NO_GPU, ("denied", "medium", None)),
        ("required", NO_GPU, ("required", "medium", None)),
        ("required", UNKNOWN, ("required", "medium", None)),
        ("likely", NO_GPU, ("unknown", "low", None)),
        ("optional", UNKNOWN, ("unknown", "low", None)),
        ("optional", WITH_GPU, ("unknown", "low", None)),
    ],
)
def test_an_image_without_containers(need: str, host: HostGpu, expected: tuple[str, str, None]) -> None:
    assert verdict(check_image(cuda_image(need), [], host)) == expected


@pytest.mark.parametrize(
    ("name", "build", "hint"),
    [
        ("kokoro-fastapi-cpu:latest", "cuda", "its name says cpu"),
        ("app:cpu-1.2", "cuda", "its name says cpu"),
        ("cpuinfo:1", "cuda", ""),
        ("app:1", "cuda", ""),
        ("app-gpu:1", "cpu", "speaks of a GPU"),
        ("kokoro-fastapi-cpu:latest", "cpu", ""),
    ],
)
def test_a_name_that_says_the_contrary_gets_a_sentence(name: str, build: str, hint: str) -> None:
    image = ImageGpu(build, (), 5, "optional", {})
    check = check_image(image, [check_container(image, ContainerGpu("runc"), NO_GPU)], NO_GPU, name=name)
    said = [piece.statement for piece in check.evidence if piece.source.startswith("name ")]
    assert bool(said) == bool(hint)
    assert hint in " ".join(said)


IMAGES: list[tuple[str, ImageGpu]] = [
    ("torch:1", cuda_image("optional")),
    ("unrelated:1", ImageGpu("none", (), 0, "none", {})),
    ("preset:1", ImageGpu("none", (), 0, "none", PRESET)),
    ("granted:1", ImageGpu("none", (), 0, "none", {})),
]


def test_checks_of_an_audit_from_the_warehouse(tmp_path: Path) -> None:
    database = tmp_path / "imgopt.duckdb"
    publish(database, lambda connection: replace_rows(connection, _tables()))
    with snapshot(database) as connection:
        rows = gpu_checks(connection, "server", "a1")
    found = [(row["subject"], row["container_id"], row["verdict"], row["granted"]) for row in rows]
    assert found == [
        ("granted:1", None, "granted", True),
        ("with-gpu", "c3", "granted", True),
        ("preset:1", None, "denied", None),
        ("torch:1", None, "denied", False),
        ("torch-a", "c1", "denied", False),
        ("torch-b", "c2", "denied", False),
    ]
    (torch,) = (row for row in rows if row["subject"] == "torch:1")
    assert {piece["source"] for piece in torch["evidence"]} >= {"torch/version.py", "app/main.py:1", "host"}
    publish(database, lambda connection: replace_rows(connection, {"gpu_checks": rows}))
    with snapshot(database) as connection:
        stored = connection.execute("SELECT count(*), sum(len(evidence)) FROM gpu_checks").fetchone()
        assert stored == (len(rows), sum(len(row["evidence"]) for row in rows))
        assert gpu_checks(connection, "server", "another") == []


def _tables() -> dict[str, Sequence[dict[str, Any]]]:
    audit = {"audit_id": "a1", "host": "server"}
    containers = [("c1", "torch-a", "torch:1"), ("c2", "torch-b", "torch:1"), ("c3", "with-gpu", "granted:1")]
    inventory = [
        {"name": name, "image_references": [name], "digests": [], "dangling": False, "source": ""} for name, _ in IMAGES
    ]
    plain = dict.fromkeys(
        ("image_reference", "state", "restart_policy", "log_driver"), ""
    ) | {"running": True, "restart_count": 0, "compose_config_files": []}  # fmt: skip
    return {
        "image_inventory": [{**audit, "image_id": row["name"], **row} for row in inventory],
        "image_gpu": [image.row(name, "1") for name, image in IMAGES],
        "gpu_evidence": [row for name, image in IMAGES for row in image.evidence_rows(name)],
        "container_inventory": [
            {**audit, "container_id": key, "name": name, "image_id": image, **plain} for key, name, image in containers
        ],
        "container_gpus": [
            {
                **audit,
                "container_id": key,
                "runtime": "runc",
                "requests": ["capability gpu, count all"] if key == "c3" else [],
                "environment": [],
                "arguments": [],
                "processes": None,
            }
            for key, _, _ in containers
        ],
        "host_gpus": [
            {
                **audit,
                "known": True,
                "devices": [],
                "driver_version": None,
                "runtimes": ["runc"],
                "default_runtime": "runc",
                "evidence": ["no /dev/nvidia*"],
            }
        ],
    }
