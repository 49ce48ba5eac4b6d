"""Group reporting: the conclusion of an audit."""

import dagster as dg

from imgopt_pipeline.auditing import Rows, conclude
from imgopt_pipeline.orchestration.assets import table_asset
from imgopt_pipeline.orchestration.assets.planning import FACTS
from imgopt_pipeline.settings import Settings

_EVERYTHING_ELSE = (*FACTS, "findings", "optimization_plan")


def reporting_assets(hosts: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """`audit_report`: the audit's own row in `audits`, stored last, so that readers see whole audits only."""

    @table_asset(
        "audits",
        name="audit_report",
        group="reporting",
        partitions=hosts,
        kinds={"report"},
        deps=_EVERYTHING_ELSE,
    )
    def audit_report(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Rows:
        return conclude(settings, context.partition_key, context.run.run_id)

    return [audit_report]
