"""What an image and a container are told about GPUs: a few environment values, device requests, arguments.

These are the only environment values that are ever kept. Each name comes with the form its value must
have; a value of any other form is dropped, so that nothing secret passes under a harmless name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imgopt_pipeline.hosts.models import ContainerGpu
from imgopt_pipeline.names import printable

_DEVICE = r"(?:cpu|cuda|gpu|auto|mps|hip|rocm|xpu|tpu|none)(?::\d{1,3})?"
_SWITCH = r"(?:0|1|true|false|yes|no|on|off)?"
_VERSION = r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}"
_DEVICE_ID = r"(?:(?:GPU-|MIG-)?[0-9a-f]{1,12}[0-9a-f:/-]{0,120}|[a-z.]{1,30}/gpu=[0-9a-z:-]{1,60})"
_DEVICE_LIST = rf"(?:all|none|void|-1|{_DEVICE_ID}(?:,{_DEVICE_ID}){{0,31}})?"
_WORDS = r"[a-z0-9_,]{0,80}"

_ALLOWED = tuple(
    (re.compile(name, re.IGNORECASE), re.compile(value, re.IGNORECASE | re.ASCII))
    for name, value in (
        (r"(NVIDIA|CUDA|HIP|ROCR|AMD|GPU)_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL", _DEVICE_LIST),
        (r"NVIDIA_DRIVER_CAPABILITIES", _WORDS),
        (r"(CUDA|ROCM|HIP|CUDNN|NV_CUDNN|NV_CUDA_LIB)_VERSION", _VERSION),
        (r"(\w+_)?DEVICE(_TYPE|_NAME)?", _DEVICE),
        (r"(\w+_)?COMPUTE_TYPE", r"(?:default|auto|(?:b?float|int)(?:8|16|32)(?:_(?:b?float)(?:16|32))?)"),
        (r"(\w+_)?(USE|ENABLE|NO|DISABLE|FORCE|WITH)_(GPU|CUDA|CPU)", _SWITCH),
        (r"JAX_PLATFORMS|JAX_PLATFORM_NAME", _WORDS),
    )
)
_OPTION = re.compile(
    r"--?(?:\w+[-_])?(?:device|compute[-_]type|gpus?|n[-_]gpu[-_]layers|(?:no|use)[-_](?:gpu|cuda|cpu))"
)
_OPTION_VALUE = re.compile(rf"{_DEVICE}|(?:b?float|int)\d+(?:_b?float\d+)?|\d{{1,4}}|all|true|false", re.IGNORECASE)
_GPU_DEVICE = re.compile(r"/dev/(?:nvidia|kfd|dri|dxg|nvmap|nvhost|nvgpu)")
_GPU_RULE = re.compile(r"c (?:195|\*):")
_ENTRIES = 1_000
_WORD_CHARACTERS = 200
_REQUESTS = 32

GPU_CAPABILITIES = frozenset({"gpu", "nvidia", "amd"})
"""Capabilities of a device request that mean a GPU."""


def gpu_environment(environment: object) -> dict[str, str]:
    """The allowed names and values of `NAME=value` entries; the last entry of a name counts."""
    entries = environment if isinstance(environment, list | tuple) else ()
    kept: dict[str, str] = {}
    for entry in entries[:_ENTRIES]:
        name, _, value = str(entry).partition("=")
        if allowed(name, value):
            kept[name] = value
        else:
            kept.pop(name, None)
    return kept


def allowed(name: str, value: str) -> bool:
    """Whether that variable is about GPUs, and its value of the form such a value has."""
    return any(names.fullmatch(name) and values.fullmatch(value) for names, values in _ALLOWED)


def container_gpu(inspected: Mapping[str, Any], processes: Sequence[str] | None = None) -> ContainerGpu:
    """What `GET /containers/{id}/json` says of GPUs. `processes`: those that a GPU lists, None where none was asked."""
    config = _mapping(inspected.get("Config"))
    host = _mapping(inspected.get("HostConfig"))
    words = [*_items(config.get("Entrypoint")), *_items(config.get("Cmd"))]
    return ContainerGpu(
        runtime=printable(str(host.get("Runtime") or "")),
        requests=tuple(_requests(host))[:_REQUESTS],
        environment=gpu_environment(config.get("Env")),
        arguments=device_arguments(words),
        processes=None if processes is None else tuple(processes),
    )


def device_arguments(command: Iterable[object]) -> tuple[str, ...]:
    """Arguments that name a device, such as `--device cpu`; also those within `sh -c "…"`."""
    words = [word for part in command for word in str(part)[:10_000].split()][:_ENTRIES]
    found = []
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if not _OPTION.fullmatch(option):
            continue
        if not equals and index + 1 < len(words) and not words[index + 1].startswith("--"):
            value = words[index + 1]
        value = value.strip("'\",;")
        if _OPTION_VALUE.fullmatch(value):
            found.append(f"{option} {value}")
        elif re.search(r"(?:no|use)[-_](?:gpu|cuda|cpu)$", option):
            found.append(option)
    return tuple(dict.fromkeys(found))[:_REQUESTS]


def _requests(host: Mapping[str, Any]) -> Iterable[str]:
    """Device requests, devices and device rules about GPUs, as words.

    Source: Docker Engine API, ContainerCreate, HostConfig.DeviceRequests, Devices, DeviceCgroupRules.
    """
    for request in _items(host.get("DeviceRequests")):
        request = _mapping(request)
        ids = ",".join(str(device) for device in _items(request.get("DeviceIDs")))
        if request.get("Driver") == "cdi":
            if "gpu" in ids.lower():
                yield _word(f"CDI {ids}")
            continue
        capabilities = {str(name).lower() for group in _items(request.get("Capabilities")) for name in _items(group)}
        if capabilities & GPU_CAPABILITIES or request.get("Driver") in GPU_CAPABILITIES:
            count = request.get("Count")
            which = f"devices {ids}" if ids else "count all" if count in (-1, None) else f"count {count}"
            yield _word(f"capability gpu, {which}")
    for device in _items(host.get("Devices")):
        path = str(_mapping(device).get("PathOnHost") or "")
        if _GPU_DEVICE.match(path) or ("/gpu=" in path and not path.startswith("/")):
            yield _word(f"device {path}" if path.startswith("/") else f"CDI {path}")
    for rule in _items(host.get("DeviceCgroupRules")):
        if _GPU_RULE.match(str(rule)):
            yield _word(f"device rule {rule}")
    if host.get("Privileged") is True:
        yield "privileged"


def _word(text: str) -> str:
    return printable(text[:_WORD_CHARACTERS])


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
