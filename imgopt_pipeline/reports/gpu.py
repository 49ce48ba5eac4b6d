"""GPU verdicts for a terminal, each with the evidence that a person can check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.units import format_bytes

_STYLES = {"denied": "yellow", "broken": "bold red", "required": "cyan", "granted": "green", "used": "green"}
Rows = Sequence[dict[str, Any]]


def gpu_view(checks: Rows, *, weak: bool = True) -> list[RenderableType]:
    """Each verdict in a line, with its evidence below; `weak` includes the pieces that only inform."""
    parts: list[RenderableType] = []
    before: dict[str, Any] = {}
    for row in checks:
        what = "image" if row["container_id"] is None else "container"
        if what == "container" and row["explanation"] == before.get("explanation"):
            parts.append(Text.assemble((f"container {row['subject']}", "bold"), "  the same"))
            continue
        before = row
        parts.append(
            Text.assemble(
                (f"{what} {row['subject']}", "bold"),
                "  ",
                (row["verdict"], _STYLES.get(row["verdict"], "")),
                f" ({row['confidence']} confidence)",
                f"  {', '.join(row['versions'])}" if row["versions"] else "",
                f"  {format_bytes(row['gpu_bytes'])} only for a GPU" if row["gpu_bytes"] else "",
            )
        )
        parts.append(Padding(Text(row["explanation"]), (0, 0, 0, 2)))
        evidence = [item for item in row["evidence"] if weak or item["weight"] != "weak"]
        if evidence:
            parts.append(Padding(_evidence(evidence), (0, 0, 0, 2)))
    return parts


def _evidence(evidence: Rows) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style="dim", overflow="fold")
    table.add_column(style="dim", no_wrap=True)
    for item in evidence:
        table.add_row(item["aspect"], item["statement"], item["source"], item["weight"])
    return table
