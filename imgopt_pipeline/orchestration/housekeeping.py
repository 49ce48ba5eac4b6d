"""Removes what is too old, Dagster's own runs and event logs included: Dagster has no retention for them."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Collection
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
        _remove_build_folders(settings.paths.builds, pruned.kept_build_ids)
    runs = _prune_runs(instance, settings.retention.dagster_run_days, keep_run_id)
    if runs:
        _compact(settings.paths.dagster)
    return CleanUp(audits, files, freed_bytes, runs)


def _remove_build_folders(folder: Path, kept_build_ids: Collection[str]) -> None:
    """Logs and Dockerfiles of builds that are forgotten; those of one that is under way are not a day old."""
    day_ago = time.time() - 86_400
    for build in folder.iterdir() if folder.is_dir() else ():
        if build.is_dir() and build.name not in kept_build_ids and build.stat().st_mtime < day_ago:
            shutil.rmtree(build)


def _prune_runs(instance: dg.DagsterInstance, days: int, keep_run_id: str | None) -> int:
    """Delete finished runs older than some days, but none that holds the newest state of an asset's partition."""
    before = datetime.now(UTC) - timedelta(days=days)
    old = instance.get_run_records(dg.RunsFilter(statuses=_FINISHED, created_before=before))
    keep = {keep_run_id, *_newest_runs(instance)} if old else set()
    doomed = [record.dagster_run.run_id for record in old if record.dagster_run.run_id not in keep]
    for run_id in doomed:
        instance.delete_run(run_id)
        _remove_files(Path(instance.root_directory), run_id)
    return len(doomed)


def _newest_runs(instance: dg.DagsterInstance) -> set[str]:
    """Runs with the newest materialization of each partition of each asset: deleting them would unmake it."""
    newest: set[str] = set()
    for key in instance.get_asset_keys():
        for partition in instance.get_materialized_partitions(key):
            wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
            newest.update(record.run_id for record in instance.fetch_materializations(wanted, limit=1).records)
    return newest


def _remove_files(folder: Path, run_id: str) -> None:
    """What `delete_run` leaves: the run's emptied event log, and its captured output."""
    for suffix in ("", "-wal", "-shm"):
        (folder / "history" / "runs" / f"{run_id}.db{suffix}").unlink(missing_ok=True)
    output = folder / "storage" / run_id
    if output.is_dir():
        shutil.rmtree(output)


def _compact(folder: Path) -> None:
    """Give back the space of deleted rows; files that a running Dagster holds are left for the next time."""
    for file in folder.rglob("*.db"):
        try:
            with sqlite3.connect(file, timeout=1) as connection:
                connection.execute("VACUUM")
        except sqlite3.OperationalError:
            continue
