"""What earlier builds teach: likely gains as measured, within their bounds; a higher risk for what often failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.planning.corrections import corrected_bytes, corrected_estimate, learned_risk
from imgopt_pipeline.planning.estimates import union_estimate
from imgopt_pipeline.planning.facts import ClaimGroup, Record, load_records
from imgopt_pipeline.planning.plan import plan_rows
from imgopt_pipeline.warehouse.store import publish, replace_rows, snapshot
from tests.planning.warehouse_made import APT_LAYER, AUDIT, BASE_LAYER, GB, HOST, MB, Layer, Server
from tests.warehouse.builds_made import build_row, rule_row

ratios = st.one_of(st.none(), st.floats(-2, 20))
records = st.builds(Record, kept=st.integers(0, 5), dropped=st.integers(0, 5), measured_per_likely=ratios)


@pytest.mark.parametrize(
    ("record", "likely"),
    [
        (None, 200),
        (Record(kept=1, measured_per_likely=1.5), 200),  # one build alone teaches nothing
        (Record(kept=2, measured_per_likely=1.05), 200),  # near enough
        (Record(kept=2, measured_per_likely=1.5), 300),
        (Record(kept=2, measured_per_likely=0.6), 120),
        (Record(kept=9, measured_per_likely=7.0), 400),  # within the bounds that were seen in the image
        (Record(kept=9, measured_per_likely=0.0), 100),
        (Record(kept=9, measured_per_likely=None), 200),
    ],
)
def test_the_likely_gain(record: Record | None, likely: int) -> None:
    assert corrected_bytes(100, 200, 400, record) == likely


@given(st.lists(st.integers(0, 10**12), min_size=3, max_size=3), records)
def test_corrected_gains_stay_within_their_bounds(bounds: list[int], record: Record) -> None:
    low, likely, high = sorted(bounds)
    assert low <= corrected_bytes(low, likely, high, record) <= high


@given(st.dictionaries(st.sampled_from(["R3", "R4", "R9"]), records))
def test_corrected_parts_add_up_and_bounds_do_not_move(taught: dict[str, Record]) -> None:
    groups = [
        ClaimGroup(1, {"R3": 0}, 50, 1, "a"),
        ClaimGroup(1, {"R3": 2}, 70, 1, "b"),
        ClaimGroup(2, {"R4": 1, "R9": 2}, 90, 1, "c"),
    ]
    before = union_estimate(groups, ["R3", "R4", "R9"])
    after = corrected_estimate(before, taught)
    assert (after.low_bytes, after.high_bytes) == (before.low_bytes, before.high_bytes)
    assert sum(part.likely_bytes for part in after.parts) == after.likely_bytes
    assert after.low_bytes <= after.likely_bytes <= after.high_bytes
    assert [part.likely_bytes for part in after.parts] == sorted((p.likely_bytes for p in after.parts), reverse=True)


@pytest.mark.parametrize(
    ("technique", "record", "risk"),
    [
        ("R4", None, "low"),
        ("R4", Record(kept=0, dropped=1), "low"),
        ("R4", Record(kept=2, dropped=2), "low"),
        ("R4", Record(kept=0, dropped=2), "medium"),
        ("R4", Record(kept=2, dropped=3), "medium"),
        ("R3", Record(kept=0, dropped=5), "high"),
    ],
)
def test_the_risk(technique: str, record: Record | None, risk: str) -> None:
    assert learned_risk(technique, {technique: record} if record else {}) == risk


def store(database: Path, *fates: tuple[str, dict[str, Any]]) -> None:
    """A build of its own image for each fate of a rule."""
    tables = {
        "builds": [build_row(f"b{n}", f"b{n}:1", source_image_id=f"b{n}") for n, _ in enumerate(fates)],
        "build_rules": [rule_row(f"b{n}", technique, **more) for n, (technique, more) in enumerate(fates)],
    }
    publish(database, lambda connection: replace_rows(connection, tables))


def test_records_come_from_the_builds(tmp_path: Path) -> None:
    store(
        tmp_path / "imgopt.duckdb",
        ("R3", {"expected": (0, 100, 400), "measured": 150}),
        ("R3", {"expected": (0, 300, 400), "measured": 450}),
        ("R9", {"decision": "dropped", "measured": None}),
    )
    with snapshot(tmp_path / "imgopt.duckdb") as connection:
        assert load_records(connection) == {"R3": Record(2, 0, 1.5), "R9": Record(0, 1, None)}


def planned(folder: Path, *fates: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """The plan's row on an image with build tools, after builds with these fates."""
    server = Server()
    tools = Layer("tools", "RUN apt-get install -y gcc", 2 * GB, {"R3:likely": 800 * MB, "R3:high": 600 * MB})
    server.container("web", server.image("shop-web:latest", [BASE_LAYER, APT_LAYER, tools]))
    database = server.publish(folder)
    store(database, *fates)
    with snapshot(database) as connection:
        (row,) = plan_rows(connection, HOST, AUDIT)
    return row


def test_the_plan_believes_what_was_measured(tmp_path: Path) -> None:
    kept = ("R3", {"expected": (0, 100, 400), "measured": 150})
    before, after = planned(tmp_path / "before"), planned(tmp_path / "after", kept, kept)
    assert after["likely_bytes"] - before["likely_bytes"] == (90 * MB + 800 * MB) // 2
    assert (after["low_bytes"], after["high_bytes"]) == (before["low_bytes"], before["high_bytes"])
    assert after["risk"] == before["risk"] == "medium"


def test_the_plan_warns_of_what_was_dropped(tmp_path: Path) -> None:
    dropped: tuple[str, dict[str, Any]] = ("R3", {"decision": "dropped", "measured": None})
    before, after = planned(tmp_path / "before", dropped), planned(tmp_path / "after", dropped, dropped)
    assert (before["risk"], after["risk"]) == ("medium", "high")
    warning = "Earlier builds mostly had to go without R3."
    assert warning in after["reason"]
    assert warning not in before["reason"]
