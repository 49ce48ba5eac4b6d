"""Cleanings as rows of the warehouse, made from their journals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from imgopt_pipeline import __version__
from imgopt_pipeline.cleaning.fates import fates_of, plan_of
from imgopt_pipeline.cleaning.models import FAILED, KIND, LEFT, MOVED, REMOVED, Fate
from imgopt_pipeline.journal.actions import actions_of
from imgopt_pipeline.journal.clock import Moment
from imgopt_pipeline.journal.journal import Journal
from imgopt_pipeline.journal.outcomes import OUTCOME
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.units import count, format_bytes
from imgopt_pipeline.warehouse.store import publish, replace_rows

Rows = dict[str, list[dict[str, Any]]]


def cleaning_rows(journal: Journal) -> Rows:
    """Rows of `cleanings` and `cleaned_items`."""
    fates = fates_of(journal)
    outcome = journal.last(OUTCOME)
    cleaning = {
        "cleaning_id": journal.action_id,
        "host": plan_of(journal).host,
        "started_at": _time(journal.entries[0].moment),
        "finished_at": _time(outcome.moment) if outcome is not None else None,
        "outcome": str(outcome.facts["outcome"]) if outcome is not None else "under way",
        "removed": _number(fates, REMOVED),
        "moved_aside": _number(fates, MOVED),
        "left_alone": _number(fates, LEFT),
        "failed": _number(fates, FAILED),
        "freed_bytes": sum(fate.freed_bytes or 0 for fate in fates),
        "pending_bytes": sum(fate.pending_bytes for fate in fates),
        "older_than_days": plan_of(journal).older_than_days,
        "folder": str(journal.folder),
        "summary": summary(fates),
        "imgopt_version": __version__,
    }
    return {"cleanings": [cleaning], "cleaned_items": [_item_row(journal.action_id, fate) for fate in fates]}


def summary(fates: Sequence[Fate]) -> str:
    """What came of it, in a sentence."""
    removed, moved = _number(fates, REMOVED), _number(fates, MOVED)
    freed = sum(fate.freed_bytes or 0 for fate in fates)
    parts = [f"Freed {format_bytes(freed)}, measured" if removed else "Freed nothing"]
    parts += [f"{count(removed, 'thing')} removed"] if removed else []
    if moved:
        pending = sum(fate.pending_bytes for fate in fates)
        directories = f"{moved} directory" if moved == 1 else f"{moved} directories"
        parts.append(f"{format_bytes(pending)} pending in {directories} moved aside")
    parts += [f"{count(_number(fates, LEFT), 'thing')} left alone"] if _number(fates, LEFT) else []
    parts += [f"{_number(fates, FAILED)} failed"] if _number(fates, FAILED) else []
    return ", ".join(parts) + "."


def publish_cleanings(settings: Settings, chosen: Iterable[Journal] | None = None) -> None:
    """Bring the warehouse up to the journals, all of them or some. Raises StorageError."""
    known = actions_of(settings.paths.actions, KIND) if chosen is None else chosen
    rows = [cleaning_rows(journal) for journal in known]
    if rows:
        tables = {table: [row for one in rows for row in one[table]] for table in rows[0]}
        publish(settings.paths.database, lambda connection: replace_rows(connection, tables))


def _item_row(cleaning_id: str, fate: Fate) -> dict[str, Any]:
    item = fate.item
    return {
        "cleaning_id": cleaning_id,
        "kind": item.kind,
        "subject": item.subject,
        "key": item.key,
        "outcome": fate.outcome,
        "reason": item.reason,
        "detail": fate.detail,
        "size_bytes": item.size_bytes,
        "freed_bytes": fate.freed_bytes,
        "pending_bytes": fate.pending_bytes,
        "aside": fate.aside,
    }


def _number(fates: Sequence[Fate], outcome: str) -> int:
    return sum(fate.outcome == outcome for fate in fates)


def _time(moment: Moment) -> datetime:
    return moment.at.replace(tzinfo=None)
