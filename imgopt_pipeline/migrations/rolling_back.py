"""The way back: what was written at the destination brought home, the source under its name, the services as before.

It can be gone again from any point. Where it cannot be gone to its end it stops, says what stands where, and names the
commands that are left to a person. The copy stays at the destination, beside its final name, until it is given up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from imgopt_pipeline import progress
from imgopt_pipeline.journal.journal import BEGUN, DONE, NOTED
from imgopt_pipeline.journal.outcomes import going_back
from imgopt_pipeline.journal.steps import Step, run_steps
from imgopt_pipeline.migrations.bringing_back import bring_back
from imgopt_pipeline.migrations.gating import watch
from imgopt_pipeline.migrations.models import MountGone, listing
from imgopt_pipeline.migrations.mounts import held
from imgopt_pipeline.migrations.quiescing import stop
from imgopt_pipeline.migrations.setting_aside import put_back, take_back
from imgopt_pipeline.migrations.standing import commands_left, standing
from imgopt_pipeline.migrations.switching import remove_override, switch_back
from imgopt_pipeline.migrations.work import Work
from imgopt_pipeline.planning.commands import word
from imgopt_pipeline.services.models import FAILED, SwitchFailed
from imgopt_pipeline.services.watching.journaled import BACK_GATE, baselines_in, check_facts

FILES = "back: files"


def roll_back(work: Work, reason: str, *, without_new: bool = True) -> None:
    """Put the old state back and watch it. `reason` is journaled.

    `without_new`: also where the destination is gone, so that what was written there cannot be brought back; it stays
    there. Not where some of that may be back already: old and new would be mixed. Raises MountGone where that is not
    wanted, before anything is changed; RollbackFailed; HostUnreachable where the engine went away: then nothing is
    decided yet.
    """
    if not without_new and _in_use(work):
        with held(work.move):
            pass  # it is there to be read
    progress.current().start("putting the old state back")
    migration = work.migration
    with going_back(
        work.journal,
        reason,
        subject=migration.subject,
        stands=lambda: standing(work),
        by_hand=lambda: commands_left(work, files_left=_in_use(work), in_part=_tries(work) > 0),
        again=f"imgopt migrate-data {word(migration.subject)} --back",
    ):
        run_steps(work.journal, _steps(work, without_new), anew=True)


def _steps(work: Work, without_new: bool) -> Iterator[Step]:
    migration = work.migration
    if _in_use(work):
        yield Step("back: stop", lambda: _stop(work))
        yield Step(FILES, lambda: _bring_back(work, without_new))
    if migration.sets_aside:
        yield Step("back: source", lambda: _put_back(work))
    yield Step("back: copy", lambda: _take_back(work))
    for plan in migration.units:
        if plan.override is not None:
            yield Step(f"back: override {plan.name.name}", partial(remove_override, work, plan))
        yield Step(f"back: {plan.name.name}", partial(switch_back, work, plan))
    yield Step(BACK_GATE, lambda: _gate(work))


def _in_use(work: Work) -> bool:
    """Whether services may have written at the destination since what they wrote there was last brought back.

    Once they run on the source again, what is there is newer: it must not be written over by a second try.
    """
    brought = work.journal.last(FILES, DONE)
    return _switched_at(work) > (brought.number if brought is not None else 0)


def _tries(work: Work) -> int:
    """How often bringing that back was begun."""
    switched_at = _switched_at(work)
    return sum(
        (entry.step, entry.event) == (FILES, BEGUN) and entry.number > switched_at for entry in work.journal.entries
    )


def _switched_at(work: Work) -> int:
    return max((entry.number for entry in work.journal.entries if entry.step.startswith("switch ")), default=0)


def _stop(work: Work) -> Mapping[str, Any]:
    return {"stopped": [name for plan in work.migration.units for name in stop(work, plan)]}


def _bring_back(work: Work, without_new: bool) -> Mapping[str, Any]:
    move = work.move
    if without_new and _tries(work) == 1:
        try:
            with held(move):
                pass  # it is there to be read
        except MountGone as error:
            remark = f"what was written at {move.final} since it was in use was not brought back: {error.message}"
            return {"remarks": [remark]}
    try:
        returned = bring_back(move, work.kept if work.kept.exists() else move.source)
    except MountGone as error:
        raise MountGone(
            f"what was written there may be brought back in part, and the rest is needed too: {error.message}",
            subject=str(move.final),
            hint="Mount it again; until then nothing is started, for old and new files would be mixed.",
        ) from error
    facts = {"files": returned.files, "file_bytes": returned.file_bytes, "gone": returned.gone}
    if returned.originals:
        remark = f"originals that something of another kind took the place of are kept: {listing(returned.originals)}"
        return {**facts, "remarks": [remark]}
    return facts


def _take_back(work: Work) -> Mapping[str, Any]:
    try:
        take_back(work.move)
    except MountGone as error:
        return {"remarks": [f"the copy stays as it is: {error.message}"]}
    return {}


def _put_back(work: Work) -> Mapping[str, Any]:
    put_back(work.move)
    return {"folder": str(work.move.source)}


def _gate(work: Work) -> Mapping[str, Any]:
    if not baselines_in(work.journal):
        return {}
    checks, seconds = watch(work)
    facts = {"checks": check_facts(checks), "seconds": seconds}
    if failed := [check for _, check in checks if check.outcome == FAILED]:
        work.journal.append(BACK_GATE, NOTED, **facts)
        raise SwitchFailed(
            f"it runs with its own folder again, but not as before: {failed[0].check}: {failed[0].detail}",
            subject=work.migration.subject,
        )
    return facts
