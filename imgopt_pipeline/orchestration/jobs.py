"""Jobs: the audit of a host, and the housekeeping. What they do stands in assets and domain."""

from typing import Any

import dagster as dg

from imgopt_pipeline.orchestration.assets import PREFIX
from imgopt_pipeline.orchestration.housekeeping import clean_up
from imgopt_pipeline.settings import Settings

AUDIT = "audit"
OPTIMIZE = "optimize"
HOUSEKEEPING = "housekeeping"

ACTING_GROUPS = ("builds",)
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


def housekeeping_job() -> dg.JobDefinition:
    """Retention of audits, layer files and Dagster's own runs."""

    @dg.op(description="Remove what the retention settings say is too old.")
    def remove_old_records(context: dg.OpExecutionContext, settings: dg.ResourceParam[Settings]) -> None:
        context.log.info(clean_up(settings, context.instance, keep_run_id=context.run.run_id).summary())

    @dg.job(
        name=HOUSEKEEPING,
        description="Remove old audits, layer files that nothing names, and old runs and logs of Dagster.",
        executor_def=dg.in_process_executor,
    )
    def housekeeping() -> None:
        remove_old_records()

    return housekeeping
