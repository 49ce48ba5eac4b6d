"""What an optimization would do, and what came of one: for a terminal, for Dagster's page, as a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.builds.preparing import Preparation
from imgopt_pipeline.dockerfiles.diff import unified_diff
from imgopt_pipeline.dockerfiles.facts import ByteRange
from imgopt_pipeline.dockerfiles.rewriting import Rewrite
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.commands import deploy
from imgopt_pipeline.planning.provenance import repository
from imgopt_pipeline.planning.techniques import LEVELS, TECHNIQUES
from imgopt_pipeline.redaction import redact_text
from imgopt_pipeline.units import format_bytes

_WORTH_NAMING = 1_000_000
Row = Mapping[str, Any]
Rows = Mapping[str, list[dict[str, Any]]]


def preparation_view(prepared: Preparation) -> Iterator[RenderableType]:
    """The image, its Dockerfile, the diff, each change with its reason, what is expected."""
    source, rewritten = prepared.source, prepared.rewritten
    yield f"{prepared.image.name}  {format_bytes(prepared.facts.size_bytes)}"
    yield f"Dockerfile: {printable(str(source.dockerfile))}, by {source.origin}"
    for remark in prepared.remarks:
        yield Text(f"  {remark}", style="yellow")
    if not rewritten.applied:
        yield "Nothing worth changing."
        yield from left_out_lines(rewritten)
        further = [(rule.level, rule.technique, rule.title, gain.high_bytes) for rule, gain in prepared.beyond]
        yield from _further_lines(further)
        return
    yield ""
    yield diff_view(rewritten, source.dockerfile.name)
    yield from ignore_view(rewritten)
    yield ""
    yield _rules_table(rewritten, prepared.gains)
    yield from reason_lines(rewritten)
    yield from left_out_lines(rewritten)
    yield ""
    yield _expected_line(prepared)
    further = [(rule.level, rule.technique, rule.title, gain.high_bytes) for rule, gain in prepared.beyond]
    yield from _further_lines(further)


def preparation_document(prepared: Preparation) -> dict[str, Any]:
    """The same as a document."""
    rewritten, expected = prepared.rewritten, prepared.expected
    return {
        "image": prepared.image.name,
        "image_id": prepared.image.image_id,
        "size_bytes": prepared.facts.size_bytes,
        "origin": prepared.source.origin,
        "dockerfile": printable(str(prepared.source.dockerfile)),
        "context": printable(str(prepared.source.context)),
        "agrees": prepared.source.agrees,
        "remarks": list(prepared.remarks),
        "worthwhile": prepared.worthwhile,
        "expected": _range_document(expected),
        **rewrite_document(rewritten, prepared.source.dockerfile.name, prepared.gains),
    }


def rewrite_document(rewritten: Rewrite, name: str, gains: Mapping[str, ByteRange] | None = None) -> dict[str, Any]:
    """A rewritten Dockerfile with its reasons as a document."""
    gains = gains or {}
    return {
        "diff": unified_diff(rewritten.original, rewritten.text, name),
        "ignore_lines": list(rewritten.ignore_lines),
        "rules": [
            {
                "rule": rule.technique,
                "title": rule.title,
                "level": rule.level,
                "proof": rule.proof,
                "expected": _range_document(gains[rule.technique]) if rule.technique in gains else None,
            }
            for rule in rewritten.applied
        ],
        "changes": [
            {"rule": change.technique, "line": change.line or None, "reason": change.reason}
            for change in rewritten.changes
        ],
        "left_out": [{"rule": rule, "reason": reason} for rule, reason in rewritten.left_out.items()],
    }


def diff_view(rewritten: Rewrite, name: str) -> RenderableType:
    """The diff, coloured on a terminal."""
    return _coloured(redact_text(unified_diff(rewritten.original, rewritten.text, name)))


def ignore_view(rewritten: Rewrite) -> Iterator[RenderableType]:
    """Lines for the .dockerignore, where there are some."""
    if rewritten.ignore_lines:
        yield "For this build only, in .dockerignore:"
        for line in rewritten.ignore_lines:
            yield Text(f"+{printable(line)}", style="green")


def reason_lines(rewritten: Rewrite) -> Iterator[RenderableType]:
    """Each change with the line that it is about."""
    for change in rewritten.changes:
        place = f"line {change.line}" if change.line else ".dockerignore"
        yield f"  {change.technique} {place}: {change.reason}"


def left_out_lines(rewritten: Rewrite) -> Iterator[RenderableType]:
    """Rules that were not used, where that is worth telling."""
    for technique, reason in rewritten.left_out.items():
        yield Text(f"  {technique} not used: {reason}", style="dim")


def build_view(rows: Rows, deployed: str | None = "") -> Iterator[RenderableType]:
    """What came of an optimization, by its rows: the sum first, then rules, checks, attempts, logs.

    `deployed` is what `imgopt deploy` is to be told: by default the image, None where nothing runs it.
    """
    (build,) = rows["builds"]
    yield Text(f"{build['reference']}: {build['summary']}", style="bold")
    for remark in build["remarks"]:
        yield Text(f"  {remark}", style="yellow")
    further = [
        (TECHNIQUES[row["technique"]].level, row["technique"], row["title"], row["high_bytes"])
        for row in rows["build_rules"]
        if row["decision"] == "left out" and row["high_bytes"] is not None
    ]
    if build["outcome"] == "nothing to change":
        yield from _further_lines(further)
        return
    if build["candidate_reference"]:
        yield f"Candidate: {build['candidate_reference']}; nothing that runs was touched."
        yield from _next_lines(build, deployed)
    yield from _further_lines(further)
    rules = [row for row in rows["build_rules"] if row["decision"] != "left out"]
    if rules:
        yield ""
        yield _fates_table(rules)
    if checks := shown_checks(rows):
        yield ""
        yield checks_table(checks)
    yield from _failures(rows)
    yield ""
    yield f"Dockerfile, diff and logs: {build['folder']}"


def build_diff_view(rows: Rows) -> Iterator[RenderableType]:
    """How the Dockerfile that was built differs from the user's, where it does."""
    diff = _stored_diff(rows["builds"][0])
    if diff:
        yield _coloured(diff)


