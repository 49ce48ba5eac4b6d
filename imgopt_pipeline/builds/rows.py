"""An optimization as rows of the warehouse, and in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imgopt_pipeline import __version__
from imgopt_pipeline.builds.models import UNVERIFIED, CheckResult
from imgopt_pipeline.builds.optimizing import FAILED, KEPT, Optimization
from imgopt_pipeline.hosts.inventory import utc
from imgopt_pipeline.names import printable
from imgopt_pipeline.units import count, format_bytes, format_percent

Rows = dict[str, list[dict[str, Any]]]
_SUMMARY_CHARACTERS = 400
_LEVELS = ("low", "likely", "high")


def build_rows(host: str, result: Optimization) -> Rows:
    """Rows of builds, build_attempts, build_rules and build_checks."""
    prepared, best = result.prepared, result.best
    expected = prepared.expected
    kept = best.rewritten.techniques if best is not None else ()
    if best is not None:
        gains = [prepared.gains[technique] for technique in kept]
        low, likely, high = (sum(getattr(gain, f"{level}_bytes") for gain in gains) for level in _LEVELS)
    else:
        low, likely, high = expected.low_bytes, expected.likely_bytes, expected.high_bytes
    build = {
        "build_id": result.build_id,
        "host": host,
        "reference": prepared.image.name,
        "kind": "rewrite",
        "outcome": result.outcome,
        "source_image_id": prepared.image.image_id,
        "candidate_image_id": best.image_id if best else None,
        "candidate_reference": result.reference,
        "origin": prepared.source.origin,
        "dockerfile": printable(str(prepared.source.dockerfile)),
        "level": prepared.options.level_name,
        "techniques": list(kept or prepared.rewritten.techniques),
        "dropped": list(result.dropped),
        "old_bytes": prepared.facts.size_bytes,
        "new_bytes": best.size_bytes if best else None,
        "low_bytes": low,
        "likely_bytes": likely,
        "high_bytes": high,
        "attempts": len(result.attempts),
        "started_at": utc(result.started_at),
        "seconds": result.seconds,
        "folder": str(result.folder),
        "summary": summary(result),
        "remarks": [*prepared.remarks, *result.remarks],
        "imgopt_version": __version__,
    }
    return {
        "builds": [build],
        "build_attempts": list(_attempts(result)),
        "build_rules": list(_rules(result)),
        "build_checks": list(_checks(result)),
    }


def gain_words(old_bytes: int, new_bytes: int) -> str:
    """`8.77 GB → 3.41 GB (61.1 % smaller)`."""
    share = 1 - new_bytes / old_bytes if old_bytes else 0.0
    change = f"{format_percent(share)} smaller" if share >= 0 else f"{format_percent(-share)} larger"
    return f"{format_bytes(old_bytes)} → {format_bytes(new_bytes)} ({change})"


def summary(result: Optimization) -> str:
    """`8.77 GB → 3.41 GB (61.1 % smaller), 3.38 GB to 4.31 GB expected; 5 rules kept, 1 dropped.`"""
    prepared, best = result.prepared, result.best
    old_bytes = prepared.facts.size_bytes
    if result.outcome == KEPT and best is not None and best.size_bytes is not None:
        gains = [prepared.gains[technique] for technique in best.rewritten.techniques]
        smallest = old_bytes - sum(gain.high_bytes for gain in gains)
        largest = old_bytes - sum(gain.low_bytes for gain in gains)
        words = (
            f"{gain_words(old_bytes, best.size_bytes)},"
            f" {format_bytes(max(0, smallest))} to {format_bytes(largest)} expected;"
            f" {count(len(best.rewritten.applied), 'rule')} kept, {len(result.dropped)} dropped"
        )
        unverified = sum(check.outcome == UNVERIFIED for check in best.checks)
        return words + (f", {count(unverified, 'check')} unverified." if unverified else ".")
    if result.outcome == FAILED:
        said = " ".join(["No candidate was kept.", *result.remarks])
        return said if len(said) <= _SUMMARY_CHARACTERS else f"{said[:_SUMMARY_CHARACTERS]}…"
    if prepared.rewritten.applied:
        return (
            f"Nothing worth changing: {format_bytes(prepared.expected.likely_bytes)} of {format_bytes(old_bytes)} would"
            " go."
        )
    dropped = sorted(prepared.past.dropped) if not prepared.options.rules else []
    if dropped:
        return f"Nothing else worth changing: an earlier build had to do without {', '.join(dropped)}."
    return "Nothing worth changing."


def _attempts(result: Optimization) -> Iterator[dict[str, Any]]:
    for attempt in result.attempts:
        yield {
            "build_id": result.build_id,
            "attempt": attempt.number,
            "techniques": list(attempt.rewritten.techniques),
            "outcome": attempt.outcome,
            "failed_checks": list(attempt.failed_checks),
            "detail": attempt.detail,
            "image_id": attempt.image_id,
            "size_bytes": attempt.size_bytes,
            "build_seconds": attempt.build_seconds,
            "check_seconds": attempt.check_seconds,
            "log_file": str(attempt.log_file),
        }


def _rules(result: Optimization) -> Iterator[dict[str, Any]]:
    prepared = result.prepared
    kept = {rule.technique: rule for rule in result.best.rewritten.applied} if result.best is not None else {}
    untold = " ".join(result.remarks) if result.outcome == FAILED else "not worth a build"
    for rule in prepared.rewritten.applied:
        gain = prepared.gains[rule.technique]
        # Without a build nothing was decided about it.
        decision = "kept" if rule.technique in kept else "dropped" if rule.technique in result.dropped else "left out"
        reasons = [change.reason for change in result.rewritten.changes if change.technique == rule.technique]
        reason = result.dropped.get(rule.technique) or (untold if decision == "left out" else " ".join(reasons))
        yield {
            "build_id": result.build_id,
            "technique": rule.technique,
            "title": rule.title,
            "decision": decision,
            "reason": reason,
            "low_bytes": gain.low_bytes,
            "likely_bytes": gain.likely_bytes,
            "high_bytes": gain.high_bytes,
            "measured_bytes": result.measured.get(rule.technique) if rule.technique in kept else None,
        }
    for rule, gain in prepared.beyond:
        if rule.technique not in prepared.rewritten.left_out:
            yield {
                "build_id": result.build_id,
                "technique": rule.technique,
                "title": rule.title,
                "decision": "left out",
                "reason": f"only from --level {rule.level} on",
                "low_bytes": gain.low_bytes,
                "likely_bytes": gain.likely_bytes,
                "high_bytes": gain.high_bytes,
                "measured_bytes": None,
            }
    titles = {rule.technique: rule.title for rule in prepared.rules}
    for technique, reason in prepared.rewritten.left_out.items():
        yield {
            "build_id": result.build_id,
            "technique": technique,
            "title": titles[technique],
            "decision": "left out",
            "reason": reason,
            "low_bytes": None,
            "likely_bytes": None,
            "high_bytes": None,
            "measured_bytes": None,
        }


def _checks(result: Optimization) -> Iterator[dict[str, Any]]:
    for attempt in result.attempts:
        for check in attempt.checks:
            yield check_row(result.build_id, attempt.number, check)


def check_row(build_id: str, attempt: int, check: CheckResult) -> dict[str, Any]:
    """A row of build_checks."""
    return {
        "build_id": build_id,
        "attempt": attempt,
        "check_name": check.check,
        "outcome": check.outcome,
        "old_value": check.old,
        "new_value": check.new,
        "detail": check.detail,
        "seconds": check.seconds,
    }
