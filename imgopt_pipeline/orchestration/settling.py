"""Settles what a crash left on a host and tells Dagster: the newest materialization of a partition says what stands."""

from collections.abc import Collection

import dagster as dg

from imgopt_pipeline.builds.targets import target_key
from imgopt_pipeline.deployments.models import Deployment
from imgopt_pipeline.deployments.records import records
from imgopt_pipeline.deployments.rows import deployment_rows
from imgopt_pipeline.migrations.records import records as migration_records
from imgopt_pipeline.migrations.rows import migration_rows
from imgopt_pipeline.migrations.targets import directory_key
from imgopt_pipeline.orchestration.assets import (
    DATA_MIGRATIONS,
    DIRECTORIES,
    TARGETS,
    VERIFIED_DEPLOYMENTS,
    asset_key,
    shown,
)
from imgopt_pipeline.reports.deployments import deployment_metadata
from imgopt_pipeline.reports.migrations import migration_metadata
from imgopt_pipeline.resuming import resume_host, unfinished
from imgopt_pipeline.settings import Settings


def settle_host(instance: dg.DagsterInstance, settings: Settings, host_name: str) -> list[str]:
    """What came of each action that was cut off on a host, in sentences. Raises as `resume_host` does."""
    cut_off = unfinished(settings, host_name)
    if not cut_off:
        return []
    told = resume_host(settings, host_name)
    for action_id in cut_off:
        _end_run(instance, action_id)
    _report(instance, settings, host_name, cut_off)
    return told


def deployment_target(deployment: Deployment) -> str:
    """The partition of a deployment: that of its image, or of what was named where that has no name."""
    return target_key(deployment.host, deployment.reference or deployment.subject)


def _end_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """A run whose process was killed stands as under way until somebody says otherwise."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_canceled(run, "It was cut off; what it had begun was settled afterwards.")


def _report(instance: dg.DagsterInstance, settings: Settings, host_name: str, action_ids: Collection[str]) -> None:
    for record in records(settings.paths.actions, host_name):
        if record.deployment.deployment_id in action_ids:
            partition = deployment_target(record.deployment)
            instance.add_dynamic_partitions(TARGETS, [partition])
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    asset_key(VERIFIED_DEPLOYMENTS),
                    partition=partition,
                    metadata=shown(deployment_metadata(deployment_rows(record))),
                )
            )
    for moved in migration_records(settings.paths.actions, host_name):
        if moved.migration.migration_id in action_ids:
            partition = directory_key(host_name, moved.migration.source)
            instance.add_dynamic_partitions(DIRECTORIES, [partition])
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    asset_key(DATA_MIGRATIONS),
                    partition=partition,
                    metadata=shown(migration_metadata(migration_rows(moved))),
                )
            )
