"""What takes an engine's disk, by kind, and its volumes, from `GET /system/df`.

The images' reclaimable bytes are the engine's own figure, which some versions get wrong; the
warehouse computes the exact one from chain IDs once the layers are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from imgopt_pipeline.hosts.engine_files import HELPER_LABEL
from imgopt_pipeline.hosts.models import DiskUsage, Volume
from imgopt_pipeline.names import printable

_ANONYMOUS_LABEL = "com.docker.volume.anonymous"
_GIVEN_NAME = re.compile(r"[0-9a-f]{64}")


def disk_usage_from_df(answer: Mapping[str, Any]) -> list[DiskUsage]:
    """One row each for images, containers, volumes and build cache; none where the engine said nothing."""
    if not answer:
        return []
    return [
        _images(answer.get("Images") or [], answer.get("LayersSize")),
        _containers(answer.get("Containers") or []),
        _volumes(answer.get("Volumes") or []),
        _build_cache(answer.get("BuildCache") or []),
    ]


def volumes_from_df(volumes: object, containers: Sequence[Mapping[str, Any]] | None) -> list[Volume]:
    """Volumes by name, from the list of `GET /system/df` or `GET /volumes`, which tells neither sizes nor users.

    `containers`, the answer of `GET /containers/json`, tells who mounts a volume that says nothing of it.
    """
    mounts = [
        str(mount.get("Name"))
        for container in containers or ()
        for mount in container.get("Mounts") or []
        if isinstance(mount, Mapping) and mount.get("Type") == "volume"
    ]
    listed = volumes if isinstance(volumes, list) else []
    found = [_volume(item, mounts) for item in listed if isinstance(item, Mapping) and item.get("Name")]
    return sorted({volume.name: volume for volume in found}.values(), key=lambda volume: volume.name)


def _volume(item: Mapping[str, Any], mounts: Sequence[str]) -> Volume:
    name = str(item["Name"])
    usage = _usage(item)
    # The engine says -1 where it does not know.
    size_bytes, references = usage.get("Size", -1), usage.get("RefCount", -1)
    return Volume(
        name=printable(name),
        driver=printable(str(item.get("Driver") or "")),
        mountpoint=printable(str(item.get("Mountpoint") or "")),
        size_bytes=size_bytes if isinstance(size_bytes, int) and size_bytes >= 0 else None,
        containers=references if isinstance(references, int) and references >= 0 else mounts.count(name),
        anonymous=_ANONYMOUS_LABEL in (item.get("Labels") or {}) or bool(_GIVEN_NAME.fullmatch(name)),
    )


def _images(images: Sequence[Mapping[str, Any]], layers_bytes: int | None) -> DiskUsage:
    active = [image for image in images if (image.get("Containers") or 0) > 0]
    own_bytes = [max(0, (image.get("Size") or 0) - max(0, image.get("SharedSize") or 0)) for image in active]
    # Podman does not tell what the layers take.
    total_bytes = layers_bytes or sum(image.get("Size") or 0 for image in images)
    return DiskUsage("images", len(images), len(active), total_bytes, max(0, total_bytes - sum(own_bytes)))


def _containers(containers: Sequence[Mapping[str, Any]]) -> DiskUsage:
    kept = [item for item in containers if HELPER_LABEL not in (item.get("Labels") or {})]
    running = [item for item in kept if item.get("State") in ("running", "paused", "restarting")]
    total_bytes = sum(item.get("SizeRw") or 0 for item in kept)
    return DiskUsage(
        "containers",
        len(kept),
        len(running),
        total_bytes,
        total_bytes - sum(item.get("SizeRw") or 0 for item in running),
    )


def _volumes(volumes: Sequence[Mapping[str, Any]]) -> DiskUsage:
    # The engine says -1 where it does not know.
    sizes = [(max(0, usage.get("Size") or 0), usage.get("RefCount") or 0) for usage in map(_usage, volumes)]
    return DiskUsage(
        "volumes",
        len(sizes),
        sum(1 for _, references in sizes if references > 0),
        sum(size for size, _ in sizes),
        sum(size for size, references in sizes if references <= 0),
    )


def _usage(volume: Mapping[str, Any]) -> Mapping[str, Any]:
    usage: Mapping[str, Any] = volume.get("UsageData") or {}
    return usage


def _build_cache(records: Sequence[Mapping[str, Any]]) -> DiskUsage:
    own = [record for record in records if not record.get("Shared")]
    return DiskUsage(
        "build cache",
        len(records),
        sum(1 for record in records if record.get("InUse")),
        sum(record.get("Size") or 0 for record in own),
        sum(record.get("Size") or 0 for record in own if not record.get("InUse")),
    )
