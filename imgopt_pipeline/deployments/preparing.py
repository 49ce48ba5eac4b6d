"""Everything that is looked at before anything changes: what is switched, how, what would be lost, and the way back.

Reads only. What speaks against a deployment is raised here, before a person is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgopt_pipeline.builds.builder.disk_space import check_disk_space
from imgopt_pipeline.builds.sources.compose_files import ComposeError
from imgopt_pipeline.deployments.candidates import candidate_of
from imgopt_pipeline.deployments.models import (
    Candidate,
    Deployment,
    Method,
    NoCandidate,
    Options,
    UnitPlan,
)
from imgopt_pipeline.deployments.tags import backup_reference, deployed_reference, image_id_of
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.image_config import familiar
from imgopt_pipeline.journal.clock import now
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.candidates import SOURCE_LABEL
from imgopt_pipeline.services.compose import ServiceReading, config_hash_agrees, read_service
from imgopt_pipeline.services.dependants import depending, sharing
from imgopt_pipeline.services.finding import Found, all_containers, find_units, tagged, unit_of
from imgopt_pipeline.services.models import OldContainer, Refused, Unit
from imgopt_pipeline.services.override import override_path
from imgopt_pipeline.services.refusals import check_ours
from imgopt_pipeline.services.volumes import lost_volumes
from imgopt_pipeline.services.writable_layer import WritableLayer, changes
from imgopt_pipeline.settings import Settings

_ROOM_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A deployment before a person's word: with what each container would lose that stands in no volume.

    `edited`: units that compose would bring up with more changed than the image. `dependants`: services that depend on
    it and stay as they are.
    """

    deployment: Deployment
    units: tuple[Unit, ...] = field(repr=False)
    losses: Mapping[str, WritableLayer] = field(default_factory=dict)
    edited: tuple[str, ...] = ()
    dependants: tuple[str, ...] = ()


def prepare(settings: Settings, host: EngineHost, name: str, deployment_id: str) -> Prepared:
    """Look at what a name covers and decide how it is switched.

    Raises SubjectNotFound, NoCandidate, Refused, ComposeError, NotEnoughSpace, HostUnreachable.
    """
    found = find_units(host, name)
    old = _inspected_image(host, found.image_id)
    _check_not_deployed(found, old, name)
    candidate = candidate_of(settings.paths.database, host, found.image_id, name)
    new = _inspected_image(host, candidate.image_id)
    remarks = [remark for remark in [check_disk_space(host, _ROOM_BYTES)] if remark]
    reference = _reference(host, found, candidate, remarks)
    readings = {unit.name.name: _reading(host, unit) for unit in found.units}
    local = reference is not None and _built_here(old, candidate, readings)
    plans: list[UnitPlan] = []
    losses: dict[str, WritableLayer] = {}
    edited: list[str] = []
    for unit in found.units:
        check_ours(host, unit)
        reading = readings[unit.name.name]
        lost = lost_volumes(unit, dict(new.get("Config") or {}), reading)
        if lost and reading is not None:
            raise Refused(
                f"the data of its anonymous volumes {', '.join(lost)} would be left behind: the new image does not"
                " declare them.",
                subject=unit.name.words,
                hint="Name these volumes in the compose file first, or keep VOLUME in the Dockerfile.",
            )
        plans.append(_unit_plan(host, unit, reading, local))
        if reading is not None:
            if config_hash_agrees(host, unit, reading) is False:
                edited.append(unit.name.words)
            losses |= {one.name: layer for one in unit.containers if (layer := changes(host, one)).kept}
    following = tuple(plan for unit in found.units for plan in _following(host, unit))
    dependants = tuple(sorted({words for unit in found.units for words in depending(host, unit)}))
    deployment = Deployment(
        deployment_id=deployment_id,
        host=host.name,
        subject=name,
        reference=reference,
        moves_tag=local,
        old_image_id=found.image_id,
        candidate=candidate,
        deployed_reference=deployed_reference(candidate.reference, candidate.image_id),
        backup_reference=backup_reference(reference, found.image_id, now().at),
        units=tuple(plans),
        following=following,
        dependants=_running_of(host, dependants),
        approved_by="",
        keep_days=settings.retention.backup_days,
        remarks=(*remarks, *_remarks(found, candidate, plans, following)),
    )
    return Prepared(deployment, found.units, losses, tuple(edited), dependants)


def check_allowed(prepared: Prepared, options: Options) -> None:
    """Raise Refused where something would be lost or changed that nobody allowed."""
    check_losses(prepared.losses, options, prepared.deployment.subject)
    if prepared.edited and not options.with_edits:
        raise Refused(
            "its compose files, or the variables they use, differ from when it was brought up: more than the image"
            " would change.",
            subject=", ".join(prepared.edited),
            hint="Bring it up with compose once, as it is now meant; or say --with-edits.",
        )


