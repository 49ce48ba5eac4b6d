"""What came of deployments: for a terminal, for Dagster's page, as rows for a program.

The journals are the truth about them; the warehouse also remembers those whose journals are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.deployments.models import Deployment
from imgopt_pipeline.deployments.records import records
from imgopt_pipeline.deployments.rolling_back import manual_commands
from imgopt_pipeline.deployments.rows import deployment_rows
from imgopt_pipeline.journal.outcomes import OPEN, ROLLBACK_FAILED, ROLLED_BACK, UNCHANGED, VERIFIED
from imgopt_pipeline.reports.audit import query
from imgopt_pipeline.reports.planned_deployments import command
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.units import format_bytes, format_seconds
from imgopt_pipeline.warehouse.store import snapshot

_PHASES = {
    "shadow": "Both images asked the same, before the switch",
    "gate": "After the switch",
    "rollback": "After the old state was put back",
}
_STYLES = {"passed": "green", "failed": "red", "unverified": "yellow"}
Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def known_deployments(settings: Settings, host: str | None = None) -> list[dict[str, Any]]:
    """Rows of all deployments, the newest first. Raises StorageError."""
    rows: dict[str, dict[str, Any]] = {}
    if settings.paths.database.exists():
        with snapshot(settings.paths.database) as connection:
            rows = {
                row["deployment_id"]: row
                for row in query(connection, "select_deployments", host=host, deployment_id=None)
            }
    for record in records(settings.paths.actions, host):
        (row,) = deployment_rows(record)["deployments"]
        rows[row["deployment_id"]] = row
    return sorted(rows.values(), key=lambda row: row["started_at"], reverse=True)


def deployment_of(settings: Settings, deployment_id: str) -> tuple[Rows, Deployment | None]:
    """The rows of one deployment, and what its journal says was decided, where it is still there."""
    for record in records(settings.paths.actions):
        if record.deployment.deployment_id == deployment_id:
            return deployment_rows(record), record.deployment
    with snapshot(settings.paths.database) as connection:
        tables = ("deployments", "deployment_steps", "deployment_checks")
        values = {"deployment_id": deployment_id}
        return {
            table: query(connection, f"select_{table}", **values, **({"host": None} if table == tables[0] else {}))
            for table in tables
        }, None


def names_of(row: Row) -> set[str]:
    """What a person may call a deployment besides its ID."""
    reference = row["reference"] or ""
    units = [unit.partition(" ")[2] for unit in row["units"]]
    services = [unit.rpartition("/")[2] for unit in units]
    return {row["subject"], reference, reference.removesuffix(":latest"), *row["units"], *units, *services} - {""}


def deployments_table(rows: Sequence[Row]) -> Table:
    """Deployments, a line each."""
    table = Table("deployment", "host", "what", "when", "outcome", "summary", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            row["deployment_id"][:8],
            row["host"],
            Text(row["subject"]),
            f"{row['started_at']:%Y-%m-%d %H:%M}",
            Text(row["outcome"], style=outcome_style(row)),
            Text(row["summary"], overflow="fold"),
        )
    return table


def deployment_view(rows: Rows, *, steps: bool = False) -> Iterator[RenderableType]:
    """The outcome with its evidence: each check before and after, the gap, what is kept; the steps where asked."""
    (row,) = rows["deployments"]
    yield Text(f"{row['subject']} on {row['host']}. {row['summary']}", style=outcome_style(row))
    yield f"{_units_words(row)}; {row['approved_by'] or 'nobody is named'} said yes."
    for remark in row["remarks"]:
        yield Text(f"  {remark}", style="yellow")
    for phase, words in _PHASES.items():
        if checks := [check for check in rows["deployment_checks"] if check["phase"] == phase]:
            yield ""
            yield f"{words}:"
            yield checks_table(checks)
    if steps:
        yield ""
        yield steps_table(rows["deployment_steps"])
    yield ""
    yield from _gap_lines(row)
    yield from _kept_lines(row)
    yield f"Journal and logs: {row['folder']}"


def way_back_lines(row: Row, deployment: Deployment | None = None) -> Iterator[RenderableType]:
    """How to go back from what stands now, where that can be done; by hand too where the deployment is given."""
    if row["outcome"] == OPEN:
        yield "It was cut off: `imgopt resume` finishes it or puts the old state back."
    if row["outcome"] in (VERIFIED, ROLLBACK_FAILED, OPEN) and row["freed_bytes"] is None:
        yield f"To roll back: {command('rollback', row['host'], row['subject'])}"
        if deployment is not None:
            yield "Or by hand:"
            for line in manual_commands(deployment):
                yield Text(f"  {line}", no_wrap=True)


def checks_table(checks: Sequence[Row]) -> Table:
    """Each check with what was seen before and what is now; the unit only where there are several."""
    several = len({check["unit"] for check in checks}) > 1
    heads = ["check", "outcome", "before", "now", "detail"]
    table = Table(*(["of", *heads] if several else heads), box=None, pad_edge=False)
    for row in checks:
        cells = [
            Text(row["check_name"]),
            Text(row["outcome"], style=_STYLES[row["outcome"]]),
            *(Text(row[name], overflow="fold") for name in ("old_value", "new_value", "detail")),
        ]
        table.add_row(*([Text(row["unit"]), *cells] if several else cells))
    return table


def steps_table(steps: Sequence[Row]) -> Table:
    """The journal."""
    table = Table("#", "when", "step", "event", "detail", box=None, pad_edge=False)
    for row in steps:
        table.add_row(
            str(row["number"]),
            f"{row['happened_at']:%H:%M:%S.%f}"[:-3],
            Text(row["step"]),
            row["event"],
            Text(row["detail"], overflow="fold"),
        )
    return table


def deployment_metadata(rows: Rows) -> dict[str, str | int | float]:
    """What Dagster's page of a materialization shows: the sum, sizes, the gap, steps and checks."""
    (row,) = rows["deployments"]
    metadata: dict[str, str | int | float] = {
        "summary": row["summary"],
        "outcome": row["outcome"],
        "deployment_id": row["deployment_id"],
        "units": ", ".join(row["units"]),
        "methods": ", ".join(row["methods"]),
        "approved_by": row["approved_by"],
        "old_bytes": row["old_bytes"],
        "new_bytes": row["new_bytes"],
    }
    for name in ("gap_seconds", "gate_seconds", "freed_bytes"):
        if row[name] is not None:
            metadata[name] = row[name]
    if rows["deployment_checks"]:
        metadata["checks"] = _markdown(
            ("phase", "unit", "check", "outcome", "before", "now", "detail"),
            rows["deployment_checks"],
            ("phase", "unit", "check_name", "outcome", "old_value", "new_value", "detail"),
        )
    names = ("number", "step", "event", "detail")
    metadata["steps"] = _markdown(names, rows["deployment_steps"], names)
    return metadata


