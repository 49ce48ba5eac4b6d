"""How long the warehouse remembers: old audits and content that no audit names any more go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from imgopt_pipeline.sql import with_values
from imgopt_pipeline.warehouse.store import publish, sql_file


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went: audits; and the diff IDs and builds that are still named."""

    audits: int
    kept_diff_ids: frozenset[str]
    kept_build_ids: frozenset[str]


def prune_audits(database: Path, *, audit_days: int) -> Pruned:
    """Remove audits older than `audit_days`, but never the newest of a host. Raises StorageError."""
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=audit_days)

    def change(connection: duckdb.DuckDBPyConnection) -> Pruned:
        connection.execute(with_values(sql_file("expire.sql"), {"before": before}))
        connection.execute(sql_file("prune_content.sql"))
        expired = connection.execute("SELECT count(*) FROM expired").fetchall()[0][0]
        kept = connection.execute("SELECT DISTINCT diff_id FROM image_layers").fetchall()
        builds = connection.execute("SELECT build_id FROM builds").fetchall()
        return Pruned(expired, frozenset(diff_id for (diff_id,) in kept), frozenset(build_id for (build_id,) in builds))

    return publish(database, change)


def forget_host(database: Path, host: str) -> None:
    """Remove all audits of a host, and content that no other audit names. Raises StorageError."""

    def change(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(with_values("DELETE FROM audits WHERE host = $host", {"host": host}))
        expired = "CREATE TEMP TABLE expired AS SELECT DISTINCT audit_id FROM host_facts WHERE host = $host"
        connection.execute(with_values(expired, {"host": host}))
        connection.execute(sql_file("prune_content.sql"))

    publish(database, change)