def check_losses(losses: Mapping[str, WritableLayer], options: Options, subject: str) -> None:
    """Raise Refused where containers go with something that they wrote, and nobody allowed that."""
    if losses and not options.discard_changes:
        raise Refused(
            f"what {', '.join(sorted(losses))} wrote outside volumes would be lost.",
            subject=subject,
            hint="Look at `docker diff`; --discard-changes goes on.",
        )


def _unit_plan(host: EngineHost, unit: Unit, reading: ServiceReading | None, local: bool) -> UnitPlan:
    override = None
    method: Method = "recreate"
    if unit.name.compose is not None:
        method = "tag" if local else "override"
        override = None if local else override_path(unit.name.compose).path
    return UnitPlan(
        name=unit.name,
        method=method,
        containers=tuple(map(OldContainer.of, unit.containers)),
        override=override,
        file_digests=reading.file_digests if reading is not None else {},
    )


def _following(host: EngineHost, unit: Unit) -> Iterator[UnitPlan]:
    """What joins the namespaces of a unit's containers, and would be left in those of a container that is gone."""
    for name in sharing(host, unit):
        joining = unit_of(host, name)
        check_ours(host, joining)
        reading = _reading(host, joining)
        for container in joining.containers:
            if reading is not None and image_id_of(host, container.reference) != container.image_id:
                raise Refused(
                    f"{joining.name.words} shares its network and has to be made anew with it, but its own image was"
                    " replaced since.",
                    subject=unit.name.words,
                    hint=f"Bring {joining.name.words} up with compose first.",
                )
        yield _unit_plan(host, joining, reading, local=True)


def _reading(host: EngineHost, unit: Unit) -> ServiceReading | None:
    if unit.name.compose is None:
        return None
    try:
        return read_service(host, unit.name.compose)
    except ComposeError as error:
        raise Refused(
            f"its compose files cannot be used ({error.message})",
            subject=unit.name.words,
            hint="Mend them first: what is not readable now could not be put back either.",
        ) from error


def _reference(host: EngineHost, found: Found, candidate: Candidate, remarks: list[str]) -> str | None:
    """The name that all units were made from, where they agree on one that still stands for their image."""
    names = {container.reference for unit in found.units for container in unit.containers}
    plain = {familiar(name) for name in names if "@" not in name and not name.startswith("sha256:")}
    if len(names) != 1 or len(plain) != 1:
        return None
    (name,) = plain
    reference = tagged(name)
    stands_for = image_id_of(host, reference)
    # Where another user of the image was switched before, it is the candidate's already.
    if stands_for in (found.image_id, candidate.image_id):
        return reference
    if stands_for is None:
        remarks.append(f"The name {reference} stands for no image any more; only its containers are switched.")
        return None
    raise Refused(
        f"{reference} stands for a newer image by now, which is not the one that runs.",
        subject=", ".join(unit.name.words for unit in found.units),
        hint="Bring that up first, and optimize it: this candidate is of the older one.",
    )


def _built_here(old: Mapping[str, Any], candidate: Candidate, readings: Mapping[str, ServiceReading | None]) -> bool:
    """Whether the image's name is this host's to move: compose builds it, or it was never in a registry."""
    if any(reading is not None and reading.config.get("build") for reading in readings.values()):
        return True
    # The containerd store gives every image a repository digest, its own builds included.
    return candidate.kind == "rewrite" and (not old.get("RepoDigests") or old["Id"] in _digests(old))


def _digests(image: Mapping[str, Any]) -> set[str]:
    return {str(name).partition("@")[2] for name in image.get("RepoDigests") or []}


def _running_of(host: EngineHost, units: Collection[str]) -> tuple[str, ...]:
    """The running containers of units that are named in words."""
    listed = all_containers(host) if units else []
    return tuple(sorted(one.name for one, name in listed if one.running and name is not None and name.words in units))


def _remarks(
    found: Found, candidate: Candidate, plans: Sequence[UnitPlan], following: Sequence[UnitPlan]
) -> Iterator[str]:
    if candidate.unverified:
        yield f"Checks of the candidate that could not be tried: {', '.join(candidate.unverified)}."
    with_it = {plan.name.words for plan in following}
    if others := [words for words in found.others if words not in with_it]:
        yield f"They run the same image and stay as they are: {', '.join(map(printable, others))}."
    for plan in plans:
        if plan.override is not None and plan.name.compose is not None:
            yield override_path(plan.name.compose).words


def _check_not_deployed(found: Found, image: Mapping[str, Any], name: str) -> None:
    if SOURCE_LABEL in ((image.get("Config") or {}).get("Labels") or {}):
        raise NoCandidate(
            "it runs an optimized image already.",
            subject=name,
            hint=f"`imgopt rollback {name}` puts the one before back; `imgopt deployments` lists what was done.",
        )


def _inspected_image(host: EngineHost, image_id: str) -> Mapping[str, Any]:
    with engine_errors(f"there is no image {image_id} on this host", missing=ImageNotFound):
        return dict(host.client.inspect_image(image_id))
