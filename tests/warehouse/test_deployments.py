"""Deployments in the warehouse: what the views make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from imgopt_pipeline.warehouse.store import fetch_rows, publish, replace_rows, snapshot
from tests.warehouse.builds_made import MB, build_row
from tests.warehouse.deployments_made import Row, deployment_row


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "imgopt.duckdb"


def store(database: Path, *rows: Row, **tables: list[Row]) -> None:
    publish(database, lambda connection: replace_rows(connection, {"deployments": list(rows), **tables}))


def rows(database: Path, query: str) -> list[dict[str, Any]]:
    with snapshot(database) as connection:
        return fetch_rows(connection, query)


def test_the_newest_deployment_of_each_image(database: Path) -> None:
    store(
        database,
        deployment_row("old", days=3),
        deployment_row("new", days=1, outcome="rolled back"),
        deployment_row("nameless", None, days=9, subject="cron"),
        deployment_row("older", None, days=10, subject="cron"),
        deployment_row("far", host="web-1", days=20),
    )
    found = rows(database, "FROM latest_deployments")
    assert {row["deployment_id"] for row in found} == {"new", "nameless", "far"}


def test_what_was_gained_beside_what_was_expected(database: Path) -> None:
    store(
        database,
        deployment_row("within", "a:1", build_id="a"),
        deployment_row("beyond", "b:1", build_id="b", new_bytes=100 * MB, freed_bytes=880 * MB),
        deployment_row("flat", "c:1", build_id="c"),
        deployment_row("back", "d:1", build_id="a", outcome="rolled back"),
        builds=[build_row("a"), build_row("b"), build_row("c", kind="flatten")],
    )
    columns = "deployment_id, measured_bytes, likely_bytes, within_range, freed_bytes"
    found = rows(database, f"SELECT {columns} FROM measured_gains ORDER BY deployment_id")
    assert [tuple(row.values()) for row in found] == [
        ("beyond", 800 * MB, 450 * MB, False, 880 * MB),
        ("flat", 500 * MB, None, None, None),
        ("within", 500 * MB, 450 * MB, True, None),
    ]


@pytest.mark.parametrize("wrong", [{"outcome": "fine"}, {"summary": None}, {"units": None}])
def test_what_is_no_deployment_is_refused(database: Path, wrong: Row) -> None:
    with pytest.raises(duckdb.ConstraintException):
        store(database, deployment_row("d1", **wrong))
