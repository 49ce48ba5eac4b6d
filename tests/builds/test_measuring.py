"""Expected and measured gains go by the same account: what is expected and all gone is measured in full."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.builds.measuring import expected_gains, measured_gains, total
from imgopt_pipeline.dockerfiles.facts import ByteRange
from imgopt_pipeline.dockerfiles.rewriting import Applied
from imgopt_pipeline.planning.facts import LEVELS, ClaimGroup, Record

NAMES = ("R1", "R7", "R9", "R12")
"""Rules that claim all they take away; those about packages of the distribution take more with them."""

levels = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2), min_size=1)
groups = st.lists(st.builds(ClaimGroup, st.just(1), levels, st.integers(0, 100), st.just(1), st.just("x")), max_size=8)
chosen = st.sets(st.sampled_from(NAMES))


def applied(technique: str, expected: ByteRange | None = None) -> Applied:
    return Applied(technique, "what it does", "safe", "what proves it", expected)


def naive_bytes(claims: Collection[ClaimGroup], techniques: Collection[str], level: int) -> int:
    """Each group asked on its own whether any of the techniques claims it at that level."""
    return sum(
        group.size_bytes
        for group in claims
        if any(technique in techniques and at <= level for technique, at in group.levels.items())
    )


@given(groups, chosen)
def test_expected_gains_add_up_to_the_union(claims: list[ClaimGroup], techniques: set[str]) -> None:
    gain = total(expected_gains(claims, [applied(technique) for technique in techniques], {}).values())
    low, likely, high = (naive_bytes(claims, techniques, level) for level in range(len(LEVELS)))
    assert (gain.low_bytes, gain.likely_bytes) == (low, likely)
    # With packages of the distribution goes what no package lists.
    assert high <= gain.high_bytes <= 1.15 * high + len(techniques)


@given(groups, groups, chosen)
def test_measured_gains_add_up_to_what_went(
    before: list[ClaimGroup], after: list[ClaimGroup], techniques: set[str]
) -> None:
    last = len(LEVELS) - 1
    went = naive_bytes(before, techniques, last) - naive_bytes(after, techniques, last)
    assert sum(measured_gains(before, after, techniques).values()) == went


@given(groups, chosen)
def test_where_all_of_it_is_gone_the_highest_gain_is_measured(claims: list[ClaimGroup], techniques: set[str]) -> None:
    expected = expected_gains(claims, [applied(technique) for technique in techniques], {})
    assert measured_gains(claims, [], techniques) == {name: gain.high_bytes for name, gain in expected.items()}


def test_bytes_count_once_whoever_claims_them() -> None:
    claims = [ClaimGroup(2, {"R7": 0, "R9": 1}, 90, 1, "jest"), ClaimGroup(2, {"R9": 1}, 10, 1, "manual")]
    gains = expected_gains(claims, [applied("R7"), applied("R9")], {})
    assert gains == {"R7": ByteRange(90, 90, 90), "R9": ByteRange(0, 10, 10)}
    alone = expected_gains(claims, [applied("R9")], {})
    assert alone == {"R9": ByteRange(0, 100, 100)}


def test_with_packages_of_the_distribution_more_may_go_than_they_list() -> None:
    claims = [ClaimGroup(2, {"R3": 0}, 1000, 1, "gcc"), ClaimGroup(2, {"R3": 2}, 1000, 1, "libgcc")]
    (gain,) = expected_gains(claims, [applied("R3")], {}).values()
    assert (gain.low_bytes, gain.likely_bytes) == (1000, 1000)
    assert 2000 < gain.high_bytes <= 2300
    assert measured_gains(claims, [], ["R3"]) == {"R3": 2000}


def test_a_rule_that_knows_better_is_believed_and_one_without_claims_frees_nothing() -> None:
    claims = [ClaimGroup(2, {"R1": 0}, 90, 1, "libcublas")]
    gains = expected_gains(claims, [applied("R1", ByteRange(10, 20, 30)), applied("R2")], {})
    assert gains == {"R1": ByteRange(10, 20, 30), "R2": ByteRange()}


def test_earlier_builds_correct_what_is_likely() -> None:
    claims = [ClaimGroup(2, {"R9": 1}, 100, 1, "tests"), ClaimGroup(2, {"R9": 2}, 300, 1, "testing")]
    gains = expected_gains(claims, [applied("R9")], {"R9": Record(kept=3, measured_per_likely=2.5)})
    assert gains == {"R9": ByteRange(0, 250, 400)}


def test_what_came_instead_counts_against_a_rule() -> None:
    before = [ClaimGroup(2, {"R3": 0}, 90, 1, "gcc")]
    after = [ClaimGroup(4, {"R3": 2}, 100, 1, "libpq5")]
    assert measured_gains(before, after, ["R3", "R9"]) == {"R3": -10, "R9": 0}
