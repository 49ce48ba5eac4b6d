"""A deployment's journal as rows of the warehouse, and in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imgopt_pipeline import __version__
from imgopt_pipeline.deployments.deploying import SHADOW
from imgopt_pipeline.deployments.records import Record
from imgopt_pipeline.deployments.retention import kept_until
from imgopt_pipeline.hosts.inventory import utc
from imgopt_pipeline.journal.journal import SEEN, Journal
from imgopt_pipeline.journal.outcomes import ROLLBACK_FAILED, ROLLED_BACK, UNCHANGED, VERIFIED
from imgopt_pipeline.services.watching.journaled import BACK_GATE, GATE, check_rows, last_seen
from imgopt_pipeline.units import count, format_bytes, format_seconds

Rows = dict[str, list[dict[str, Any]]]
_PHASES = {"shadow": SHADOW, "gate": GATE, "rollback": BACK_GATE}


def deployment_rows(record: Record) -> Rows:
    """Rows of deployments, deployment_steps and deployment_checks."""
    deployment, journal = record.deployment, record.journal
    entry, removed, until = record.outcome_entry, record.removed or {}, kept_until(record)
    gate = last_seen(journal, BACK_GATE if record.outcome == ROLLED_BACK else GATE)
    row = {
        "deployment_id": deployment.deployment_id,
        "host": deployment.host,
        "subject": deployment.subject,
        "reference": deployment.reference,
        "units": [plan.name.words for plan in deployment.units],
        "methods": [plan.method for plan in deployment.units],
        "outcome": record.outcome,
        "reason": record.reason,
        "build_id": deployment.candidate.build_id,
        "old_image_id": deployment.old_image_id,
        "new_image_id": deployment.candidate.image_id,
        "old_bytes": deployment.candidate.old_bytes,
        "new_bytes": deployment.candidate.new_bytes,
        "backup_reference": deployment.backup_reference,
        "approved_by": deployment.approved_by,
        "started_at": utc(journal.entries[0].moment.at),
        "finished_at": utc(entry.moment.at) if entry is not None else None,
        "gate_seconds": gate.get("seconds"),
        "gap_seconds": record.gap.get("gap_seconds"),
        "gap_detail": record.gap.get("gap_detail") or "",
        "pinned": record.pinned,
        "kept_until": utc(until) if until is not None else None,
        "freed_bytes": removed.get("freed_bytes"),
        "folder": str(journal.folder),
        "remarks": list(deployment.remarks),
        "summary": summary(record),
        "imgopt_version": __version__,
    }
    return {
        "deployments": [row],
        "deployment_steps": list(_steps(journal)),
        "deployment_checks": [{"deployment_id": journal.action_id, **row} for row in check_rows(journal, _PHASES)],
    }


def summary(record: Record) -> str:
    """`Verified: 8.77 GB → 3.41 GB; the service did not answer for 1.2 s.`"""
    candidate, gap = record.deployment.candidate, record.gap.get("gap_seconds")
    gap_words = f"; the service did not answer for {format_seconds(gap)}" if gap is not None else ""
    sizes = f"{format_bytes(candidate.old_bytes)} → {format_bytes(candidate.new_bytes)}"
    said = {
        VERIFIED: f"Verified: {sizes}{gap_words}.",
        ROLLED_BACK: f"Rolled back, and the old state runs as before{gap_words}. {record.reason}",
        ROLLBACK_FAILED: f"The old state could not be put back. {record.reason}",
        UNCHANGED: f"Nothing was changed. {record.reason}",
    }
    return said.get(record.outcome, "It was cut off; `imgopt resume` finishes it or puts the old state back.").strip()


def _steps(journal: Journal) -> Iterator[dict[str, Any]]:
    for entry in journal.entries:
        if entry.event == SEEN:
            continue
        yield {
            "deployment_id": journal.action_id,
            "number": entry.number,
            "happened_at": utc(entry.moment.at),
            "step": entry.step,
            "event": entry.event,
            "detail": _detail(entry.facts),
        }


def _detail(facts: Mapping[str, Any]) -> str:
    """What a person wants to read of a step's facts."""
    words = [str(facts[name]) for name in ("outcome", "done", "file", "reason", "message") if facts.get(name)]
    words += [str(remark) for remark in facts.get("remarks") or [] if "kind" not in facts]
    if checks := facts.get("checks"):
        words.append(count(len(checks), "check"))
    return "; ".join(words)
