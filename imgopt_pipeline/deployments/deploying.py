"""The sequence of a deployment: snapshot, switch, gate, commit; or back to where it was, and the gate again.

Each step is journaled before and after. Whoever finds a journal that has not come to an outcome calls `settle`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from imgopt_pipeline import progress
from imgopt_pipeline.deployments.gating import gap_meter, gate_facts, target_of, watch
from imgopt_pipeline.deployments.models import KIND, Options, UnitPlan
from imgopt_pipeline.deployments.preparing import Prepared, check_allowed
from imgopt_pipeline.deployments.rolling_back import roll_back
from imgopt_pipeline.deployments.tags import give, move
from imgopt_pipeline.deployments.work import Work, bring_up, make_containers, take_places
from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.interrupts import interrupts_deferred
from imgopt_pipeline.journal.journal import BEGUN, DONE, NOTED, Journal
from imgopt_pipeline.journal.outcomes import ACTION, BACK, OUTCOME, ROLLED_BACK, UNCHANGED, VERIFIED
from imgopt_pipeline.journal.steps import Step, run_steps
from imgopt_pipeline.services.compose import read_service
from imgopt_pipeline.services.models import FAILED, GateFailed, Refused, SwitchFailed
from imgopt_pipeline.services.override import with_service
from imgopt_pipeline.services.watching.baseline import observe
from imgopt_pipeline.services.watching.journaled import GATE, OBSERVE, check_facts, gap_facts
from imgopt_pipeline.services.watching.logs import keep_last_lines
from imgopt_pipeline.services.watching.shadow import shadow_checks
from imgopt_pipeline.settings import Settings

SHADOW, SNAPSHOT = "shadow", "snapshot"
_CHANGING = ("move tag", "override ", "make ", "switch ")
"""Beginnings of the names of steps after which a way back is needed."""


def deploy(settings: Settings, host: EngineHost, prepared: Prepared, options: Options) -> Journal:
    """Carry a deployment out; its journal, whose outcome is verified or rolled back.

    Raises Refused before anything is changed, RollbackFailed, HostUnreachable where the engine went away for good,
    StorageError where the journal cannot be written, Interrupted after the old state was put back.
    """
    check_allowed(prepared, options)
    deployment = prepared.deployment
    journal = Journal(settings.paths.actions / deployment.deployment_id)
    journal.append(ACTION, NOTED, kind=KIND, **deployment.to_json())
    journal.reserve()
    work = Work(settings, host, deployment, journal)
    before = [
        Step(OBSERVE, lambda: _observe(work, prepared)),
        Step(SHADOW, lambda: _shadow(work, prepared)),
        Step(SNAPSHOT, lambda: _keep(work)),
    ]
    try:
        run_steps(journal, before)
    except BaseException as error:
        with interrupts_deferred():
            end(work, UNCHANGED, reason=_reason(error))
        raise
    with gap_meter(work) as gap:
        try:
            run_steps(journal, [*_switches(work), Step(GATE, lambda: _gate(work))])
        except BaseException as error:
            with interrupts_deferred():
                roll_back(work, _reason(error))
                end(work, ROLLED_BACK, reason=_reason(error), **gap_facts(gap))
            if not isinstance(error, ImgoptError):
                raise
        else:
            end(work, VERIFIED, **gap_facts(gap))
    return journal


def settle(work: Work) -> None:
    """Bring a deployment that was cut off to an outcome: forward if its gate was passed, else back."""
    journal, reason = work.journal, "It was cut off."
    if not any(entry.step.startswith(_CHANGING) for entry in journal.entries):
        end(work, UNCHANGED, reason=reason)
    elif journal.last(GATE, DONE) is not None and journal.last(BACK, BEGUN) is None:
        end(work, VERIFIED)
    else:
        roll_back(work, reason)
        end(work, ROLLED_BACK, reason=reason)


def _observe(work: Work, prepared: Prepared) -> Mapping[str, Any]:
    progress.current().start("looking how it does now")
    settings, target = work.settings.deployments, target_of(work.settings, work.deployment)
    return {unit.name.name: observe(work.host, unit, target, settings).to_json() for unit in prepared.units}


def _shadow(work: Work, prepared: Prepared) -> Mapping[str, Any]:
    target = target_of(work.settings, work.deployment)
    if not target.shadow:
        return {}
    progress.current().start("asking both images the same")
    checks = [
        (unit.name.name, check)
        for unit in prepared.units
        for check in shadow_checks(work.host, unit, work.deployment.candidate.image_id, target, work.settings)
    ]
    if failed := [check for _, check in checks if check.outcome == FAILED]:
        raise GateFailed(f"the new image answers otherwise: {failed[0].detail}", subject=work.deployment.subject)
    return {"checks": check_facts(checks)}


def _keep(work: Work) -> Mapping[str, Any]:
    """Names for the old image and for the candidate, so that neither goes while it may be needed."""
    deployment = work.deployment
    give(work.host, deployment.old_image_id, deployment.backup_reference)
    give(work.host, deployment.candidate.image_id, deployment.deployed_reference)
    return {"backup": deployment.backup_reference, "candidate": deployment.deployed_reference}


def _switches(work: Work) -> Iterator[Step]:
    """What changes the host, in order."""
    deployment = work.deployment
    if deployment.moves_tag:
        yield Step("move tag", lambda: _move_tag(work))
    for plan in deployment.units:
        if plan.override is not None:
            yield Step(f"override {plan.name.name}", partial(_override, work, plan))
        if plan.name.compose is None:
            yield Step(f"make {plan.name.name}", partial(make_containers, work, plan, deployment.image_reference))
        yield Step(f"switch {plan.name.name}", partial(_switch, work, plan))
    for plan in deployment.following:
        if plan.name.compose is None:
            yield Step(f"make {plan.name.name}", partial(make_containers, work, plan, None))
        yield Step(f"switch {plan.name.name}", partial(_switch, work, plan))


def _move_tag(work: Work) -> Mapping[str, Any]:
    deployment = work.deployment
    reference = deployment.image_reference
    done = move(work.host, reference, before=deployment.old_image_id, after=deployment.candidate.image_id)
    return {"reference": reference, "done": done}


def _override(work: Work, plan: UnitPlan) -> Mapping[str, Any]:
    assert plan.override is not None and plan.name.compose is not None
    with_service(plan.override, plan.name.compose.service, {"image": work.deployment.deployed_reference})
    return {"file": str(plan.override)}


def _switch(work: Work, plan: UnitPlan) -> None:
    progress.current().start(f"switching {plan.name.words}")
    if plan in work.deployment.following:
        _check_followed(work)
    if plan.name.compose is None:
        take_places(work, plan)
        return
    _check_files(work, plan)
    follows = plan in work.deployment.following
    bring_up(work, plan, None if follows else work.deployment.candidate.image_id, touched=False)


def _check_followed(work: Work) -> None:
    """Raise SwitchFailed where what is to be joined has ended: the engine would blame whoever joins it."""
    for plan in work.deployment.units:
        for container in work.unit(plan).containers:
            if plan.running and not container.running:
                state = container.inspected.get("State") or {}
                raise SwitchFailed(
                    f"{container.name} ended with exit code {state.get('ExitCode')}.", subject=plan.name.words
                )


def _check_files(work: Work, plan: UnitPlan) -> None:
    """Raise Refused where a file was edited since a person said yes."""
    assert plan.name.compose is not None
    found = read_service(work.host, plan.name.compose).file_digests
    edited = sorted(name for name in {*found, *plan.file_digests} if found.get(name) != plan.file_digests.get(name))
    edited = [name for name in edited if name != str(plan.override)]
    if edited:
        raise Refused(
            f"{', '.join(edited)} changed since the deployment was planned.",
            subject=plan.name.words,
            hint="Plan it anew: `imgopt deploy` shows what it would do now.",
        )


def _gate(work: Work) -> Mapping[str, Any]:
    progress.current().start("watching it")
    results = watch(work, work.deployment.candidate.image_id)
    facts = gate_facts(results)
    failed = [check for result in results.values() for check in result.checks if check.outcome == FAILED]
    if failed:
        # Of a failed step only the message is journaled, and what was seen is worth more than that.
        work.journal.append(GATE, NOTED, **facts)
        _keep_logs(work)
        raise GateFailed(f"{failed[0].check}: {failed[0].detail}", subject=work.deployment.subject)
    return facts


def _keep_logs(work: Work) -> None:
    """Keep what containers said that are about to go; where there is no room for it, going back goes first."""
    containers = [one for plan in work.deployment.units for one in work.unit(plan).containers]
    with suppress(OSError):
        keep_last_lines(work.host, containers, work.journal.folder)


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, ImgoptError) else "It was interrupted."


def end(work: Work, outcome: str, **facts: Any) -> None:
    """Journal how it ended."""
    work.journal.append(OUTCOME, NOTED, outcome=outcome, **facts)
    work.journal.release()
