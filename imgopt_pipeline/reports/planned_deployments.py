"""What a deployment or a rollback will do, before a person's word: for a terminal, and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from imgopt_pipeline.deployments.gating import target_of
from imgopt_pipeline.deployments.models import Deployment, UnitPlan
from imgopt_pipeline.deployments.preparing import Prepared
from imgopt_pipeline.deployments.rolling_back import manual_commands
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.commands import word
from imgopt_pipeline.services.override import override_path
from imgopt_pipeline.services.writable_layer import WritableLayer
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.units import count, format_bytes, format_seconds

_LOSSES_SHOWN = 10
_USUAL_HOST = "local"


def prepared_view(
    prepared: Prepared, settings: Settings, soak_seconds: float | None = None
) -> Iterator[RenderableType]:
    """The candidate, the steps, what would be lost or changed besides, and the exact way back."""
    deployment = prepared.deployment
    yield from _heading_lines(deployment)
    yield ""
    yield f"What will happen on {deployment.host}:"
    for number, step in enumerate(planned_steps(prepared, settings, soak_seconds), start=1):
        yield f"{number:2}. {step}"
    remade = {plan.name.words for plan in deployment.following}
    if staying := [name for name in prepared.dependants if name not in remade]:
        yield ""
        yield f"They depend on it and stay as they are: {', '.join(map(printable, staying))}."
    if prepared.losses:
        yield ""
        yield from losses_view(prepared.losses)
    if prepared.edited:
        yield ""
        yield from edits_view(prepared)
    yield ""
    yield from way_back_view(deployment)


def losses_view(losses: Mapping[str, WritableLayer]) -> Iterator[RenderableType]:
    """What containers wrote outside their volumes, which goes with them."""
    yield Text("What would be lost (written in the container, outside its volumes):", style="yellow")
    for name, layer in sorted(losses.items()):
        more = "" if layer.complete else " at least"
        size = f", {format_bytes(layer.size_bytes)} in all" if layer.size_bytes else ""
        yield f"  {printable(name)}: {count(layer.kept_count, 'path')}{more}{size}"
        for path in layer.kept[:_LOSSES_SHOWN]:
            yield f"    {path}"
        if layer.kept_count > _LOSSES_SHOWN:
            yield f"    … all of them: docker container diff {word(name)}"


def edits_view(prepared: Prepared) -> Iterator[RenderableType]:
    """Units that compose would bring up with more changed than the image."""
    units = ", ".join(map(printable, prepared.edited))
    yield Text(
        f"More than the image would change: the compose files of {units}, or the variables they use, differ from when"
        " it was brought up.",
        style="yellow",
    )


def way_back_view(deployment: Deployment) -> Iterator[RenderableType]:
    """The command that goes back, and those that do it by hand."""
    yield f"To roll back: {command('rollback', deployment.host, deployment.subject)}"
    yield "Or by hand:"
    for line in manual_commands(deployment):
        yield Text(f"  {line}", no_wrap=True)


def rollback_view(deployment: Deployment, losses: Mapping[str, WritableLayer]) -> Iterator[RenderableType]:
    """What a rollback will do."""
    yield f"What will happen on {deployment.host}:"
    for number, step in enumerate(rollback_steps(deployment), start=1):
        yield f"{number:2}. {step}"
    if losses:
        yield ""
        yield from losses_view(losses)
    yield ""
    yield "The same by hand:"
    for line in manual_commands(deployment):
        yield Text(f"  {line}", no_wrap=True)


def prepared_document(prepared: Prepared, settings: Settings, soak_seconds: float | None = None) -> dict[str, Any]:
    """A deployment before a person's word, as a document."""
    deployment = prepared.deployment
    given: dict[str, Any] = deployment.to_json()
    return {
        **{name: value for name, value in given.items() if name not in ("deployment_id", "approved_by")},
        "steps": planned_steps(prepared, settings, soak_seconds),
        "losses": _losses_document(prepared.losses),
        "edited": list(prepared.edited),
        "dependants": list(prepared.dependants),
        "way_back": _way_back(deployment),
    }


def rollback_document(deployment: Deployment, losses: Mapping[str, WritableLayer]) -> dict[str, Any]:
    """A rollback before a person's word, as a document."""
    return {
        "deployment_id": deployment.deployment_id,
        "host": deployment.host,
        "subject": deployment.subject,
        "steps": rollback_steps(deployment),
        "losses": _losses_document(losses),
        "way_back": _way_back(deployment),
    }


