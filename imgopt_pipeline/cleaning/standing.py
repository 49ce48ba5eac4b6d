"""What stands on a host now, as the engine says: looked at anew whenever something is about to go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from imgopt_pipeline.errors import ImageNotFound, UnreadableLayer
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import HELPER_LABEL, engine_errors
from imgopt_pipeline.hosts.image_config import parse_time
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.candidates import SET_ASIDE
from imgopt_pipeline.services.labels import PROJECT, is_one_off, number_of

_PATIENCE_SECONDS = 600
_KEYS = {"image": "Images", "container": "Containers", "volume": "Volumes", "build-cache": "BuildCache"}
Inspected = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """The inspections of all containers, in memory only, and the engine's own time."""

    containers: tuple[Inspected, ...] = field(repr=False)
    now: datetime

    def container(self, container_id: str) -> Inspected | None:
        """The container of an ID."""
        return next((one for one in self.containers if one["Id"] == container_id), None)

    def in_use(self) -> Iterator[Inspected]:
        """Containers that run or that the engine may start by itself."""
        return (one for one in self.containers if runs(one) or why_started(one))


def standing(host: EngineHost) -> Standing:
    """Look. Raises HostUnreachable, UnreadableLayer."""
    with engine_errors("the engine does not list its containers"):
        listed = host.client.containers(all=True)
        clock = host.client.info().get("SystemTime")
    containers = []
    for item in listed:
        try:
            with engine_errors("the engine does not describe it", missing=ImageNotFound):
                containers.append(host.client.inspect_container(item["Id"]))
        except ImageNotFound:
            continue  # it went meanwhile
    return Standing(tuple(containers), parse_time(clock) or datetime.now(UTC))


def usage(host: EngineHost, kind: Literal["image", "container", "volume", "build-cache"]) -> list[dict[str, Any]]:
    """What the engine says things of a kind take; nothing where it does not say."""
    try:
        with engine_errors("the engine does not say what takes its disk"):
            answer = host.client._get(host.client._url("/system/df"), params={"type": kind}, timeout=_PATIENCE_SECONDS)
            return list(host.client._result(answer, json=True).get(_KEYS[kind]) or [])
    except UnreadableLayer:
        return []


def taken_bytes(host: EngineHost) -> Iterator[int]:
    """What the engine says it takes, image layers and containers' own layers and build cache and volumes."""
    yield from (
        max(0, int(image.get("Size") or 0) - max(0, image.get("SharedSize") or 0)) for image in usage(host, "image")
    )
    yield from (int(container.get("SizeRw") or 0) for container in usage(host, "container"))
    yield from (int(one.get("Size") or 0) for one in usage(host, "build-cache") if not one.get("Shared"))
    yield from (max(0, (one.get("UsageData") or {}).get("Size") or 0) for one in usage(host, "volume"))


def name_of(container: Inspected) -> str:
    """Its name, printable."""
    return printable(str(container.get("Name") or "").removeprefix("/")) or str(container["Id"])[:12]


def labels_of(container: Inspected) -> Mapping[str, str]:
    """Its labels."""
    return (container.get("Config") or {}).get("Labels") or {}


def project_of(container: Inspected) -> str | None:
    """The compose project it is a service of; None for one-off commands and what compose did not make.

    Compose alone gives a number: the other labels may come from an image that it built.
    """
    labels = labels_of(container)
    return labels.get(PROJECT) if number_of(labels) and not is_one_off(labels) else None


def runs(container: Inspected) -> bool:
    """Whether it runs, paused or about to be started again included."""
    state = container.get("State") or {}
    return any(state.get(name) for name in ("Running", "Paused", "Restarting"))


def why_started(container: Inspected) -> str | None:
    """Why the engine may start it by itself, at its own next start at the latest."""
    policy = str(((container.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "no")
    if policy in ("always", "unless-stopped"):
        return f"its restart policy {policy} may start it again"
    if policy == "on-failure" and (container.get("State") or {}).get("ExitCode"):
        return "its restart policy on-failure may start it again, as it failed"
    return None


def is_imgopts(container: Inspected) -> bool:
    """Whether it is a helper of imgopt, or what imgopt set aside."""
    return HELPER_LABEL in labels_of(container) or SET_ASIDE in str(container.get("Name") or "")
