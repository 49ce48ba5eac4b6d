"""Stopped containers that nothing will start again and nobody needs."""

from __future__ import annotations

import os
from collections.abc import Collection
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from imgopt_pipeline.cleaning.models import CONTAINER, Found, Item, Left
from imgopt_pipeline.cleaning.standing import (
    Inspected,
    Standing,
    is_imgopts,
    labels_of,
    name_of,
    project_of,
    runs,
    why_started,
)
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.image_config import parse_time
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Refused, SubjectNotFound
from imgopt_pipeline.units import count

_ENDED = ("exited", "created", "dead")
_DAY_SECONDS = 86_400
_SHOWN = 3
_ELSEWHERE = {
    "com.docker.swarm.": "Docker Swarm",
    "io.kubernetes.": "Kubernetes",
    "com.hashicorp.nomad.": "Nomad",
    "com.amazonaws.ecs.": "Amazon ECS",
}
_MODES = ("NetworkMode", "PidMode", "IpcMode")


def find_containers(host: EngineHost, standing: Standing, *, older_than_days: float) -> Found:
    """All that ended, each as an item or with the reason why it stays."""
    items, left = [], []
    for container in sorted(standing.containers, key=name_of):
        if _status(container) not in _ENDED or is_imgopts(container):
            continue
        reason = why_kept(container, standing) or why_too_young(container, standing.now, older_than_days)
        reason = reason or why_changed(host, container)
        if reason is None:
            items.append(_item(host, container, standing.now))
        else:
            left.append(Left(CONTAINER, container["Id"], name_of(container), reason, _size(host, container)))
    return Found(tuple(items), tuple(left))


def named_container(host: EngineHost, standing: Standing, name: str) -> Item:
    """The item of one that a person named: of any age, changed or not. Raises SubjectNotFound, Refused."""
    found = [one for one in standing.containers if name == str(one.get("Name") or "").removeprefix("/")]
    found = found or [one for one in standing.containers if len(name) >= 4 and one["Id"].startswith(name)]
    if len(found) != 1:
        raise SubjectNotFound(
            "there are several such containers." if found else "there is no such container on this host.",
            subject=printable(name),
            hint="`imgopt clean --dry-run` lists those that can go.",
        )
    if (reason := why_kept(found[0], standing)) is not None:
        raise Refused(f"it is left alone: {reason}.", subject=printable(name))
    return _item(host, found[0], standing.now, named=True)


def why_kept(container: Inspected, standing: Standing) -> str | None:
    """Why it must stay whatever its age; None where it need not."""
    if runs(container) or _status(container) not in _ENDED:
        return f"it is {printable(_status(container)) or 'not ended'}"
    if is_imgopts(container):
        return "imgopt keeps it as a way back, and removes it in time"
    for prefix, manager in _ELSEWHERE.items():
        if any(str(label).startswith(prefix) for label in labels_of(container)):
            return f"{manager} manages it"
    if (reason := why_started(container)) is not None:
        return reason
    project = project_of(container)
    others = (one for one in standing.containers if one["Id"] != container["Id"])
    for other in others:
        if project is not None and project_of(other) == project and runs(other):
            return f"its compose project {printable(project)} runs, which may start it again"
        if _joins(other, container):
            return f"container {name_of(other)} shares its namespaces"
    return None


def why_too_young(container: Inspected, now: datetime, older_than_days: float) -> str | None:
    """Why its age does not let it go."""
    ended = _ended_at(container)
    if ended is None:
        return "when it ended is unknown"
    seconds = (now - ended).total_seconds()
    if seconds < 0:
        return "by the engine's clock it ends in the future"
    if seconds < older_than_days * _DAY_SECONDS:
        return f"it ended {_ago(seconds)}, less than {older_than_days:g} days ago"
    return None


def why_changed(host: EngineHost, container: Inspected) -> str | None:
    """What would be lost with its writable layer; None where nothing would."""
    try:
        with engine_errors("the engine does not tell what changed in it", missing=ImageNotFound):
            changes = host.client.diff(container["Id"]) or []
    except ImageNotFound:
        return "it went meanwhile"
    changed = changed_paths(changes, [str(mount.get("Destination")) for mount in container.get("Mounts") or []])
    if not changed:
        return None
    shown = ", ".join(printable(path) for path in changed[:_SHOWN]) + (", …" if len(changed) > _SHOWN else "")
    return f"{count(len(changed), 'path')} changed in it exist nowhere else ({shown}); name it to remove it"


def changed_paths(changes: Collection[dict[str, Any]], mounted: Collection[str]) -> list[str]:
    """Paths that a container added or changed; mount points and the folders above any of both aside."""
    paths = {str(change.get("Path")) for change in changes}
    points = {point.rstrip("/") for point in mounted}
    above = {str(parent) for path in paths | points for parent in PurePosixPath(path).parents}
    return sorted(paths - above - points)


def remove_container(host: EngineHost, container_id: str) -> None:
    """Remove it with its writable layer; never one that runs, and none of its volumes."""
    with engine_errors("the engine does not remove it"):
        host.client.remove_container(container_id, v=False, force=False)


def _item(host: EngineHost, container: Inspected, now: datetime, *, named: bool = False) -> Item:
    ended = _ended_at(container)
    state = container.get("State") or {}
    when = f" {_ago(max(0, (now - ended).total_seconds()))}" if ended else ""
    reason = f"{_status(container)}{when}" + (f", code {state['ExitCode']}" if state.get("ExitCode") else "")
    if named and (changed := why_changed(host, container)) is not None:
        reason += f"; {changed.partition(';')[0]}"
    return Item(CONTAINER, container["Id"], name_of(container), reason, _size(host, container), named)


def _size(host: EngineHost, container: Inspected) -> int | None:
    """Bytes of its writable layer and, where it can be seen from here, its log."""
    try:
        with engine_errors("the engine does not describe it", missing=ImageNotFound):
            answer = host.client._get(host.client._url("/containers/{0}/json", container["Id"]), params={"size": 1})
            written = host.client._result(answer, json=True).get("SizeRw")
    except ImageNotFound:
        return None
    try:
        log_bytes = os.stat(str(container.get("LogPath") or "")).st_size
    except OSError:
        log_bytes = 0
    return (written if isinstance(written, int) else 0) + log_bytes


def _joins(other: Inspected, container: Inspected) -> bool:
    modes = [str((other.get("HostConfig") or {}).get(mode) or "") for mode in _MODES]
    joined = [mode.removeprefix("container:") for mode in modes if mode.startswith("container:")]
    return any(container["Id"].startswith(one) or one == name_of(container) for one in joined if one)


def _status(container: Inspected) -> str:
    return str((container.get("State") or {}).get("Status") or "")


def _ended_at(container: Inspected) -> datetime | None:
    state = container.get("State") or {}
    return parse_time(state.get("FinishedAt")) or (
        parse_time(container.get("Created")) if _status(container) == "created" else None
    )


def _ago(seconds: float) -> str:
    days = int(seconds // _DAY_SECONDS)
    return f"{count(days, 'day')} ago" if days else "today" if seconds >= 3600 else "just now"
