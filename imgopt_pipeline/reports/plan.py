"""The plan of a host for a terminal: what to do first, what it gives, how risky it is, what to leave alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.units import count, format_bytes

_PHASES = {1: "first", 2: "next", 3: "if at all"}
_STYLES = {"high": "bold red", "medium": "yellow", "low": "dim", "none": "dim"}
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_COMMAND = re.compile(r"\b(docker|rsync|find|rm) -?[a-z]")
_SHORT_ID = re.compile(r"[0-9a-f]{12}")
_SUBJECT_CHARACTERS = 42
_LEFT_ALONE_SHOWN = 8
Rows = Sequence[dict[str, Any]]


def recap_view(plan: Rows, *, narrow: bool = False) -> list[RenderableType]:
    """The first thing to do in one line, and the plan as a table."""
    if not plan:
        return []
    todo, rest = to_do(plan), left_alone(plan)
    parts: list[RenderableType] = []
    if todo:
        first = next((row for row in todo if row["decision"] == "optimize"), todo[0])
        parts += [headline(todo), first_step(first), Text(), _table(todo, narrow)]
    if rest:
        parts += [Text(), *_left_alone(rest)]
    return parts


def plan_view(plan: Rows, *, narrow: bool = False, every: bool = False) -> list[RenderableType]:
    """The recap, and for every item why, what comes before, and the command; `every`: also for what is left alone."""
    parts = recap_view(plan, narrow=narrow)
    for row in plan if every else to_do(plan):
        parts += [Text(), *item_view(row)]
    return parts


def item_view(row: dict[str, Any]) -> list[RenderableType]:
    """One item in full: the decision, why, what the gain is made of, what has to come before, the command."""
    lines: list[RenderableType] = [item_heading(row), item_grades(row), _indented(row["reason"])]
    if row["high_bytes"]:
        lines.append(_indented("What the gain is made of:"))
        lines += [_indented(f"– {part}", 5) for part in row["counted"].removesuffix(".").split("; ")]
    if row["prerequisites"]:
        lines.append(_indented("Steps:"))
        lines += [_step(number, step) for number, step in enumerate(row["prerequisites"], start=1)]
    return [*lines, *item_command(row)]


def item_heading(row: dict[str, Any]) -> Text:
    """The decision in a line."""
    return Text.assemble(
        (f"{row['rank']}. {subject_of(row)}", "bold"),
        f"  {format_bytes(row['size_bytes'])}  ",
        (f"{row['decision']}: {row['action']}", "bold green" if row["decision"] == "optimize" else ""),
    )


def item_grades(row: dict[str, Any]) -> Text:
    """Gain, complexity, risk, priority and phase in a line."""
    phase = f"phase {row['phase']}" if row["phase"] else "in no phase"
    return Text(
        f"   gain {gain(row)}, complexity {row['complexity']}, risk {row['risk']}, priority {row['priority']}, {phase}"
    )


def item_command(row: dict[str, Any]) -> list[RenderableType]:
    """The command that does it, where there is one."""
    return [Text(f"   $ {row['command']}", style="bold cyan", no_wrap=True)] if row["command"] else []


def subject_of(row: dict[str, Any]) -> str:
    """What an item is about, as people call it: volumes that the engine named by a shortened ID."""
    subject = str(row["subject"])
    if row["subject_kind"] == "volume":
        return f"volume {subject[:12]}… (no name)" if _ANONYMOUS.fullmatch(subject) else f"volume {subject}"
    if row["subject_kind"] == "container" and "log" in row["action"]:
        return f"log of {subject}"
    return f"image {subject} (no tag)" if _SHORT_ID.fullmatch(subject) else subject


def to_do(plan: Rows) -> list[dict[str, Any]]:
    """The items that belong to a phase."""
    return [row for row in plan if row["phase"] is not None]


def left_alone(plan: Rows) -> list[dict[str, Any]]:
    """The items with which nothing is to be done."""
    return [row for row in plan if row["phase"] is None]


def headline(todo: Rows) -> Text:
    """What the first two phases give together."""
    soon = [row for row in todo if row["phase"] in (1, 2)]
    low, likely, high = (sum(row[f"{bound}_bytes"] for row in soon) for bound in ("low", "likely", "high"))
    range_ = "" if low == high else f" (at least {format_bytes(low)}, at most {format_bytes(high)})"
    asked = sum(row["likely_bytes"] for row in soon if row["decision"] != "optimize")
    return Text.assemble(
        ("Plan  ", "bold"),
        f"{count(len(soon), 'item')} in phases 1 and 2 {'gives' if len(soon) == 1 else 'give'} back ",
        (format_bytes(likely), "bold green"),
        f"{range_}{f', {format_bytes(asked)} of it only if a person agrees' if asked else ''}.",
    )


def first_step(row: dict[str, Any]) -> Text:
    """The one line that has to be read."""
    return Text.assemble(
        ("Do first  ", "bold"),
        (f"{subject_of(row)}: {row['action']}", "bold green"),
        f", gains {format_bytes(row['likely_bytes'])}, risk {row['risk']}"
        + ("." if row["decision"] == "optimize" else ", if a person agrees."),
    )


def gain(row: dict[str, Any]) -> str:
    """`5.7 GB (5.0 GB to 6.2 GB)`, without the range where there is none."""
    if row["low_bytes"] == row["high_bytes"]:
        return format_bytes(row["likely_bytes"])
    return (
        f"{format_bytes(row['likely_bytes'])} ({format_bytes(row['low_bytes'])} to {format_bytes(row['high_bytes'])})"
    )


def _table(todo: Rows, narrow: bool) -> Table:
    """The items under a heading for each phase; `narrow` leaves out what can be done without."""
    table = Table(box=None, header_style="dim", pad_edge=False, expand=True)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("what", overflow="ellipsis", no_wrap=True, min_width=20, max_width=_SUBJECT_CHARACTERS)
    grades = ["risk"] if narrow else ["complexity", "risk", "priority"]
    if not narrow:
        table.add_column("now", justify="right", no_wrap=True)
    table.add_column("gain", justify="right", no_wrap=True)
    if not narrow:
        table.add_column("from–to", justify="right", no_wrap=True, style="dim")
    table.add_column("what to do", overflow="fold", ratio=1)
    for heading in grades:
        table.add_column(heading, no_wrap=True)
    phase = None
    for row in todo:
        if row["phase"] != phase:
            phase = row["phase"]
            table.add_row("", Text(f"Phase {phase}: {_PHASES[phase]}", style="bold"))
        now = [] if narrow else [format_bytes(row["size_bytes"])]
        spread = [] if narrow else [_spread(row)]
        table.add_row(
            str(row["rank"]),
            subject_of(row),
            *now,
            Text(format_bytes(row["likely_bytes"]), style="bold"),
            *spread,
            row["action"] if row["decision"] == "optimize" else f"{row['decision']}: {row['action']}",
            *(Text(row[grade], style=_STYLES[row[grade]] if grade == "priority" else "") for grade in grades),
        )
    return table


def _spread(row: dict[str, Any]) -> str:
    """`4.73–6.42 GB`; empty where the gain is known exactly."""
    low, high = format_bytes(row["low_bytes"]), format_bytes(row["high_bytes"])
    if low == high:
        return ""
    low_number, low_unit = low.split(" ")
    return f"{low_number}–{high}" if high.endswith(f" {low_unit}") else f"{low}–{high}"


def _left_alone(rest: Rows) -> list[RenderableType]:
    lines: list[RenderableType] = [Text("Left alone", style="bold")]
    for row in rest[:_LEFT_ALONE_SHOWN]:
        could = f" ({format_bytes(row['likely_bytes'])} could be gained)" if row["likely_bytes"] else ""
        size = f" {format_bytes(row['size_bytes'])}" if row["size_bytes"] else ""
        lines.append(Text(f"• {subject_of(row)}{size}: {row['action']}{could}"))
    if len(rest) > _LEFT_ALONE_SHOWN:
        lines.append(Text(f"• and {len(rest) - _LEFT_ALONE_SHOWN} more; `imgopt plan --all` says why.", style="dim"))
    return lines


def _step(number: int, step: str) -> RenderableType:
    """A step; one with a command in it is one line, to be copied."""
    text = f"{number}. {step}"
    return Text(f"     {text}", no_wrap=True) if _COMMAND.search(step) else _indented(text, 5)


def _indented(text: str, columns: int = 3) -> Padding:
    return Padding(Text(text), (0, 0, 0, columns))
