"""Having nothing write to a folder: containers stopped so that the engine does not start them again, and no process
of the host at work there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.mount_points import MountTable, is_within, parse_mountinfo
from imgopt_pipeline.hosts.processes import local_processes
from imgopt_pipeline.journal.journal import DONE
from imgopt_pipeline.migrations.migration import UnitPlan
from imgopt_pipeline.migrations.work import Work
from imgopt_pipeline.services.changing import settle_stop
from imgopt_pipeline.services.finding import running_of
from imgopt_pipeline.services.models import Refused, Running, SwitchFailed
from imgopt_pipeline.units import count

QUIESCE = "quiesce"

_MOUNTS = Path("/proc/self/mountinfo")
_SHOWN = 5
_NEVER = {"Name": "no", "MaximumRetryCount": 0}


def stop(work: Work, plan: UnitPlan) -> list[str]:
    """Stop whatever containers a unit has now, for good until somebody starts them; their names.

    Raises SwitchFailed where one runs on.
    """
    containers = work.unit(plan).containers
    for container in containers:
        _set_policy(work.host, container, _NEVER)
        if not container.running:
            continue
        with _refusals("it cannot be stopped", container):
            work.host.client.stop(container.container_id, timeout=_stop_seconds(work, container))
        found = running_of(work.host, container.container_id)
        if found is not None and found.running:
            raise SwitchFailed("it runs on although it was stopped.", subject=f"container {container.name}")
    return [container.name for container in containers]


def start_again(work: Work, plan: UnitPlan) -> bool:
    """Have the containers that a unit has now run as before; False where they are not as many, or see the new place.

    They are those of before, or what an earlier way back that was cut off had made of them.
    """
    unit = work.unit(plan)
    if len(unit.containers) != plan.replicas or any(plan.places.items() & seen_places(one) for one in unit.containers):
        return False
    before = {old.container_id: old for old in plan.containers}
    stopping = _may_be_stopping(work, plan)
    for container in unit.containers:
        old = before.get(container.container_id)
        if stopping:
            settle_stop(work.host, container.container_id, _stop_seconds(work, container))
        if old is not None:
            _set_policy(work.host, container, old.restart_policy)
        if (stopping or not container.running) and (plan.running if old is None else old.running):
            with _refusals("it does not start", container):
                work.host.client.start(container.container_id)
    return True


def seen_places(container: Running) -> set[tuple[str, str]]:
    """Where a container sees which folder of the host."""
    return {(mount.get("Destination"), mount.get("Source")) for mount in container.inspected.get("Mounts") or []}


def check_unused(folder: Path, ours: frozenset[int] = frozenset()) -> None:
    """Raise Refused where a process works in a folder; `ours` are those of containers that will be stopped."""
    table = MountTable(parse_mountinfo(_MOUNTS.read_bytes()))
    processes = local_processes(table)
    if processes is None:
        raise Refused("which processes work there cannot be seen.", subject=str(folder), hint="Run it as root.")
    real = os.path.realpath(folder)
    using = [
        process.label
        for process in processes
        if process.pid not in ours and any(is_within(path, real) for path in process.paths)
    ]
    if using:
        more = f" and {len(using) - _SHOWN} more" if len(using) > _SHOWN else ""
        raise Refused(
            f"{count(len(using), 'process')} of this machine work there: {', '.join(using[:_SHOWN])}{more}.",
            subject=str(folder),
            hint="Stop them first; a shell that stands there counts.",
        )


def processes_of(host: EngineHost, containers: Iterator[Running]) -> frozenset[int]:
    """The IDs of the processes of running containers, as this machine counts them."""
    found: set[int] = set()
    for container in containers:
        if not container.running:
            continue
        with engine_errors("the engine does not list the processes of a container"):
            listed: Mapping[str, Any] = host.client.top(container.container_id)
        column = [str(title).upper() for title in listed.get("Titles") or []].index("PID")
        found |= {int(row[column]) for row in listed.get("Processes") or [] if row[column].isdigit()}
    return frozenset(found)


def _may_be_stopping(work: Work, plan: UnitPlan) -> bool:
    """Whether the engine may still be at a stop that was cut off on our side: what runs now would not for long."""
    stopped, started = work.journal.last(QUIESCE), work.journal.last(f"back: {plan.name.name}", DONE)
    if stopped is None or stopped.event == DONE:
        return False
    return started is None or started.number < stopped.number


def _stop_seconds(work: Work, container: Running) -> int | None:
    seconds = work.settings.deployments.stop_seconds
    return seconds if seconds is not None else (container.inspected.get("Config") or {}).get("StopTimeout")


def _set_policy(host: EngineHost, container: Running, policy: Mapping[str, Any]) -> None:
    """An engine that is started again would start it again otherwise."""
    now = (container.inspected.get("HostConfig") or {}).get("RestartPolicy") or {}
    wanted = {"Name": policy.get("Name") or "no", "MaximumRetryCount": policy.get("MaximumRetryCount") or 0}
    if {"Name": now.get("Name") or "no", "MaximumRetryCount": now.get("MaximumRetryCount") or 0} != wanted:
        with _refusals("its restart policy cannot be set", container):
            host.client.update_container(container.container_id, restart_policy=wanted)


@contextmanager
def _refusals(what: str, container: Running) -> Iterator[None]:
    try:
        with engine_errors(what):
            yield
    except UnreadableLayer as error:
        raise SwitchFailed(error.message, subject=f"container {container.name}") from error
