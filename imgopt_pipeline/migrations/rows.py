"""A migration's journal as rows of the warehouse, and in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imgopt_pipeline import __version__
from imgopt_pipeline.hosts.inventory import utc
from imgopt_pipeline.journal.journal import DONE, SEEN, Journal
from imgopt_pipeline.journal.outcomes import CANCELLED, OUTCOME, ROLLBACK_FAILED, ROLLED_BACK, VERIFIED
from imgopt_pipeline.migrations.moving import COPY, DELTA
from imgopt_pipeline.migrations.records import Record
from imgopt_pipeline.migrations.retention import kept_until
from imgopt_pipeline.services.watching.journaled import BACK_GATE, GATE, check_rows, last_seen
from imgopt_pipeline.units import count, format_bytes, format_seconds

Rows = dict[str, list[dict[str, Any]]]
_PHASES = {"gate": GATE, "rollback": BACK_GATE}


def migration_rows(record: Record) -> Rows:
    """Rows of migrations, migration_steps and migration_checks."""
    migration, journal, move = record.migration, record.journal, record.migration.move(record.journal.folder)
    entry, removed, until = record.outcome_entry, record.removed, kept_until(record)
    gate, copied = last_seen(journal, GATE), journal.facts(COPY)
    verified = record.outcome == VERIFIED
    row = {
        "migration_id": migration.migration_id,
        "host": migration.host,
        "subject": migration.subject,
        "kind": migration.source_kind,
        "volume": migration.volume,
        "source": str(migration.source),
        "destination": str(migration.final),
        "mount_point": str(migration.mount_point),
        "filesystem": migration.filesystem,
        "units": [plan.name.words for plan in migration.units],
        "outcome": record.outcome,
        "reason": record.reason,
        "files": moved_files(record),
        "file_bytes": moved_bytes(record),
        "left_out": migration.left_out,
        "copy_seconds": copied.get("copy_seconds"),
        "verify_seconds": copied.get("verify_seconds"),
        "gate_seconds": gate.get("seconds"),
        "gap_seconds": gate.get("gap_seconds"),
        "gap_detail": gate.get("gap_detail") or "",
        "approved_by": migration.approved_by,
        "started_at": utc(journal.entries[0].moment.at),
        "finished_at": utc(entry.moment.at) if entry is not None else None,
        "kept_until": utc(until) if until is not None else None,
        "set_aside": str(move.aside if migration.sets_aside else move.source) if verified and not removed else None,
        "pending_bytes": moved_bytes(record) if verified and removed is None else 0,
        "freed_bytes": max(0, removed["freed_bytes"]) if removed is not None else 0,
        "folder": str(journal.folder),
        "remarks": list(migration.remarks),
        "summary": summary(record),
        "imgopt_version": __version__,
    }
    return {
        "migrations": [row],
        "migration_steps": list(_steps(journal)),
        "migration_checks": [{"migration_id": journal.action_id, **row} for row in check_rows(journal, _PHASES)],
    }


def moved_files(record: Record) -> int:
    """How many files it is about, as last counted."""
    return int(_totals(record).get("files", record.migration.files))


def moved_bytes(record: Record) -> int:
    """How many bytes these are."""
    return int(_totals(record).get("file_bytes", record.migration.file_bytes))


def summary(record: Record) -> str:
    """`Verified: 4.1 GB in 812 files; the service did not answer for 3.2 s. Freed 0 B, 4.1 GB pending.`"""
    gate, removed = last_seen(record.journal, GATE), record.removed
    gap = gate.get("gap_seconds")
    gap_words = f"; the service did not answer for {format_seconds(gap)}" if gap is not None else ""
    size = f"{format_bytes(moved_bytes(record))} in {count(moved_files(record), 'file')}"
    freed = f"Freed 0 B, {format_bytes(moved_bytes(record))} pending."
    if removed is not None:
        freed = f"Freed {format_bytes(max(0, removed['freed_bytes']))}."
    said = {
        VERIFIED: f"Verified: {size}{gap_words}. {freed}",
        ROLLED_BACK: f"Rolled back, and everything runs as before{gap_words}. {record.reason}",
        ROLLBACK_FAILED: f"The old state could not be put back. {record.reason}",
        CANCELLED: _given_up(record),
    }
    if record.copying:
        return f"Copying: nothing that runs was touched. The same command goes on. {record.reason}".strip()
    return said.get(record.outcome, "It was cut off; `imgopt resume` finishes it or puts the old state back.").strip()


def _given_up(record: Record) -> str:
    outcomes = [entry.facts.get("outcome") for entry in record.journal.entries if entry.step == OUTCOME]
    if ROLLED_BACK in outcomes:
        return "Given up after it was rolled back; the copy was removed, and everything runs as before."
    return "Given up; the copy was removed, and nothing was changed."


def _totals(record: Record) -> Mapping[str, Any]:
    return record.journal.facts(DELTA) or record.journal.facts(COPY)


def _steps(journal: Journal) -> Iterator[dict[str, Any]]:
    for entry in journal.entries:
        if entry.event == SEEN:
            continue
        yield {
            "migration_id": journal.action_id,
            "number": entry.number,
            "happened_at": utc(entry.moment.at),
            "step": entry.step,
            "event": entry.event,
            "detail": _detail(entry.step, entry.event, entry.facts),
        }


def _detail(step: str, event: str, facts: Mapping[str, Any]) -> str:
    """What a person wants to read of a step's facts."""
    if "kind" in facts:
        return ""
    words = [str(facts[name]) for name in ("outcome", "file", "folder", "reason", "message") if facts.get(name)]
    words += [str(remark) for remark in facts.get("remarks") or []]
    if event == DONE and step in (COPY, DELTA):
        words.append(
            f"{count(facts['copied_files'], 'file')} copied, {format_bytes(facts['verified_bytes'])} read back"
        )
    if "gone" in facts:
        words.append(f"{count(facts['files'], 'file')} brought back, {facts['gone']:,} gone at the destination")
    if stopped := facts.get("stopped"):
        words.append(", ".join(stopped))
    if checks := facts.get("checks"):
        words.append(count(len(checks), "check"))
    return "; ".join(words)
