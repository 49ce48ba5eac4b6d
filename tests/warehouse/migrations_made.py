"""Rows about migrations as a migration makes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def migration_row(
    migration_id: str, *, host: str = "local", outcome: str = "verified", **columns: Any
) -> dict[str, Any]:
    """A migration that was verified, its source kept."""
    row = {
        "migration_id": migration_id,
        "host": host,
        "subject": "/srv/shop/music",
        "kind": "bind",
        "volume": None,
        "source": "/srv/shop/music",
        "destination": "/mnt/remote/music",
        "mount_point": "/mnt/remote",
        "filesystem": "nfs4",
        "units": ["service shop/web"],
        "outcome": outcome,
        "reason": "",
        "files": 812,
        "file_bytes": 4_100_000_000,
        "left_out": 0,
        "copy_seconds": 61.0,
        "verify_seconds": 40.0,
        "gate_seconds": 31.0,
        "gap_seconds": 3.2,
        "gap_detail": "",
        "approved_by": "tester",
        "started_at": datetime(2026, 1, 1, 12),
        "finished_at": datetime(2026, 1, 1, 12, 3),
        "kept_until": datetime(2026, 1, 8, 12, 3),
        "set_aside": f"/srv/shop/music.migrated-{migration_id}",
        "pending_bytes": 4_100_000_000,
        "freed_bytes": 0,
        "folder": "",
        "remarks": [],
        "summary": "Verified.",
        "imgopt_version": "0",
    }
    return row | columns