def planned_steps(prepared: Prepared, settings: Settings, soak_seconds: float | None = None) -> list[str]:
    """What a deployment does, in order; `soak_seconds` where not as the settings say."""
    deployment, gate = prepared.deployment, settings.deployments
    target, units = target_of(settings, deployment), _listed(deployment.units)
    steps = [f"Look how {units} does now: state, health, probes, log and memory."]
    if target.shadow:
        asked = ", ".join(map(printable, target.shadow))
        steps.append(f"Ask both images for {asked}; where they answer otherwise, nothing is changed.")
    steps.append(
        f"Keep the old image as {deployment.backup_reference}, and the candidate as {deployment.deployed_reference}."
    )
    if deployment.moves_tag:
        steps.append(f"Give the name {deployment.reference} to the candidate.")
    for plan in deployment.units:
        steps.append(_switch_words(plan, deployment))
    for plan in deployment.following:
        steps.append(f"Make {plan.name.words} anew on its own image: it shares the network of what is replaced.")
    soak = gate.soak_seconds if soak_seconds is None else soak_seconds
    steps.append(
        f"Watch {units}: all that it did before it must do again within {format_seconds(gate.deadline_seconds)},"
        f" answer {count(gate.probe_times, 'time')} in a row, and stay so for {format_seconds(soak)}. If not, put the"
        " old state back, and watch that."
    )
    steps.append(f"Keep what it takes to go back for {deployment.keep_days:g} days.")
    return steps


def rollback_steps(deployment: Deployment) -> list[str]:
    """What a rollback does, in order."""
    steps = []
    if deployment.moves_tag:
        steps.append(f"Give the name {deployment.reference} back to the old image ({deployment.backup_reference}).")
    for plan in deployment.units:
        if plan.override is not None:
            steps.append(f"Take the image out of {printable(str(plan.override))}.")
        steps.append(
            f"Make {plan.name.words} anew with compose, on the old image."
            if plan.name.compose is not None
            else f"Put the old container of {plan.name.words} back in its place, and remove the new one."
        )
    for plan in deployment.following:
        steps.append(f"Have {plan.name.words} join it again.")
    return [*steps, f"Watch whether {_listed(deployment.units)} does again what it did before."]


def command(name: str, host: str, subject: str) -> str:
    """A command of imgopt about a subject on a host, as one types it."""
    option = "" if host == _USUAL_HOST else f" --host {word(host)}"
    return f"imgopt {name} {word(subject)}{option}"


def _heading_lines(deployment: Deployment) -> Iterator[RenderableType]:
    candidate = deployment.candidate
    sizes = f"{format_bytes(candidate.old_bytes)} → {format_bytes(candidate.new_bytes)}"
    name = deployment.reference or deployment.old_image_id.removeprefix("sha256:")[:12]
    yield f"{printable(deployment.subject)}: {printable(name)}, {sizes}"
    tried = "passed its checks" + (", except what the remarks say" if candidate.unverified else "")
    yield f"Candidate: {candidate.reference} (build {candidate.build_id[:8]}), which {tried}."
    for remark in deployment.remarks:
        yield Text(f"  {remark}", style="yellow")


def _switch_words(plan: UnitPlan, deployment: Deployment) -> str:
    containers = count(plan.replicas, "container")
    if plan.name.compose is None:
        return (
            f"{plan.name.words}: make it anew beside with all its options, on the candidate; stop the old one, which is"
            " kept; the new one takes its name" + ("." if not plan.running else " and starts.")
        )
    if plan.override is None:
        return f"{plan.name.words}: have compose make its {containers} anew."
    loading = override_path(plan.name.compose).words
    return (
        f"{plan.name.words}: write {printable(str(plan.override))}, which names {deployment.deployed_reference}, and"
        f" have compose make its {containers} anew." + (f" {loading}" if loading else "")
    )


def _listed(plans: Sequence[UnitPlan]) -> str:
    return " and ".join(plan.name.words for plan in plans)


def _losses_document(losses: Mapping[str, WritableLayer]) -> dict[str, Any]:
    return {
        name: {
            "paths": list(layer.kept),
            "path_count": layer.kept_count,
            "of_no_account": layer.trivial,
            "size_bytes": layer.size_bytes,
        }
        for name, layer in losses.items()
    }


def _way_back(deployment: Deployment) -> dict[str, Any]:
    return {
        "command": command("rollback", deployment.host, deployment.subject),
        "by_hand": manual_commands(deployment),
    }
