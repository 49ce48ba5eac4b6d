"""Assets, one module per group, each a function that makes them for given partitions.

An asset is thin: it calls one step of `auditing` and returns its rows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import dagster as dg

from imgopt_pipeline.layers.cache import ANALYSER_VERSION
from imgopt_pipeline.orchestration.io_manager import column_metadata
from imgopt_pipeline.warehouse.schema import warehouse_schema

PREFIX = "imgopt"
OWNERS = ["team:imgopt"]
TARGETS = "targets"
"""The name of the partitions by target, `host|image`."""

DIRECTORIES = "directories"
"""The name of the partitions by directory, `host|path`."""

DATA_MIGRATIONS = "data_migrations"
"""The asset whose partitions say where the data of each directory is."""

VERIFIED_DEPLOYMENTS = "verified_deployments"
"""The asset whose partitions say what stands of each target."""

PARTITION_TAG = "dagster/partition"
"""The tag with which a run names its partition, here the host."""


def table_asset(
    table: str,
    *,
    group: str,
    partitions: dg.PartitionsDefinition[str],
    kinds: set[str],
    deps: Sequence[str | dg.AssetDep] = (),
    name: str | None = None,
    check_specs: Sequence[dg.AssetCheckSpec] = (),
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """The decorator of an asset that is a table; `name` where the asset is not called like the table."""
    arguments = table_spec(table, group=group, kinds=kinds, deps=deps) | {"key": asset_key(name or table)}
    if check_specs:
        arguments["check_specs"] = list(check_specs)
    return cast(Callable[[Callable[..., Any]], dg.AssetsDefinition], dg.asset(partitions_def=partitions, **arguments))


def table_spec(table: str, *, group: str, kinds: set[str], deps: Sequence[str | dg.AssetDep] = ()) -> dict[str, Any]:
    """What every asset that is a table has in common: key, group, description, columns, version."""
    return {
        "key": asset_key(table),
        "group_name": group,
        "description": warehouse_schema()[table].comment,
        "metadata": column_metadata(table),
        "kinds": {"duckdb", *kinds},
        "owners": OWNERS,
        "code_version": ANALYSER_VERSION,
        "deps": [asset_key(dep) if isinstance(dep, str) else dep for dep in deps],
    }


def asset_key(table: str) -> dg.AssetKey:
    """The key of the asset of that name."""
    return dg.AssetKey([PREFIX, table])


def shown(metadata: Mapping[str, str | int | float]) -> dict[str, Any]:
    """Texts as Markdown, in which Dagster's page shows a diff and a table."""
    return {
        name: dg.MetadataValue.md(value) if isinstance(value, str) and "\n" in value else value
        for name, value in metadata.items()
    }
