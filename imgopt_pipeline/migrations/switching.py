"""Pointing a unit to the new place, and back: a compose service by a file beside its own, a container made anew.

Each can be called again from wherever it was left: what stands is looked at first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgopt_pipeline import progress
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.migrations.migration import UnitPlan
from imgopt_pipeline.migrations.quiescing import seen_places, start_again
from imgopt_pipeline.migrations.work import Work
from imgopt_pipeline.names import printable
from imgopt_pipeline.services import compose, recreating
from imgopt_pipeline.services.creation import creation_of
from imgopt_pipeline.services.finding import running_of
from imgopt_pipeline.services.models import OldContainer, Refused, Running, SwitchFailed, Unit
from imgopt_pipeline.services.override import files_in_force, with_service, without_service


def write_override(work: Work, plan: UnitPlan) -> Mapping[str, Any]:
    """Have the file beside the project's own name the new places."""
    assert plan.override is not None and plan.name.compose is not None
    with_service(plan.override, plan.name.compose.service, {"volumes": [_volume(plan, place) for place in plan.places]})
    return {"file": str(plan.override)}


def remove_override(work: Work, plan: UnitPlan) -> Mapping[str, Any]:
    """Take that back; what the file says of other places stays."""
    assert plan.override is not None and plan.name.compose is not None
    without_service(plan.override, plan.name.compose.service, tuple(plan.places))
    return {"file": str(plan.override)}


def switch(work: Work, plan: UnitPlan) -> Mapping[str, Any]:
    """Have the unit run with the new places. Raises SwitchFailed, Refused where its files were edited meanwhile."""
    progress.current().start(f"starting {plan.name.words}")
    if plan.name.compose is None:
        return {"containers": [_replace(work, plan, old) for old in plan.containers]}
    check_files(work, plan)
    if not mounts_new_places(work.unit(plan), plan):
        _bring_up(work, plan)
    unit = work.unit(plan)
    if not mounts_new_places(unit, plan):
        raise SwitchFailed("compose did not give it the new place.", subject=plan.name.words)
    return {"containers": [one.container_id for one in unit.containers]}


def switch_back(work: Work, plan: UnitPlan) -> Mapping[str, Any]:
    """Have the unit run as before, by the very containers of before where they are left."""
    progress.current().start(f"putting {plan.name.words} back")
    if plan.name.compose is None:
        for old in plan.containers:
            recreating.put_back(
                work.host,
                old_id=old.container_id,
                new_id=_in_its_place(work, old),
                name=old.name,
                beside=recreating.beside_name(old.name, _action(work)),
                restart_policy=old.restart_policy,
                was_running=old.running,
                stop_seconds=work.settings.deployments.stop_seconds,
            )
    elif not start_again(work, plan):
        _bring_up(work, plan)
    return {}


def mounts_new_places(unit: Unit, plan: UnitPlan) -> bool:
    """Whether all its containers, as many as before, have the new places."""
    return len(unit.containers) == plan.replicas and all(
        plan.places.items() <= seen_places(one) for one in unit.containers
    )


def check_files(work: Work, plan: UnitPlan) -> None:
    """Raise Refused where a compose file was edited since a person said yes."""
    assert plan.name.compose is not None
    found = compose.read_service(work.host, plan.name.compose).file_digests
    edited = [name for name in {*found, *plan.file_digests} if found.get(name) != plan.file_digests.get(name)]
    edited = [name for name in edited if name != str(plan.override)]
    if edited:
        raise Refused(
            f"{', '.join(map(printable, sorted(edited)))} changed since the migration was planned.",
            subject=plan.name.words,
            hint="Plan it anew: `imgopt migrate-data` shows what it would do now.",
        )


def _volume(plan: UnitPlan, place: str) -> dict[str, Any]:
    volume: dict[str, Any] = {"type": "bind", "source": plan.places[place], "target": place}
    return volume | ({"read_only": True} if place in plan.read_only else {})


def _bring_up(work: Work, plan: UnitPlan) -> None:
    assert plan.name.compose is not None
    compose.up(
        work.host,
        plan.name.compose,
        files=files_in_force(plan.name.compose),
        replicas=plan.replicas,
        log=work.journal.folder / "compose.log",
        recreate=True,
        start=plan.running,
        time_limit_seconds=work.settings.deployments.deadline_seconds,
    )


def _replace(work: Work, plan: UnitPlan, old: OldContainer) -> str:
    """Make the container anew with the new places and set the old one aside; the new one's ID."""
    found = running_of(work.host, old.container_id)
    if found is None:
        raise SwitchFailed("the container is gone.", subject=plan.name.words)
    new_id = _in_its_place(work, old) or _make_beside(work, old, found, plan.places)
    recreating.take_over(
        work.host,
        old.container_id,
        new_id,
        name=old.name,
        aside=recreating.aside_name(old.name, _action(work)),
        was_running=old.running,
        stop_seconds=work.settings.deployments.stop_seconds,
    )
    return new_id


def _make_beside(work: Work, old: OldContainer, found: Running, places: Mapping[str, str]) -> str:
    host_config = {**found.inspected["HostConfig"], "RestartPolicy": dict(old.restart_policy)}
    creation = creation_of(
        {**found.inspected, "HostConfig": host_config},
        _image_config(work, found.image_id),
        image=found.reference if stands_for(work.host, found.reference, found.image_id) else found.image_id,
        mounts=places,
    )
    return recreating.create_beside(work.host, creation, recreating.beside_name(old.name, _action(work)))


def _in_its_place(work: Work, old: OldContainer) -> str | None:
    """The container that has the name of the old one by now."""
    found = running_of(work.host, old.name)
    return found.container_id if found is not None and found.container_id != old.container_id else None


def _action(work: Work) -> str:
    return work.migration.migration_id


def _image_config(work: Work, image_id: str) -> Mapping[str, Any]:
    with engine_errors(f"there is no image {image_id} on this host", missing=ImageNotFound):
        return dict(work.host.client.inspect_image(image_id).get("Config") or {})


def stands_for(host: EngineHost, reference: str, image_id: str) -> bool:
    """Whether a name still means that image."""
    try:
        with engine_errors("the engine does not describe it", missing=ImageNotFound):
            return str(host.client.inspect_image(reference)["Id"]) == image_id
    except ImageNotFound:
        return False
