"""Of a container's and an image's settings only those about GPUs are kept, and no secret passes with them."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.hosts.gpu_settings import container_gpu, device_arguments, gpu_environment

KEPT = [
    "NVIDIA_VISIBLE_DEVICES=all",
    "NVIDIA_VISIBLE_DEVICES=0,1",
    "NVIDIA_VISIBLE_DEVICES=GPU-fef8089b-6c0e-4e0b-8c2d-0c9f3c1b2a4d",
    "NVIDIA_VISIBLE_DEVICES=",
    "NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=all",
    "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    "CUDA_VISIBLE_DEVICES=-1",
    "CUDA_VISIBLE_DEVICES=",
    "CUDA_VERSION=12.4.1",
    "DEVICE=cpu",
    "WHISPER_DEVICE=cuda:0",
    "USE_GPU=true",
    "NO_CUDA=1",
    "COMPUTE_TYPE=int8_float16",
    "JAX_PLATFORMS=cuda,cpu",
]
DROPPED = [
    "TOKEN=very-secret",
    "DEVICE=s3cr3t-value",
    "AUDIO_DEVICE=hw:0,0",
    "NVIDIA_VISIBLE_DEVICES=password with spaces",
    "CUDA_VERSION=hunter2",
    "USE_GPU=ghp_0123456789abcdef",
    "DEVICE=cpu\nTOKEN=x",
    "DEVICE_TOKEN=cpu",
    "PATH=/usr/bin",
    "=cpu",
]


@pytest.mark.parametrize("entry", KEPT)
def test_variables_about_gpus_are_kept(entry: str) -> None:
    name, _, value = entry.partition("=")
    assert gpu_environment([entry]) == {name: value}


@pytest.mark.parametrize("entry", DROPPED)
def test_all_others_are_dropped(entry: str) -> None:
    assert gpu_environment([entry, "HOME=/root"]) == {}


def test_the_last_entry_of_a_name_counts() -> None:
    assert gpu_environment(["DEVICE=cuda", "DEVICE=cpu"]) == {"DEVICE": "cpu"}
    assert gpu_environment(["DEVICE=cuda", "DEVICE=secret"]) == {}


@given(st.text(string.printable, max_size=40))
def test_no_value_of_a_switch_is_kept_but_known_words(value: str) -> None:
    words = {"", "0", "1", "true", "false", "yes", "no", "on", "off"}
    assert gpu_environment([f"USE_CUDA={value}"]) == ({"USE_CUDA": value} if value.lower() in words else {})


@pytest.mark.parametrize("environment", [None, "DEVICE=cpu", {"DEVICE": "cpu"}, [None, 3, []], 7])
def test_a_malformed_environment_is_none(environment: object) -> None:
    assert gpu_environment(environment) == {}


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["python", "app.py", "--device", "cpu"], ("--device cpu",)),
        (["serve", "--device=cuda:1", "--port=80"], ("--device=cuda:1".replace("=", " ", 1),)),
        (["sh", "-c", "exec serve --device cpu --compute_type int8"], ("--device cpu", "--compute_type int8")),
        (["serve", "--no-cuda", "--verbose"], ("--no-cuda",)),
        (["serve", "--use-gpu", "false"], ("--use-gpu false",)),
        (["serve", "--device", "hunter2"], ()),
        (["serve", "--device-token", "cpu"], ()),
        (["serve", "--device"], ()),
        ([None, 5, "--device", "cpu"], ("--device cpu",)),
    ],
)
def test_arguments_that_name_a_device(command: list[Any], found: tuple[str, ...]) -> None:
    assert device_arguments(command) == found


REQUESTS = [
    ({"DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}]},
     ("capability gpu, count all",)),
    ({"DeviceRequests": [{"Count": 2, "Capabilities": [["compute", "gpu"]]}]}, ("capability gpu, count 2",)),
    ({"DeviceRequests": [{"Count": 0, "DeviceIDs": ["0", "1"], "Capabilities": [["gpu"]]}]},
     ("capability gpu, devices 0,1",)),
    ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"], "Capabilities": None}]},
     ("CDI nvidia.com/gpu=all",)),
    ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/net=eth1"]}]}, ()),
    ({"DeviceRequests": [{"Driver": "", "Count": 1, "Capabilities": [["tpu"]]}]}, ()),
    ({"Devices": [{"PathOnHost": "/dev/nvidia0"}, {"PathOnHost": "/dev/null"}]}, ("device /dev/nvidia0",)),
    ({"Devices": [{"PathOnHost": "/dev/kfd"}, {"PathOnHost": "/dev/dri"}]}, ("device /dev/kfd", "device /dev/dri")),
    ({"DeviceCgroupRules": ["c 195:* rmw", "c 10:200 rmw"]}, ("device rule c 195:* rmw",)),
    ({"Privileged": True}, ("privileged",)),
    ({"DeviceRequests": "gpu", "Devices": [3, None], "DeviceCgroupRules": {"a": 1}, "Privileged": "yes"}, ()),
    ({"DeviceRequests": [{"Count": -1, "Capabilities": ["gpu", 7, None]}]}, ("capability gpu, count all",)),
]  # fmt: skip


@pytest.mark.parametrize(("host_config", "requests"), REQUESTS)
def test_requests_for_gpus_as_words(host_config: dict[str, Any], requests: tuple[str, ...]) -> None:
    assert container_gpu({"HostConfig": host_config}).requests == requests


def test_a_container_as_a_whole() -> None:
    inspected = {
        "Config": {"Env": ["DEVICE=cpu", "TOKEN=x"], "Cmd": ["--device", "cpu"], "Entrypoint": ["serve"]},
        "HostConfig": {"Runtime": "nvidia"},
    }
    gpu = container_gpu(inspected, ["python3 (PID 7)"])
    assert (gpu.runtime, gpu.environment, gpu.arguments) == ("nvidia", {"DEVICE": "cpu"}, ("--device cpu",))
    assert gpu.processes == ("python3 (PID 7)",)
    assert container_gpu({}).processes is None
