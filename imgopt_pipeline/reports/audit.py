"""The report of the newest audit of each host: read from the warehouse, shown on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.hosts.models import REMARK
from imgopt_pipeline.reports.plan import recap_view
from imgopt_pipeline.settings import DEMO_HOST
from imgopt_pipeline.sql import Value, literal
from imgopt_pipeline.units import count, format_bytes, format_percent, format_seconds
from imgopt_pipeline.warehouse.store import fetch_rows

_BIGGEST = 10
_NAME_CHARACTERS = 60
_COLUMNS = ("size", "unique", "shared", "layers", "live", "dead", "eff.")
_WIDE_ONLY = ("shared", "layers", "live")
_PROBLEMS_SHOWN = 20
_REMARKS_SHOWN = 5
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What is known of one host: its newest audit, images (biggest first), usage by kind, plan, gains, problems.

    `dead_bytes` counts each stored layer once; `change_bytes` is since the audit before, None for the first.
    """

    audit: dict[str, Any]
    images: Rows
    usage: Rows
    plan: Rows
    gains: Rows
    problems: Rows
    dead_bytes: int
    change_bytes: int | None


def query(connection: duckdb.DuckDBPyConnection, name: str, **values: Value) -> Rows:
    """Rows of a query in `queries/`. Where no host is named, the demo's stay away from those of real hosts."""
    text = resources.files(__package__).joinpath("queries", f"{name}.sql").read_text()
    rows = fetch_rows(connection, text, **values)
    if values.get("host", "") is None and any(row.get("host") == DEMO_HOST for row in rows):
        real = connection.execute(f"SELECT 1 FROM audits WHERE host <> {literal(DEMO_HOST)} LIMIT 1").fetchall()
        rows = [row for row in rows if row["host"] != DEMO_HOST] if real else rows
    return rows


def audit_reports(connection: duckdb.DuckDBPyConnection, host: str | None = None) -> list[AuditReport]:
    """The report of one host, or of every host that was ever audited."""
    images, usage = (
        query(connection, "select_images", host=host),
        query(connection, "select_usage", host=host),
    )
    problems, trend = (
        query(connection, "select_problems", host=host),
        query(connection, "select_trend", host=host),
    )
    dead = query(connection, "select_dead_bytes", host=host)
    plan, gains = query(connection, "select_plan", host=host), query(connection, "select_gains", host=host)
    return [
        AuditReport(
            audit=audit,
            images=_of_host(images, audit["host"]),
            usage=_of_host(usage, audit["host"]),
            plan=_of_host(plan, audit["host"]),
            gains=_of_host(gains, audit["host"]),
            problems=_of_host(problems, audit["host"]),
            dead_bytes=sum(row["dead_bytes"] for row in _of_host(dead, audit["host"])),
            change_bytes=next((row["change_bytes"] for row in _of_host(trend, audit["host"])), None),
        )
        for audit in query(connection, "select_audits", host=host)
    ]


def report_view(report: AuditReport, *, limit_bytes: int, narrow: bool = False) -> list[RenderableType]:
    """A host's report for a person."""
    parts: list[RenderableType] = [Text(), _heading(report), Text()]
    if report.plan:
        parts += [*recap_view(report.plan, narrow=narrow), Text()]
    if report.gains:
        parts += [Text(f"Gained so far  {'; '.join(map(_gain, report.gains))}."), Text()]
    if report.images:
        parts += [_image_table(report, limit_bytes, narrow), Text(), *_remarks(report, limit_bytes), Text()]
    if report.usage:
        parts += [_usage_table(report.usage), Text()]
    remarks = [row for row in report.problems if row["kind"] == REMARK]
    failures = [row for row in report.problems if row["kind"] != REMARK]
    if failures:
        parts += [*_problem_lines("Could not be read", failures), Text()]
    if remarks:
        parts += [*_problem_lines("Passed over", remarks, shown=_REMARKS_SHOWN), Text()]
    return parts


def where_to_look(database: Path, program: str = "imgopt") -> Text:
    """The end of all reports: where the rest is; `program` is how imgopt is called here."""
    here = f"`imgopt` is {program} here. " if program != "imgopt" else ""
    return Text(
        f"{here}Why, and the commands that do it: `imgopt plan`. One image on a screen: `imgopt explain NAME`.\n"
        f"Everything else is in {database} (`imgopt findings`, `imgopt space`, `imgopt packages`, `imgopt sql`).\n"
        "The Dagster UI: `imgopt ui` (in a checkout `make ui`).",
        style="dim",
    )


