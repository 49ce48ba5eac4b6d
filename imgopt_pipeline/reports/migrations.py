"""What a migration will do and what came of it: for a terminal, for Dagster's page, as rows for a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.journal.outcomes import OPEN, ROLLBACK_FAILED, ROLLED_BACK, VERIFIED
from imgopt_pipeline.migrations.migration import Migration, UnitPlan
from imgopt_pipeline.migrations.preparing import Prepared
from imgopt_pipeline.migrations.records import records
from imgopt_pipeline.migrations.rows import migration_rows
from imgopt_pipeline.migrations.standing import manual_commands
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.commands import word
from imgopt_pipeline.reports.audit import query
from imgopt_pipeline.reports.deployments import checks_table, steps_table
from imgopt_pipeline.reports.planned_deployments import command
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.units import count, format_bytes, format_seconds
from imgopt_pipeline.warehouse.store import snapshot

_LOSSES_SHOWN = 10
_NO_ID_YET = "ID"
_STYLES = {VERIFIED: "bold green", OPEN: "yellow", ROLLED_BACK: "bold red", ROLLBACK_FAILED: "bold red"}
_PHASES = {"gate": "With the new place", "rollback": "After everything was put back"}
_CHECKS = {"passed": "green", "failed": "red", "unverified": "yellow"}
Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def prepared_view(prepared: Prepared, settings: Settings) -> Iterator[RenderableType]:
    """What was looked at, the steps, what would be lost, and the exact way back."""
    migration, looked = prepared.migration, prepared.preflight
    yield (
        f"{printable(migration.subject)}: {count(migration.files, 'file')}, {format_bytes(migration.file_bytes)}, from"
        f" {printable(str(migration.source))} to {printable(str(migration.final))} ({migration.filesystem})"
    )
    for check in looked.checks:
        if check.outcome != "passed":
            yield Text(f"  {check.check}: {check.detail}", style=_CHECKS[check.outcome])
    for remark in migration.remarks:
        yield Text(f"  {remark}", style="yellow")
    yield ""
    yield f"What will happen on {migration.host}:"
    for number, step in enumerate(planned_steps(migration, settings), start=1):
        yield f"{number:2}. {step}"
    if prepared.dependants:
        yield ""
        yield f"They depend on it and stay as they are: {', '.join(map(printable, prepared.dependants))}."
    if prepared.losses:
        yield ""
        yield from _losses_view(prepared)
    yield ""
    yield from way_back_view(migration, settings)
    yield ""
    yield from afterwards_view(migration)


def prepared_document(prepared: Prepared, settings: Settings) -> dict[str, Any]:
    """The same as a document."""
    migration = prepared.migration
    given: dict[str, Any] = migration.to_json()
    names = ("check", "outcome", "detail")
    return {
        **{name: value for name, value in given.items() if name not in ("migration_id", "approved_by")},
        "checks": [{name: getattr(check, name) for name in names} for check in prepared.preflight.checks],
        "free_bytes": prepared.preflight.free_bytes,
        "steps": planned_steps(migration, settings),
        "losses": {
            name: {"paths": list(layer.kept), "size_bytes": layer.size_bytes} for name, layer in prepared.losses.items()
        },
        "dependants": list(prepared.dependants),
        "way_back": {
            "command": f"{command('migrate-data', migration.host, migration.subject)} --back",
            "by_hand": _by_hand(migration, settings),
        },
    }


def planned_steps(migration: Migration, settings: Settings) -> list[str]:
    """What a migration does, in order."""
    gate = settings.deployments
    units = " and ".join(plan.name.words for plan in migration.units)
    steps = []
    if migration.backup is not None:
        steps.append(f"Pack all of it into {printable(str(migration.backup))}, and read that back.")
    limit = f", at most {format_bytes(migration.bytes_per_second)}/s" if migration.bytes_per_second else ""
    steps.append(
        f"Copy it while everything runs{limit}, and read the copy back by sha256. Nothing that runs is touched."
    )
    steps.append(f"Stop {units}. From here on until the last step but one they do not answer.")
    steps.append("Bring over what changed meanwhile, and read that back: now both are equal, path by path.")
    if migration.sets_aside:
        steps.append(f"Rename the source beside its place: {printable(migration.source.name)}.migrated-ID.")
    else:
        steps.append(f"Leave the volume {migration.volume} as it is, unused.")
    steps += [_switch_words(plan) for plan in migration.units]
    steps.append(
        f"Look at the files from inside: the folder, how many, the sha256 of some. Watch {units} for"
        f" {format_seconds(gate.soak_seconds)}: it must do all that it did before within"
        f" {format_seconds(gate.deadline_seconds)}. If not, put everything back, and watch that."
    )
    steps.append(
        f"Keep the source for {migration.keep_days:g} days at least. It is deleted only when you say so"
        " (--delete-source), after both sides were read again. Until then nothing is freed."
    )
    return steps


def way_back_view(migration: Migration, settings: Settings) -> Iterator[RenderableType]:
    """The command that goes back, and those that do it by hand."""
    yield f"To go back: {command('migrate-data', migration.host, migration.subject)} --back"
    yield "Or by hand:"
    yield from by_hand_view(migration, settings)
    if not migration.migration_id:
        told = command("migrations", migration.host, str(migration.source))
        yield f"ID is the migration's own: `{told}` tells it, once it has begun."


def way_back_lines(settings: Settings, migration_id: str) -> Iterator[RenderableType]:
    """How to go back from one that is in use, as long as its source is kept."""
    for record in records(settings.paths.actions):
        if record.migration.migration_id == migration_id and record.outcome == VERIFIED and record.removed is None:
            yield ""
            yield from way_back_view(record.migration, settings)


def by_hand_view(migration: Migration, settings: Settings) -> Iterator[RenderableType]:
    """The commands that go back by hand."""
    for line in _by_hand(migration, settings):
        yield Text(f"  {line}", no_wrap=True)


def afterwards_view(migration: Migration) -> Iterator[RenderableType]:
    """What keeps containers from starting without the mount."""
    yield (
        "Should the mount be away, its containers do not start, and write nowhere else. Have the engine wait for it, by"
        " this file /etc/systemd/system/docker.service.d/mounts.conf:"
    )
    yield Text("  [Unit]", no_wrap=True)
    yield Text(f"  RequiresMountsFor={printable(str(migration.mount_point))}", no_wrap=True)


def known_migrations(settings: Settings, host: str | None = None) -> list[dict[str, Any]]:
    """Rows of all migrations, the newest first. Raises StorageError."""
    rows: dict[str, dict[str, Any]] = {}
    if settings.paths.database.exists():
        with snapshot(settings.paths.database) as connection:
            found = query(connection, "select_migrations", host=host, migration_id=None)
            rows = {row["migration_id"]: row for row in found}
    for record in records(settings.paths.actions, host):
        (row,) = migration_rows(record)["migrations"]
        rows[row["migration_id"]] = row
    return sorted(rows.values(), key=lambda row: row["started_at"], reverse=True)


def migration_of(settings: Settings, migration_id: str) -> Rows:
    """The rows of one migration."""
    for record in records(settings.paths.actions):
        if record.migration.migration_id == migration_id:
            return migration_rows(record)
    with snapshot(settings.paths.database) as connection:
        return {
            "migrations": query(connection, "select_migrations", migration_id=migration_id, host=None),
            **{
                table: query(connection, f"select_{table}", migration_id=migration_id)
                for table in ("migration_steps", "migration_checks")
            },
        }


def migrations_table(rows: Sequence[Row]) -> Table:
    """Migrations, a line each."""
    table = Table("migration", "host", "what", "when", "outcome", "summary", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            row["migration_id"][:8],
            row["host"],
            Text(printable(row["subject"])),
            f"{row['started_at']:%Y-%m-%d %H:%M}",
            Text(row["outcome"], style=_STYLES.get(row["outcome"], "")),
            Text(row["summary"], overflow="fold"),
        )
    return table


def migration_view(rows: Rows, *, steps: bool = False) -> Iterator[RenderableType]:
    """The outcome with its evidence; the steps where asked."""
    (row,) = rows["migrations"]
    yield Text(f"{printable(row['subject'])} on {row['host']}. {row['summary']}", style=_STYLES.get(row["outcome"], ""))
    yield f"{printable(row['source'])} → {printable(row['destination'])}; {row['approved_by']} said yes."
    for remark in row["remarks"]:
        yield Text(f"  {remark}", style="yellow")
    for phase, words in _PHASES.items():
        if checks := [check for check in rows["migration_checks"] if check["phase"] == phase]:
            yield ""
            yield f"{words}:"
            yield checks_table(checks)
    if steps:
        yield ""
        yield steps_table(rows["migration_steps"])
    yield ""
    yield from _speed_lines(row)
    yield from _kept_lines(row)
    yield f"Journal and list of files: {row['folder']}"


def migration_metadata(rows: Rows) -> dict[str, str | int | float]:
    """What Dagster's page of a materialization shows."""
    (row,) = rows["migrations"]
    metadata: dict[str, str | int | float] = {
        name: row[name]
        for name in (
            "summary",
            "outcome",
            "migration_id",
            "source",
            "destination",
            "approved_by",
            "files",
            "file_bytes",
            "pending_bytes",
            "freed_bytes",
        )
    }
    for name in ("gap_seconds", "copy_seconds", "verify_seconds"):
        if row[name] is not None:
            metadata[name] = row[name]
    metadata["steps"] = "\n".join(
        f"{step['number']}. {step['step']}: {step['event']} {step['detail']}".rstrip()
        for step in rows["migration_steps"]
    )
    return metadata


