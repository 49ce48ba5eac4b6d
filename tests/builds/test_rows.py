"""An optimization as rows of the warehouse: what the schema takes, and what the sentence says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from imgopt_pipeline.builds.attempting import Attempt
from imgopt_pipeline.builds.builder.capabilities import BuilderCapabilities
from imgopt_pipeline.builds.models import CheckResult, Source
from imgopt_pipeline.builds.optimizing import FAILED, KEPT, NOTHING_TO_CHANGE, Optimization
from imgopt_pipeline.builds.past import NOTHING
from imgopt_pipeline.builds.preparing import InUse, Options, Preparation
from imgopt_pipeline.builds.rows import Rows, build_rows, gain_words, summary
from imgopt_pipeline.dockerfiles.facts import ByteRange, ContextFacts, ImageFacts, PackageSources
from imgopt_pipeline.dockerfiles.rewriting import chosen_rules
from imgopt_pipeline.examining import Examination
from imgopt_pipeline.hosts.models import Image
from imgopt_pipeline.settings import TargetSettings
from imgopt_pipeline.warehouse.store import fetch_rows, publish, replace_rows, snapshot
from tests.warehouse.builds_made import MB

DOCKERFILE = "FROM debian:bookworm\nRUN apt-get update && apt-get install -y curl\nRUN pip install flask\n"
NAMES = ("R4", "R5", "R6")
GAINS = {
    "R4": ByteRange(10 * MB, 50 * MB, 90 * MB),
    "R5": ByteRange(20 * MB, 20 * MB, 20 * MB),
    "R6": ByteRange(30 * MB, 30 * MB, 40 * MB),
}
CANDIDATE = "sha256:" + "2" * 64


@pytest.fixture
def prepared(tmp_path: Path) -> Preparation:
    """Three rules that the Dockerfile gives cause for; the image and what is expected of it are made up."""
    image = Image("sha256:" + "1" * 64, ("shop-web:latest",), (), ())
    start = Preparation(
        in_use=InUse(image, {}, (), ()),
        target=TargetSettings(),
        source=Source("--dockerfile and --context", tmp_path / "Dock\nerfile", tmp_path, {"TOKEN": "hidden-value"}),
        original=DOCKERFILE,
        facts=ImageFacts(image.name, 900 * MB, "denied", claims=GAINS),
        examination=cast(Examination, None),  # rows tell nothing of it
        context=ContextFacts(),
        builder=BuilderCapabilities("buildkit"),
        rules=tuple(rule for rule in chosen_rules() if rule.technique in (*NAMES, "R17")),
        rewritten=cast(Any, None),
        gains=GAINS,
        past=NOTHING,
        options=Options(),
        sources=PackageSources(),
    )
    return replace(start, rewritten=start.rewritten_by(frozenset(NAMES)))


def attempt(
    prepared: Preparation, number: int, techniques: tuple[str, ...], *checks: CheckResult, **more: Any
) -> Attempt:
    rewritten = prepared.rewritten_by(frozenset(techniques))
    assert set(rewritten.techniques) == set(techniques)
    done = Attempt(number, rewritten, f"imgopt-attempt:{number}", Path(f"build-{number}.log"), checks=checks)
    given: dict[str, Any] = {"image_id": CANDIDATE, "size_bytes": 840 * MB} | more
    return replace(done, **given)


def optimization(prepared: Preparation, outcome: str, **more: Any) -> Optimization:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return Optimization(prepared, "build-1", outcome, moment, 61.5, Path("/builds/build-1"), **more)


@pytest.fixture
def kept(prepared: Preparation) -> Optimization:
    """R4 broke the application and was dropped."""
    said = "start: exits with code 1"
    first = attempt(prepared, 1, NAMES, CheckResult("start", "failed", "up", "down", "exits with code 1"), detail=said)
    best = attempt(prepared, 2, ("R5", "R6"), CheckResult("start", "passed"), CheckResult("gpu", "unverified"))
    return optimization(
        prepared,
        KEPT,
        attempts=(first, best),
        best=best,
        reference="shop-web:latest-optimized",
        dropped={"R4": said},
        measured={"R5": 20 * MB, "R6": 35 * MB},
    )


def stored(folder: Path, rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """The rows as the warehouse gives them back, which its constraints have passed."""
    database = folder / "warehouse" / "imgopt.duckdb"
    publish(database, lambda connection: replace_rows(connection, rows))
    with snapshot(database) as connection:
        return {table: fetch_rows(connection, f"FROM {table} ORDER BY rowid") for table in rows}


def test_a_candidate_that_was_kept(tmp_path: Path, kept: Optimization) -> None:
    tables = stored(tmp_path, build_rows("web-1", kept))
    (build,) = tables["builds"]
    assert (build["host"], build["reference"], build["outcome"]) == ("web-1", "shop-web:latest", "kept")
    assert (build["old_bytes"], build["new_bytes"], build["candidate_image_id"]) == (900 * MB, 840 * MB, CANDIDATE)
    assert (build["techniques"], build["dropped"], build["attempts"]) == (["R5", "R6"], ["R4"], 2)
    # Expected of the rules that are in it, so that it can be compared with what it measured.
    assert (build["low_bytes"], build["likely_bytes"], build["high_bytes"]) == (50 * MB, 50 * MB, 60 * MB)
    assert build["summary"] == (
        "900 MB → 840 MB (6.6 % smaller), 840 MB to 850 MB expected; 2 rules kept, 1 dropped, 1 check unverified."
    )
    assert [(row["attempt"], row["outcome"], row["failed_checks"]) for row in tables["build_attempts"]] == [
        (1, "check failed", ["start"]),
        (2, "passed", []),
    ]
    assert [(row["attempt"], row["check_name"], row["outcome"]) for row in tables["build_checks"]] == [
        (1, "start", "failed"),
        (2, "start", "passed"),
        (2, "gpu", "unverified"),
    ]


def test_what_became_of_each_rule(tmp_path: Path, kept: Optimization) -> None:
    rules = {row["technique"]: row for row in stored(tmp_path, build_rows("local", kept))["build_rules"]}
    assert {name: row["decision"] for name, row in rules.items()} == {"R4": "dropped", "R5": "kept", "R6": "kept"}
    assert rules["R4"]["reason"] == "start: exits with code 1"
    assert rules["R4"]["measured_bytes"] is None
    assert rules["R4"]["likely_bytes"] == 50 * MB
    assert (rules["R6"]["high_bytes"], rules["R6"]["measured_bytes"]) == (40 * MB, 35 * MB)
    assert rules["R6"]["reason"].startswith("pip would keep what it downloaded")


def test_no_candidate(tmp_path: Path, prepared: Preparation) -> None:
    first = attempt(prepared, 1, NAMES, image_id=None, size_bytes=None, detail="step 2 ended with exit code 1")
    result = optimization(
        prepared,
        FAILED,
        attempts=(first,),
        dropped=dict.fromkeys(NAMES, "step 2 ended with exit code 1"),
        remarks=("The Dockerfile does not build even as it is: no network.",),
    )
    tables = stored(tmp_path, build_rows("local", result))
    (build,) = tables["builds"]
    assert (build["outcome"], build["new_bytes"], build["candidate_reference"]) == ("failed", None, None)
    assert build["summary"] == ("No candidate was kept. The Dockerfile does not build even as it is: no network.")
    assert build["techniques"] == list(prepared.rewritten.techniques)
    assert [row["outcome"] for row in tables["build_attempts"]] == ["build failed"]
    assert {row["decision"] for row in tables["build_rules"]} == {"dropped"}


def test_not_worth_a_build(tmp_path: Path, prepared: Preparation) -> None:
    result = optimization(prepared, NOTHING_TO_CHANGE)
    tables = stored(tmp_path, build_rows("local", result))
    assert tables["builds"][0]["summary"] == "Nothing worth changing: 100 MB of 900 MB would go."
    assert tables["builds"][0]["attempts"] == 0
    assert {row["decision"] for row in tables["build_rules"]} == {"left out"}
    unchanged = replace(prepared, rewritten=prepared.rewritten_by(frozenset()))
    assert summary(optimization(unchanged, NOTHING_TO_CHANGE)) == "Nothing worth changing."


def test_rules_that_changed_nothing_are_told_with_their_reason(tmp_path: Path, prepared: Preparation) -> None:
    rewritten = replace(prepared.rewritten, left_out={"R17": "nothing can be joined"})
    result = optimization(replace(prepared, rewritten=rewritten), NOTHING_TO_CHANGE)
    rules = {row["technique"]: row for row in stored(tmp_path, build_rows("local", result))["build_rules"]}
    assert rules["R17"]["decision"] == "left out"
    assert rules["R17"]["reason"] == "nothing can be joined"
    assert rules["R17"]["likely_bytes"] is None


def test_no_value_of_a_build_argument_and_no_raw_name_gets_in(kept: Optimization) -> None:
    rows = build_rows("local", kept)
    assert "hidden-value" not in str(rows)
    assert rows["builds"][0]["dockerfile"].endswith("Dock\\x0aerfile")


@pytest.mark.parametrize(
    ("old_bytes", "new_bytes", "words"),
    [
        (8_770 * MB, 3_410 * MB, "8.77 GB → 3.41 GB (61.1 % smaller)"),
        (100 * MB, 150 * MB, "100 MB → 150 MB (50 % larger)"),
        (0, 0, "0 B → 0 B (0 % smaller)"),
    ],
)
def test_gains_in_words(old_bytes: int, new_bytes: int, words: str) -> None:
    assert gain_words(old_bytes, new_bytes) == words
