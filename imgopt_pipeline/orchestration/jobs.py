"""Jobs: the audit of a host, what acts on one, and the housekeeping. What they do stands in assets and domain."""

from typing import Any

import dagster as dg

from imgopt_pipeline.orchestration.assets import DATA_MIGRATIONS, PREFIX, VERIFIED_DEPLOYMENTS, asset_key
from imgopt_pipeline.orchestration.assets.deployments import DEPLOY, ROLLBACK
from imgopt_pipeline.orchestration.assets.migrations import MIGRATE_DATA
from imgopt_pipeline.orchestration.housekeeping import clean_up
from imgopt_pipeline.settings import Settings

AUDIT = "audit"
OPTIMIZE = "optimize"
HOUSEKEEPING = "housekeeping"

ACTING_GROUPS = ("builds", "deployments")
"""Groups whose assets do something on a host: no part of an audit."""


def audit_job() -> Any:  # the type of an asset job is not public
    """All assets of one host, in one process: a process per step costs more than the whole audit."""
    return dg.define_asset_job(
        AUDIT,
        selection=dg.AssetSelection.key_prefixes([PREFIX]) - dg.AssetSelection.groups(*ACTING_GROUPS),
        description="Audit one host: inventory, layers, waste, report. Reads only; nothing on the host changes.",
        executor_def=dg.in_process_executor,
    )


def optimize_job() -> Any:  # as above
    """One optimized build of one image."""
    return dg.define_asset_job(
        OPTIMIZE,
        selection=dg.AssetSelection.groups("builds"),
        description="Rewrite an image's Dockerfile, build it, check the candidate against the image in use. Nothing"
        " that runs is touched.",
        executor_def=dg.in_process_executor,
    )


def deploy_job() -> Any:  # as above
    """One candidate in the place of what runs."""
    return dg.define_asset_job(
        DEPLOY,
        selection=dg.AssetSelection.assets(asset_key(VERIFIED_DEPLOYMENTS)),
        description="Put an optimized image that a person approved in the place of the one that runs, watch it, and put"
        " the old state back where it does not do what that did.",
        executor_def=dg.in_process_executor,
    )


def rollback_job() -> Any:  # as above
    """What was there before one deployment."""
    return dg.define_asset_job(
        ROLLBACK,
        selection=dg.AssetSelection.assets(asset_key(VERIFIED_DEPLOYMENTS)),
        description="Put back what ran before the newest deployment of an image, and watch that it does as before.",
        executor_def=dg.in_process_executor,
    )


def migrate_data_job() -> Any:  # as above
    """The data of one directory."""
    return dg.define_asset_job(
        MIGRATE_DATA,
        selection=dg.AssetSelection.assets(asset_key(DATA_MIGRATIONS)),
        description="Move a data directory that a person approved to another file system, verified by sha256, and put"
        " everything back where its services do not do what they did.",
        executor_def=dg.in_process_executor,
    )


def housekeeping_job() -> dg.JobDefinition:
    """Retention of audits, layer files, old states that were kept, and Dagster's own runs."""

    @dg.op(description="Remove what the retention settings say is too old.")
    def remove_old_records(context: dg.OpExecutionContext, settings: dg.ResourceParam[Settings]) -> None:
        context.log.info(clean_up(settings, context.instance, keep_run_id=context.run.run_id).summary())

    @dg.job(
        name=HOUSEKEEPING,
        description="Remove old audits, layer files that nothing names, old states whose time is over, and old runs and"
        " logs of Dagster.",
        executor_def=dg.in_process_executor,
    )
    def housekeeping() -> None:
        remove_old_records()

    return housekeeping
