"""One image as the warehouse knows it, for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.reports.audit import usage_of
from imgopt_pipeline.reports.image import REASONS, one_line
from imgopt_pipeline.units import format_bytes

_FILES_SHOWN = 15
Rows = list[dict[str, Any]]


def stored_image_view(image: dict[str, Any], layers: Rows, waste: Rows, containers: Rows) -> list[RenderableType]:
    """Heading, sizes, base, layers, dead files and containers of an image."""
    names = ", ".join(image["image_references"]) or "no tag"
    built = f", built {image['created_at']:%Y-%m-%d}" if image["created_at"] else ""
    base = (
        f"built on {image['base_reference']} (by {image['base_evidence']})"
        if image["base_reference"]
        else "base unknown"
    )
    parts: list[RenderableType] = [
        Text(names, style="bold"),
        Text(f"{image['image_id']}  on host {image['host']}, {image['architecture']}{built}, {base}"),
        Text(
            f"size {format_bytes(image['size_bytes'])}: visible {format_bytes(image['live_bytes'])},"
            f" dead {format_bytes(image['dead_bytes'])}; only here {format_bytes(image['unique_bytes'])},"
            f" shared with others {format_bytes(image['shared_bytes'])}; {usage_of(image)}"
        ),
        Text(),
        _layers(layers),
    ]
    if waste:
        parts += [Text(), _waste(waste)]
    if containers:
        parts += [Text(), _containers(containers)]
    return parts


def _layers(layers: Rows) -> Table:
    table = _table("Layers", expand=True, right=("#", "size", "dead", "entries", "images"), left=())
    table.add_column("built by", overflow="ellipsis", no_wrap=True, ratio=1)
    for row in layers:
        entries = "–" if row["entry_count"] is None else f"{row['entry_count']:,}"
        table.add_row(
            str(row["position"]),
            format_bytes(row["file_bytes"]),
            format_bytes(row["dead_bytes"]) if row["dead_bytes"] else "",
            entries,
            str(row["holders"]),
            one_line(row["created_by"]),
        )
    return table


def _waste(waste: Rows) -> Table:
    named = [row for row in waste if row["path"] is not None]
    rest = named[_FILES_SHOWN:] + [row for row in waste if row["path"] is None]
    table = _table("Dead files", expand=True, right=("size",), left=())
    table.add_column("path", overflow="fold", ratio=1)
    table.add_column("layer", no_wrap=True)
    table.add_column("why", no_wrap=True)
    for row in named[:_FILES_SHOWN]:
        where = f"{row['position']} → {row['killed_by']}"
        table.add_row(format_bytes(row["size_bytes"]), row["path"], where, REASONS[row["reason"]])
    if rest:
        count, size_bytes = sum(row["files"] for row in rest), sum(row["size_bytes"] for row in rest)
        table.add_row(format_bytes(size_bytes), f"and {count:,} more", "", "")
    return table


def _containers(containers: Rows) -> Table:
    table = _table("Containers", right=(), left=("name", "state", "compose", "restart"))
    for heading in ("memory limit", "log", "written"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in containers:
        compose = f"{row['compose_project']}/{row['compose_service']}" if row["compose_project"] else "–"
        table.add_row(
            row["name"],
            row["state"],
            compose,
            row["restart_policy"],
            format_bytes(row["memory_limit_bytes"]),
            format_bytes(row["log_bytes"]),
            format_bytes(row["writable_bytes"]),
        )
    return table


def _table(title: str, *, right: tuple[str, ...], left: tuple[str, ...], expand: bool = False) -> Table:
    table = Table(
        expand=expand,
        box=None,
        header_style="dim",
        pad_edge=False,
        title=title,
        title_justify="left",
        title_style="bold",
    )
    for heading in left:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
