"""Group inventory: what a host has. Reads the host; nothing here looks into layers."""

import dagster as dg

from imgopt_pipeline.auditing import Rows, take_containers, take_directories, take_disk_usage, take_images
from imgopt_pipeline.orchestration.assets import table_asset
from imgopt_pipeline.settings import Settings

_KINDS = {"docker"}


def inventory_assets(hosts: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """`image_inventory`, `container_inventory`, `disk_usage` and `data_directories`."""

    @table_asset("image_inventory", group="inventory", partitions=hosts, kinds=_KINDS)
    def image_inventory(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Rows:
        return take_images(settings, context.partition_key, context.run.run_id)

    @table_asset("container_inventory", group="inventory", partitions=hosts, kinds=_KINDS)
    def container_inventory(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Rows:
        return take_containers(settings, context.partition_key, context.run.run_id)

    @table_asset("disk_usage", group="inventory", partitions=hosts, kinds=_KINDS)
    def disk_usage(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Rows:
        return take_disk_usage(settings, context.partition_key, context.run.run_id)

    @table_asset("data_directories", group="inventory", partitions=hosts, kinds=_KINDS)
    def data_directories(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Rows:
        return take_directories(settings, context.partition_key, context.run.run_id)

    return [image_inventory, container_inventory, disk_usage, data_directories]
