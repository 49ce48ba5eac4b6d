"""A `Container` from what the API says of it. Values of its environment get no further, but for `gpu_settings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgopt_pipeline.hosts.gpu_settings import container_gpu
from imgopt_pipeline.hosts.image_config import familiar, parse_time
from imgopt_pipeline.hosts.models import Container, Mount
from imgopt_pipeline.names import printable

_COMPOSE = "com.docker.compose."
_MOST = 2**63 - 1
"""The largest number that the warehouse holds."""


def container_from_inspect(
    inspected: Mapping[str, Any],
    writable_bytes: int | None,
    log_bytes: int | None,
    gpu_processes: Sequence[str] | None = None,
) -> Container:
    """A container from `GET /containers/{id}/json`; the rest comes from elsewhere, None where unknown."""
    state = inspected.get("State") or {}
    config = inspected.get("Config") or {}
    host = inspected.get("HostConfig") or {}
    labels = config.get("Labels") or {}

    def label(name: str) -> str | None:
        value = labels.get(_COMPOSE + name)
        return printable(str(value)) if value else None

    files = label("project.config_files") or ""
    return Container(
        container_id=str(inspected["Id"]),
        name=printable(str(inspected.get("Name") or "").removeprefix("/")),
        image_id=str(inspected.get("Image") or ""),
        image_reference=printable(familiar(str(config.get("Image") or ""))),
        state=printable(str(state.get("Status") or "")),
        running=bool(state.get("Running")),
        created_at=parse_time(inspected.get("Created")),
        started_at=parse_time(state.get("StartedAt")),
        restart_policy=printable(str((host.get("RestartPolicy") or {}).get("Name") or "no")),
        restart_count=_number(inspected.get("RestartCount")) or 0,
        compose_project=label("project"),
        compose_service=label("service"),
        compose_working_dir=label("project.working_dir"),
        compose_config_files=tuple(name for name in files.split(",") if name),
        mounts=_mounts(inspected.get("Mounts") or [], host.get("Tmpfs") or {}),
        memory_limit_bytes=_number(host.get("Memory")) or None,  # 0 stands for no limit
        log_driver=printable(str((host.get("LogConfig") or {}).get("Type") or "")),
        log_bytes=log_bytes,
        writable_bytes=writable_bytes,
        gpu=container_gpu(inspected, gpu_processes),
    )


def _number(value: object) -> int | None:
    """A whole number that is not negative and that the warehouse holds; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None


def _mounts(mounts: Sequence[Mapping[str, Any]], tmpfs: Mapping[str, str]) -> tuple[Mount, ...]:
    """All mounts; those of `--tmpfs` stand apart, as options by path."""
    named = {str(mount.get("Destination") or "") for mount in mounts}
    unnamed = [
        {"Type": "tmpfs", "Destination": path, "RW": "ro" not in str(options).split(",")}
        for path, options in tmpfs.items()
        if path not in named
    ]
    return tuple(_mount(mount) for mount in (*mounts, *unnamed))


def _mount(mount: Mapping[str, Any]) -> Mount:
    kind = str(mount.get("Type") or "bind")
    return Mount(
        kind=printable(kind),
        source=printable(str(mount.get("Source") or "")),
        destination=printable(str(mount.get("Destination") or "")),
        volume=printable(str(mount.get("Name"))) if kind == "volume" and mount.get("Name") else None,
        writable=bool(mount.get("RW")),
    )
