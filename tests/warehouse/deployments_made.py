"""Rows of deployments, for tests that need some: every column filled, each named one as the test wants it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.warehouse.builds_made import CANDIDATE, IN_USE, MB

Row = dict[str, Any]


def deployment_row(
    deployment_id: str, reference: str | None = "shop-web:latest", *, days: float = 0, **more: Any
) -> Row:
    """A deployment of so many days ago; verified, unless it is said otherwise."""
    at = datetime.now() - timedelta(days=days)
    row: Row = {
        "deployment_id": deployment_id,
        "host": "local",
        "subject": "shop/web",
        "reference": reference,
        "units": ["service shop/web"],
        "methods": ["tag"],
        "outcome": "verified",
        "reason": "",
        "build_id": "b1",
        "old_image_id": IN_USE,
        "new_image_id": CANDIDATE,
        "old_bytes": 900 * MB,
        "new_bytes": 400 * MB,
        "backup_reference": "imgopt-backup/shop-web:20260105-111111111111",
        "approved_by": "root, 2026-01-05 10:00 UTC",
        "started_at": at,
        "finished_at": at + timedelta(seconds=40),
        "gate_seconds": 31.0,
        "gap_seconds": 1.2,
        "gap_detail": "http://127.0.0.1:8080/",
        "pinned": False,
        "kept_until": at + timedelta(days=7),
        "freed_bytes": None,
        "folder": f"/actions/{deployment_id}",
        "remarks": [],
        "summary": "Verified: 900 MB → 400 MB; the service did not answer for 1.2 s.",
        "imgopt_version": "0",
    }
    return row | more


def step_row(deployment_id: str, number: int, step: str, event: str = "done", detail: str = "") -> Row:
    """An entry of a journal."""
    return {
        "deployment_id": deployment_id,
        "number": number,
        "happened_at": datetime.now(),
        "step": step,
        "event": event,
        "detail": detail,
    }


def gate_row(deployment_id: str, check: str, **more: Any) -> Row:
    """A check of the gate that passed, unless it is said otherwise."""
    row: Row = {
        "deployment_id": deployment_id,
        "phase": "gate",
        "unit": "shop/web",
        "check_name": check,
        "outcome": "passed",
        "old_value": "as it was",
        "new_value": "as it was",
        "detail": "",
    }
    return row | more
