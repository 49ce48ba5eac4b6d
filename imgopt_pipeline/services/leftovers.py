"""What a compose that was killed leaves: two containers for one replica, one of them under a name for the time being.

Compose itself does not get over it: it takes the second for a replica of its own, starts it beside the first, or stops
at a name that is taken, for good. So it is cleared away before compose is run again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.docker_sdk import NotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.services.finding import labels_of, running_of, unit_of
from imgopt_pipeline.services.labels import REPLACED
from imgopt_pipeline.services.models import Running, ServiceName, SwitchFailed, UnitName

_TEMPORARY = re.compile(r"([0-9a-f]{12})_(.+)")
_NEVER = "0001-01-01T00:00:00Z"
_WAIT_SECONDS = 30
_POLL_SECONDS = 0.1


def settle_leftovers(host: EngineHost, name: ServiceName) -> None:
    """Leave one container under each proper name: what runs, else what has run. Raises SwitchFailed.

    Volumes are never removed with a container.
    """
    unit = UnitName(f"{name.project}/{name.service}", name)
    for container in unit_of(host, unit).containers:
        proper_name = _proper_name(container)
        if proper_name is None:
            continue
        with _changing(container):
            there = running_of(host, proper_name)
            # An ID prefix is no name.
            other = there if there is not None and there.name == proper_name else None
            kept = container if other is None else max(container, other, key=_worth)
            if other is not None:
                _remove(host, other if kept is container else container)
            if kept is container:
                host.client.rename(container.container_id, proper_name)


def _proper_name(container: Running) -> str | None:
    """The name that a container is to have, where compose gave it another for the time being.

    Compose 2 names the new one with the ID of the old one before its name, compose 1 the old one with its own ID.
    """
    match = _TEMPORARY.fullmatch(container.name)
    ids = (labels_of(container).get(REPLACED, ""), container.container_id)
    return match[2] if match and any(one.startswith(match[1]) for one in ids) else None


def _worth(container: Running) -> tuple[bool, bool, bool, bool]:
    started_at = (container.inspected.get("State") or {}).get("StartedAt") or _NEVER
    return (
        _status(container) not in ("removing", "dead"),
        container.running,
        started_at != _NEVER,
        _proper_name(container) is None,
    )


def _status(container: Running) -> str:
    return str((container.inspected.get("State") or {}).get("Status") or "")


def _remove(host: EngineHost, container: Running) -> None:
    try:
        if container.running:
            host.client.stop(container.container_id)
        if _status(container) != "removing":
            host.client.remove_container(container.container_id)
    except NotFound:
        return
    deadline = time.monotonic() + _WAIT_SECONDS
    while running_of(host, container.container_id) is not None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


@contextmanager
def _changing(container: Running) -> Iterator[None]:
    try:
        with engine_errors("the engine does not clear away what a killed compose left"):
            yield
    except UnreadableLayer as error:
        raise SwitchFailed(
            error.message,
            subject=f"container {container.name}",
            hint="`docker ps -a` shows two containers for one: keep the one that is meant.",
        ) from error
