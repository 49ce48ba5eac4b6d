"""Runs the rules over one audit in a snapshot of the warehouse. A rule that fails is a problem, not the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from imgopt_pipeline.findings.headers import BUILT_IN, SEVERITIES, Rule
from imgopt_pipeline.findings.locked import BYTES, TEXT_CHARACTERS, RuleError, fetch, lock, prepare
from imgopt_pipeline.hosts.models import Problem
from imgopt_pipeline.names import printable
from imgopt_pipeline.sql import Value
from imgopt_pipeline.units import count

ROWS_PER_RULE = 10_000
SECONDS_PER_RULE = 60.0

_KINDS = ("image", "container", "volume", "directory", "host")
_MOST_BYTES = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RulesRun:
    """Rows of the table `findings`, and what went wrong with rules."""

    findings: list[dict[str, Any]]
    problems: list[Problem]


def run_rules(
    connection: duckdb.DuckDBPyConnection,
    host: str,
    audit_id: str,
    rules: Sequence[Rule],
    values: Mapping[str, Value],
    *,
    seconds: float = SECONDS_PER_RULE,
    rows: int = ROWS_PER_RULE,
) -> RulesRun:
    """The findings of one audit of one host.

    `connection` is a snapshot of the warehouse (`warehouse.store.snapshot`), which from then on reaches no files
    and takes no settings. `values` are those of `settings.findings` and the gates: see `rule_values`.
    """
    findings: list[dict[str, Any]] = []
    problems: list[Problem] = []
    everything = {**values, "audit_id": audit_id, "host": host}
    lock(connection)
    own = connection.cursor()  # temporary tables belong to it and go with it
    try:
        prepare(own, everything)
        for rule in rules:
            try:
                result = fetch(own, rule.sql, everything, limit=rows, seconds=seconds)
                found = [_finding(row, rule, audit_id, host) for row in result.rows]
            except RuleError as error:
                problems.append(rule_problem(rule.rule_id, rule.source, str(error)))
                continue
            findings += found
            if result.cut:
                problems.append(
                    Problem(
                        rule.rule_id,
                        "findings cut off",
                        f"the rule finds more than {rows:,} things; the first {rows:,} are kept."
                        if len(found) >= rows
                        else f"its texts take too much; the first {count(len(found), 'thing')} are kept.",
                        "Let the rule put together what belongs together, or leave out what matters less.",
                    )
                )
            if long := sum(_is_long(row) for row in result.rows):
                problems.append(
                    Problem(
                        rule.rule_id,
                        "findings cut off",
                        f"{count(long, 'finding')} of the rule had texts of more than {TEXT_CHARACTERS:,} characters;"
                        " the rest of them is cut off.",
                        "Let the rule say less, such as the first few of many names.",
                    )
                )
    finally:
        own.close()
    return RulesRun(findings, problems)


def finding_rows(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Rows of the table `finding_rules`."""
    return [
        {
            "rule_id": rule.rule_id,
            "title": rule.title,
            "technique": rule.technique,
            "severity": rule.severity,
            "risk": rule.risk,
            "why": rule.why,
            "source": rule.source,
        }
        for rule in rules
    ]


def rule_problem(rule_id: str, source: str, reason: str) -> Problem:
    """A rule that could not be read or run, in words."""
    subject = rule_id if source == BUILT_IN else source
    return Problem(
        printable(subject),
        "rule failed" if source == BUILT_IN else "bad rule",
        f"the rule is passed over: {reason.rstrip('.')}.",
        "" if source == BUILT_IN else "Mend the file or take it out of findings.rules_folder.",
    )


def _finding(row: Mapping[str, Any], rule: Rule, audit_id: str, host: str) -> dict[str, Any]:
    """A row of `findings`. Raises RuleError where the table would not take it."""
    severity = row.get("severity") or rule.severity
    if severity not in SEVERITIES:
        raise RuleError(f"it gives the severity {printable(str(severity))!r}; it may be {', '.join(SEVERITIES)}")
    if row["subject_kind"] not in _KINDS:
        raise RuleError(
            f"it gives the subject_kind {printable(str(row['subject_kind']))!r}; it may be {', '.join(_KINDS)}"
        )
    size, low, likely, high = (_bytes(row, name) for name in BYTES)
    if not low <= likely <= high:
        raise RuleError(f"low_bytes {low}, likely_bytes {likely}, high_bytes {high} are not in this order")
    return {
        "audit_id": audit_id,
        "host": host,
        "rule_id": rule.rule_id,
        "technique": rule.technique,
        "severity": severity,
        "subject_kind": row["subject_kind"],
        "subject": _text(row, "subject", needed=True),
        "image_id": _text(row, "image_id"),
        "path": _text(row, "path"),
        "size_bytes": size,
        "low_bytes": low,
        "likely_bytes": likely,
        "high_bytes": high,
        "evidence": _text(row, "evidence", needed=True),
        "advice": _text(row, "advice", needed=True),
    }


def _is_long(row: Mapping[str, Any]) -> bool:
    return any(isinstance(value, str) and len(value) > TEXT_CHARACTERS for value in row.values())


def _bytes(row: Mapping[str, Any], name: str) -> int:
    number = row[name]
    if not isinstance(number, int) or not 0 <= number <= _MOST_BYTES:
        raise RuleError(f"{name} is {number} instead of a number of bytes")
    return number


def _text(row: Mapping[str, Any], name: str, *, needed: bool = False) -> str | None:
    value = row[name]
    if value is None and not needed:
        return None
    if not isinstance(value, str) or not value:
        raise RuleError(f"{name} is {'empty' if value in (None, '') else 'no text'}")
    # What came from an image is printable already, a backslash doubled: only a user's own text is escaped here.
    text = value if value.isprintable() else printable(value)
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1] + "…"
