"""Whether a container is given a GPU, and whether its host has one that its image could use.

By settings alone: an engine accepts many of them at creation without any GPU, so that they prove a wish.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from imgopt_pipeline.gpu.evidence import Evidence
from imgopt_pipeline.hosts.models import ContainerGpu, HostGpu

VISIBLE = "NVIDIA_VISIBLE_DEVICES"

_NVIDIA = re.compile(r"/dev/(?:nvidia|dxg|nvmap)|CDI .*nvidia", re.IGNORECASE)
_AMD = re.compile(r"/dev/kfd|CDI .*amd", re.IGNORECASE)
_GRANTS = re.compile(r"capability gpu|CDI |device /dev/(?:nvidia|kfd|dxg|nvmap|nvhost|nvgpu)|device rule ")
_NOTHING = frozenset({"", "void", "none"})


@dataclass(frozen=True, slots=True)
class Grant:
    """Whether a GPU is given; `evidence` says by what."""

    granted: bool
    evidence: tuple[Evidence, ...]


def grant_of(container: ContainerGpu, host: HostGpu, environment: Mapping[str, str]) -> Grant:
    """What a container's settings give it. `environment`: the image's variables with the container's over them."""
    requests = [request for request in container.requests if _GRANTS.match(request)]
    if requests:
        return _given(f"it was created with {'; '.join(requests)}", "device requests of the container", "high")
    runtime, whose = (
        (container.runtime, "its runtime")
        if container.runtime and container.runtime != host.default_runtime
        else (host.default_runtime or container.runtime, "the host's default runtime")
    )
    visible = environment.get(VISIBLE)
    if "nvidia" in runtime and visible is None and "CUDA_VERSION" in environment:
        # Images from before the variable: nvidia-container-runtime gives them all GPUs.
        return _given(
            f"{whose} is {runtime}, and the image is an older one of CUDA", "runtime of the container", "medium"
        )
    if "nvidia" in runtime and visible is not None and visible.lower() not in _NOTHING:
        return _given(f"{whose} is {runtime}, and {VISIBLE} is {visible}", "runtime of the container", "high")
    if "privileged" in container.requests and any(map(_NVIDIA.match, host.devices)):
        return _given("it is privileged, and so sees the GPUs of the host", "privileged container", "medium")
    if "nvidia" in runtime:
        shown = "not set" if visible is None else f"{visible!r}"
        return _not_given(f"{whose} is {runtime}, but {VISIBLE} is {shown}", "runtime of the container", "high")
    if visible is not None:
        statement = (
            f"{VISIBLE} is {visible or 'empty'}, which gives nothing without NVIDIA's runtime; CUDA images preset it"
        )
        return _not_given(statement, f"environment {VISIBLE}", "high")
    return _not_given("no GPU device, capability or runtime is given to it", "settings of the container", "very high")


def host_has_gpu(host: HostGpu, build: str) -> tuple[bool | None, tuple[Evidence, ...]]:
    """Whether the host has a GPU that such a build runs on; None where that is not known."""
    if not host.known:
        seen = "; ".join(host.evidence) or "nobody could look"
        return None, (Evidence("host", f"whether the host has a GPU is not known: {seen}", "host", "weak", "unknown"),)
    nvidia = any(map(_NVIDIA.match, host.devices)) or host.driver_version is not None
    amd = any(map(_AMD.match, host.devices))
    has = nvidia if build == "cuda" else amd if build == "rocm" else nvidia or amd
    seen = "; ".join(host.evidence) or "no GPU device and no driver"
    if has:
        return True, (Evidence("host", f"the host has a GPU: {seen}", "host", "very high", "gpu"),)
    if any("nvidia" in name for name in (*host.runtimes, host.default_runtime)) and build != "rocm":
        statement = f"the engine has NVIDIA's runtime, but no GPU is to be seen now: {seen}"
        return None, (Evidence("host", statement, "host", "medium", "unknown"),)
    return False, (Evidence("host", f"the host has no GPU for it: {seen}", "host", "very high", "no gpu"),)


def _given(statement: str, source: str, weight: str) -> Grant:
    return Grant(True, (Evidence("grant", statement, source, weight, "granted"),))


def _not_given(statement: str, source: str, weight: str) -> Grant:
    return Grant(False, (Evidence("grant", statement, source, weight, "not granted"),))
