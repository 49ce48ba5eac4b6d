"""Housekeeping of the warehouse: old audits go, the newest of each host stays, content nobody names goes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from imgopt_pipeline.warehouse.retention import forget_host, prune_audits
from imgopt_pipeline.warehouse.store import publish, replace_rows, snapshot

NOW = datetime.now()
SHA = "sha256:" + "0" * 63


def audit(audit_id: str, host: str, days: int, image: str, status: str = "complete") -> dict[str, list[dict[str, Any]]]:
    moment = NOW - timedelta(days=days)
    engine = {"engine_kind": "docker", "engine_version": "26", "image_store": "overlay2"}
    counts = {"images": 1, "containers": 0, "layers": 1, "layers_read": 1, "problems": 0}
    versions = {"imgopt_version": "0", "analyser_version": "1"}
    times = {"started_at": moment, "finished_at": moment}
    named = {"audit_id": audit_id, "host": host}
    image_row = {"chain_id": "", "architecture": "", "os": "", "variant": "", "layer_count": 1, "labels": []}
    flags = {"default_user": "", "has_healthcheck": False, "env_names": []}
    inventory = {"name": image, "image_references": [image], "digests": [], "dangling": False, "source": ""}
    layer = {"position": 0, "diff_id": SHA + image[-1], "chain_id": SHA + image[-1]}
    return {
        "host_facts": [{**named, "started_at": moment, **engine}],
        "audits": [{**named, **times, "status": status, **engine, **counts, **versions}],
        "images": [{"image_id": image, **image_row, **flags}],
        "image_inventory": [{**named, "image_id": image, **inventory}],
        "image_layers": [{"image_id": image, **layer}],
    }


def test_prune(tmp_path: Path) -> None:
    database = tmp_path / "imgopt.duckdb"
    for rows in (
        audit("old", "a", 100, "image1"),
        audit("new", "a", 1, "image2"),
        audit("only", "b", 200, "image3"),
        audit("read", "c", 150, "image4"),
        audit("failed", "c", 140, "image5", status="unreachable"),
    ):
        publish(database, lambda connection, rows=rows: replace_rows(connection, rows))  # type: ignore[misc]
    pruned = prune_audits(database, audit_days=30)
    assert pruned.audits == 1
    assert pruned.kept_diff_ids == {SHA + "2", SHA + "3", SHA + "4", SHA + "5"}
    with snapshot(database) as connection:
        assert {row[0] for row in connection.execute("SELECT audit_id FROM audits").fetchall()} == {
            "new",
            "only",
            "read",
            "failed",
        }
        assert connection.execute("SELECT count(*) FROM images WHERE image_id = 'image1'").fetchall() == [(0,)]
    assert prune_audits(database, audit_days=30).audits == 0


def test_a_host_is_forgotten_with_what_only_it_had(tmp_path: Path) -> None:
    database = tmp_path / "imgopt.duckdb"
    for host, audit_id, image in (("demo", "a1", "one"), ("local", "a2", "two")):
        rows = audit(audit_id, host, 1, image)
        publish(database, lambda connection, rows=rows: replace_rows(connection, rows))  # type: ignore[misc]
    forget_host(database, "demo")
    with snapshot(database) as connection:
        for table in ("audits", "host_facts", "image_inventory"):
            assert connection.execute(f"SELECT DISTINCT host FROM {table}").fetchall() == [("local",)]
        assert len(connection.execute("FROM images").fetchall()) == 1
