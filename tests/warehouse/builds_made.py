"""Rows of optimized builds, for tests that need some: every column filled, each named one as the test wants it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

Row = dict[str, Any]
MB = 1_000_000
IN_USE, CANDIDATE = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def build_row(build_id: str, reference: str = "shop-web:latest", *, days: float = 0, **more: Any) -> Row:
    """A build of so many days ago; kept, unless it is said otherwise."""
    kept = more.get("outcome", "kept") == "kept"
    row: Row = {
        "build_id": build_id,
        "host": "local",
        "reference": reference,
        "kind": "rewrite",
        "outcome": "kept",
        "source_image_id": IN_USE,
        "candidate_image_id": CANDIDATE if kept else None,
        "candidate_reference": f"{reference}-optimized" if kept else None,
        "origin": "--dockerfile and --context",
        "dockerfile": "/srv/shop/Dockerfile",
        "level": "safe",
        "techniques": ["R3"],
        "dropped": [],
        "old_bytes": 900 * MB,
        "new_bytes": 400 * MB if kept else None,
        "low_bytes": 300 * MB,
        "likely_bytes": 450 * MB,
        "high_bytes": 600 * MB,
        "attempts": 1,
        "started_at": datetime.now() - timedelta(days=days),
        "seconds": 60.0,
        "folder": f"/builds/{build_id}",
        "remarks": [],
        "summary": "900 MB → 400 MB (55.6 % smaller).",
        "imgopt_version": "0",
    }
    return row | more


def attempt_row(build_id: str, attempt: int, **more: Any) -> Row:
    """An attempt that passed, unless it is said otherwise."""
    passed = more.get("outcome", "passed") == "passed"
    row: Row = {
        "build_id": build_id,
        "attempt": attempt,
        "techniques": ["R3"],
        "outcome": "passed",
        "failed_checks": [],
        "detail": "",
        "image_id": CANDIDATE if passed else None,
        "size_bytes": 400 * MB,
        "build_seconds": 40.0,
        "check_seconds": 20.0,
        "log_file": f"/builds/{build_id}/build-{attempt}.log",
    }
    return row | more


def rule_row(
    build_id: str,
    technique: str,
    *,
    expected: tuple[int, int, int] = (100 * MB, 200 * MB, 400 * MB),
    measured: int | None = 300 * MB,
    **more: Any,
) -> Row:
    """A rule that was kept, unless it is said otherwise; `expected` bytes at least, likely, at most."""
    low, likely, high = expected
    row: Row = {
        "build_id": build_id,
        "technique": technique,
        "title": "build tools in a stage of their own",
        "decision": "kept",
        "reason": "gcc only builds.",
        "low_bytes": low,
        "likely_bytes": likely,
        "high_bytes": high,
        "measured_bytes": measured,
    }
    return row | more


def check_row(build_id: str, attempt: int, check: str, **more: Any) -> Row:
    """A check that passed, unless it is said otherwise."""
    row: Row = {
        "build_id": build_id,
        "attempt": attempt,
        "check_name": check,
        "outcome": "passed",
        "old_value": "as it was",
        "new_value": "as it was",
        "detail": "",
        "seconds": 1.0,
    }
    return row | more