def builds_table(builds: Sequence[Row]) -> Table:
    """Optimized builds, a line each."""
    table = Table("build", "host", "image", "when", "outcome", "summary", box=None, pad_edge=False)
    for row in builds:
        table.add_row(
            row["build_id"][:8],
            row["host"],
            Text(row["reference"]),
            f"{row['started_at']:%Y-%m-%d %H:%M}",
            row["outcome"],
            Text(row["summary"], overflow="fold"),
        )
    return table


def shown_checks(rows: Rows) -> list[dict[str, Any]]:
    """The checks of the candidate that was kept, else of the last that was checked."""
    (build,) = rows["builds"]
    kept = [row["attempt"] for row in rows["build_attempts"] if row["image_id"] == build["candidate_image_id"]]
    last = max((row["attempt"] for row in rows["build_checks"]), default=0)
    attempt = kept[0] if build["candidate_image_id"] and kept else last
    return [row for row in rows["build_checks"] if row["attempt"] == attempt]


def checks_table(checks: Sequence[Row]) -> Table:
    """Each check with what was seen at both images."""
    table = Table("check", "outcome", "in use", "candidate", "detail", box=None, pad_edge=False)
    styles = {"passed": "green", "failed": "red", "unverified": "yellow"}
    for row in checks:
        table.add_row(
            Text(row["check_name"]),
            Text(row["outcome"], style=styles[row["outcome"]]),
            Text(row["old_value"], overflow="fold"),
            Text(row["new_value"], overflow="fold"),
            Text(row["detail"], overflow="fold"),
        )
    return table


def build_metadata(rows: Rows) -> dict[str, str | int | float]:
    """What Dagster's page of a materialization shows: the sum, sizes, the diff, rules and checks."""
    (build,) = rows["builds"]
    metadata: dict[str, str | int | float] = {
        "summary": build["summary"],
        "outcome": build["outcome"],
        "old_bytes": build["old_bytes"],
        "expected_gain_low_bytes": build["low_bytes"],
        "expected_gain_high_bytes": build["high_bytes"],
        "attempts": build["attempts"],
    }
    if build["new_bytes"] is not None:
        metadata["new_bytes"] = build["new_bytes"]
    if diff := _stored_diff(build):
        metadata["diff"] = f"```diff\n{printable_lines(diff)}\n```\n"
    if rows["build_rules"]:
        lines = [f"| {row['technique']} | {row['decision']} | {_cell(row['reason'])} |" for row in rows["build_rules"]]
        metadata["rules"] = "\n".join(["| rule | decision | reason |", "|---|---|---|", *lines])
    checks = [f"| {row['check_name']} | {row['outcome']} | {_cell(row['detail'])} |" for row in shown_checks(rows)]
    if checks:
        metadata["checks"] = "\n".join(["| check | outcome | detail |", "|---|---|---|", *checks])
    return metadata


