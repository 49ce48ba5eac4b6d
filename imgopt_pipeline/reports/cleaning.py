"""What a cleaning would do, and what came of one: for a terminal, and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.cleaning.models import DIRECTORY, Item, Left, Plan
from imgopt_pipeline.units import format_bytes

_STYLES = {"removed": "green", "moved aside": "green", "put back": "green", "left": "yellow", "failed": "red"}
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def plan_view(plan: Plan, backup_days: float) -> Iterator[RenderableType]:
    """All that can go, by kind, and what is left alone and why."""
    items, left = plan.found.items, plan.found.left
    if items:
        yield f"Can go on {plan.host}:"
        yield _table(items)
        yield ""
        yield from _sum_lines(items, backup_days)
    else:
        yield f"Nothing is left over on {plan.host}."
    if left:
        yield ""
        yield "Left alone:"
        yield _table(left)


def plan_document(plan: Plan) -> dict[str, Any]:
    """The same as a document."""
    return {
        "host": plan.host,
        "older_than_days": plan.older_than_days,
        "items": [
            {
                "kind": item.kind,
                "subject": item.subject,
                "key": item.key,
                "size_bytes": item.size_bytes,
                "reason": item.reason,
                "undoable": item.kind == DIRECTORY,
            }
            for item in plan.found.items
        ],
        "left": [
            {
                "kind": left.kind,
                "subject": left.subject,
                "key": left.key,
                "size_bytes": left.size_bytes,
                "reason": left.reason,
            }
            for left in plan.found.left
        ],
    }


def cleaning_view(rows: Rows, backup_days: float) -> Iterator[RenderableType]:
    """What came of a cleaning, by its rows: the sum, then each thing."""
    (cleaning,) = rows["cleanings"]
    yield Text(f"{cleaning['host']}: {cleaning['summary']}", style="bold")
    table = Table("what", "name", "outcome", "freed", "detail", box=None, pad_edge=False)
    for row in rows["cleaned_items"]:
        table.add_row(
            row["kind"],
            Text(row["subject"], overflow="fold"),
            Text(row["outcome"], style=_STYLES[row["outcome"]]),
            format_bytes(row["freed_bytes"]),
            Text(row["aside"] or row["detail"], overflow="fold"),
        )
    yield table
    if cleaning["moved_aside"]:
        yield f"Kept for {backup_days:g} days; to take it back: imgopt clean --undo {cleaning['cleaning_id']}"


def _sum_lines(items: Sequence[Item], backup_days: float) -> Iterator[str]:
    gone = [item for item in items if item.kind != DIRECTORY]
    moved = [item for item in items if item.kind == DIRECTORY]
    if gone:
        yield f"Removed for good, about {_sum(gone)}: this cannot be taken back."
    if moved:
        yield (
            f"Moved aside, {_sum(moved)}: frees nothing before it is removed after {backup_days:g} days, and until then"
            " `imgopt clean --undo` takes it back."
        )


def _sum(items: Sequence[Item]) -> str:
    return format_bytes(sum(item.size_bytes or 0 for item in items))


def _table(things: Sequence[Item] | Sequence[Left]) -> Table:
    table = Table("what", "name", "size", "why", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for thing in things:
        table.add_row(
            thing.kind,
            Text(thing.subject, overflow="fold"),
            format_bytes(thing.size_bytes),
            Text(thing.reason, overflow="fold"),
        )
    return table
