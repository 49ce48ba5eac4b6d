"""The description of a host, `host.json`: what `docker inspect` and its like would say, for hosts/described.py.

Documents of containers have the engine's own form, so that the code that reads a real engine reads them too.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from imgopt_pipeline.demo.declaration import BuildCache, Container, Fleet, Image, Process, Volume
from imgopt_pipeline.errors import SettingsError

VOLUMES = "/var/lib/docker/volumes"
RUNNING = ("running", "paused", "restarting")
"""States of containers whose processes exist."""

_ZERO_TIME = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class MadeImage:
    """An image that was made: its ID, repository digests, and the bytes of its layers, base first."""

    image: Image
    image_id: str
    digests: tuple[str, ...]
    layer_bytes: tuple[int, ...]


def describe(fleet: Fleet, images: Sequence[MadeImage], now: datetime) -> dict[str, Any]:
    """The document `host.json`."""
    by_reference = {reference: made for made in images for reference in made.image.references}
    return {
        "format": 1,
        "engine": {"kind": "docker", "version": fleet.engine, "store": fleet.store},
        "images": {
            made.image_id: {"digests": list(made.digests), "layer_bytes": list(made.layer_bytes)} for made in images
        },
        "containers": [
            {
                "inspect": _inspect(container, by_reference[container.image], fleet, now),
                "writable_bytes": container.writable,
                "log_bytes": container.log if container.log_driver == "json-file" else None,
            }
            for container in fleet.containers
        ],
        "volumes": [
            {
                "name": volume.name,
                "driver": volume.driver,
                "mountpoint": mountpoint(volume),
                "size_bytes": volume.size,
                "anonymous": volume.anonymous,
            }
            for volume in fleet.volumes
        ],
        "build_cache": _build_cache(fleet.build_cache),
        "gpu": {
            "devices": list(fleet.gpu.devices),
            "driver_version": fleet.gpu.driver,
            "runtimes": list(fleet.gpu.runtimes),
            "default_runtime": fleet.gpu.default_runtime,
        },
        "processes": [
            {"pid": 1_000 + 37 * number, "command": item.command, "folder": item.folder, "open": list(item.open)}
            for number, item in enumerate(_running(fleet))
        ],
        "filesystems": [{"path": item.path, "type": item.type} for item in fleet.filesystems],
    }


def _running(fleet: Fleet) -> list[Process]:
    """Processes but those of containers that do not run."""
    stopped = {container.name for container in fleet.containers if container.state not in RUNNING}
    return [process for process in fleet.processes if process.container not in stopped]


def mountpoint(volume: Volume) -> str:
    """Where an engine keeps a volume."""
    return f"{VOLUMES}/{volume.name}/_data"


def repository_digests(image: Image, image_id: str) -> tuple[str, ...]:
    """The digests under which a registry has it: none for what was built here."""
    if image.digest is False or not image.references:
        return ()
    digest = image.digest if isinstance(image.digest, str) else f"sha256:{_hex(f'registry {image_id}')}"
    return (f"{image.references[0].rpartition(':')[0]}@{digest}",)


def _inspect(container: Container, made: MadeImage, fleet: Fleet, now: datetime) -> dict[str, Any]:
    """What `GET /containers/{id}/json` answers. Source: Docker Engine API, ContainerInspect."""
    image = made.image
    created = now - timedelta(days=container.age_days)
    running = container.state in RUNNING
    started = created if container.state != "created" else None
    command = [*image.entrypoint, *(container.command or image.command)]
    return {
        "Id": _hex(f"container {container.name}"),
        "Created": _time(created),
        "Path": command[0] if command else "",
        "Args": command[1:],
        "State": {
            "Status": container.state,
            "Running": running,
            "Paused": container.state == "paused",
            "Restarting": container.state == "restarting",
            "ExitCode": 0,
            "StartedAt": _time(started) if started else _ZERO_TIME,
            "FinishedAt": _ZERO_TIME if running or started is None else _time(created + timedelta(hours=2)),
        },
        "Image": made.image_id,
        "Name": f"/{container.name}",
        "RestartCount": container.restarts,
        "Mounts": [_mount(text, fleet) for text in container.mounts],
        "HostConfig": {
            "Runtime": container.runtime,
            "Memory": container.memory or 0,
            "RestartPolicy": {"Name": container.restart, "MaximumRetryCount": 0},
            "LogConfig": {"Type": container.log_driver, "Config": container.log_options},
            "DeviceRequests": _device_requests(container),
            "Devices": [
                {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in container.devices
            ],
        },
        "Config": {
            "Image": container.image,
            "User": image.user,
            "Env": [f"{name}={value}" for name, value in (dict(image.env) | container.env).items()],
            "Cmd": list(container.command or image.command),
            "Entrypoint": list(image.entrypoint) or None,
            "Labels": {**image.labels, **_compose_labels(container)},
        },
    }


def _device_requests(container: Container) -> list[dict[str, Any]] | None:
    """What `--gpus` makes of its argument: a count of -1 means all."""
    if container.gpus is None:
        return None
    count = -1 if container.gpus == "all" else container.gpus
    return [{"Driver": "", "Count": count, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}]


def _mount(text: str, fleet: Fleet) -> dict[str, Any]:
    source, destination, writable = parse_mount(text)
    if source.startswith("/"):
        return {"Type": "bind", "Source": source, "Destination": destination, "Mode": "", "RW": writable}
    volume = next(volume for volume in fleet.volumes if volume.name == source)
    return {
        "Type": "volume",
        "Name": source,
        "Source": mountpoint(volume),
        "Destination": destination,
        "Driver": volume.driver,
        "Mode": "z",
        "RW": writable,
    }


def parse_mount(text: str) -> tuple[str, str, bool]:
    """`SOURCE:DESTINATION[:ro]`. Raises SettingsError for anything else."""
    parts = text.split(":")
    if (
        len(parts) not in (2, 3)
        or not parts[0]
        or not parts[1].startswith("/")
        or parts[2:] not in ([], ["ro"], ["rw"])
    ):
        near = difflib.get_close_matches(parts[-1], ["ro", "rw"], n=1) if len(parts) == 3 else []
        raise SettingsError(
            f"{text!r} is no mount" + (f"; did you mean {near[0]!r} at its end?" if near else "."),
            hint="Write it like /srv/data:/data:ro or VOLUME:/data.",
        )
    return parts[0], parts[1], parts[2:] != ["ro"]


def _compose_labels(container: Container) -> dict[str, str]:
    compose = container.compose
    if compose is None:
        return {}
    prefix = "com.docker.compose."
    return {
        f"{prefix}project": compose.project,
        f"{prefix}service": compose.service,
        f"{prefix}project.working_dir": compose.folder,
        f"{prefix}project.config_files": compose.files,
        f"{prefix}container-number": "1",
        f"{prefix}oneoff": "False",
    }


def _build_cache(cache: BuildCache | None) -> Mapping[str, int] | None:
    if cache is None:
        return None
    reclaimable = cache.size if cache.reclaimable is None else min(cache.reclaimable, cache.size)
    active = 0 if reclaimable == cache.size else min(1, cache.items)
    return {"items": cache.items, "active_items": active, "size_bytes": cache.size, "reclaimable_bytes": reclaimable}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
