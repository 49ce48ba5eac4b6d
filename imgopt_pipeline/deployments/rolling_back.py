"""The way back: names, override files and containers as they were, and the proof that the old behaviour is there again.

It can be gone again from any point. Where it cannot be gone to its end it stops, says what stands where, and names the
commands that are left to a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from imgopt_pipeline import progress
from imgopt_pipeline.builds.sources.compose_files import ComposeError
from imgopt_pipeline.deployments.gating import gate_facts, watch
from imgopt_pipeline.deployments.models import Deployment, UnitPlan
from imgopt_pipeline.deployments.tags import THERE_ALREADY, give, image_id_of, move
from imgopt_pipeline.deployments.work import (
    Work,
    bring_up,
    recreate_by_inspection,
    return_containers,
    touched,
)
from imgopt_pipeline.errors import ImageNotFound, ImgoptError
from imgopt_pipeline.journal.journal import NOTED
from imgopt_pipeline.journal.outcomes import going_back
from imgopt_pipeline.journal.steps import Step, run_steps
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.commands import word
from imgopt_pipeline.services.compose import read_service
from imgopt_pipeline.services.finding import running_of
from imgopt_pipeline.services.models import FAILED, OldContainer, Refused, SwitchFailed
from imgopt_pipeline.services.override import without_service
from imgopt_pipeline.services.recreating import aside_name
from imgopt_pipeline.services.watching.journaled import BACK_GATE


def roll_back(work: Work, reason: str) -> None:
    """Put the old state back and watch it. `reason` is journaled.

    Raises RollbackFailed, HostUnreachable where the engine went away: then nothing is decided yet.
    """
    progress.current().start("putting the old state back")
    deployment = work.deployment
    with going_back(
        work.journal,
        reason,
        subject=deployment.subject,
        stands=lambda: standing(work),
        by_hand=lambda: manual_commands(deployment),
        again=f"imgopt rollback {word(deployment.subject)}",
    ):
        run_steps(work.journal, _steps(work), anew=True)


def manual_commands(deployment: Deployment) -> list[str]:
    """The commands that do by hand what a rollback does, safe to paste."""
    commands = []
    if deployment.moves_tag and deployment.reference:
        commands.append(f"docker image tag {word(deployment.backup_reference)} {word(deployment.reference)}")
    for plan in deployment.units:
        commands += _commands_of(deployment, plan)
    for plan in deployment.following:
        commands += _commands_of(deployment, plan)
    return commands


def standing(work: Work) -> list[str]:
    """What stands where, in sentences."""
    deployment, host = work.deployment, work.host
    lines = []
    try:
        if deployment.reference:
            lines.append(f"{deployment.reference} is {_image_words(work, image_id_of(host, deployment.reference))}")
        backup = image_id_of(host, deployment.backup_reference)
        lines.append(f"{deployment.backup_reference} is {_image_words(work, backup)}")
        for plan in (*deployment.units, *deployment.following):
            for one in work.unit(plan).containers:
                state = printable(str((one.inspected.get("State") or {}).get("Status") or "?"))
                lines.append(f"container {one.name} is {state}, of {_image_words(work, one.image_id)}")
            for old in plan.containers:
                found = running_of(host, old.container_id)
                if found is not None and found.name != old.name:
                    lines.append(f"the old container {old.name} is kept as {found.name}")
            if plan.override is not None:
                there = "is there" if plan.override.exists() else "is not there"
                lines.append(f"the override file {printable(str(plan.override))} {there}")
    except ImgoptError as error:
        lines.append(f"the rest cannot be seen: {error}")
    return lines


def _steps(work: Work) -> Iterator[Step]:
    deployment = work.deployment
    yield Step("back: image", lambda: _keep_image(work))
    if deployment.moves_tag:
        yield Step("back: tag", lambda: _return_tag(work))
    for plan in deployment.units:
        if plan.override is not None:
            yield Step(f"back: override {plan.name.name}", partial(_remove_override, work, plan))
        yield Step(f"back: {plan.name.name}", partial(_return_unit, work, plan))
    for plan in deployment.following:
        yield Step(f"back: {plan.name.name}", partial(_return_follower, work, plan))
    yield Step(BACK_GATE, lambda: _gate(work))


def _keep_image(work: Work) -> Mapping[str, Any]:
    """Make sure that the old image is there, under a name that keeps it."""
    try:
        give(work.host, work.deployment.old_image_id, work.deployment.backup_reference)
    except ImageNotFound as error:
        raise SwitchFailed("the old image is not on the host any more.", subject=work.deployment.subject) from error
    return {}


def _return_tag(work: Work) -> Mapping[str, Any]:
    """Move the name back, unless it is somebody else's by now, or was the candidate's before this deployment."""
    deployment = work.deployment
    reference = deployment.image_reference
    needed = any(plan.method == "tag" for plan in deployment.units)
    if not needed and work.journal.facts("move tag").get("done") == THERE_ALREADY:
        return {"remarks": [f"{reference} stays the candidate's, as it was before this deployment"]}
    try:
        move(work.host, reference, before=deployment.candidate.image_id, after=deployment.old_image_id)
    except Refused as error:
        return {"remarks": [f"{reference} was left as it is: {error.message}"]}
    return {}


def _remove_override(work: Work, plan: UnitPlan) -> Mapping[str, Any]:
    assert plan.override is not None and plan.name.compose is not None
    without_service(plan.override, plan.name.compose.service, ("image",))
    return {}


def _return_unit(work: Work, plan: UnitPlan) -> Mapping[str, Any]:
    progress.current().start(f"putting {plan.name.words} back")
    if plan.name.compose is None:
        return_containers(work, plan)
        return {}
    deployment = work.deployment
    image_id, reference = deployment.old_image_id, deployment.reference or deployment.backup_reference
    if plan.method == "tag" and image_id_of(work.host, deployment.image_reference) != image_id:
        recreate_by_inspection(work, plan, deployment.backup_reference, image_id)
        return {"remarks": [f"its containers were made anew by hand, of {deployment.backup_reference}"]}
    try:
        said = _edited(work, plan)
        bring_up(work, plan, image_id, touched=touched(work, plan))
    except ComposeError as error:
        said = [f"compose cannot read its files ({error.message}); its containers were made anew as they were"]
        recreate_by_inspection(work, plan, reference, image_id)
    return {"remarks": said}


def _return_follower(work: Work, plan: UnitPlan) -> None:
    if plan.name.compose is None:
        return_containers(work, plan)
    else:
        bring_up(work, plan, None, touched=touched(work, plan))


def _edited(work: Work, plan: UnitPlan) -> list[str]:
    """What of the compose project differs from before, which is a person's and stays as it is. Raises ComposeError."""
    assert plan.name.compose is not None
    found = read_service(work.host, plan.name.compose).file_digests
    changed = sorted(
        name for name, digest in plan.file_digests.items() if name != str(plan.override) and found.get(name) != digest
    )
    if not changed:
        return []
    files = ", ".join(map(printable, changed))
    return [f"{files} changed since the deployment; that is left as it is, and used"]


