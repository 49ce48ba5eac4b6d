"""`imgopt deploy` and what belongs to it: approve, rollback, resume, keep, deployments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgopt_pipeline.cli.asking import DryRun, HostName, Json, Yes, ask, check_somebody_answers, somebody_answers
from imgopt_pipeline.cli.interruptions import outcome_told
from imgopt_pipeline.cli.output import errors, print_json, show, shown_progress
from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from imgopt_pipeline.deployments.models import Deployment
    from imgopt_pipeline.deployments.preparing import Prepared

Target = Annotated[str, typer.Argument(help="A compose service, a container, or an image that runs.")]
Deployed = Annotated[str, typer.Argument(help="A service, container or image that was deployed, or a deployment's ID.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("approve")(approve)
    app.command("deploy")(deploy)
    app.command("rollback")(rollback)
    app.command("resume")(resume)
    app.command("keep")(keep)
    app.command("deployments")(deployments)


def approve(
    name: Annotated[str, typer.Argument(help="An item of the plan: an image, a directory, or a service.")],
    note: Annotated[str, typer.Option(help="What is to be remembered with it.")] = "",
    host: HostName = None,
    json: Json = False,
) -> None:
    """Say yes to an item of the plan, as it is now; without that Dagster deploys nothing."""
    from imgopt_pipeline.approvals.approving import approve as record
    from imgopt_pipeline.approvals.approving import item_to_approve
    from imgopt_pipeline.hosts.opening import check_host_name
    from imgopt_pipeline.reports.plan import item_grades, item_heading

    settings = load_settings()
    host_name = host or next(iter(settings.hosts))
    check_host_name(settings, host_name)
    item = item_to_approve(settings, host_name, name)
    row = record(settings.paths.database, host_name, item, note)
    if json:
        print_json(row)
        return
    told = [item_heading(item), item_grades(item)] if "rank" in item else [f"{item['subject']}: {item['action']}"]
    show(*told, f"Approved by {row['approved_by']}.")


def deploy(
    name: Target,
    discard_changes: Annotated[
        bool, typer.Option("--discard-changes", help="Also where what it wrote outside volumes is lost.")
    ] = False,
    with_edits: Annotated[
        bool, typer.Option("--with-edits", help="Also where compose would change more than the image.")
    ] = False,
    soak: Annotated[
        float | None, typer.Option(help="Seconds to watch it. Default: deployments.soak_seconds.", min=0)
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """Put the optimized image in the place of the one that runs, prove that it does the same, or put all back."""
    from imgopt_pipeline.deployments.models import Options
    from imgopt_pipeline.deployments.preparing import check_allowed
    from imgopt_pipeline.deployments.targets import prepared_deployment
    from imgopt_pipeline.reports.planned_deployments import prepared_document, prepared_view

    settings = load_settings()
    host_name = host or next(iter(settings.hosts))
    # A wrong name is told in any case, but nothing is settled where nobody said a word.
    _settle(settings, host_name, only_tell=dry_run or not somebody_answers(yes=yes, dry_run=dry_run, json=json))
    with shown_progress(), prepared_deployment(settings, host_name, name) as (_, prepared):
        pass  # it holds all that a person has to see; no connection is kept while one thinks
    check_somebody_answers(yes=yes, dry_run=dry_run, json=json)
    if json and dry_run:
        print_json(prepared_document(prepared, settings, soak))
    elif not json:
        show(*prepared_view(prepared, settings, soak))
    if dry_run:
        return
    options = Options(discard_changes, with_edits)
    if not yes:
        options = _asked(prepared, options)
    check_allowed(prepared, options)
    _approve(settings, host_name, prepared.deployment)
    deployment_id = _deploy(settings, name, prepared.deployment, options, soak)
    _print_outcome(settings, deployment_id, wanted="verified", json=json)


def rollback(
    name: Deployed,
    discard_changes: Annotated[
        bool, typer.Option("--discard-changes", help="Also where what it wrote outside volumes is lost.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """Put back what ran before a deployment, as long as it is kept, and prove that it does as before."""
    from imgopt_pipeline.deployments.models import Options
    from imgopt_pipeline.deployments.preparing import check_losses
    from imgopt_pipeline.deployments.targets import deployment_to_take_back, losses_of_rollback
    from imgopt_pipeline.reports.planned_deployments import rollback_document, rollback_view

    settings = load_settings()
    host_name = host or next(iter(settings.hosts))
    _settle(settings, host_name, only_tell=dry_run or not somebody_answers(yes=yes, dry_run=dry_run, json=json))
    record = deployment_to_take_back(settings, host_name, name)
    check_somebody_answers(yes=yes, dry_run=dry_run, json=json)
    deployment, losses = record.deployment, losses_of_rollback(settings, record)
    if json and dry_run:
        print_json(rollback_document(deployment, losses))
    elif not json:
        show(*rollback_view(deployment, losses))
    if dry_run:
        return
    if not yes:
        if losses and not discard_changes:
            ask("Go on although this will be lost?")
            discard_changes = True
        ask("Put the old state back?")
    check_losses(losses, Options(discard_changes), name)
    _roll_back(settings, deployment, discard_changes=discard_changes)
    _print_outcome(settings, deployment.deployment_id, wanted="rolled back", json=json)


def resume(host: HostName = None, json: Json = False) -> None:
    """Finish what was cut off, or put the old state back."""
    from imgopt_pipeline.cli.migrations import resume_copying

    settings = load_settings()
    host_name = host or next(iter(settings.hosts))
    told = [*_resumed(settings, host_name), *resume_copying(settings, host_name)]
    if json:
        print_json(told)
    else:
        show(*(told or ["Nothing was cut off."]))


def keep(
    name: Deployed,
    release: Annotated[bool, typer.Option("--release", help="No longer than usual after all.")] = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """Keep what going back takes until a person lets it go."""
    from imgopt_pipeline.deployments.targets import pin

    settings = load_settings()
    rows = pin(settings, host or next(iter(settings.hosts)), name, pinned=not release)
    if json:
        print_json(rows)
        return
    (row,) = rows["deployments"]
    until = f"until {row['kept_until']:%Y-%m-%d %H:%M} UTC" if row["kept_until"] else "until a person lets it go"
    show(f"{row['subject']}: the old state is kept {until}, its image as {row['backup_reference']}.")


def deployments(
    deployment: Annotated[
        str | None, typer.Argument(help="A service, container, image, or the ID of a deployment; default: all.")
    ] = None,
    host: HostName = None,
    json: Json = False,
) -> None:
    """List deployments; of one, each step and check, and how to roll it back."""
    from imgopt_pipeline.reports.deployments import (
        deployment_of,
        deployment_view,
        deployments_table,
        known_deployments,
        names_of,
        way_back_lines,
    )

    settings = load_settings()
    listed = known_deployments(settings, host)
    if deployment is None:
        if json:
            print_json(listed)
        else:
            show(deployments_table(listed) if listed else "Nothing was deployed yet: `imgopt deploy NAME` does.")
        return
    named = [
        row
        for row in listed
        if deployment in names_of(row) or (len(deployment) >= 4 and row["deployment_id"].startswith(deployment))
    ]
    if not named:
        raise StorageError(
            "no deployment of that name is known.", subject=deployment, hint="`imgopt deployments` lists them."
        )
    rows, decided = deployment_of(settings, named[0]["deployment_id"])
    if json:
        print_json(rows)
    else:
        show(*deployment_view(rows, steps=True), *way_back_lines(rows["deployments"][0], decided))


def _settle(settings: Settings, host_name: str, *, only_tell: bool) -> None:
    """Bring what was cut off on the host to an outcome first; where nothing may be changed, only say so."""
    from imgopt_pipeline.resuming import unfinished

    if only_tell:
        if unfinished(settings, host_name):
            _tell("Something on this host was cut off or is under way; `imgopt resume` settles it first.")
        return
    for told in _resumed(settings, host_name):
        _tell(told)


def _resumed(settings: Settings, host_name: str) -> list[str]:
    from imgopt_pipeline.resuming import unfinished

    if not unfinished(settings, host_name):
        return []
    from imgopt_pipeline.orchestration.running import run_resume

    with shown_progress():
        return run_resume(settings, host_name)


def _deploy(settings: Settings, name: str, deployment: Deployment, options: Any, soak: float | None) -> str:
    from imgopt_pipeline.orchestration.running import run_deploy
    from imgopt_pipeline.orchestration.settling import deployment_target

    config: dict[str, Any] = {
        "subject": name,
        "discard_changes": options.discard_changes,
        "with_edits": options.with_edits,
    }
    if soak is not None:
        config["soak_seconds"] = soak
    with _telling_what_came_of_it(settings, deployment.host), shown_progress():
        return run_deploy(settings, deployment_target(deployment), config)


def _roll_back(settings: Settings, deployment: Deployment, *, discard_changes: bool) -> None:
    from imgopt_pipeline.orchestration.running import run_rollback
    from imgopt_pipeline.orchestration.settling import deployment_target

    with _telling_what_came_of_it(settings, deployment.host), shown_progress():
        run_rollback(settings, deployment_target(deployment), deployment.deployment_id, discard_changes=discard_changes)


@contextmanager
def _telling_what_came_of_it(settings: Settings, host_name: str) -> Iterator[None]:
    """Say how a deployment stands where that is not what the command ends with: interrupted, or not to be stored."""
    from imgopt_pipeline.deployments.records import records
    from imgopt_pipeline.deployments.rows import summary

    before = {record.journal.action_id: len(record.journal.entries) for record in records(settings.paths.actions)}

    def outcome() -> str:
        touched = (
            record
            for record in records(settings.paths.actions, host_name)
            if len(record.journal.entries) != before.get(record.journal.action_id)
        )
        return next((f"{record.deployment.subject}: {summary(record)}" for record in touched), "")

    try:
        with outcome_told(outcome):
            yield
    except StorageError:
        _tell(outcome())
        raise


def _approve(settings: Settings, host_name: str, deployment: Deployment) -> None:
    """Record the yes: to the item of the plan where there is one of this very image, else to the image by itself."""
    from imgopt_pipeline.approvals.approving import approve as record
    from imgopt_pipeline.approvals.approving import plan_item
    from imgopt_pipeline.services.models import SubjectNotFound

    try:
        item = plan_item(settings.paths.database, host_name, deployment.old_image_id)
    except (SubjectNotFound, StorageError):
        item = {
            "subject": deployment.reference or deployment.subject,
            "subject_kind": "image",
            "image_id": deployment.old_image_id,
            "action": f"deploy {deployment.candidate.reference}",
        }
    record(settings.paths.database, host_name, item)


def _print_outcome(settings: Settings, deployment_id: str, *, wanted: str, json: bool) -> None:
    from imgopt_pipeline.reports.deployments import deployment_of, deployment_view, way_back_lines

    rows, _ = deployment_of(settings, deployment_id)
    row = rows["deployments"][0]
    if json:
        print_json(rows)
    else:
        show("", *deployment_view(rows), *way_back_lines(row))
    if row["outcome"] != wanted:
        raise typer.Exit(1)


def _asked(prepared: Prepared, options: Any) -> Any:
    """What a person says to each question; ends where that is no."""
    from imgopt_pipeline.deployments.models import Options

    if prepared.losses and not options.discard_changes:
        ask("Go on although this will be lost?")
    if prepared.edited and not options.with_edits:
        ask("Go on although more than the image changes?")
    ask("Do this?")
    return Options(
        discard_changes=options.discard_changes or bool(prepared.losses),
        with_edits=options.with_edits or bool(prepared.edited),
    )


def _tell(words: str) -> None:
    errors().print(words, markup=False, highlight=False, soft_wrap=True)
