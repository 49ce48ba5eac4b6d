"""The sequence of a migration: copied while everything runs, then stopped, made equal, switched, watched; or back.

Each step is journaled before and after. Until the services are stopped nothing that they use is touched: a migration
that is cut off there stays open, and the next call goes on copying. Whoever finds one that was cut off later calls
`settle`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from imgopt_pipeline import progress
from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.interrupts import interrupts_deferred
from imgopt_pipeline.journal.journal import BEGUN, DONE, NOTED, Journal
from imgopt_pipeline.journal.locks import host_lock, locked
from imgopt_pipeline.journal.outcomes import ACTION, BACK, CANCELLED, OUTCOME, ROLLED_BACK, VERIFIED
from imgopt_pipeline.journal.steps import Step, run_steps
from imgopt_pipeline.migrations.backing_up import back_up
from imgopt_pipeline.migrations.gating import observed, see_inside, watch
from imgopt_pipeline.migrations.handed_over import note_handed_over, notes_of
from imgopt_pipeline.migrations.manifest import write_manifest
from imgopt_pipeline.migrations.migration import KIND, Migration
from imgopt_pipeline.migrations.models import Move
from imgopt_pipeline.migrations.quiescing import QUIESCE, check_unused, stop
from imgopt_pipeline.migrations.rolling_back import roll_back
from imgopt_pipeline.migrations.setting_aside import discard_copy, promote, set_aside
from imgopt_pipeline.migrations.switching import switch, write_override
from imgopt_pipeline.migrations.verifying import Brought, bring_over, verify
from imgopt_pipeline.migrations.work import Work
from imgopt_pipeline.services.models import FAILED, GateFailed
from imgopt_pipeline.services.watching.gap import GapMeter
from imgopt_pipeline.services.watching.journaled import GATE, OBSERVE, baselines_in, check_facts, gap_facts
from imgopt_pipeline.settings import Settings

BACKUP, COPY, DELTA = "backup", "copy", "delta"


def begin(settings: Settings, migration: Migration) -> Journal:
    """The journal of a new migration, or of one that is gone on with. Raises StorageError."""
    journal = Journal(settings.paths.actions / migration.migration_id)
    journal.append(ACTION, NOTED, kind=KIND, **migration.to_json())
    return journal


def migrate(work: Work) -> None:
    """Carry a migration out, from wherever it was left; its outcome then is verified or rolled back.

    Raises MoveFailed and Interrupted while copying, which leave it open; Refused before anything is changed;
    RollbackFailed, HostUnreachable where the engine went away for good, StorageError.
    """
    journal = work.journal
    journal.reserve()
    run_steps(journal, _copying(work), anew=True)
    with locked(
        work.settings.paths.locks, [host_lock(work.migration.host)], f"imgopt migrate-data {work.migration.subject}"
    ):
        _switch_over(work)
    journal.release()


def settle(work: Work) -> bool:
    """Bring a migration that was cut off to an outcome, once its services were touched; whether they had been.

    Forward if its gate was passed, else back. One that was only copying stays open.
    """
    journal = work.journal
    if not services_touched(journal):
        return False
    gate, back = journal.last(GATE, DONE), journal.last(BACK, BEGUN)
    if gate is not None and gate.number > _begun_at(journal) and (back is None or back.number < gate.number):
        journal.append(OUTCOME, NOTED, outcome=VERIFIED)
    else:
        _go_back(work, "It was interrupted.")
    journal.release()
    return True


def services_touched(journal: Journal) -> bool:
    """Whether its services were or are being changed since the last outcome."""
    outcome = journal.last(OUTCOME)
    return _begun_at(journal) > (outcome.number if outcome is not None else 0) or _going_back(journal)


def cancel(work: Work) -> None:
    """Give up a migration whose services run as before: the copy goes. Raises Refused, MoveFailed."""
    if notes_of(work.move).exists():
        _compare_again(work)  # services wrote into the copy; all of it was brought back to the source
        bring_over(work.move)
    discard_copy(work.move)
    work.journal.append(OUTCOME, NOTED, outcome=CANCELLED)
    work.journal.release()


def _copying(work: Work) -> Iterator[Step]:
    """What leaves everything that runs as it is."""
    if work.migration.backup is not None and work.journal.last(BACKUP, DONE) is None:
        yield Step(BACKUP, lambda: _back_up(work))
    if notes_of(work.move).exists():
        yield Step("compare", lambda: _compare_again(work))
    yield Step(COPY, lambda: _brought(bring_over(work.move)))


def _switch_over(work: Work) -> None:
    journal = work.journal
    try:
        run_steps(journal, [Step(OBSERVE, lambda: observed(work))], anew=True)
        names = [plan.name for plan in work.migration.units]
        with GapMeter(work.host, names, baselines_in(journal)) as gap:
            run_steps(journal, [*_switches(work), Step(GATE, lambda: _gate(work, gap))], anew=True)
    except BaseException as error:
        touched = services_touched(journal)
        if touched:
            with interrupts_deferred():
                _go_back(work, str(error) if isinstance(error, ImgoptError) else "It was interrupted.")
        if not touched or not isinstance(error, ImgoptError):
            raise
    else:
        journal.append(OUTCOME, NOTED, outcome=VERIFIED)


def _switches(work: Work) -> Iterator[Step]:
    migration, move = work.migration, work.move
    yield Step(QUIESCE, lambda: _quiesce(work))
    yield Step(DELTA, lambda: _brought(bring_over(move, writers_stopped=True)))
    yield Step("manifest", lambda: {"file": str(write_manifest(move))})
    yield Step("promote", partial(_promote, move))
    yield Step("hand over", lambda: {"paths": note_handed_over(move)})
    if migration.sets_aside:
        yield Step("set aside", partial(_set_aside, move))
    for plan in migration.units:
        if plan.override is not None:
            yield Step(f"override {plan.name.name}", partial(write_override, work, plan))
        yield Step(f"switch {plan.name.name}", partial(switch, work, plan))


def _quiesce(work: Work) -> Mapping[str, Any]:
    progress.current().start("stopping what writes there")
    stopped = [name for plan in work.migration.units for name in stop(work, plan)]
    check_unused(work.move.source)
    return {"stopped": stopped}


def _compare_again(work: Work) -> Mapping[str, Any]:
    """All of a copy that services wrote into: what they changed or removed counts as copied no longer."""
    found = verify(work.move, everything=True)
    return {"different": len(found.different), "foreign": len(found.foreign)}


def _back_up(work: Work) -> Mapping[str, Any]:
    assert work.migration.backup is not None
    packed = back_up(work.move.source, work.migration.backup, work.migration.migration_id)
    return {"file": str(packed.archive), "files": packed.files}


def _gate(work: Work, gap: GapMeter) -> Mapping[str, Any]:
    checks = see_inside(work)
    watched, seconds = watch(work)
    checks += watched
    facts = {"checks": check_facts(checks), "seconds": seconds, **gap_facts(gap)}
    if failed := [check for _, check in checks if check.outcome == FAILED]:
        # Of a failed step only the message is journaled, and what was seen is worth more than that.
        work.journal.append(GATE, NOTED, **facts)
        raise GateFailed(f"{failed[0].check}: {failed[0].detail}", subject=work.migration.subject)
    return facts


def _go_back(work: Work, reason: str) -> None:
    roll_back(work, reason)
    work.journal.append(OUTCOME, NOTED, outcome=ROLLED_BACK, reason=reason)


def _begun_at(journal: Journal) -> int:
    entry = journal.last(QUIESCE, BEGUN)
    return entry.number if entry is not None else 0


def _going_back(journal: Journal) -> bool:
    back, outcome = journal.last(BACK, BEGUN), journal.last(OUTCOME)
    return back is not None and (outcome is None or back.number > outcome.number)


def _brought(brought: Brought) -> Mapping[str, Any]:
    totals = brought.totals
    return {
        "files": totals.files,
        "file_bytes": totals.file_bytes,
        "left_out": totals.left_out,
        "copied_files": brought.copied_files,
        "copied_bytes": brought.copied_bytes,
        "copy_seconds": brought.copy_seconds,
        "verified_bytes": brought.verified_bytes,
        "verify_seconds": brought.verify_seconds,
        "open": brought.open,
        "lost": brought.lost,
    }


def _promote(move: Move) -> Mapping[str, Any]:
    promote(move)
    return {"folder": str(move.final)}


def _set_aside(move: Move) -> Mapping[str, Any]:
    set_aside(move)
    return {"folder": str(move.aside)}
