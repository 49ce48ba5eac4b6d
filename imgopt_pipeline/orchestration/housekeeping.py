"""Removes what is too old, Dagster's own runs and event logs included: Dagster has no retention for them."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from imgopt_pipeline.cleaning.keeping import housekeeping_of
from imgopt_pipeline.cleaning.rows import publish_cleanings
from imgopt_pipeline.deployments.records import records
from imgopt_pipeline.deployments.targets import remove_due
from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.layers.cache import LayerCache
from imgopt_pipeline.migrations.targets import remove_due as remove_due_sources
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.units import count, format_bytes
from imgopt_pipeline.warehouse.retention import prune_audits

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What went. `old_states`: in sentences, what went of that which actions keep to go back, and what stays."""

    audits: int
    layer_files: int
    layer_bytes: int
    runs: int
    old_states: tuple[str, ...] = ()

    def summary(self) -> str:
        return " ".join(
            [
                f"Removed {self.audits} audits, {self.layer_files} layer files ({format_bytes(self.layer_bytes)})"
                f" and {self.runs} Dagster runs.",
                *self.old_states,
            ]
        )


def clean_up(settings: Settings, instance: dg.DagsterInstance, *, keep_run_id: str | None = None) -> CleanUp:
    """Apply the retention settings. Raises StorageError."""
    audits = files = freed_bytes = 0
    if settings.paths.database.exists():
        pruned = prune_audits(settings.paths.database, audit_days=settings.retention.audit_days)
        audits = pruned.audits
        files, freed_bytes = LayerCache(settings.paths.layers).prune(pruned.kept_diff_ids)
        _remove_build_folders(settings.paths.builds, pruned.kept_build_ids)
    old_states = (*_remove_old_states(settings), *_remove_cleaned(settings))
    _remove_action_folders(settings)
    runs = _prune_runs(instance, settings.retention.dagster_run_days, keep_run_id)
    if runs:
        _compact(settings.paths.dagster)
    return CleanUp(audits, files, freed_bytes, runs, old_states)


def _remove_old_states(settings: Settings) -> Iterator[str]:
    """Remove what deployments kept to go back and whose time is over. A host that does not answer stops no other."""
    for name, host in settings.hosts.items():
        try:
            alone = settings.model_copy(update={"hosts": {name: host}})
            removals, sources = remove_due(alone), remove_due_sources(alone)
        except ImgoptError as error:
            yield f"Old states on {name} stay for now: {error}"
            continue
        for removal in removals:
            if removal.removed:
                freed = format_bytes(removal.freed_bytes)
                yield f"Removed the old state of {removal.subject} on {name}, which freed {freed}."
            for why in removal.left:
                yield f"{removal.subject} on {name}: {why}."
        for source in sources:
            freed = format_bytes(source.freed_bytes)
            yield f"{source.subject} on {name}: {source.left or f'its source was deleted, which freed {freed}'}."


def _remove_cleaned(settings: Settings) -> Iterator[str]:
    """Remove the directories that cleanings moved aside and whose time is over."""
    housekept = housekeeping_of(settings)
    if housekept.removed:
        removed, freed = count(housekept.removed, "folder"), format_bytes(housekept.freed_bytes)
        yield f"Removed {removed} that lay aside, which freed {freed}."
    yield from housekept.problems
    if housekept.changed:
        publish_cleanings(settings, housekept.changed)


def _remove_action_folders(settings: Settings) -> None:
    """Journals of deployments that are forgotten as audits are, and of which nothing is kept any more."""
    before = datetime.now(UTC) - timedelta(days=settings.retention.audit_days)
    for record in records(settings.paths.actions):
        if record.removed is not None and record.journal.entries[-1].moment.at < before:
            shutil.rmtree(record.journal.folder)


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
