"""Assembles everything into Definitions for given settings. No logic."""

from __future__ import annotations

import dagster as dg

from imgopt_pipeline.hosts.opening import host_names
from imgopt_pipeline.orchestration.assets.analysis import analysis_assets
from imgopt_pipeline.orchestration.assets.builds import build_assets
from imgopt_pipeline.orchestration.assets.deployments import DEPLOY, ROLLBACK, deployment_assets
from imgopt_pipeline.orchestration.assets.inventory import inventory_assets
from imgopt_pipeline.orchestration.assets.migrations import MIGRATE_DATA, migration_assets
from imgopt_pipeline.orchestration.assets.planning import planning_assets
from imgopt_pipeline.orchestration.assets.reporting import reporting_assets
from imgopt_pipeline.orchestration.checks import audit_checks
from imgopt_pipeline.orchestration.io_manager import WarehouseIOManager
from imgopt_pipeline.orchestration.jobs import (
    AUDIT,
    OPTIMIZE,
    audit_job,
    deploy_job,
    housekeeping_job,
    migrate_data_job,
    optimize_job,
    rollback_job,
)
from imgopt_pipeline.orchestration.schedules import audit_schedule, housekeeping_schedule
from imgopt_pipeline.settings import Settings, load_settings


def build_defs(settings: Settings) -> dg.Definitions:
    """Fresh definitions; tests and the command line pass settings of their own."""
    hosts = dg.StaticPartitionsDefinition(host_names(settings))
    return dg.Definitions(
        assets=[
            *inventory_assets(hosts),
            *analysis_assets(hosts),
            *planning_assets(hosts),
            *build_assets(),
            *deployment_assets(),
            *migration_assets(),
            *reporting_assets(hosts),
        ],
        asset_checks=audit_checks(),
        jobs=[audit_job(), optimize_job(), deploy_job(), rollback_job(), migrate_data_job(), housekeeping_job()],
        schedules=[
            audit_schedule(settings.schedule, list(settings.hosts)),
            housekeeping_schedule(settings.schedule),
        ],
        resources={"settings": settings, "io_manager": WarehouseIOManager(settings.paths.database)},
    )


def reconstruct_audit_job() -> dg.JobDefinition:
    """The audit job by itself, for the settings in force: by this function another process can rebuild it."""
    return build_defs(load_settings()).resolve_job_def(AUDIT)


def reconstruct_optimize_job() -> dg.JobDefinition:
    """The same of the optimize job."""
    return build_defs(load_settings()).resolve_job_def(OPTIMIZE)


def reconstruct_deploy_job() -> dg.JobDefinition:
    """The same of the deploy job."""
    return build_defs(load_settings()).resolve_job_def(DEPLOY)


def reconstruct_rollback_job() -> dg.JobDefinition:
    """The same of the rollback job."""
    return build_defs(load_settings()).resolve_job_def(ROLLBACK)


def reconstruct_migrate_data_job() -> dg.JobDefinition:
    """The same of the job that moves data."""
    return build_defs(load_settings()).resolve_job_def(MIGRATE_DATA)