def images_table(images: Rows, *, limit_bytes: int, narrow: bool = False) -> Table:
    """Images with sizes, sharing, waste and use, biggest first; `narrow` leaves out what can be done without."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("image", overflow="ellipsis", no_wrap=True, min_width=16, max_width=_NAME_CHARACTERS)
    headings = [heading for heading in _COLUMNS if not (narrow and heading in _WIDE_ONLY)]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("in use", no_wrap=True)
    for row in images:
        over = (row["size_bytes"] or 0) > limit_bytes
        cells = {
            "size": Text(format_bytes(row["size_bytes"]), style="bold red" if over else ""),
            "unique": Text(format_bytes(row["unique_bytes"])),
            "shared": Text(format_bytes(row["shared_bytes"])),
            "layers": Text(str(row["layer_count"])),
            "live": Text(format_bytes(row["live_bytes"])),
            "dead": Text(format_bytes(row["dead_bytes"])),
            "eff.": Text(format_percent(row["efficiency"])),
        }
        table.add_row(_display_name(row), *(cells[heading] for heading in headings), usage_of(row))
    return table


def usage_of(row: dict[str, Any]) -> str:
    """`running`, `stopped`, `unused`, and whether no tag names the image."""
    if row["running_containers"]:
        state = "running" + (f" ×{row['running_containers']}" if row["running_containers"] > 1 else "")
    elif row["containers"]:
        state = "stopped"
    else:
        state = "unused"
    return f"{state}, dangling" if row["dangling"] else state


def _heading(report: AuditReport) -> Text:
    audit = report.audit
    moment = audit["finished_at"].replace(tzinfo=UTC).astimezone()
    took = (audit["finished_at"] - audit["started_at"]).total_seconds()
    engine = f"{audit['engine_kind']} {audit['engine_version']}".strip().capitalize()
    store = f", {audit['image_store']} store" if audit["image_store"] not in ("", audit["engine_kind"]) else ""
    text = Text.assemble((f"Host {audit['host']}", "bold"), f"  {moment:%Y-%m-%d %H:%M}")
    if audit["status"] == "unreachable":
        return text.append("  could not be read", style="bold red")
    text.append(f"  {engine}{store}  ")
    text.append(
        f"{count(audit['images'], 'image')}, {count(audit['containers'], 'container')},"
        f" {count(audit['layers'], 'layer')}"
        f" ({audit['layers_read']} read in {format_seconds(took)})"
    )
    return text.append("  incomplete, see below", style="bold yellow") if audit["status"] == "partial" else text


def _gain(row: dict[str, Any]) -> str:
    """`2 deployments: 6.1 GB less in images, 5.4 GB freed on the disk, 0 B pending`."""
    saved = "less in images" if row["what"] == "deployment" else "moved elsewhere"
    freed, pending = format_bytes(row["freed_bytes"]), format_bytes(row["pending_bytes"])
    gained = f"{format_bytes(row['gained_bytes'])} {saved}"
    return f"{count(row['items'], row['what'])}: {gained}, {freed} freed on the disk, {pending} pending"


def _image_table(report: AuditReport, limit_bytes: int, narrow: bool) -> Table:
    over = [row for row in report.images if (row["size_bytes"] or 0) > limit_bytes]
    shown = report.images[: max(_BIGGEST, len(over))]
    table = images_table(shown, limit_bytes=limit_bytes, narrow=narrow)
    rest = len(report.images) - len(shown)
    table.title = f"The {len(shown)} biggest images" if rest else "Images"
    table.title_justify = "left"
    table.title_style = "bold"
    return table


def _remarks(report: AuditReport, limit_bytes: int) -> list[Text]:
    over = [row for row in report.images if (row["size_bytes"] or 0) > limit_bytes]
    dangling = [row for row in report.images if row["dangling"]]
    unused = [row for row in report.images if not row["containers"]]
    lines = []
    if over:
        lines.append(f"{count(len(over), 'image')} over {format_bytes(limit_bytes)}.")
    if unused and report.audit["engine_kind"] != "archives":
        which = f", {len(dangling)} of them dangling" if dangling else ""
        lines.append(
            f"{count(len(unused), 'image')} unused by any container{which};"
            f" removing all unused ones frees {format_bytes(_reclaimable_images(report))}."
        )
    if report.dead_bytes:
        lines.append(f"{format_bytes(report.dead_bytes)} of what the layers store are dead: hidden by later layers.")
    if report.change_bytes:
        sign = "+" if report.change_bytes >= 0 else "−"
        lines.append(f"Images changed by {sign}{format_bytes(abs(report.change_bytes))} since the audit before.")
    return [Text(f"• {line}") for line in lines]


def _usage_table(usage: Rows) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, title="Disk", title_justify="left", title_style="bold")
    table.add_column("kind", no_wrap=True)
    for heading in ("items", "in use", "size", "reclaimable"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in usage:
        table.add_row(
            row["kind"],
            f"{row['items']:,}",
            f"{row['active_items']:,}",
            format_bytes(row["size_bytes"]),
            format_bytes(row["reclaimable_bytes"]),
        )
    table.add_row(
        "all",
        "",
        "",
        format_bytes(sum(row["size_bytes"] for row in usage)),
        format_bytes(sum(row["reclaimable_bytes"] for row in usage)),
        style="bold",
    )
    return table


def _problem_lines(title: str, problems: Rows, shown: int = _PROBLEMS_SHOWN) -> list[Text]:
    # Each step of an audit meets a host that is down by itself; a person wants to read it once.
    told = list(dict.fromkeys(f"{row['subject']}: {row['message']} {row['hint']}".rstrip() for row in problems))
    lines = [Text(title, style="bold")]
    lines += [Text(f"• {line}", style="yellow") for line in told[:shown]]
    if len(told) > shown:
        lines.append(Text(f"  and {len(told) - shown} more, in the table audit_problems."))
    return lines


def _reclaimable_images(report: AuditReport) -> int:
    return sum(row["reclaimable_bytes"] for row in report.usage if row["kind"] == "images")


def _of_host(rows: Sequence[dict[str, Any]], host: str) -> Rows:
    return [row for row in rows if row["host"] == host]


def _display_name(row: dict[str, Any]) -> str:
    more = len(row["image_references"]) - 1
    return str(row["name"]) + (f" (+{more})" if more > 0 else "")
