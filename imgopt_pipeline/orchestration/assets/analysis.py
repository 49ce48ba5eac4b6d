"""Group analysis: what the layers of the inventoried images hold and waste, and what for."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg

from imgopt_pipeline.auditing import Rows, analyse_layers, check_gpus, look_into_contents
from imgopt_pipeline.orchestration.assets import asset_key, table_asset, table_spec
from imgopt_pipeline.settings import Settings

_LAYER_TABLES = ("layer_analysis", "wasted_files")
_CONTENT_TABLES = ("package_inventory", "space_usage")


def analysis_assets(hosts: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """`layer_analysis` and `wasted_files`, `package_inventory` and `space_usage`, and `gpu_checks`."""

    @dg.multi_asset(name="layer_analysis", partitions_def=hosts, specs=_specs(_LAYER_TABLES, deps=("image_inventory",)))
    def layer_analysis(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        yield from _results(_LAYER_TABLES, analyse_layers, context, settings)

    @dg.multi_asset(name="contents", partitions_def=hosts, specs=_specs(_CONTENT_TABLES, deps=("layer_analysis",)))
    def contents(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        yield from _results(_CONTENT_TABLES, look_into_contents, context, settings)

    @table_asset(
        "gpu_checks",
        group="analysis",
        partitions=hosts,
        kinds=set(),
        deps=("package_inventory", "container_inventory"),
    )
    def gpu_checks(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Rows:
        return check_gpus(settings, context.partition_key, context.run.run_id)

    return [layer_analysis, contents, gpu_checks]


def _specs(tables: Sequence[str], *, deps: Sequence[str]) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(**table_spec(table, group="analysis", kinds={"docker"}, deps=deps)).with_io_manager_key(
            "io_manager"
        )
        for table in tables
    ]


def _results(
    tables: Sequence[str],
    step: Callable[[Settings, str, str], Sequence[Rows]],
    context: dg.AssetExecutionContext,
    settings: Settings,
) -> Iterator[dg.MaterializeResult[Any]]:
    found = step(settings, context.partition_key, context.run.run_id)
    for table, rows in zip(tables, found, strict=True):
        yield dg.MaterializeResult(asset_key=asset_key(table), value=rows)
