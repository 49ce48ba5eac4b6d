"""Stores what assets return: rows by table, in one publish, with the metadata that Dagster's UI shows.

Also loads a table's rows of a partition as a DataFrame, for assets and notebooks. How the file is
published belongs to `warehouse`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from imgopt_pipeline.units import format_bytes
from imgopt_pipeline.warehouse.schema import warehouse_schema
from imgopt_pipeline.warehouse.store import Tables, publish, replace_rows, snapshot

_PREVIEW_ROWS = 20
_CELL_CHARACTERS = 60
_DIGEST = re.compile(r"(?:sha256:|\b)([0-9a-f]{12})[0-9a-f]{52}\b")


class WarehouseIOManager(dg.IOManager):
    """Publishes each asset's rows to the DuckDB file."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def handle_output(self, context: dg.OutputContext, tables: Tables) -> None:
        publish(self._database, lambda connection: replace_rows(connection, tables))
        table = _table(context)
        rows = pd.DataFrame(list(tables.get(table, [])))
        context.add_output_metadata(
            {
                "dagster/partition_row_count": len(rows),
                "dagster/column_schema": column_schema(table),
                "dagster/uri": f"duckdb://{self._database}",
                "rows": {name: len(found) for name, found in tables.items()},
                "preview": dg.MetadataValue.md(_preview(rows)),
            }
        )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        table = _table(context.upstream_output) if context.upstream_output else context.asset_key.path[-1]
        with snapshot(self._database) as connection:
            columns = {column.name for column in warehouse_schema()[table].columns}
            if context.has_asset_partitions and "host" in columns:
                cursor = connection.execute(f'FROM "{table}" WHERE host = ?', [context.asset_partition_key])
            else:
                cursor = connection.execute(f'FROM "{table}"')
            return cursor.df()


def column_metadata(table: str) -> dict[str, Any]:
    """The columns of a table, with types and comments, as Dagster shows them on the asset's page."""
    return {"dagster/table_name": f"imgopt.{table}", "dagster/column_schema": column_schema(table)}


def column_schema(table: str) -> dg.TableSchema:
    """The columns of a table in Dagster's form."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in warehouse_schema()[table].columns
        ]
    )


def _table(context: dg.OutputContext) -> str:
    return str((context.definition_metadata or {})["dagster/table_name"]).rpartition(".")[2]


def _preview(rows: pd.DataFrame) -> str:
    """The first rows as a Markdown table: sizes as people write them, digests short, no column twice the page."""
    if rows.empty:
        return "No rows: the host has none of these, or nothing is new since the audit before."
    shown = rows.head(_PREVIEW_ROWS).drop(columns=["audit_id", "host"], errors="ignore")
    text = pd.DataFrame({name: [_cell(str(name), value) for value in shown[name]] for name in shown.columns})
    more = len(rows) - len(shown)
    return f"{text.to_markdown(index=False)}\n" + (f"\n{more} more rows." if more > 0 else "")


def _cell(column: str, value: object) -> str:
    if value is None or value != value or value == []:
        return ""
    if column.endswith("_bytes") and isinstance(value, int | float):
        return format_bytes(int(value))
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return _DIGEST.sub(r"\1", text).replace("|", "\\|")[:_CELL_CHARACTERS]
