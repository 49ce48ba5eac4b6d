"""What became of each thing on a plan, read from the journal of its cleaning."""

from __future__ import annotations

from imgopt_pipeline.cleaning.aside import aside_path
from imgopt_pipeline.cleaning.models import FAILED, LEFT, MOVED, PUT_BACK, REMOVED, Fate, Item, Plan
from imgopt_pipeline.hosts.mounted_directories import plain_path
from imgopt_pipeline.journal.journal import BEGUN, DONE, UNDONE, Entry, Journal
from imgopt_pipeline.journal.journal import FAILED as STEP_FAILED
from imgopt_pipeline.names import printable

_NOT_REACHED = "the cleaning was cut off before"


def plan_of(journal: Journal) -> Plan:
    """What was to be done, without what was left alone from the start."""
    return Plan.from_json(journal.entries[0].facts)


def fates_of(journal: Journal) -> list[Fate]:
    """One for each item, in their order."""
    return [_fate(journal, item) for item in plan_of(journal).found.items]


def removal_step(item: Item) -> str:
    """The step in which what lies aside goes for good."""
    return f"removal of {item.key}"


def _fate(journal: Journal, item: Item) -> Fate:
    removal = journal.last(removal_step(item), DONE)
    if removal is not None:
        return Fate(item, REMOVED, "after its retention", freed_bytes=removal.facts.get("freed_bytes"))
    last = journal.last(item.step)
    if last is None:
        return Fate(item, LEFT, _NOT_REACHED)
    if last.event == STEP_FAILED:
        return Fate(item, FAILED, str(last.facts.get("message") or ""))
    if last.event == UNDONE:
        return Fate(item, PUT_BACK)
    if last.event == BEGUN:
        return Fate(item, LEFT, "it was cut off in the middle: `imgopt resume` looks what stands")
    return _done(journal, item, journal.last(item.step, DONE) or last)


def _done(journal: Journal, item: Item, entry: Entry) -> Fate:
    outcome, detail = entry.facts.get("outcome"), str(entry.facts.get("detail") or "")
    if outcome == MOVED:
        where = printable(aside_path(plain_path(item.key), journal.action_id))
        return Fate(item, MOVED, detail, pending_bytes=item.size_bytes or 0, aside=where)
    if outcome == REMOVED:
        return Fate(item, REMOVED, detail, freed_bytes=entry.facts.get("freed_bytes"))
    return Fate(item, LEFT, detail)
