"""Removes what is too old, Dagster's own runs and event logs included: Dagster has no retention for them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from imgopt_pipeline.layers.cache import LayerCache
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.units import format_bytes
from imgopt_pipeline.warehouse.retention import prune_audits

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What went."""

    audits: int
    layer_files: int
    layer_bytes: int
    runs: int

    def summary(self) -> str:
        return (
            f"Removed {self.audits} audits, {self.layer_files} layer files ({format_bytes(self.layer_bytes)})"
            f" and {self.runs} Dagster runs."
        )


def clean_up(settings: Settings, instance: dg.DagsterInstance, *, keep_run_id: str | None = None) -> CleanUp:
    """Apply the retention settings. Raises StorageError."""
    audits = files = freed_bytes = 0
    if settings.paths.database.exists():
        pruned = prune_audits(settings.paths.database, audit_days=settings.retention.audit_days)
        audits = pruned.audits
        files, freed_bytes = LayerCache(settings.paths.layers).prune(pruned.kept_diff_ids)
    runs = _prune_runs(instance, settings.retention.dagster_run_days, keep_run_id)
    if runs:
        _compact(settings.paths.dagster)
    return CleanUp(audits, files, freed_bytes, runs)


def _prune_runs(instance: dg.DagsterInstance, days: int, keep_run_id: str | None) -> int:
    """Delete finished runs older than some days; their event logs go with them."""
    before = datetime.now(UTC) - timedelta(days=days)
    records = instance.get_run_records(dg.RunsFilter(statuses=_FINISHED, created_before=before))
    doomed = [record.dagster_run.run_id for record in records if record.dagster_run.run_id != keep_run_id]
    for run_id in doomed:
        instance.delete_run(run_id)
    return len(doomed)


def _compact(folder: Path) -> None:
    """Give back the space of deleted rows; files that a running Dagster holds are left for the next time."""
    for file in folder.rglob("*.db"):
        try:
            with sqlite3.connect(file, timeout=1) as connection:
                connection.execute("VACUUM")
        except sqlite3.OperationalError:
            continue
