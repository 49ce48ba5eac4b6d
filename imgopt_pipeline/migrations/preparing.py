"""Everything that is looked at before anything changes: what is moved, who uses it, what would be lost, the way back.

Reads only, but for a probe at the destination. What speaks against a migration is raised here, before a person is
asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imgopt_pipeline.builds.sources.compose_files import ComposeError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.host_gpus import runs_here
from imgopt_pipeline.journal.outcomes import CANCELLED
from imgopt_pipeline.migrations.migration import Migration, Options, UnitPlan
from imgopt_pipeline.migrations.models import MoveFailed
from imgopt_pipeline.migrations.mounting import Mounting, mountings
from imgopt_pipeline.migrations.preflight import Preflight, preflight
from imgopt_pipeline.migrations.quiescing import check_unused, processes_of
from imgopt_pipeline.migrations.records import records
from imgopt_pipeline.migrations.sources import destination_of, find_source
from imgopt_pipeline.migrations.switching import stands_for
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.commands import word
from imgopt_pipeline.services.compose import config_hash_agrees, read_service
from imgopt_pipeline.services.dependants import depending, sharing
from imgopt_pipeline.services.models import FAILED, OldContainer, Refused, Unit
from imgopt_pipeline.services.override import override_path
from imgopt_pipeline.services.refusals import check_ours
from imgopt_pipeline.services.writable_layer import WritableLayer, changes
from imgopt_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A migration before a person's word. `losses`: what containers would lose that stands in no volume.

    `dependants`: services that depend on those that are stopped, and stay as they are.
    """

    migration: Migration
    preflight: Preflight
    losses: Mapping[str, WritableLayer] = field(default_factory=dict)
    dependants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitPlans:
    """How units are switched, what that loses, who depends on them, and what else a person should know."""

    units: tuple[UnitPlan, ...]
    losses: Mapping[str, WritableLayer]
    dependants: tuple[str, ...]
    remarks: tuple[str, ...]


def prepare(
    settings: Settings, host: EngineHost, name: str, options: Options, migration_id: str, approved_by: str
) -> Prepared:
    """Look at what a name means and decide how it is moved.

    Raises SubjectNotFound, SettingsError, Refused, MoveFailed, HostUnreachable.
    """
    check_here(host)
    source = find_source(settings, host, name)
    _check_not_moved(settings, host, source.path)
    entry = source.entry
    looked = preflight(
        source.path, destination_of(source, options.destination), filesystem=entry.filesystem if entry else None
    )
    if failed := [check for check in looked.checks if check.outcome == FAILED]:
        raise MoveFailed(
            "; ".join(f"{check.check}: {check.detail}" for check in failed) + ". Nothing was changed.",
            subject=name,
        )
    plans = plan_units(host, source.path, looked.final)
    migration = Migration(
        migration_id=migration_id,
        host=host.name,
        subject=name,
        source_kind=source.kind,
        volume=source.volume,
        source=source.path,
        final=looked.final,
        mount_point=looked.mount_point,
        filesystem=looked.filesystem,
        workers=entry.workers if entry else 4,
        bytes_per_second=options.bytes_per_second or (entry.bytes_per_second if entry else None),
        backup=options.backup or (entry.backup if entry else None),
        units=plans.units,
        approved_by=approved_by,
        keep_days=settings.retention.backup_days,
        files=looked.totals.files,
        file_bytes=looked.totals.file_bytes,
        left_out=looked.totals.left_out,
        remarks=(*plans.remarks, *looked.losses),
        discard_changes=options.discard_changes,
    )
    return Prepared(migration, looked, plans.losses, plans.dependants)


def plan_units(host: EngineHost, source: Path, final: Path) -> UnitPlans:
    """How each unit that mounts the folder is pointed to the new place. Raises Refused, HostUnreachable."""
    found = mountings(host, source)
    if not found:
        raise Refused(
            "no container mounts it, so that nothing could be pointed to the new place.",
            subject=str(source),
            hint="Move it yourself, with whatever uses it.",
        )
    check_unused(source, processes_of(host, (one for each in found for one in each.unit.containers)))
    remarks = list[str]()
    plans = tuple(_unit_plan(host, each, final, remarks) for each in found)
    composed = (one for each in found if each.unit.name.compose is not None for one in each.unit.containers)
    losses = {one.name: layer for one in composed if (layer := changes(host, one)).kept}
    dependants = tuple(sorted({words for each in found for words in depending(host, each.unit)}))
    return UnitPlans(plans, losses, dependants, tuple(remarks))


