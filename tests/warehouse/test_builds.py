"""Optimized builds in the warehouse: what the views make of them, and how long they stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.warehouse.retention import prune_audits
from imgopt_pipeline.warehouse.store import fetch_rows, publish, replace_rows, snapshot
from tests.warehouse.builds_made import MB, Row, attempt_row, build_row, check_row, rule_row


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "imgopt.duckdb"


def store(database: Path, **tables: Sequence[Row]) -> None:
    publish(database, lambda connection: replace_rows(connection, tables))


def rows(database: Path, query: str) -> list[dict[str, Any]]:
    with snapshot(database) as connection:
        return fetch_rows(connection, query)


def accuracy(database: Path) -> Mapping[str, Row]:
    return {row["technique"]: row for row in rows(database, "FROM estimate_accuracy")}


def test_the_newest_build_of_each_image(database: Path) -> None:
    store(
        database,
        builds=[
            build_row("old", days=3),
            build_row("new", days=1, outcome="failed"),
            build_row("other", "shop-api:2", days=9),
            build_row("far", host="web-1", days=20),
        ],
    )
    assert {row["build_id"] for row in rows(database, "FROM latest_builds")} == {"new", "other", "far"}


def test_expected_and_measured_gain_of_candidates(database: Path) -> None:
    store(
        database,
        builds=[
            build_row("within", "a:1"),
            build_row("beyond", "b:1", new_bytes=100 * MB),
            build_row("failed", "c:1", outcome="failed"),
            build_row("flat", "d:1", kind="flatten"),
        ],
    )
    found = rows(database, "SELECT reference, measured_bytes, within_range FROM build_accuracy ORDER BY reference")
    assert found == [
        {"reference": "a:1", "measured_bytes": 500 * MB, "within_range": True},
        {"reference": "b:1", "measured_bytes": 800 * MB, "within_range": False},
    ]


def test_how_rules_did(database: Path) -> None:
    store(
        database,
        builds=[build_row(name, f"{name}:1", source_image_id=name) for name in ("a", "b", "c")],
        build_rules=[
            rule_row("a", "R3", expected=(0, 200, 400), measured=300),
            rule_row("b", "R3", expected=(0, 200, 400), measured=500),
            rule_row("c", "R3", decision="dropped", measured=None),
            rule_row("a", "R9", decision="dropped", measured=None),
            rule_row("a", "R8", decision="left out", measured=None),
        ],
    )
    found = accuracy(database)
    assert set(found) == {"R3", "R9"}
    assert found["R3"] == {
        "technique": "R3",
        "kept": 2,
        "dropped": 1,
        "likely_bytes": 400,
        "measured_bytes": 800,
        "within_range": 1,
        "measured_per_likely": 2.0,
    }
    assert (found["R9"]["kept"], found["R9"]["dropped"], found["R9"]["measured_per_likely"]) == (0, 1, None)


def test_building_the_same_image_again_counts_once(database: Path) -> None:
    store(
        database,
        builds=[build_row(f"b{days}", days=days) for days in range(5)],
        build_rules=[rule_row(f"b{days}", "R3", expected=(0, 100, 900), measured=100 + days) for days in range(5)],
    )
    (row,) = accuracy(database).values()
    assert (row["kept"], row["measured_bytes"]) == (1, 100)


def test_a_rule_that_frees_nothing_it_was_not_expected_to_has_no_ratio(database: Path) -> None:
    store(
        database,
        builds=[build_row("a")],
        build_rules=[rule_row("a", "R11", expected=(0, 0, 0), measured=0)],
    )
    assert accuracy(database)["R11"]["measured_per_likely"] is None


def test_old_builds_go_with_all_that_belongs_to_them_but_the_newest_of_an_image_stays(database: Path) -> None:
    names = {"old": 400, "newer": 300, "fresh": 1}
    builds = [build_row(name, days=days) for name, days in names.items()] + [build_row("only", "b:1", days=900)]
    every = [row["build_id"] for row in builds]
    store(
        database,
        builds=builds,
        build_attempts=[attempt_row(name, 1) for name in every],
        build_rules=[rule_row(name, "R3") for name in every],
        build_checks=[check_row(name, 1, "start") for name in every],
    )
    prune_audits(database, audit_days=350)
    for table in ("builds", "build_attempts", "build_rules", "build_checks"):
        assert {row["build_id"] for row in rows(database, f"FROM {table}")} == {"newer", "fresh", "only"}, table
    prune_audits(database, audit_days=30)
    for table in ("builds", "build_attempts", "build_rules", "build_checks"):
        assert {row["build_id"] for row in rows(database, f"FROM {table}")} == {"fresh", "only"}, table


def test_a_build_that_is_stored_again_takes_the_place_of_its_rows(database: Path) -> None:
    store(database, builds=[build_row("a")], build_checks=[check_row("a", 1, "start"), check_row("a", 1, "probe")])
    store(database, builds=[build_row("a", outcome="failed")], build_checks=[check_row("a", 1, "start")])
    assert [row["outcome"] for row in rows(database, "FROM builds")] == ["failed"]
    assert [row["check_name"] for row in rows(database, "FROM build_checks")] == ["start"]
