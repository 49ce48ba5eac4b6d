"""The schema as data: tables and views with their columns, types and comments.

Read from a database in memory that ran `schema.sql` and `views.sql`, so there is nothing to keep in step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import duckdb

from imgopt_pipeline.warehouse.store import sql_file


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `nullable` is False where the schema says NOT NULL. Columns of views have no comment."""

    name: str
    type: str
    nullable: bool
    comment: str


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table or view."""

    name: str
    kind: str
    comment: str
    columns: tuple[Column, ...]


@cache
def warehouse_schema() -> dict[str, TableSchema]:
    """All tables and views by name, tables first, in the order of the files."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(sql_file("schema.sql") + sql_file("views.sql"))
        return schema_of(connection)


def schema_of(connection: duckdb.DuckDBPyConnection) -> dict[str, TableSchema]:
    """Tables and views of an open database."""
    named = connection.execute(
        """
        SELECT table_name, 'table', coalesce(comment, ''), table_oid FROM duckdb_tables() WHERE NOT internal
        UNION ALL
        SELECT view_name, 'view', coalesce(comment, ''), view_oid FROM duckdb_views() WHERE NOT internal
        ORDER BY 2, 4
        """
    ).fetchall()
    columns: dict[str, list[Column]] = {}
    for table, *column in connection.execute(
        """
        SELECT table_name, column_name, data_type, is_nullable, coalesce(comment, '')
        FROM duckdb_columns() WHERE NOT internal ORDER BY table_name, column_index
        """
    ).fetchall():
        columns.setdefault(table, []).append(Column(*column))
    return {name: TableSchema(name, kind, comment, tuple(columns[name])) for name, kind, comment, _ in named}


def schema_drift(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables of a database that do not fit the schema, in words."""
    found = schema_of(connection)
    differences = []
    for name, expected in warehouse_schema().items():
        if expected.kind != "table":
            continue
        if name not in found:
            differences.append(f"{name} is missing")
            continue
        have = {column.name: column.type for column in found[name].columns}
        want = {column.name: column.type for column in expected.columns}
        differences += [
            f"{name}.{column} is {have.get(column, 'missing')} instead of {want.get(column, 'absent')}"
            for column in sorted(have.keys() | want.keys())
            if have.get(column) != want.get(column)
        ]
    return differences
