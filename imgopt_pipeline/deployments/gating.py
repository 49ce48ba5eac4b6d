"""The gate of a deployment: each of its units watched, beside what was seen of it before the switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgopt_pipeline.builds.sources.finding import target_of as find_target
from imgopt_pipeline.deployments.models import Deployment, UnitPlan
from imgopt_pipeline.deployments.work import Work
from imgopt_pipeline.services.watching.baseline import Baseline
from imgopt_pipeline.services.watching.gap import GapMeter
from imgopt_pipeline.services.watching.gate import Expected, GateResult, pass_gate
from imgopt_pipeline.services.watching.journaled import baselines_in, check_facts
from imgopt_pipeline.settings import Settings, TargetSettings


def target_of(settings: Settings, deployment: Deployment) -> TargetSettings:
    """What the settings say of the image."""
    references = [deployment.reference] if deployment.reference else []
    return find_target(references, settings.targets) or TargetSettings()


def watch(work: Work, image_id: str) -> dict[str, GateResult]:
    """Watch every unit, on that image; the results by the units' names."""
    before, target = baselines_in(work.journal), target_of(work.settings, work.deployment)
    following = (one.name for plan in work.deployment.following for one in plan.containers if one.running)
    followers = (*following, *work.deployment.dependants)
    return {plan.name.name: _watch(work, plan, image_id, before, target, followers) for plan in work.deployment.units}


def _watch(
    work: Work,
    plan: UnitPlan,
    image_id: str,
    before: Mapping[str, Baseline],
    target: TargetSettings,
    followers: tuple[str, ...],
) -> GateResult:
    return pass_gate(
        work.host,
        lambda: work.unit(plan),
        Expected(image_id, plan.replicas, plan.running, followers),
        before[plan.name.name],
        target,
        work.settings.deployments,
    )


def gap_meter(work: Work) -> GapMeter:
    """Measures, as a context, how long the units do not answer."""
    return GapMeter(work.host, [plan.name for plan in work.deployment.units], baselines_in(work.journal))


def gate_facts(results: Mapping[str, GateResult]) -> dict[str, Any]:
    """What a gate saw, for the journal."""
    checks = ((name, check) for name, result in results.items() for check in result.checks)
    return {"seconds": sum(result.seconds for result in results.values()), "checks": check_facts(checks)}
