"""Findings for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.units import count, format_bytes

_STYLES = {"high": "bold red", "medium": "yellow", "low": "", "info": "dim"}
_SUBJECT_CHARACTERS = 50
Rows = Sequence[dict[str, Any]]


def findings_table(findings: Rows, *, shown: int | None = None) -> list[RenderableType]:
    """Findings in a line each: severity, what, where, what mending it would give."""
    several = len({row["host"] for row in findings}) > 1
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("severity", no_wrap=True, min_width=len("severity"))
    table.add_column("gain", justify="right", no_wrap=True, min_width=len("999 MB"))
    table.add_column("finding", overflow="ellipsis", no_wrap=True)
    table.add_column("on", overflow="ellipsis", no_wrap=True, max_width=_SUBJECT_CHARACTERS)
    if several:
        table.add_column("host", no_wrap=True)
    for row in findings[:shown]:
        table.add_row(
            Text(row["severity"], style=_STYLES[row["severity"]]),
            format_bytes(row["likely_bytes"]) if row["likely_bytes"] else "",
            _title(row),
            row["subject"],
            *([row["host"]] if several else []),
        )
    parts: list[RenderableType] = [table]
    if shown is not None and len(findings) > shown:
        parts.append(Text(f"and {count(len(findings) - shown, 'more finding')}; --all lists them.", style="dim"))
    return [*parts, Text("`imgopt findings NAME` has the evidence and what to do.", style="dim")]


def findings_view(findings: Rows) -> list[RenderableType]:
    """Findings in full: with the evidence, why it matters, and what to do."""
    parts: list[RenderableType] = []
    for row in findings:
        saved = f"  {format_bytes(row['likely_bytes'])} likely" if row["likely_bytes"] else ""
        heading = Text.assemble((row["severity"], _STYLES[row["severity"]]), "  ", (_title(row), "bold"))
        parts += [
            heading.append(f"  {row['subject']}{saved}"),
            Padding(Text(row["evidence"]), (0, 0, 0, 3)),
            Padding(Text(f"→ {row['advice']}", style="cyan"), (0, 0, 1, 3)),
        ]
    return parts


def _title(row: dict[str, Any]) -> str:
    technique = f" ({row['technique']})" if row["technique"] else ""
    return f"{row['title'] or row['rule_id']}{technique}"
