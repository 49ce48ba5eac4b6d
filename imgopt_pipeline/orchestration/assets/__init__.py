"""Assets, one module per group, each a function that makes them for given partitions.

An asset is thin: it calls one step of `auditing` and returns its rows.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from imgopt_pipeline.layers.cache import ANALYSER_VERSION
from imgopt_pipeline.orchestration.io_manager import column_metadata
from imgopt_pipeline.warehouse.schema import warehouse_schema

PREFIX = "imgopt"
OWNERS = ["team:imgopt"]
PARTITION_TAG = "dagster/partition"
"""The tag with which a run names its partition, here the host."""


def table_spec(table: str, *, group: str, kinds: set[str], deps: tuple[str, ...] = ()) -> dict[str, Any]:
    """What every asset that is a table has in common: key, group, description, columns, version."""
    return {
        "key": asset_key(table),
        "group_name": group,
        "description": warehouse_schema()[table].comment,
        "metadata": column_metadata(table),
        "kinds": {"duckdb", *kinds},
        "owners": OWNERS,
        "code_version": ANALYSER_VERSION,
        "deps": [asset_key(dep) for dep in deps],
    }


def asset_key(table: str) -> dg.AssetKey:
    return dg.AssetKey([PREFIX, table])
