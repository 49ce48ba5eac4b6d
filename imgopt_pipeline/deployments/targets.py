"""Deployments by the names that a person uses: a host, and a service, container, image or deployment on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from imgopt_pipeline.approvals import approving
from imgopt_pipeline.builds.preparing import engine_of
from imgopt_pipeline.deployments import retention
from imgopt_pipeline.deployments.deploying import deploy, end, settle
from imgopt_pipeline.deployments.gating import gap_meter
from imgopt_pipeline.deployments.models import Deployment, Options
from imgopt_pipeline.deployments.preparing import Prepared, check_losses, prepare
from imgopt_pipeline.deployments.records import PIN, Record, records
from imgopt_pipeline.deployments.retention import Removal
from imgopt_pipeline.deployments.rolling_back import roll_back
from imgopt_pipeline.deployments.rows import Rows, deployment_rows
from imgopt_pipeline.deployments.work import Work, lost_by_rollback
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.opening import check_host_name, open_host
from imgopt_pipeline.interrupts import interrupts_deferred
from imgopt_pipeline.journal.actions import named
from imgopt_pipeline.journal.clock import Clock, now
from imgopt_pipeline.journal.journal import NOTED, Journal
from imgopt_pipeline.journal.locks import host_lock, locked, unit_lock
from imgopt_pipeline.journal.outcomes import OPEN, ROLLBACK_FAILED, ROLLED_BACK, VERIFIED
from imgopt_pipeline.services.models import Refused, SubjectNotFound
from imgopt_pipeline.services.watching.journaled import gap_facts
from imgopt_pipeline.services.writable_layer import WritableLayer
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import publish, replace_rows


@contextmanager
def prepared_deployment(
    settings: Settings, host_name: str, name: str, deployment_id: str = "ID"
) -> Iterator[tuple[EngineHost, Prepared]]:
    """What a deployment would do, on the open host. Raises as `preparing.prepare` does."""
    with open_host(settings, host_name) as opened:
        host = engine_of(opened)
        yield host, prepare(settings, host, name, deployment_id)


def deploy_target(settings: Settings, host_name: str, name: str, options: Options, deployment_id: str) -> Rows:
    """Deploy the candidate of what a name means, if a person approved it; rows of the tables about deployments.

    A deployment that was rolled back is a result and no error. Raises NotApproved, Busy, and as `deploy` does.
    """
    what = f"imgopt deploy {name}"
    with (
        locked(settings.paths.locks, [host_lock(host_name)], what),
        prepared_deployment(settings, host_name, name, deployment_id) as (host, prepared),
        locked(settings.paths.locks, _unit_locks(prepared.deployment), what),
    ):
        old_image_id = prepared.deployment.old_image_id
        approver = approving.approver_of(settings.paths.database, host_name, subject=name, image_id=old_image_id)
        deployment = replace(prepared.deployment, approved_by=approver)
        with _stored_on_failure(settings, deployment):
            journal = deploy(settings, host, replace(prepared, deployment=deployment), options)
    return deployment_rows(Record(journal, deployment))


def roll_back_target(settings: Settings, host_name: str, name: str, options: Options | None = None) -> Rows:
    """Put back what was there before the newest deployment that a name means; its rows.

    Raises SubjectNotFound, Refused where nothing is kept any more or something would be lost that nobody allowed, Busy,
    RollbackFailed, HostUnreachable.
    """
    reason = f"{approving.person()} asked for it."
    found = deployment_to_take_back(settings, host_name, name)
    with (
        _at_work(settings, found, f"imgopt rollback {name}") as work,
        interrupts_deferred(),
        _stored_on_failure(settings, work.deployment),
    ):
        check_losses(lost_by_rollback(work), options or Options(), found.deployment.subject)
        with gap_meter(work) as gap:
            roll_back(work, reason)
            end(work, ROLLED_BACK, reason=reason, **gap_facts(gap))
        return deployment_rows(Record(work.journal, work.deployment))


def losses_of_rollback(settings: Settings, record: Record) -> dict[str, WritableLayer]:
    """What containers have written outside their volumes since, and would be lost with them."""
    with open_host(settings, record.deployment.host) as opened:
        return lost_by_rollback(Work(settings, engine_of(opened), record.deployment, record.journal))


def deployment_to_take_back(settings: Settings, host_name: str, name: str) -> Record:
    """The newest deployment that a name means and that can be taken back. Raises SubjectNotFound, Refused."""
    check_host_name(settings, host_name)
    found = named(list(records(settings.paths.actions, host_name)), name)
    if not found:
        raise SubjectNotFound(
            f"no deployment of it is known on host {host_name}.", subject=name, hint="`imgopt deployments` lists them."
        )
    standing = [record for record in found if record.outcome in (VERIFIED, OPEN, ROLLBACK_FAILED)]
    if not standing:
        raise Refused(f"its deployment is {found[-1].outcome} already.", subject=name)
    record = standing[-1]
    if record.removed is not None:
        raise Refused(
            "the old image is not kept any more.",
            subject=name,
            hint="Old images are kept for retention.backup_days; `imgopt keep` pins one for longer.",
        )
    return record


def resume_deployments(settings: Settings, host_name: str) -> list[Rows]:
    """Bring every deployment of a host that was cut off to an outcome; the rows of those.

    Raises Busy where another process is still at one, and as `settle` does.
    """
    settled = []
    for found in records(settings.paths.actions, host_name):
        if found.outcome != OPEN:
            continue
        with _at_work(settings, found, f"imgopt resume {found.deployment.subject}") as work, interrupts_deferred():
            record = Record(work.journal, work.deployment)
            if record.outcome == OPEN:
                with _stored_on_failure(settings, work.deployment):
                    settle(work)
        settled.append(deployment_rows(record))
        store(settings, settled[-1])
    return settled


def pin(settings: Settings, host_name: str, name: str, *, pinned: bool) -> Rows:
    """Keep what going back takes beyond its time, or no longer. Raises SubjectNotFound, Refused."""
    record = deployment_to_take_back(settings, host_name, name)
    record.journal.append(PIN, NOTED, pinned=pinned, by=approving.person())
    rows = deployment_rows(record)
    store(settings, rows)
    return rows


def remove_due(settings: Settings, clock: Clock = now) -> list[Removal]:
    """Remove the old states whose time is over, on every host; none that a process is at work on.

    Raises HostUnreachable, StorageError.
    """
    removals = []
    found = list(records(settings.paths.actions))
    for record in found:
        if record.removed is not None or record.outcome == OPEN or record.deployment.host not in settings.hosts:
            continue
        record.journal.clock = clock
        retention.sight(record)
        if retention.is_due(record, clock()):
            with _at_work(settings, record, "imgopt housekeeping", clock) as work:
                record = Record(work.journal, work.deployment)
                if retention.is_due(record, clock()):
                    others = [other for other in found if _keeps_beside(other, record)]
                    needed = {name for other in others for name in retention.names_of(other)}
                    removals.append(retention.remove_old_state(work, record, needed))
            store(settings, deployment_rows(record))
    return removals


def _keeps_beside(other: Record, record: Record) -> bool:
    """Whether another deployment of the same host still keeps its old state."""
    here = other.deployment.host == record.deployment.host
    another = other.deployment.deployment_id != record.deployment.deployment_id
    return here and another and Record(Journal(other.journal.folder), other.deployment).removed is None


def store(settings: Settings, rows: Rows) -> None:
    """Put rows into the warehouse. Raises StorageError."""
    publish(settings.paths.database, lambda connection: replace_rows(connection, rows))


@contextmanager
def _at_work(settings: Settings, record: Record, what: str, clock: Clock = now) -> Iterator[Work]:
    """Under the locks of a deployment, with its journal as it is once they are held."""
    deployment = record.deployment
    names = [host_lock(deployment.host), *_unit_locks(deployment)]
    with locked(settings.paths.locks, names, what), open_host(settings, deployment.host) as opened:
        yield Work(settings, engine_of(opened), deployment, Journal(record.journal.folder, clock=clock))


@contextmanager
def _stored_on_failure(settings: Settings, deployment: Deployment) -> Iterator[None]:
    """Store how far a deployment came, where that is told by raising."""
    try:
        yield
    except BaseException:
        with interrupts_deferred():
            journal = Journal(settings.paths.actions / deployment.deployment_id)
            if journal.entries:
                store(settings, deployment_rows(Record(journal, deployment)))
        raise


def _unit_locks(deployment: Deployment) -> list[str]:
    return [unit_lock(deployment.host, plan.name.words) for plan in (*deployment.units, *deployment.following)]
