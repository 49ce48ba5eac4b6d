"""Group reporting: the conclusion of an audit."""

import dagster as dg

from imgopt_pipeline.auditing import Rows, conclude
from imgopt_pipeline.orchestration.assets import asset_key, table_spec
from imgopt_pipeline.settings import Settings


def reporting_assets(hosts: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """`audit_report`: the audit's own row in `audits`, stored last, so that readers see whole audits only."""
    spec = table_spec(
        "audits",
        group="reporting",
        kinds={"report"},
        deps=("image_inventory", "container_inventory", "disk_usage", "layer_analysis", "wasted_files"),
    ) | {"key": asset_key("audit_report")}

    @dg.asset(partitions_def=hosts, **spec)
    def audit_report(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Rows:
        return conclude(settings, context.partition_key, context.run.run_id)

    return [audit_report]