def _gate(work: Work) -> Mapping[str, Any]:
    progress.current().start("watching whether the old behaviour is back")
    results = watch(work, work.deployment.old_image_id)
    facts = gate_facts(results)
    failed = [check for result in results.values() for check in result.checks if check.outcome == FAILED]
    if failed:
        work.journal.append(BACK_GATE, NOTED, **facts)
        raise SwitchFailed(
            f"the old image runs again, but not as before: {failed[0].check}: {failed[0].detail}",
            subject=work.deployment.subject,
        )
    return facts


def _commands_of(deployment: Deployment, plan: UnitPlan) -> Iterator[str]:
    name = plan.name.compose
    if name is None:
        for old in plan.containers:
            yield from _container_commands(deployment, old)
        return
    if plan.override is not None:
        yield f"# remove `image:` of {name.service} in {word(str(plan.override))}; the file too if nothing is left"
    options = [f"-f {word(str(file))}" for file in name.files if file != plan.override]
    options += [f"--env-file {word(str(file))}" for file in name.environment_files]
    program = "docker compose" if name.compose_major > 1 else "docker-compose"
    start = f"{program} -p {word(name.project)} --project-directory {word(str(name.folder))} {' '.join(options)}"
    scale = f" --scale {word(f'{name.service}={plan.replicas}')}" if plan.replicas != 1 else ""
    yield f"{start} up -d --no-deps --no-build --force-recreate{scale} {word(name.service)}"


def _container_commands(deployment: Deployment, old: OldContainer) -> Iterator[str]:
    name, aside = word(old.name), word(aside_name(old.name, deployment.deployment_id))
    # Where the old one is in its place again, it must not be taken for the new one.
    yield (
        f"docker container inspect {aside} >/dev/null && docker container rm --force {name}"
        f" && docker container rename {aside} {name}"
    )
    if policy := old.restart_policy.get("Name"):
        yield f"docker container update --restart={word(str(policy))} {name}"
    if old.running:
        yield f"docker container start {name}"


def _image_words(work: Work, image_id: str | None) -> str:
    deployment = work.deployment
    if image_id is None:
        return "no image"
    known = {deployment.old_image_id: "the old image", deployment.candidate.image_id: "the candidate"}
    return known.get(image_id, f"another image ({image_id.removeprefix('sha256:')[:12]})")
