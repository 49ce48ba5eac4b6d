"""On a real engine: what containers are given of GPUs, what the machine has, and the check inside a container."""

from collections.abc import Iterator

import pytest

from imgopt_pipeline.errors import ImageNotFound, ImgoptError
from imgopt_pipeline.gpu.execution import exec_torch_check
from imgopt_pipeline.gpu.image import ImageGpu
from imgopt_pipeline.gpu.verdict import check_container
from imgopt_pipeline.hosts.connection import engine_addresses
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.models import Container

from .daemons import Daemon

PRESET = """
FROM busybox:test
ENV NVIDIA_VISIBLE_DEVICES=all CUDA_VERSION=12.4.1 DEVICE=cpu TOKEN=very-secret
"""
CREATED = {
    "gpu-all": ["--gpus", "all"],
    "gpu-two": ["--gpus", '"device=0,1","capabilities=compute,utility"'],
    "gpu-cdi": ["--device", "nvidia.com/gpu=all"],
    "gpu-none": ["-e", "DEVICE=cuda", "-e", "MY_DEVICE=hunter2"],
}


@pytest.fixture(scope="module")
def host(classic: Daemon) -> Iterator[EngineHost]:
    classic.import_busybox("busybox:test")
    classic.build(PRESET, {}, "gpu-preset:1")
    for name, options in CREATED.items():
        classic.docker("create", f"--name={name}", *options, "gpu-preset:1", "serve", "--device", "cpu")
    classic.docker("run", "-d", "--name=gpu-runs", "--network=none", "gpu-preset:1", "sleep", "60")
    opened = EngineHost("real", engine_addresses(f"unix://{classic.socket}"))
    yield opened
    opened.close()
    classic.docker("rm", "-f", "-v", *CREATED, "gpu-runs")


def container(host: EngineHost, name: str) -> Container:
    return next(item for item in host.containers() if item.name == name)


def test_the_image_keeps_its_settings_about_gpus_and_no_others(host: EngineHost) -> None:
    image = host.image("gpu-preset:1")
    assert image.gpu_environment == {"NVIDIA_VISIBLE_DEVICES": "all", "CUDA_VERSION": "12.4.1", "DEVICE": "cpu"}
    assert "very-secret" not in repr(image)


def test_what_each_container_was_given(host: EngineHost) -> None:
    found = {item.name: item.gpu for item in host.containers()}
    assert {name: found[name].requests for name in CREATED} == {
        "gpu-all": ("capability gpu, count all",),
        "gpu-two": ("capability gpu, devices 0,1",),
        "gpu-cdi": ("CDI nvidia.com/gpu=all",),
        "gpu-none": (),
    }
    assert found["gpu-none"].environment["DEVICE"] == "cuda"
    assert found["gpu-none"].arguments == ("--device cpu",)
    assert "hunter2" not in repr(found)


def test_creation_proves_no_gpu(host: EngineHost) -> None:
    gpus = host.gpus()
    if gpus.devices or gpus.driver_version:
        pytest.skip("this machine has a GPU")
    assert gpus.known
    assert gpus.default_runtime == "runc"
    image = ImageGpu("cuda", (), 1, "optional", host.image("gpu-preset:1").gpu_environment)
    verdicts = {name: check_container(image, container(host, name).gpu, gpus) for name in CREATED}
    assert {name: check.verdict for name, check in verdicts.items()} == {
        "gpu-all": "granted",
        "gpu-two": "granted",
        "gpu-cdi": "granted",
        "gpu-none": "denied",
    }
    assert {check.confidence for name, check in verdicts.items() if name != "gpu-none"} == {"medium"}


def test_the_check_inside_says_in_words_why_it_cannot(host: EngineHost) -> None:
    with pytest.raises(ImgoptError, match="no python3 and no python"):
        exec_torch_check(host, "gpu-runs")
    with pytest.raises(ImgoptError, match="does not run now"):
        exec_torch_check(host, "gpu-none")
    with pytest.raises(ImageNotFound, match="does not know that container"):
        exec_torch_check(host, "gpu-missing")
