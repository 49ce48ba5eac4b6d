"""What earlier builds of an image showed: rules it cannot do without, and the candidate that passed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from imgopt_pipeline.builds.checks.conditions import FILE_NAME
from imgopt_pipeline.builds.models import CheckResult, Outcome
from imgopt_pipeline.builds.past import NOTHING, load_past
from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.planning.facts import Record
from imgopt_pipeline.warehouse.store import publish, replace_rows
from tests.warehouse.builds_made import CANDIDATE, IN_USE, Row, attempt_row, build_row, check_row, rule_row


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "imgopt.duckdb"


def store(database: Path, **tables: Sequence[Row]) -> None:
    publish(database, lambda connection: replace_rows(connection, tables))


def dropped(build_id: str, technique: str, reason: str) -> Row:
    return rule_row(build_id, technique, decision="dropped", measured=None, reason=reason)


def test_without_a_warehouse_nothing_is_known(database: Path) -> None:
    assert load_past(database, "local", IN_USE) == NOTHING
    publish(database, lambda connection: None)
    assert load_past(database, "local", IN_USE) == NOTHING


def test_a_dropped_rule_is_remembered_for_this_very_image(database: Path) -> None:
    store(
        database,
        builds=[build_row("a")],
        build_rules=[dropped("a", "R9", "start: exits with code 1"), rule_row("a", "R3")],
    )
    assert load_past(database, "local", IN_USE).dropped == {"R9": "start: exits with code 1"}
    assert load_past(database, "local", "sha256:another").dropped == {}
    assert load_past(database, "web-1", IN_USE).dropped == {}
    assert load_past(database, "web-1", IN_USE).records["R9"] == Record(0, 1, None)


def test_the_newest_fate_counts(database: Path) -> None:
    store(
        database,
        builds=[build_row("first", days=3), build_row("second", days=2), build_row("third", days=1)],
        build_rules=[
            dropped("first", "R9", "then"),
            rule_row("second", "R9"),  # named by somebody with --rules, and it passed
            rule_row("first", "R4"),
            dropped("second", "R4", "later"),
            # Left out is no fate: that happens because it was dropped before.
            rule_row("third", "R4", decision="left out", measured=None),
        ],
    )
    assert load_past(database, "local", IN_USE).dropped == {"R4": "later"}


def test_the_candidate_that_was_kept_and_its_checks(database: Path) -> None:
    store(
        database,
        builds=[
            build_row("older", days=5, candidate_image_id="sha256:older"),
            build_row("kept", days=2),
            build_row("failed", days=1, outcome="failed"),
        ],
        build_attempts=[
            attempt_row("older", 1, image_id="sha256:older"),
            attempt_row("kept", 1, image_id="sha256:broken", outcome="check failed"),
            attempt_row("kept", 2),
            attempt_row("failed", 1, outcome="check failed"),
        ],
        build_checks=[
            check_row("older", 1, "start"),
            check_row("kept", 1, "start", outcome="failed", detail="exits with code 1"),
            check_row("kept", 2, "start"),
            check_row("kept", 2, "gpu", outcome="unverified", detail="no GPU here"),
            check_row("failed", 1, "start", outcome="failed"),
        ],
    )
    past = load_past(database, "local", IN_USE)
    assert past.candidate_id == CANDIDATE
    assert past.checks == (
        CheckResult("start", "passed", "as it was", "as it was"),
        CheckResult("gpu", "unverified", "as it was", "as it was", "no GPU here"),
    )


@pytest.mark.parametrize(
    ("candidate", "conditions", "start", "known"),
    [
        (CANDIDATE, "as before", "passed", True),
        ("sha256:another", "as before", "passed", False),
        (CANDIDATE, "another probe", "passed", False),
        (CANDIDATE, "as before", "unverified", False),  # it may have been given what it lacked
    ],
)
def test_checks_are_told_again_where_nothing_changed(
    database: Path, tmp_path: Path, candidate: str, conditions: str, start: Outcome, known: bool
) -> None:
    (tmp_path / FILE_NAME).write_text("as before")
    store(
        database,
        builds=[build_row("kept", folder=str(tmp_path))],
        build_attempts=[attempt_row("kept", 1)],
        build_checks=[check_row("kept", 1, "start", outcome=start), check_row("kept", 1, "gpu", outcome="unverified")],
    )
    told = load_past(database, "local", IN_USE).told(candidate, conditions)
    assert [check.check for check in told] == (["start", "gpu"] if known else [])


def test_without_the_folder_of_a_build_its_conditions_are_not_known(database: Path) -> None:
    store(
        database,
        builds=[build_row("kept", folder="/builds/gone")],
        build_attempts=[attempt_row("kept", 1)],
        build_checks=[check_row("kept", 1, "start")],
    )
    assert load_past(database, "local", IN_USE).told(CANDIDATE, "as before") == ()


def test_a_warehouse_of_an_earlier_version_says_what_to_do(database: Path) -> None:
    duckdb.connect(str(database)).close()
    with pytest.raises(StorageError, match="earlier version"):
        load_past(database, "local", IN_USE)