def outcome_style(row: Row) -> str:
    """How an outcome stands out."""
    return {VERIFIED: "bold green", UNCHANGED: "yellow", OPEN: "yellow"}.get(row["outcome"], "bold red")


def _units_words(row: Row) -> str:
    return ", ".join(f"{unit} by {method}" for unit, method in zip(row["units"], row["methods"], strict=True))


def _gap_lines(row: Row) -> Iterator[str]:
    asked = f" ({row['gap_detail']})" if row["gap_detail"] else ""
    if row["gap_seconds"] is not None:
        yield f"The service did not answer for {format_seconds(row['gap_seconds'])}{asked}."
    elif asked:
        yield f"How long the service did not answer is not known{asked}."
    if row["gate_seconds"] is not None:
        yield f"Watched for {format_seconds(row['gate_seconds'])}."


def _kept_lines(row: Row) -> Iterator[str]:
    if row["freed_bytes"] is not None:
        yield f"The old state is not kept any more; its removal freed {format_bytes(row['freed_bytes'])}."
    elif row["outcome"] == VERIFIED and row["pinned"]:
        release = command("keep", row["host"], row["subject"])
        yield f"Kept until a person lets it go (`{release} --release`): the old image as {row['backup_reference']}."
    elif row["outcome"] == VERIFIED and row["kept_until"] is not None:
        keep = command("keep", row["host"], row["subject"])
        yield (
            f"Kept until {row['kept_until']:%Y-%m-%d %H:%M} UTC: the old image as {row['backup_reference']};"
            f" `{keep}` keeps it for longer."
        )
    elif row["outcome"] == ROLLED_BACK and row["kept_until"] is not None:
        yield f"The name {row['backup_reference']} goes after {row['kept_until']:%Y-%m-%d %H:%M} UTC."


def _markdown(heads: Sequence[str], rows: Sequence[Row], names: Sequence[str]) -> str:
    lines = [f"| {' | '.join(_cell(str(row[name])) for name in names)} |" for row in rows]
    return "\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *lines])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
