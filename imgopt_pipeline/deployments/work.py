"""What a step of a deployment works with, and how a unit is brought onto an image, forth and back alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from imgopt_pipeline.deployments.models import Deployment, UnitPlan
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.journal.journal import Journal
from imgopt_pipeline.journal.steps import begun
from imgopt_pipeline.services import compose, recreating
from imgopt_pipeline.services.creation import creation_of
from imgopt_pipeline.services.finding import running_of, unit_of
from imgopt_pipeline.services.models import OldContainer, SwitchFailed, Unit
from imgopt_pipeline.services.writable_layer import WritableLayer, changes
from imgopt_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """One deployment being carried out or taken back on an open host."""

    settings: Settings
    host: EngineHost
    deployment: Deployment
    journal: Journal

    def unit(self, plan: UnitPlan) -> Unit:
        """The unit as it stands now."""
        return unit_of(self.host, plan.name)

    def aside(self, container_name: str) -> str:
        """The name under which a container is kept."""
        return recreating.aside_name(container_name, self.deployment.deployment_id)

    def beside(self, container_name: str) -> str:
        """The name under which its successor is made."""
        return recreating.beside_name(container_name, self.deployment.deployment_id)


def bring_up(work: Work, plan: UnitPlan, image_id: str | None, *, touched: bool) -> None:
    """Have compose make a service's containers anew, unless nobody touched them and they are as they should be.

    `touched`: their switch was begun. One may then still be stopped by a request that outlived whoever made it. Raises
    SwitchFailed, ComposeError where the files cannot be read (any more).
    """
    assert plan.name.compose is not None
    unit = work.unit(plan)
    running = [container.running for container in unit.containers]
    if not touched and running == [plan.running] * plan.replicas and unit.image_ids == {image_id}:
        return
    compose.up(
        work.host,
        plan.name.compose,
        files=files_of(plan),
        replicas=plan.replicas,
        log=work.journal.folder / "compose.log",
        recreate=True,
        start=plan.running,
        time_limit_seconds=work.settings.deployments.deadline_seconds,
    )


def files_of(plan: UnitPlan) -> tuple[Path, ...]:
    """The compose files in force: the project's, with the override where it is there."""
    assert plan.name.compose is not None
    files = [file for file in plan.name.compose.files if file != plan.override]
    return (*files, plan.override) if plan.override is not None and plan.override.exists() else tuple(files)


def make_containers(work: Work, plan: UnitPlan, image: str | None) -> dict[str, str]:
    """Make the successors of a unit's containers, on another image where one is named; their IDs by the old ones'.

    They have names of their own and are not started yet.
    """
    joined = joined_now(work)
    return {old.container_id: _make(work, plan, old, image, joined) for old in plan.containers}


def made(work: Work, plan: UnitPlan) -> Mapping[str, str]:
    """The successors as the journal knows them; empty where their making was not journaled."""
    return work.journal.facts(f"make {plan.name.name}")


def take_places(work: Work, plan: UnitPlan) -> None:
    """Have the successors take the places of the old containers, which are set aside."""
    for old in plan.containers:
        _take_place(work, old, made(work, plan)[old.container_id])


def return_containers(work: Work, plan: UnitPlan) -> None:
    """Put containers that were set aside back in their places, from wherever the switch was left."""
    for old in plan.containers:
        recreating.put_back(
            work.host,
            old_id=old.container_id,
            new_id=made(work, plan).get(old.container_id),
            name=old.name,
            beside=work.beside(old.name),
            restart_policy=old.restart_policy,
            was_running=old.running,
            stop_seconds=work.settings.deployments.stop_seconds,
            stop_begun=touched(work, plan),
        )


def touched(work: Work, plan: UnitPlan) -> bool:
    """Whether the switch of a unit was begun, so that its containers may be about to stop."""
    return begun(work.journal, f"switch {plan.name.name}")


def recreate_by_inspection(work: Work, plan: UnitPlan, image: str, image_id: str) -> None:
    """Bring a service onto an image without its compose files: each of its containers is made anew as it is.

    The way back where the files are broken or gone. Raises SwitchFailed where no container is left to go by.
    """
    for old in plan.containers:
        found = running_of(work.host, old.name)
        beside = running_of(work.host, work.beside(old.name))
        if found is None and beside is None:
            raise SwitchFailed(
                "compose cannot read its files, and the container is gone that could be made anew.",
                subject=plan.name.words,
            )
        if found is not None and found.image_id != image_id:
            # It may have ended, which is why it is to go.
            current = replace(OldContainer.of(found), running=old.running)
            _take_place(work, current, _make(work, plan, current, image, {}))
        elif (successor := beside or found) is not None:
            recreating.finish_taking_over(work.host, successor.container_id, name=old.name, start=old.running)
        aside = running_of(work.host, work.aside(old.name))
        if aside is not None:
            # Compose would take it for one of the service's own.
            recreating.remove_aside(work.host, aside.container_id)


def _make(work: Work, plan: UnitPlan, old: OldContainer, image: str | None, joined: Mapping[str, str]) -> str:
    found = running_of(work.host, old.container_id)
    if found is None:
        raise SwitchFailed("the container is gone.", subject=plan.name.words)
    creation = creation_of(
        found.inspected, image_config(work.host, found.image_id), image=image or found.reference, joined=joined
    )
    return recreating.create_beside(work.host, creation, work.beside(old.name))


def _take_place(work: Work, old: OldContainer, new_id: str) -> None:
    recreating.take_over(
        work.host,
        old.container_id,
        new_id,
        name=old.name,
        aside=work.aside(old.name),
        was_running=old.running,
        stop_seconds=work.settings.deployments.stop_seconds,
    )


def joined_now(work: Work) -> dict[str, str]:
    """The ID of each container before the switch, and of the one that has its name now."""
    current = {one.name: one.container_id for plan in work.deployment.units for one in work.unit(plan).containers}
    return {
        old.container_id: current[old.name]
        for plan in work.deployment.units
        for old in plan.containers
        if old.name in current
    }


def lost_by_rollback(work: Work) -> dict[str, WritableLayer]:
    """What goes with the containers that compose would make anew; those that were made by us are set aside first."""
    layers = {
        container.name: changes(work.host, container)
        for plan in work.deployment.units
        if plan.name.compose is not None
        for container in work.unit(plan).containers
        if container.image_id == work.deployment.candidate.image_id
    }
    return {name: layer for name, layer in layers.items() if layer.kept}


def image_config(host: EngineHost, image_id: str) -> Mapping[str, object]:
    """The configuration of an image. Raises ImageNotFound."""
    with engine_errors(f"there is no image {image_id} on this host", missing=ImageNotFound):
        return dict(host.client.inspect_image(image_id).get("Config") or {})
