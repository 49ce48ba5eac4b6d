"""Each built-in rule finds exactly what it should where it should, and nothing elsewhere.

All hosts of rule_cases.py are audits in one warehouse, so every rule is also seen to look at its own audit only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from imgopt_pipeline.findings.headers import TECHNIQUES
from imgopt_pipeline.findings.rule_files import built_in_rules, load_rules, rule_values
from imgopt_pipeline.findings.runner import RulesRun, finding_rows, run_rules
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import publish, replace_rows, snapshot
from tests.findings.rule_cases import CASES, Case
from tests.findings.warehouse_made import HOST, as_audit, host, together, write

RULES = {rule.rule_id: rule for rule in built_in_rules()}
VALUES = rule_values(Settings(home=Path()))


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    audits = [as_audit(case.finds, f"finds {case.rule_id}") for case in CASES]
    audits += [as_audit(case.nothing, f"nothing {case.rule_id}") for case in CASES]
    audits += [as_audit(CASES[0].finds, "elsewhere", "other"), as_audit(host(), "empty")]
    path = write(tmp_path_factory.mktemp("rules") / "imgopt.duckdb", together(*audits))
    with snapshot(path) as connection:
        yield connection


def run(connection: duckdb.DuckDBPyConnection, audit_id: str, *rule_ids: str) -> RulesRun:
    return run_rules(connection, HOST, audit_id, [RULES[rule_id] for rule_id in rule_ids], VALUES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule_id)
def test_the_rule_finds_its_subject(warehouse: duckdb.DuckDBPyConnection, case: Case) -> None:
    audit_id = f"finds {case.rule_id}"
    done = run(warehouse, audit_id, case.rule_id)
    assert done.problems == []
    assert len(done.findings) == 1, done.findings
    found = done.findings[0]
    expected = case.row
    if expected["image_id"]:
        expected = expected | {"image_id": f"{audit_id}:{expected['image_id']}"}
    assert {name: found[name] for name in expected} == expected
    assert case.evidence in found["evidence"]
    assert case.advice in found["advice"]
    assert (found["audit_id"], found["host"], found["rule_id"]) == (audit_id, HOST, case.rule_id)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule_id)
def test_the_rule_finds_nothing_where_nothing_is(warehouse: duckdb.DuckDBPyConnection, case: Case) -> None:
    assert run(warehouse, f"nothing {case.rule_id}", case.rule_id) == RulesRun([], [])


def test_every_rule_has_a_case() -> None:
    assert sorted(case.rule_id for case in CASES) == sorted(RULES)


def test_every_technique_has_a_rule_that_names_it() -> None:
    named = [rule.technique for rule in RULES.values() if rule.technique]
    assert sorted(named) == sorted(TECHNIQUES)


def test_only_the_audit_and_host_asked_for_are_looked_at(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert run(warehouse, "empty", *RULES) == RulesRun([], [])
    assert run(warehouse, "elsewhere", *RULES) == RulesRun([], [])  # the audit of another host
    other = run_rules(warehouse, "other", "elsewhere", list(RULES.values()), VALUES)
    assert "gpu-build-without-gpu" in {row["rule_id"] for row in other.findings}


def test_the_warehouse_takes_what_all_rules_find(
    warehouse: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = [row for case in CASES for row in run(warehouse, f"finds {case.rule_id}", case.rule_id).findings]
    database = tmp_path_factory.mktemp("found") / "imgopt.duckdb"
    tables = {"findings": found, "finding_rules": finding_rows(load_rules(None)[0])}
    publish(database, lambda connection: replace_rows(connection, tables))
    with snapshot(database) as connection:
        assert connection.execute("SELECT count(*) FROM findings").fetchone() == (len(found),)
        rules = connection.execute("SELECT rule_id FROM finding_rules ORDER BY rule_id").fetchall()
    assert [row[0] for row in rules] == sorted(RULES)
    assert len(found) == len(CASES)