def _by_hand(migration: Migration, settings: Settings) -> list[str]:
    known = replace(migration, migration_id=migration.migration_id or _NO_ID_YET)
    return manual_commands(known, settings.paths.actions / known.migration_id)


def _losses_view(prepared: Prepared) -> Iterator[RenderableType]:
    yield Text("What would be lost (written in the container, outside its volumes):", style="yellow")
    for name, layer in sorted(prepared.losses.items()):
        yield f"  {printable(name)}: {count(layer.kept_count, 'path')}"
        for path in layer.kept[:_LOSSES_SHOWN]:
            yield f"    {path}"
        if layer.kept_count > _LOSSES_SHOWN:
            yield f"    … all of them: docker container diff {word(name)}"


def _switch_words(plan: UnitPlan) -> str:
    places = ", ".join(f"{printable(place)} from {printable(folder)}" for place, folder in plan.places.items())
    if plan.override is not None:
        file = printable(str(plan.override))
        return f"{plan.name.words}: write {file}, which has {places}, and have compose make its containers anew."
    return f"{plan.name.words}: make it anew with all its options and {places}; the old one is kept beside, stopped."


def _speed_lines(row: Row) -> Iterator[str]:
    if row["copy_seconds"]:
        copied, verified = format_seconds(row["copy_seconds"]), format_seconds(row["verify_seconds"] or 0)
        yield f"Copied in {copied}, read back in {verified}, while everything ran."
    asked = f" ({row['gap_detail']})" if row["gap_detail"] else ""
    if row["gap_seconds"] is not None:
        yield f"The service did not answer for {format_seconds(row['gap_seconds'])}{asked}."


def _kept_lines(row: Row) -> Iterator[str]:
    name = command("migrate-data", row["host"], row["subject"])
    if row["set_aside"]:
        yield (
            f"Freed 0 B, pending {format_bytes(row['pending_bytes'])}: the source is kept as"
            f" {printable(row['set_aside'])}, until {row['kept_until']:%Y-%m-%d %H:%M} UTC at least."
        )
        yield f"`{name} --delete-source` lets it go then; `{name} --back` puts everything back."
    elif row["outcome"] in (OPEN, ROLLED_BACK):
        yield f"`{name}` goes on with what is copied already; `{name} --cancel` removes the copy."