def printable_lines(text: str) -> str:
    """A text whose lines are safe to show; backslashes, of which Dockerfiles are full, stay single."""
    return "\n".join(
        "".join(c if c.isprintable() else "    " if c == "\t" else printable(c) for c in line.rstrip("\r"))
        for line in text.split("\n")
    )


def _stored_diff(build: Row) -> str:
    file = Path(build["folder"]) / "changes.diff"
    return file.read_text(errors="replace") if file.is_file() else ""


def _coloured(diff: str) -> RenderableType:
    return Syntax(printable_lines(diff), "diff", theme="ansi_dark", background_color="default", word_wrap=True)


def _rules_table(rewritten: Rewrite, gains: Mapping[str, ByteRange]) -> Table:
    table = Table("rule", "what", "level", "expected", "proved by", box=None, pad_edge=False)
    for rule in rewritten.applied:
        gain = gains.get(rule.technique)
        table.add_row(
            rule.technique, Text(rule.title), rule.level, _range(gain) if gain is not None else "–", Text(rule.proof)
        )
    return table


def _fates_table(rules: Sequence[Row]) -> Table:
    table = Table("rule", "what", "decision", "expected", "measured", "why", box=None, pad_edge=False)
    for row in rules:
        why = row["reason"] if row["decision"] == "dropped" else ""
        table.add_row(
            row["technique"],
            Text(row["title"]),
            Text(row["decision"], style="green" if row["decision"] == "kept" else "red"),
            _expected_cell(row),
            _measured_cell(row),
            Text(why, overflow="fold"),
        )
    return table


def _next_lines(build: Row, deployed: str | None) -> Iterator[str]:
    """How the candidate comes into use."""
    name = build["reference"]
    if deployed is not None:
        yield f"To put it in the place of what runs: {deploy(build['host'], deployed or name)}"
        return
    before = f"{repository(name)}:before"
    yield f"To keep a way back: docker image tag {build['source_image_id'].removeprefix('sha256:')[:12]} {before}"
    yield f"To take it, as nothing runs it: docker image tag {build['candidate_reference']} {name}"


def _failures(rows: Rows) -> Iterator[RenderableType]:
    """The attempts that failed, each with its log."""
    for row in rows["build_attempts"]:
        if row["outcome"] != "passed":
            yield ""
            rules = ", ".join(row["techniques"]) or "no change"
            yield Text(f"Build {row['attempt']} ({rules}), {row['outcome']}: {row['detail']}", style="red")
            yield f"  log: {row['log_file']}"


def _expected_line(prepared: Preparation) -> str:
    expected, size_bytes = prepared.expected, prepared.facts.size_bytes
    smallest, largest = max(0, size_bytes - expected.high_bytes), size_bytes - expected.low_bytes
    likely = format_bytes(max(0, size_bytes - expected.likely_bytes))
    line = (
        f"Expected: {format_bytes(size_bytes)} → {format_bytes(smallest)} to {format_bytes(largest)}, likely {likely}."
    )
    if format_bytes(smallest) == format_bytes(largest):
        line = f"Expected: {format_bytes(size_bytes)} → {likely}."
    return line if prepared.worthwhile else f"{line} Nothing worth changing."


def _further_lines(further: Sequence[tuple[str, str, str, int]]) -> Iterator[RenderableType]:
    """What a further level would do besides: its level, rule, title and bytes at most."""
    for level in LEVELS[1:]:
        named = [
            f"{rule} {title} (up to {format_bytes(high)})" for at, rule, title, high in further if at == level and high
        ]
        if named:
            yield f"With --level {level} also: {', '.join(named)}."


def _range(gain: ByteRange) -> str:
    low, high = format_bytes(gain.low_bytes), format_bytes(gain.high_bytes)
    return low if low == high else f"{low} to {high}"


def _range_document(gain: ByteRange) -> dict[str, int]:
    return {"low_bytes": gain.low_bytes, "likely_bytes": gain.likely_bytes, "high_bytes": gain.high_bytes}


def _expected_cell(row: Row) -> str:
    if row["high_bytes"] is None:
        return "–"
    return _range(ByteRange(row["low_bytes"], row["likely_bytes"], row["high_bytes"]))


def _measured_cell(row: Row) -> str:
    return "–" if row["measured_bytes"] is None else format_bytes(row["measured_bytes"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
