"""What hangs on a unit: containers that live in its namespaces or volumes, and services that depend on it."""

from __future__ import annotations

from collections.abc import Iterator

from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.services.finding import all_containers, labels_of
from imgopt_pipeline.services.labels import DEPENDS_ON
from imgopt_pipeline.services.models import Running, Unit, UnitName

_JOINING = ("NetworkMode", "IpcMode", "PidMode")
_PREFIX = "container:"
_ID_CHARACTERS = 12


def sharing(host: EngineHost, unit: Unit) -> tuple[UnitName, ...]:
    """The units whose containers join a network, IPC or PID namespace of the unit's, or take its volumes.

    They must be made anew with it, in this order: those that join one of these come after it.
    """
    everything = all_containers(host)
    reached = list(unit.containers)
    found: dict[UnitName, None] = {}
    for owner in reached:  # grows while it is gone through
        for container, name in everything:
            if name is not None and name != unit.name and name not in found and _joins(container, owner):
                found[name] = None
                reached += [other for other, other_name in everything if other_name == name]
    return tuple(found)


def depending(host: EngineHost, unit: Unit) -> tuple[str, ...]:
    """In words, the running services that say they depend on the unit; they are not changed with it.

    Compose 1 leaves no trace of it on a container.
    """
    if unit.name.compose is None:
        return ()
    wanted = unit.name.compose
    found = {
        name.words
        for container, name in all_containers(host)
        if name is not None and name.compose is not None and name.compose.project == wanted.project
        if container.running and wanted.service in _dependencies(container)
    }
    return tuple(sorted(found))


def _joins(container: Running, owner: Running) -> bool:
    return any(
        named in (owner.name, owner.container_id)
        or (len(named) >= _ID_CHARACTERS and owner.container_id.startswith(named))
        for named in _joined(container)
    )


def _joined(container: Running) -> Iterator[str]:
    """The containers, by ID or name, that a container needs to be there."""
    host_config = container.inspected.get("HostConfig") or {}
    for setting in _JOINING:
        mode = str(host_config.get(setting) or "")
        if mode.startswith(_PREFIX):
            yield mode.removeprefix(_PREFIX)
    for listed in host_config.get("VolumesFrom") or ():
        yield str(listed).removeprefix(_PREFIX).partition(":")[0]


def _dependencies(container: Running) -> set[str]:
    """Services, from `db:service_healthy:true,cache:service_started:false`."""
    listed = labels_of(container).get(DEPENDS_ON, "")
    return {each.partition(":")[0] for each in listed.split(",") if each}
