"""Migrations by the names that a person uses: a host, and a directory, a volume or a service on it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from imgopt_pipeline.approvals import approving
from imgopt_pipeline.builds.preparing import engine_of
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.opening import check_host_name, open_host
from imgopt_pipeline.interrupts import interrupts_deferred
from imgopt_pipeline.journal.actions import named
from imgopt_pipeline.journal.clock import Clock, now
from imgopt_pipeline.journal.journal import NOTED, Journal
from imgopt_pipeline.journal.locks import host_lock, locked, unit_lock
from imgopt_pipeline.journal.outcomes import OPEN, OUTCOME, ROLLBACK_FAILED, ROLLED_BACK, VERIFIED
from imgopt_pipeline.migrations import retention
from imgopt_pipeline.migrations.migration import Options
from imgopt_pipeline.migrations.mounting import mountings
from imgopt_pipeline.migrations.moving import begin, cancel, migrate, services_touched, settle
from imgopt_pipeline.migrations.preparing import Prepared, check_allowed, check_here, check_losses, plan_units, prepare
from imgopt_pipeline.migrations.records import Record, migration_in, records
from imgopt_pipeline.migrations.retention import Removal
from imgopt_pipeline.migrations.rolling_back import roll_back
from imgopt_pipeline.migrations.rows import Rows, migration_rows
from imgopt_pipeline.migrations.sources import find_source
from imgopt_pipeline.migrations.work import Work
from imgopt_pipeline.services.models import Refused, SubjectNotFound, UnitName
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import publish, replace_rows


@contextmanager
def prepared_migration(
    settings: Settings, host_name: str, name: str, options: Options, migration_id: str = ""
) -> Iterator[tuple[EngineHost, Prepared]]:
    """What a migration would do, on the open host. Raises as `preparing.prepare` does."""
    with open_host(settings, host_name) as opened:
        host = engine_of(opened)
        yield host, prepare(settings, host, name, options, migration_id, approved_by="")


def migrate_target(settings: Settings, host_name: str, name: str, options: Options, migration_id: str) -> Rows:
    """Move the directory that a name means, if a person approved it; rows of the tables about migrations.

    One that was cut off or rolled back before is gone on with, whatever is copied already. A migration that was rolled
    back is a result and no error. Raises NotApproved, Busy, and as `migrate` does.
    """
    record = unfinished(settings, host_name, name)
    if record is not None:
        if record.outcome == ROLLED_BACK:
            # The yes that it was begun with is used up.
            before = str(record.migration.source)
            approving.approver_of(settings.paths.database, host_name, subject=name, path=before)
        return _go_on(settings, record, name, options)
    with open_host(settings, host_name) as opened:
        host = engine_of(opened)
        check_here(host)
        source = find_source(settings, host, name).path
        units = [each.unit.name for each in mountings(host, source)]
        approver = approving.approver_of(settings.paths.database, host_name, subject=name, path=str(source))
        with locked(settings.paths.locks, _locks(host_name, source, units), f"imgopt migrate-data {name}"):
            prepared = prepare(settings, host, name, options, migration_id, approver)
            check_allowed(prepared, options)
            journal = begin(settings, prepared.migration)
            with _published(settings, journal.folder):
                migrate(Work(settings, host, prepared.migration, journal))
    return migration_rows(Record(journal, prepared.migration))


def unfinished(settings: Settings, host_name: str, name: str) -> Record | None:
    """The newest migration that a name means, if the same command goes on with it.

    Raises Refused where it was moved already, or could not be put back.
    """
    check_host_name(settings, host_name)
    found = named(list(records(settings.paths.actions, host_name)), name)
    if not found:
        return None
    record = found[-1]
    if record.outcome == VERIFIED:
        raise Refused(
            f"it was moved to {record.migration.final} already.",
            subject=name,
            hint="--back puts it back; from there it can go elsewhere.",
        )
    if record.outcome == ROLLBACK_FAILED:
        raise Refused("it could not be put back.", subject=name, hint="--back tries that again.")
    return record if record.outcome in (OPEN, ROLLED_BACK) else None


def migration_of(settings: Settings, host_name: str, name: str, *outcomes: str) -> Record:
    """The newest migration that a name means. Raises SubjectNotFound, Refused where it has none of these outcomes."""
    check_host_name(settings, host_name)
    found = named(list(records(settings.paths.actions, host_name)), name)
    if not found:
        raise SubjectNotFound(
            f"no migration of it is known on host {host_name}.", subject=name, hint="`imgopt migrations` lists them."
        )
    if found[-1].outcome not in outcomes:
        raise Refused(f"its migration is {found[-1].outcome}.", subject=name)
    return found[-1]


def roll_back_target(settings: Settings, host_name: str, name: str) -> Rows:
    """Put everything back as it was before a migration, with what was written at the new place since; its rows.

    Raises SubjectNotFound, Refused where the source is not kept any more, MountGone where what was written there
    cannot be read, Busy, RollbackFailed, HostUnreachable.
    """
    found = migration_of(settings, host_name, name, VERIFIED, ROLLBACK_FAILED, OPEN)
    if found.copying:
        raise Refused("nothing that runs was touched yet.", subject=name, hint="--cancel removes the copy.")
    if found.removed is not None:
        raise Refused("the source is not kept any more.", subject=name, hint="Move the data the other way instead.")
    reason = f"{approving.person()} asked for it."
    with _at_work(settings, found, f"imgopt migrate-data {name} --back") as work, interrupts_deferred():
        with locked(settings.paths.locks, [host_lock(work.migration.host)], f"imgopt migrate-data {name} --back"):
            # The destination must be readable: what services wrote there would be lost to them otherwise.
            roll_back(work, reason, without_new=False)
            work.journal.append(OUTCOME, NOTED, outcome=ROLLED_BACK, reason=reason)
        return migration_rows(Record(work.journal, work.migration))


def cancel_target(settings: Settings, host_name: str, name: str) -> Rows:
    """Give up a migration whose services run as before, and remove its copy; its rows.

    Raises SubjectNotFound, Refused, MoveFailed, Busy.
    """
    found = migration_of(settings, host_name, name, OPEN, ROLLED_BACK)
    with _at_work(settings, found, f"imgopt migrate-data {name} --cancel") as work:
        settle(work)
        cancel(work)
        rows = migration_rows(Record(work.journal, work.migration))
    store(settings, rows)
    return rows


def resume_migrations(settings: Settings, host_name: str, *, go_on: bool = False) -> list[Rows]:
    """Bring every migration of a host whose services were touched when it was cut off to an outcome; their rows.

    With `go_on` also those that were only copying. Raises Busy where another process is still at one, and as `settle`
    and `migrate` do.
    """
    settled = []
    for found in records(settings.paths.actions, host_name):
        if found.outcome != OPEN or (found.copying and not go_on):
            continue
        what = f"imgopt resume {found.migration.subject}"
        with (
            _at_work(settings, found, what) as work,
            _published(settings, work.journal.folder),
        ):
            with interrupts_deferred(), locked(settings.paths.locks, [host_lock(work.migration.host)], what):
                touched = settle(work)
            if not touched and go_on:
                work = _planned_anew(work)
                migrate(work)
            settled.append(migration_rows(Record(work.journal, work.migration)))
    return settled


def approve_deletion(settings: Settings, host_name: str, name: str, *, accept_changes: bool) -> Removal:
    """Say that the source may go, and have it go if its time is over. Raises as `retention.delete_source` does."""
    found = migration_of(settings, host_name, name, VERIFIED)
    if found.removed is not None:
        raise Refused("its source is gone already.", subject=name)
    with _at_work(settings, found, f"imgopt migrate-data {name} --delete-source") as work:
        accepted = retention.written_since(work) if accept_changes else frozenset()
        found = Record(work.journal, work.migration)
        retention.approve_deletion(found, approving.person(), accepted)
    until = retention.kept_until(found)
    removal = _remove_if_due(settings, found, now)
    return removal or Removal(name, left=f"it is kept until {until:%Y-%m-%d %H:%M} UTC; housekeeping removes it then")


def written_since(settings: Settings, host_name: str, name: str) -> frozenset[bytes]:
    """What services changed or removed at the new place since. Raises SubjectNotFound, Refused, MountGone."""
    with _at_work(settings, migration_of(settings, host_name, name, VERIFIED), "imgopt migrate-data") as work:
        return retention.written_since(work)


def remove_due(settings: Settings, clock: Clock = now) -> list[Removal]:
    """Delete the sources whose time is over and of which a person said so, on every host; of others say that they are
    due. Raises HostUnreachable, StorageError."""
    removals = []
    for record in records(settings.paths.actions):
        if record.outcome != VERIFIED or record.removed is not None or record.migration.host not in settings.hosts:
            continue
        record.journal.clock = clock
        retention.sight(record)
        if (removal := _remove_if_due(settings, record, clock)) is not None:
            removals.append(removal)
    return removals


def directory_key(host_name: str, source: Path | str) -> str:
    """The name of a directory as a partition: `local|/srv/shop/music`."""
    return f"{host_name}|{source}"


def store(settings: Settings, rows: Rows) -> None:
    """Put rows into the warehouse. Raises StorageError."""
    publish(settings.paths.database, lambda connection: replace_rows(connection, rows))


def _go_on(settings: Settings, found: Record, name: str, options: Options) -> Rows:
    if options.destination is not None and Path(os.path.abspath(options.destination)) not in (
        found.migration.final,
        found.migration.final.parent,
    ):
        raise Refused(
            f"it was begun to {found.migration.final}.", subject=name, hint="--cancel gives that up; then begin anew."
        )
    with _at_work(settings, found, f"imgopt migrate-data {name}") as work, _published(settings, work.journal.folder):
        if services_touched(work.journal):
            with (
                interrupts_deferred(),
                locked(settings.paths.locks, [host_lock(work.migration.host)], f"imgopt resume {name}"),
            ):
                settle(work)
        if Record(work.journal, work.migration).outcome in (OPEN, ROLLED_BACK):
            work = _planned_anew(work, allowed=options.discard_changes)
            migrate(work)
    return migration_rows(Record(work.journal, work.migration))


def _planned_anew(work: Work, *, allowed: bool = False) -> Work:
    """With the units as they are now: they may have been made anew since. Raises Refused."""
    check_here(work.host)
    plans = plan_units(work.host, work.migration.source, work.migration.final)
    allowed = allowed or work.migration.discard_changes
    check_losses(plans.losses, allowed)
    migration = replace(work.migration, units=plans.units, discard_changes=allowed)
    begin(work.settings, migration)
    return Work(work.settings, work.host, migration, Journal(work.journal.folder))


def _remove_if_due(settings: Settings, record: Record, clock: Clock) -> Removal | None:
    if not retention.is_due(record, clock()):
        return None
    with _at_work(settings, record, "imgopt housekeeping", clock) as work:
        record = Record(work.journal, work.migration)
        if not retention.is_due(record, clock()):
            return None
        try:
            removal = retention.delete_source(work, record)
        except Refused as error:
            removal = Removal(work.migration.subject, left=str(error))
    store(settings, migration_rows(record))
    return removal


@contextmanager
def _published(settings: Settings, folder: Path) -> Iterator[None]:
    """However it ends, the warehouse knows how far the migration of that folder came."""
    try:
        yield
    finally:
        journal = Journal(folder)
        store(settings, migration_rows(Record(journal, migration_in(journal))))


@contextmanager
def _at_work(settings: Settings, record: Record, what: str, clock: Clock = now) -> Iterator[Work]:
    """Under the locks of a migration, with its journal as it is once they are held."""
    migration = record.migration
    locks = _locks(migration.host, migration.source, [plan.name for plan in migration.units])
    with locked(settings.paths.locks, locks, what), open_host(settings, migration.host) as opened:
        yield Work(settings, engine_of(opened), migration, Journal(record.journal.folder, clock=clock))


def _locks(host_name: str, source: Path, units: Iterable[UnitName]) -> list[str]:
    return [unit_lock(host_name, f"directory {source}"), *(unit_lock(host_name, name.words) for name in units)]
