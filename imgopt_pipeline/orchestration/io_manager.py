"""Stores what assets return: rows by table, in one publish, with the metadata that Dagster's UI shows.

Also loads a table's rows of a partition as a DataFrame, for assets and notebooks. How the file is
published belongs to `warehouse`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from imgopt_pipeline.warehouse.schema import warehouse_schema
from imgopt_pipeline.warehouse.store import Tables, publish, replace_rows, snapshot

_PREVIEW_ROWS = 20


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
    schema = warehouse_schema()[table]
    return {
        "dagster/table_name": f"imgopt.{table}",
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    column.name,
                    column.type,
                    description=column.comment,
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in schema.columns
            ]
        ),
    }


def _table(context: dg.OutputContext) -> str:
    return str((context.definition_metadata or {})["dagster/table_name"]).rpartition(".")[2]


def _preview(rows: pd.DataFrame) -> str:
    """The first rows as a Markdown table, in cells that stay readable."""
    if rows.empty:
        return "No new rows: nothing changed since the audit before, or the host has none."
    head = rows.head(_PREVIEW_ROWS).drop(columns=["audit_id"], errors="ignore")
    text = head.map(lambda value: str(value).replace("|", "\\|")[:60])
    more = len(rows) - len(head)
    return f"{text.to_markdown(index=False)}\n" + (f"\n{more} more rows." if more > 0 else "")
