"""Group analysis: what the layers of the inventoried images hold and waste."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from imgopt_pipeline.auditing import analyse_layers
from imgopt_pipeline.orchestration.assets import asset_key, table_spec
from imgopt_pipeline.settings import Settings

_TABLES = ("layer_analysis", "wasted_files")


def analysis_assets(hosts: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """`layer_analysis` and `wasted_files`, which one pass over the layers gives."""

    @dg.multi_asset(
        name="layer_analysis",
        partitions_def=hosts,
        specs=[
            dg.AssetSpec(
                **table_spec(table, group="analysis", kinds={"docker"}, deps=("image_inventory",))
            ).with_io_manager_key("io_manager")
            for table in _TABLES
        ],
    )
    def layer_analysis(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        found = analyse_layers(settings, context.partition_key, context.run.run_id)
        for table, rows in zip(_TABLES, found, strict=True):
            yield dg.MaterializeResult(asset_key=asset_key(table), value=rows)

    return [layer_analysis]
