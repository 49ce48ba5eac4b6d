"""Everything about one image on one screen: its layers in time, what fills it, waste, GPU verdict, plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.reports.audit import usage_of
from imgopt_pipeline.reports.contents import by_category, packages_table, space_table
from imgopt_pipeline.reports.gpu import gpu_view
from imgopt_pipeline.reports.image import one_line
from imgopt_pipeline.reports.plan import item_command, item_grades, item_heading
from imgopt_pipeline.units import format_bytes, format_percent

_PACKAGES_SHOWN = 6
_CATEGORIES_SHOWN = 8
_FINDINGS_SHOWN = 6
_KINDS_SHOWN = 2
Rows = Sequence[dict[str, Any]]


def explanation_view(
    image: dict[str, Any], layers: Rows, space: Rows, packages: Rows, checks: Rows, findings: Rows, plan: Rows
) -> list[RenderableType]:
    """The screen. All rows are those of this one image."""
    built = f", built {image['created_at']:%Y-%m-%d}" if image["created_at"] else ""
    base = f", on {image['base_reference']}" if image["base_reference"] else ""
    parts: list[RenderableType] = [
        Text.assemble(
            (", ".join(image["image_references"]) or image["name"], "bold"),
            f"  {format_bytes(image['size_bytes'])}{built}{base}; {usage_of(image)}",
        ),
        Text(
            f"live {format_bytes(image['live_bytes'])}, dead {format_bytes(image['dead_bytes'])}"
            f" (efficiency {format_percent(image['efficiency'])});"
            f" only here {format_bytes(image['unique_bytes'])}, shared {format_bytes(image['shared_bytes'])}"
        ),
    ]
    for row in plan:
        parts += [
            *_section("Plan"),
            item_heading(row),
            item_grades(row),
            Padding(Text(row["reason"]), (0, 0, 0, 3)),
            *item_command(row),
        ]
    parts += [*_section("Layers, in the order of their making"), _timeline(layers, space)]
    if space:
        total_bytes = sum(row["size_bytes"] for row in space)
        parts += [*_section("What fills it"), space_table(space, total_bytes, shown=_CATEGORIES_SHOWN)]
        parts += [*_section("Biggest packages"), packages_table(packages, shown=_PACKAGES_SHOWN, with_image=False)]
    if checks:
        parts += [*_section("GPU"), *gpu_view(_telling(checks), weak=False)]
    if findings:
        parts += [*_section("Findings"), *_findings(findings)]
    return parts


def _section(title: str) -> list[RenderableType]:
    return [Text(), Text(title, style="bold")]


def _timeline(layers: Rows, space: Rows) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, expand=True)
    for heading in ("#", "size", "dead"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("built by", overflow="ellipsis", no_wrap=True, ratio=3)
    table.add_column("what came", overflow="fold", ratio=2)
    for row in layers:
        table.add_row(
            str(row["position"]),
            format_bytes(row["file_bytes"]),
            format_bytes(row["dead_bytes"]) if row["dead_bytes"] else "",
            one_line(row["created_by"]),
            _kinds([item for item in space if item["position"] == row["position"]]),
        )
    return table


def _kinds(space: Rows) -> str:
    return ", ".join(
        f"{category} {format_bytes(sum(row['size_bytes'] for row in rows))}"
        for category, rows in by_category(space)[:_KINDS_SHOWN]
    )


def _telling(checks: Rows) -> Rows:
    """The image's verdict, and those of containers that differ from it."""
    of_image = [row for row in checks if row["container_id"] is None]
    verdicts = {row["verdict"] for row in of_image}
    return [*of_image, *(row for row in checks if row["container_id"] is not None and row["verdict"] not in verdicts)]


def _findings(findings: Rows) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for row in findings[:_FINDINGS_SHOWN]:
        saved = f": {format_bytes(row['likely_bytes'])} likely" if row["likely_bytes"] else ""
        lines.append(Text(f"• {row['severity']}  {row['title']}{saved}"))
    more = f"and {len(findings) - _FINDINGS_SHOWN} more; " if len(findings) > _FINDINGS_SHOWN else ""
    lines.append(Text(f"  {more}`imgopt findings NAME` has the evidence, `imgopt plan` every step.", style="dim"))
    return lines
