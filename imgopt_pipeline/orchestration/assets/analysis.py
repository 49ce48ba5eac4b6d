"""Group analysis: what the layers of the inventoried images hold and waste."""

import dagster as dg

from imgopt_pipeline.auditing import analyse_layers
from imgopt_pipeline.orchestration.assets import asset_key, table_spec
from imgopt_pipeline.settings import Settings


def analysis_assets(hosts: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """`layer_analysis` and `wasted_files`, which one pass over the layers gives."""

    @dg.multi_asset(
        name="layer_analysis",
        partitions_def=hosts,
        specs=[
            dg.AssetSpec(
                **table_spec(table, group="analysis", kinds={"docker"}, deps=("image_inventory",))
            ).with_io_manager_key("io_manager")
            for table in ("layer_analysis", "wasted_files")
        ],
    )
    def layer_analysis(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]):  # type: ignore[no-untyped-def]
        analysis, wasted = analyse_layers(settings, context.partition_key, context.run.run_id)
        yield dg.MaterializeResult(asset_key=asset_key("layer_analysis"), value=analysis)
        yield dg.MaterializeResult(asset_key=asset_key("wasted_files"), value=wasted)

    return [layer_analysis]