def check_allowed(prepared: Prepared, options: Options) -> None:
    """Raise Refused where something would be lost or left behind that nobody allowed."""
    check_losses(prepared.losses, options.discard_changes)
    if prepared.migration.left_out and not options.leave_special:
        raise Refused(
            "it holds sockets, pipes or devices, which no copy can hold.",
            subject=prepared.migration.subject,
            hint="--leave-special leaves them behind.",
        )


def check_losses(losses: Mapping[str, WritableLayer], allowed: bool) -> None:
    """Raise Refused where what containers wrote outside volumes would be lost, and nobody allowed that."""
    if losses and not allowed:
        raise Refused(
            "what it wrote outside volumes would be lost.",
            subject=", ".join(sorted(losses)),
            hint="Look at `docker diff`; --discard-changes goes on.",
        )


def check_here(host: EngineHost) -> None:
    """Raise Refused where files of the host cannot be moved from here."""
    facts = host.facts()
    if not runs_here(facts.local, facts.root_dir):
        raise Refused(
            "it is another machine, or one that is seen through a container: its files are not here.",
            subject=host.name,
            hint="Run imgopt there.",
        )
    if os.geteuid() != 0:
        raise Refused(
            "moving data takes root: owners are kept, and which processes use it must be seen.",
            subject=host.name,
            hint="Run it with sudo.",
        )


def _check_not_moved(settings: Settings, host: EngineHost, source: Path) -> None:
    """Raise Refused for what a migration brought here: the way back from that leads to where it was before."""
    for record in records(settings.paths.actions, host.name):
        migration = record.migration
        if record.outcome != CANCELLED and source.is_relative_to(migration.final):
            raise Refused(
                f"it was moved here from {migration.source}.",
                subject=str(source),
                hint=f"`imgopt migrate-data {word(migration.subject)} --back` puts it back; from there it can go"
                " elsewhere.",
            )


def _unit_plan(host: EngineHost, each: Mounting, final: Path, remarks: list[str]) -> UnitPlan:
    unit = each.unit
    check_ours(host, unit)
    if joined := sharing(host, unit):
        raise Refused(
            f"{', '.join(name.words for name in joined)} shares its network or processes and would be cut off.",
            subject=unit.name.words,
            hint="Stop that first, and bring it up again afterwards.",
        )
    image_ids = {container.image_id for container in unit.containers}
    if len(image_ids) != 1:
        raise Refused("its containers run different images.", subject=unit.name.words)
    override, digests = None, dict[str, str]()
    if unit.name.compose is not None:
        _check_compose(host, unit)
        place = override_path(unit.name.compose)
        override = place.path
        digests = dict(read_service(host, unit.name.compose).file_digests)
        if place.words:
            remarks.append(place.words)
    return UnitPlan(
        name=unit.name,
        image_id=image_ids.pop(),
        places={place: f"{final}{rest}" for place, rest in each.places.items()},
        read_only=each.read_only,
        containers=tuple(map(OldContainer.of, unit.containers)),
        override=override,
        file_digests=digests,
    )


def _check_compose(host: EngineHost, unit: Unit) -> None:
    """Raise Refused where making its containers anew would change more than the place of the data."""
    assert unit.name.compose is not None
    try:
        reading = read_service(host, unit.name.compose)
    except ComposeError as error:
        raise Refused(
            f"its compose files cannot be used ({error.message})",
            subject=unit.name.words,
            hint="Mend them first: what is not readable now could not be put back either.",
        ) from error
    replaced = [one.name for one in unit.containers if not stands_for(host, one.reference, one.image_id)]
    if replaced or config_hash_agrees(host, unit, reading) is False:
        what = "its image was replaced" if replaced else "its compose files, or the variables they use, changed"
        raise Refused(
            f"{what} since it was brought up: more than the place of the data would change.",
            subject=unit.name.words,
            hint="Bring it up with compose once, as it is now meant.",
        )


def words_of(plan: UnitPlan) -> Iterator[str]:
    """How a unit is pointed to the new place, in sentences."""
    for place, folder in plan.places.items():
        yield f"{printable(place)} becomes {printable(folder)}" + (" (read-only)" if place in plan.read_only else "")
