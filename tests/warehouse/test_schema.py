"""The schema explains itself: every table, column and view has a comment, and units stand in the names."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from imgopt_pipeline.warehouse.schema import schema_drift, warehouse_schema
from imgopt_pipeline.warehouse.store import publish, snapshot

TABLES = [table for table in warehouse_schema().values() if table.kind == "table"]
VIEWS = [table for table in warehouse_schema().values() if table.kind == "view"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_tables_and_columns_have_comments(table) -> None:  # type: ignore[no-untyped-def]
    assert table.comment.endswith(".")
    assert [column.name for column in table.columns if not column.comment.endswith(".")] == []


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_views_have_comments_and_work_on_an_empty_warehouse(view, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert view.comment.endswith(".")
    database = tmp_path / "imgopt.duckdb"
    publish(database, lambda connection: None)
    with snapshot(database) as connection:
        assert connection.execute(f'FROM "{view.name}"').fetchall() == []


def test_sizes_name_their_unit() -> None:
    sizes = {column.name for table in TABLES for column in table.columns if "size" in column.name}
    assert {name for name in sizes if not name.endswith("_bytes")} == set()


def test_a_fresh_warehouse_does_not_drift(tmp_path: Path) -> None:
    database = tmp_path / "imgopt.duckdb"
    publish(database, lambda connection: None)
    with snapshot(database) as connection:
        assert schema_drift(connection) == []


def test_drift_is_named() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE layers (diff_id INTEGER, extra VARCHAR)")
        drift = schema_drift(connection)
    assert "audits is missing" in drift
    assert "layers.diff_id is INTEGER instead of VARCHAR" in drift
    assert "layers.extra is VARCHAR instead of absent" in drift
