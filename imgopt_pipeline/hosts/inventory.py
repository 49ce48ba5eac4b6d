"""The inventory of a host as rows of the warehouse's tables, and which image an image is built on.

Asks a `Host` and shapes the answer; how a host is asked stands with each kind of host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from imgopt_pipeline.hosts.image_config import familiar
from imgopt_pipeline.hosts.models import Container, Host, Image, Layer, Problem

Rows = dict[str, list[dict[str, Any]]]


def image_rows(host: Host, audit_id: str) -> Rows:
    """Rows of `host_facts`, `image_inventory`, `images` and `image_layers`."""
    facts = host.facts()
    images = host.images()
    return {
        "host_facts": [
            {
                "audit_id": audit_id,
                "host": host.name,
                "started_at": utc(datetime.now(UTC)),
                "engine_kind": facts.kind,
                "engine_version": facts.version,
                "image_store": facts.store,
            }
        ],
        "image_inventory": [_inventory_row(host.name, audit_id, image, images) for image in images],
        "images": [_image_row(image) for image in images],
        "image_layers": [
            {
                "image_id": image.image_id,
                "position": layer.position,
                "diff_id": layer.diff_id,
                "chain_id": layer.chain_id,
                "created_by": layer.created_by,
            }
            for image in images
            for layer in image.layers
        ],
    }


def container_rows(host: Host, audit_id: str) -> Rows:
    """Rows of `container_inventory`, `container_mounts` and `container_gpus`."""
    containers = host.containers()
    return {
        "container_inventory": [_container_row(host.name, audit_id, container) for container in containers],
        "container_mounts": [
            {
                "audit_id": audit_id,
                "host": host.name,
                "container_id": container.container_id,
                "kind": mount.kind,
                "source": mount.source,
                "destination": mount.destination,
                "volume": mount.volume,
                "writable": mount.writable,
            }
            for container in containers
            for mount in container.mounts
        ],
        "container_gpus": [_container_gpu_row(host.name, audit_id, container) for container in containers],
    }


def gpu_rows(host: Host, audit_id: str) -> Rows:
    """Rows of `host_gpus`."""
    gpus = host.gpus()
    return {
        "host_gpus": [
            {
                "audit_id": audit_id,
                "host": host.name,
                "known": gpus.known,
                "devices": list(gpus.devices),
                "driver_version": gpus.driver_version,
                "runtimes": list(gpus.runtimes),
                "default_runtime": gpus.default_runtime,
                "evidence": list(gpus.evidence),
            }
        ]
    }


def disk_usage_rows(host: Host, audit_id: str) -> Rows:
    """Rows of `disk_usage`."""
    return {
        "disk_usage": [
            {
                "audit_id": audit_id,
                "host": host.name,
                "kind": usage.kind,
                "items": usage.items,
                "active_items": usage.active_items,
                "size_bytes": usage.size_bytes,
                "reclaimable_bytes": usage.reclaimable_bytes,
            }
            for usage in host.disk_usage()
        ]
    }


def problem_rows(host_name: str, audit_id: str, asset: str, problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Rows of `audit_problems`."""
    return [
        {
            "audit_id": audit_id,
            "host": host_name,
            "asset": asset,
            "subject": problem.subject,
            "kind": problem.kind,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in problems
    ]


def images_from_rows(rows: Sequence[Mapping[str, Any]]) -> list[Image]:
    """Images again, from rows with image_id, image_references, name, source and layers (a list of structs)."""
    return [
        Image(
            image_id=row["image_id"],
            references=tuple(row["image_references"]),
            digests=(),
            layers=tuple(Layer(**layer) for layer in row["layers"]),
            source=row["source"],
            size_bytes=row["reported_bytes"],
        )
        for row in rows
    ]


def base_of(image: Image, images: Sequence[Image]) -> tuple[Image | None, str | None, str | None]:
    """The image it is built on: the local image, its name, and how that is known.

    The OCI base annotation wins; else the other local image whose layers are the longest proper prefix
    of this one's, preferring one that has a tag.
    """
    below = [
        other
        for other in images
        if 0 < len(other.layers) < len(image.layers) and other.chain_id == image.layers[len(other.layers) - 1].chain_id
    ]
    if image.base_reference is not None:
        reference = familiar(image.base_reference)
        named = next((other for other in images if reference in (*other.references, *other.digests)), None)
        return named, reference, "annotation"
    if not below:
        return None, None, None
    nearest = max(below, key=lambda other: (len(other.layers), bool(other.references), other.name))
    return nearest, nearest.name, "layer prefix"


def utc(moment: datetime | None) -> datetime | None:
    """A time as the warehouse keeps it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment is not None else None


def _inventory_row(host_name: str, audit_id: str, image: Image, images: Sequence[Image]) -> dict[str, Any]:
    base, base_reference, evidence = base_of(image, images)
    return {
        "audit_id": audit_id,
        "host": host_name,
        "image_id": image.image_id,
        "name": image.name,
        "image_references": list(image.references),
        "digests": list(image.digests),
        "dangling": image.dangling,
        "reported_bytes": image.size_bytes,
        "base_image_id": base.image_id if base else None,
        "base_reference": base_reference,
        "base_evidence": evidence,
        "source": image.source,
    }


def _image_row(image: Image) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "chain_id": image.chain_id,
        "architecture": image.architecture,
        "os": image.os,
        "variant": image.variant,
        "created_at": utc(image.created_at),
        "layer_count": len(image.layers),
        "labels": list(image.labels.items()),
        "default_user": image.user,
        "has_healthcheck": image.has_healthcheck,
        "env_names": list(image.env_names),
    }


def _container_row(host_name: str, audit_id: str, container: Container) -> dict[str, Any]:
    return {
        "audit_id": audit_id,
        "host": host_name,
        "container_id": container.container_id,
        "name": container.name,
        "image_id": container.image_id,
        "image_reference": container.image_reference,
        "state": container.state,
        "running": container.running,
        "created_at": utc(container.created_at),
        "started_at": utc(container.started_at),
        "restart_policy": container.restart_policy,
        "restart_count": container.restart_count,
        "compose_project": container.compose_project,
        "compose_service": container.compose_service,
        "compose_working_dir": container.compose_working_dir,
        "compose_config_files": list(container.compose_config_files),
        "memory_limit_bytes": container.memory_limit_bytes,
        "log_driver": container.log_driver,
        "log_bytes": container.log_bytes,
        "writable_bytes": container.writable_bytes,
    }


def _container_gpu_row(host_name: str, audit_id: str, container: Container) -> dict[str, Any]:
    gpu = container.gpu
    return {
        "audit_id": audit_id,
        "host": host_name,
        "container_id": container.container_id,
        "runtime": gpu.runtime,
        "requests": list(gpu.requests),
        "environment": list(gpu.environment.items()),
        "arguments": list(gpu.arguments),
        "processes": None if gpu.processes is None else list(gpu.processes),
    }
