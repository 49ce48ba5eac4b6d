"""`imgopt clean`: removes what is only left over, and takes back what was moved aside."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from imgopt_pipeline.cli.asking import Json, Yes, ask, check_somebody_answers
from imgopt_pipeline.cli.output import errors, print_json, show, shown_progress
from imgopt_pipeline.settings import Settings, load_settings

Names = list[str] | None


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("clean")(clean)


def clean(
    host: Annotated[str | None, typer.Option("--host", help="The host to clean.")] = None,
    containers: Annotated[bool, typer.Option("--containers", help="Stopped containers.")] = False,
    images: Annotated[bool, typer.Option("--images", help="Images without a tag or a container.")] = False,
    build_cache: Annotated[bool, typer.Option("--build-cache", help="Build cache not used for long.")] = False,
    container: Annotated[Names, typer.Option(help="This stopped container, changed or not.", metavar="NAME")] = None,
    volume: Annotated[Names, typer.Option(help="This volume; never all.", metavar="NAME")] = None,
    directory: Annotated[
        Names, typer.Option(help="node_modules and build output there, as the last audit found.", metavar="PATH")
    ] = None,
    older_than: Annotated[
        float, typer.Option("--older-than", help="Days since a container ended, or cache was used.", min=0)
    ] = 7,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and stop.")] = False,
    undo: Annotated[
        str | None, typer.Option("--undo", help="Move back what that cleaning moved.", metavar="ID")
    ] = None,
    json: Json = False,
) -> None:
    """Remove what is only left over; without a choice all of it. Directories are moved aside first."""
    from imgopt_pipeline.cleaning.models import BUILD_CACHE, CONTAINER, IMAGE, Kind, Selection

    settings = load_settings()
    if undo is not None:
        _undo(settings, undo, json=json)
        return
    check_somebody_answers(yes=yes, dry_run=dry_run, json=json)
    chosen: list[tuple[bool, Kind]] = [(containers, CONTAINER), (images, IMAGE), (build_cache, BUILD_CACHE)]
    selection = Selection(
        kinds=frozenset(kind for wanted, kind in chosen if wanted),
        containers=tuple(container or ()),
        volumes=tuple(volume or ()),
        directories=tuple(directory or ()),
        older_than_days=older_than,
    )
    _clean(settings, host or next(iter(settings.hosts)), selection, yes=yes, dry_run=dry_run, json=json)


def _clean(settings: Settings, host_name: str, selection: Any, *, yes: bool, dry_run: bool, json: bool) -> None:
    from imgopt_pipeline.cleaning.carrying_out import clean as carry_out
    from imgopt_pipeline.cleaning.carrying_out import resume_cleanings
    from imgopt_pipeline.cleaning.finding import engine_of, plan_cleaning
    from imgopt_pipeline.cleaning.rows import publish_cleanings
    from imgopt_pipeline.hosts.opening import open_host
    from imgopt_pipeline.reports.cleaning import plan_document, plan_view

    with open_host(settings, host_name) as opened:
        plan = plan_cleaning(settings, opened, selection)
        if json and (dry_run or not plan.found.items):
            print_json(plan_document(plan))
        elif not json and not (yes and plan.found.items and not dry_run):
            show(*plan_view(plan, settings.retention.backup_days))
        if dry_run or not plan.found.items:
            return
        if not yes:
            ask("Do this?")
        for told in resume_cleanings(settings, host_name):
            errors().print(told, markup=False, highlight=False)
        with shown_progress():
            journal = carry_out(settings, engine_of(opened), plan)
    publish_cleanings(settings)
    _print(settings, journal, json=json)


def _undo(settings: Settings, action_id: str, *, json: bool) -> None:
    from imgopt_pipeline.cleaning.carrying_out import cleaning_journal
    from imgopt_pipeline.cleaning.carrying_out import undo as take_back
    from imgopt_pipeline.cleaning.rows import publish_cleanings

    failures = take_back(cleaning_journal(settings, action_id), settings)
    journal = cleaning_journal(settings, action_id)
    publish_cleanings(settings)
    for failure in failures:
        errors().print(f"imgopt: {failure}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    _print(settings, journal, json=json)
    if failures:
        raise typer.Exit(1)


def _print(settings: Settings, journal: Any, *, json: bool) -> None:
    from imgopt_pipeline.cleaning.rows import cleaning_rows
    from imgopt_pipeline.reports.cleaning import cleaning_view

    rows = cleaning_rows(journal)
    if json:
        print_json(rows)
    else:
        show(*cleaning_view(rows, settings.retention.backup_days))
    if rows["cleanings"][0]["failed"]:
        raise typer.Exit(1)
