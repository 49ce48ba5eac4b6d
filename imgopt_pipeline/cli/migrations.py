"""`imgopt migrate-data` and `imgopt migrations`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgopt_pipeline.cli.asking import DryRun, HostName, Json, Yes, ask, check_somebody_answers
from imgopt_pipeline.cli.interruptions import outcome_told
from imgopt_pipeline.cli.output import print_json, show, shown_progress
from imgopt_pipeline.errors import SettingsError, StorageError
from imgopt_pipeline.settings import Settings, load_settings
from imgopt_pipeline.units import count, format_bytes, parse_bytes

if TYPE_CHECKING:
    from imgopt_pipeline.migrations.migration import Migration, Options
    from imgopt_pipeline.migrations.preparing import Prepared
    from imgopt_pipeline.migrations.records import Record

Directory = Annotated[
    str, typer.Argument(help="A directory: its path, an entry of `migrations:`, a volume, or who mounts it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("migrate-data")(migrate_data)
    app.command("migrations")(migrations)


def migrate_data(
    name: Directory,
    to: Annotated[Path | None, typer.Option(help="The folder on the mount that it is to go to.", metavar="DIR")] = None,
    backup: Annotated[Path | None, typer.Option(help="Pack all of it there first.", metavar="DIR")] = None,
    limit: Annotated[str | None, typer.Option(help="Bytes per second at most, like 20MB.", metavar="RATE")] = None,
    leave_special: Annotated[
        bool, typer.Option("--leave-special", help="Leave sockets, pipes and devices behind.")
    ] = False,
    discard_changes: Annotated[
        bool, typer.Option("--discard-changes", help="Also where what containers wrote outside volumes is lost.")
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="Put everything back, with what was written since.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Give up one that was not finished; remove its copy.")
    ] = False,
    delete_source: Annotated[
        bool, typer.Option("--delete-source", help="Say that the source may go when its time is over.")
    ] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="With it: also originals of files that were changed since.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """Move a data directory to a remote mount without the possibility of losing a file, or put everything back."""
    from imgopt_pipeline.migrations.migration import Options

    settings = load_settings()
    host_name = host or next(iter(settings.hosts))
    if sum((back, cancel, delete_source)) > 1:
        raise SettingsError("--back, --cancel and --delete-source are three different things.", hint="Choose one.")
    check_somebody_answers(yes=yes, dry_run=dry_run, json=json)
    if back:
        _back(settings, host_name, name, yes=yes, dry_run=dry_run, json=json)
    elif cancel:
        _cancel(settings, host_name, name, yes=yes, dry_run=dry_run, json=json)
    elif delete_source:
        _delete_source(settings, host_name, name, accept=accept_changes, yes=yes, dry_run=dry_run, json=json)
    else:
        options = Options(
            destination=Path(os.path.abspath(to)) if to is not None else None,
            backup=Path(os.path.abspath(backup)) if backup is not None else None,
            bytes_per_second=parse_bytes(limit) if limit is not None else None,
            leave_special=leave_special,
            discard_changes=discard_changes,
        )
        _migrate(settings, host_name, name, options, yes=yes, dry_run=dry_run, json=json)


def migrations(
    migration: Annotated[
        str | None, typer.Argument(help="A directory that was moved, or the ID of a migration; default: all.")
    ] = None,
    host: HostName = None,
    json: Json = False,
) -> None:
    """List migrations; of one, each step and check."""
    from imgopt_pipeline.reports.migrations import (
        known_migrations,
        migration_of,
        migration_view,
        migrations_table,
        way_back_lines,
    )

    settings = load_settings()
    listed = known_migrations(settings, host)
    if migration is None:
        if json:
            print_json(listed)
        else:
            show(migrations_table(listed) if listed else "Nothing was moved yet: `imgopt migrate-data NAME` does.")
        return
    named = [
        row
        for row in listed
        if migration in (row["subject"], row["source"], Path(row["source"]).name, row["volume"])
        or (len(migration) >= 4 and row["migration_id"].startswith(migration))
    ]
    if not named:
        raise StorageError(
            "no migration of that name is known.", subject=migration, hint="`imgopt migrations` lists them."
        )
    rows = migration_of(settings, named[0]["migration_id"])
    if json:
        print_json(rows)
    else:
        show(*migration_view(rows, steps=True), *way_back_lines(settings, named[0]["migration_id"]))


def resume_copying(settings: Settings, host_name: str) -> list[str]:
    """Go on with migrations that were cut off while they copied; what came of each, in sentences."""
    from imgopt_pipeline.migrations.records import records

    told = []
    for record in [one for one in records(settings.paths.actions, host_name) if one.copying]:
        row = _run(settings, host_name, record.migration, {"subject": record.migration.subject})["migrations"][0]
        told.append(f"{row['subject']}: {row['summary']}")
    return told


def _migrate(
    settings: Settings, host_name: str, name: str, options: Options, *, yes: bool, dry_run: bool, json: bool
) -> None:
    from imgopt_pipeline.migrations.preparing import check_allowed
    from imgopt_pipeline.migrations.targets import prepared_migration, unfinished
    from imgopt_pipeline.reports.migrations import prepared_document, prepared_view

    record = unfinished(settings, host_name, name)
    if record is not None:
        migration = record.migration
        if not json:
            show(f"{name}: a migration to {migration.final} was begun; it goes on with what is copied already.")
        if dry_run:
            return
        if not yes:
            ask("Go on?")
        _approve(settings, host_name, migration)
    else:
        with shown_progress(), prepared_migration(settings, host_name, name, options) as (_, prepared):
            pass  # it holds all that a person has to see; no connection is kept while one thinks
        if json and dry_run:
            print_json(prepared_document(prepared, settings))
        elif not json:
            show(*prepared_view(prepared, settings))
        if dry_run:
            return
        if not yes:
            options = _asked(prepared, options)
        check_allowed(prepared, options)
        migration = prepared.migration
        _approve(settings, host_name, migration)
    config: dict[str, Any] = {
        "subject": name,
        "leave_special": options.leave_special,
        "discard_changes": options.discard_changes,
    }
    for key, value in (("destination", options.destination), ("backup", options.backup)):
        if value is not None:
            config[key] = str(value)
    if options.bytes_per_second is not None:
        config["bytes_per_second"] = options.bytes_per_second
    _print(_run(settings, host_name, migration, config), wanted="verified", json=json)


def _back(settings: Settings, host_name: str, name: str, *, yes: bool, dry_run: bool, json: bool) -> None:
    from imgopt_pipeline.journal.outcomes import OPEN, ROLLBACK_FAILED, VERIFIED
    from imgopt_pipeline.migrations.targets import migration_of
    from imgopt_pipeline.reports.migrations import by_hand_view

    migration = migration_of(settings, host_name, name, VERIFIED, ROLLBACK_FAILED, OPEN).migration
    if not json:
        show(
            f"{name}: stop what uses it, bring back what was written at {migration.final} since, and have all run with"
            f" {migration.source} again. The copy stays until `--cancel`.",
            "By hand that is:",
            *by_hand_view(migration, settings),
        )
    if dry_run:
        return
    if not yes:
        ask("Put everything back?")
    _print(_run(settings, host_name, migration, {"subject": name, "back": True}), wanted="rolled back", json=json)


def _cancel(settings: Settings, host_name: str, name: str, *, yes: bool, dry_run: bool, json: bool) -> None:
    from imgopt_pipeline.journal.outcomes import OPEN, ROLLED_BACK
    from imgopt_pipeline.migrations.targets import cancel_target, migration_of

    migration = migration_of(settings, host_name, name, OPEN, ROLLED_BACK).migration
    if not json:
        show(f"{name}: remove the copy at {migration.final.parent}. The source is in use and stays.")
    if dry_run:
        return
    if not yes:
        ask("Remove the copy?")
    with outcome_told(lambda: _outcome(settings, migration)), shown_progress():
        rows = cancel_target(settings, host_name, name)
    if json:
        print_json(rows)
    else:
        show(f"{name}: {rows['migrations'][0]['summary']}")


def _delete_source(
    settings: Settings, host_name: str, name: str, *, accept: bool, yes: bool, dry_run: bool, json: bool
) -> None:
    from imgopt_pipeline.journal.outcomes import VERIFIED
    from imgopt_pipeline.migrations.models import listing
    from imgopt_pipeline.migrations.targets import approve_deletion, migration_of, written_since
    from imgopt_pipeline.reports.migrations import migration_of as rows_of

    record = migration_of(settings, host_name, name, VERIFIED)
    (row,) = rows_of(settings, record.migration.migration_id)["migrations"]
    if not json:
        show(f"{name}: delete {row['set_aside']} ({format_bytes(row['pending_bytes'])}) for good.")
        if changed := written_since(settings, host_name, name):
            kept = "their originals go too" if accept else "without --accept-changes all of it stays"
            show(f"Changed or removed at the new place since: {listing(changed)}; {kept}.")
    if dry_run:
        return
    if not yes:
        ask("Delete it, when its time is over and both sides were read again?")
    with outcome_told(lambda: _outcome(settings, record.migration)), shown_progress():
        removal = approve_deletion(settings, host_name, name, accept_changes=accept)
    if json:
        print_json(rows_of(settings, record.migration.migration_id))
    elif removal.left:
        show(f"{name}: {removal.left}")
    else:
        show(f"{name}: {count(removal.files, 'file')} deleted, which freed {format_bytes(removal.freed_bytes)}.")


def _run(
    settings: Settings, host_name: str, migration: Migration, config: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    from imgopt_pipeline.migrations.rows import migration_rows
    from imgopt_pipeline.migrations.targets import directory_key
    from imgopt_pipeline.orchestration.running import run_migration

    with outcome_told(lambda: _outcome(settings, migration)), shown_progress():
        run_migration(settings, directory_key(host_name, migration.source), config)
    return migration_rows(_records_of(settings, migration)[-1])


def _outcome(settings: Settings, migration: Migration) -> str:
    """What came of a migration, by its journal; empty where it had not begun."""
    from imgopt_pipeline.journal.outcomes import CANCELLED
    from imgopt_pipeline.migrations.rows import summary

    found = _records_of(settings, migration)
    if not found or found[-1].outcome == CANCELLED:
        return ""
    return f"{migration.subject}: {summary(found[-1])}"


def _records_of(settings: Settings, migration: Migration) -> list[Record]:
    """Of the same directory, the oldest first."""
    from imgopt_pipeline.journal.actions import named
    from imgopt_pipeline.migrations.records import records

    return named(list(records(settings.paths.actions, migration.host)), str(migration.source))


def _approve(settings: Settings, host_name: str, migration: Migration) -> None:
    """Record the yes: to the item of the plan where there is one of this directory, else to it by itself."""
    from imgopt_pipeline.approvals.approving import approve, plan_item
    from imgopt_pipeline.services.models import SubjectNotFound

    try:
        item = plan_item(settings.paths.database, host_name, str(migration.source))
    except (SubjectNotFound, StorageError):
        item = {
            "subject": str(migration.source),
            "subject_kind": "directory" if migration.sets_aside else "volume",
            "action": "move",
        }
    approve(settings.paths.database, host_name, {**item, "path": str(migration.source)}, f"to {migration.final}")


def _asked(prepared: Prepared, options: Options) -> Options:
    """What a person says to each question; ends where that is no."""
    from dataclasses import replace

    if prepared.losses and not options.discard_changes:
        ask("Go on although this will be lost?")
    if prepared.migration.left_out and not options.leave_special:
        ask("Leave sockets, pipes and devices behind?")
    ask("Do this?")
    return replace(
        options,
        discard_changes=options.discard_changes or bool(prepared.losses),
        leave_special=options.leave_special or bool(prepared.migration.left_out),
    )


def _print(rows: dict[str, list[dict[str, Any]]], *, wanted: str, json: bool) -> None:
    from imgopt_pipeline.reports.migrations import migration_view

    if json:
        print_json(rows)
    else:
        show("", *migration_view(rows))
    if rows["migrations"][0]["outcome"] != wanted:
        raise typer.Exit(1)
