"""What a machine has for GPUs is told from its device files, its driver and the engine's own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgopt_pipeline.hosts.host_gpus import (
    UNKNOWN_VERSION,
    host_gpu,
    local_driver_text,
    local_exists,
    parse_gpu_processes,
    processes_of,
    runs_here,
)

OPEN_DRIVER = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (dvs-builder@U16)  Thu Feb 22\n"
    "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
)
CLOSED_DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
PLAIN = {"Runtimes": {"runc": {}, "io.containerd.runc.v2": {}}, "DefaultRuntime": "runc"}


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(OPEN_DRIVER)
    return root


def test_a_machine_without_gpu(tmp_path: Path) -> None:
    found = host_gpu(PLAIN, local_exists(make(tmp_path, "dev/null")), local_driver_text(tmp_path))
    assert (found.known, found.devices, found.driver_version) == (True, (), None)
    assert (found.runtimes, found.default_runtime) == (("io.containerd.runc.v2", "runc"), "runc")
    assert "no /dev/nvidia*" in " ".join(found.evidence)


def test_devices_and_driver(tmp_path: Path) -> None:
    names = ("dev/nvidiactl", "dev/nvidia0", "dev/nvidia1", "dev/dri/renderD128", "proc/driver/nvidia/version")
    make(tmp_path, *names)
    found = host_gpu(PLAIN, local_exists(tmp_path), local_driver_text(tmp_path))
    assert found.devices == ("/dev/nvidia0", "/dev/nvidia1", "/dev/dri/renderD128")
    assert found.driver_version == "550.54.14"


def test_a_driver_whose_version_cannot_be_read_from_here(tmp_path: Path) -> None:
    found = host_gpu(PLAIN, local_exists(make(tmp_path, "proc/driver/nvidia/version")))
    assert found.driver_version == UNKNOWN_VERSION


@pytest.mark.parametrize(("text", "version"), [(CLOSED_DRIVER, "535.104.05"), ("what?", UNKNOWN_VERSION)])
def test_versions_of_drivers(text: str, version: str) -> None:
    assert host_gpu(PLAIN, lambda path: False, text).driver_version == version


def test_a_machine_that_cannot_be_seen_is_unknown_unless_the_engine_announces_a_gpu() -> None:
    assert not host_gpu(PLAIN, None).known
    announced = {**PLAIN, "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}, {"ID": "a.com/net=1"}, 3]}
    found = host_gpu(announced, None)
    assert (found.known, found.devices) == (True, ("CDI nvidia.com/gpu=0",))


@pytest.mark.parametrize("info", [{}, {"Runtimes": ["runc"], "DefaultRuntime": None, "DiscoveredDevices": {"a": 1}}])
def test_malformed_answers_of_an_engine(info: dict[str, object]) -> None:
    assert host_gpu(info, None).runtimes == ()


def test_an_engine_behind_a_bound_socket_is_not_here(tmp_path: Path) -> None:
    assert runs_here(True, str(tmp_path), tmp_path)
    assert not runs_here(True, str(tmp_path / "missing"), tmp_path)
    assert not runs_here(False, str(tmp_path), tmp_path)
    make(tmp_path, ".dockerenv")
    assert not runs_here(True, str(tmp_path), tmp_path)


def test_processes_on_a_gpu_are_joined_with_those_of_a_container() -> None:
    listed = parse_gpu_processes("4321, /usr/bin/python3\n99, ollama\n[N/A], x\n\nNo devices were found\n")
    assert listed == {4321: "/usr/bin/python3", 99: "ollama"}
    top = {"Titles": ["UID", "PID", "CMD"], "Processes": [["root", "4321", "python3 a"], ["root", "5", "sh"], ["x"]]}
    assert processes_of(top, listed) == ("/usr/bin/python3 (PID 4321)",)
    assert processes_of({"Titles": None, "Processes": None}, listed) == ()
