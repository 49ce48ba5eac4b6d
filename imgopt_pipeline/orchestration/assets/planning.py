"""Group planning: what the rules find, and what to do first."""

import dagster as dg

from imgopt_pipeline.auditing import Rows, find, plan
from imgopt_pipeline.builds.targets import planned_targets
from imgopt_pipeline.orchestration.assets import TARGETS, table_asset
from imgopt_pipeline.settings import Settings

FACTS = (
    "image_inventory",
    "container_inventory",
    "disk_usage",
    "data_directories",
    "layer_analysis",
    "wasted_files",
    "package_inventory",
    "space_usage",
    "gpu_checks",
)
"""The assets that rules look at."""


def planning_assets(hosts: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """`findings` and `optimization_plan`."""

    @table_asset("findings", group="planning", partitions=hosts, kinds={"sql"}, deps=FACTS)
    def findings(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Rows:
        return find(settings, context.partition_key, context.run.run_id)

    @table_asset("optimization_plan", group="planning", partitions=hosts, kinds=set(), deps=("findings",))
    def optimization_plan(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Rows:
        rows = plan(settings, context.partition_key, context.run.run_id)
        # So that the page of optimized_builds offers what the plan would have built.
        targets = planned_targets(settings, context.partition_key, rows["optimization_plan"])
        context.instance.add_dynamic_partitions(TARGETS, targets)
        return rows

    return [findings, optimization_plan]
