"""Which of several changes breaks a candidate."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.builds.bisecting import Search, Techniques, Verdict, largest_passing

NAMES = [f"R{number}" for number in range(1, 9)]


def failing_with(guilty: set[str], suspects: tuple[str, ...] = ()) -> Callable[[Techniques], Verdict]:
    return lambda techniques: Verdict(not (techniques & guilty), suspects)


def test_all_pass_at_the_first_attempt() -> None:
    search = Search(failing_with(set()), budget=1)
    assert largest_passing(search, NAMES, dict.fromkeys(NAMES, 0)) == frozenset(NAMES)
    assert len(search.tried) == 1


def test_a_right_suspicion_needs_two_attempts() -> None:
    search = Search(failing_with({"R5"}, suspects=("R5",)), budget=8)
    assert largest_passing(search, NAMES, dict.fromkeys(NAMES, 0)) == frozenset(NAMES) - {"R5"}
    assert len(search.tried) == 2


def test_a_wrong_suspicion_is_cleared() -> None:
    search = Search(failing_with({"R5"}, suspects=("R1", "R5")), budget=8)
    assert largest_passing(search, NAMES, dict.fromkeys(NAMES, 0)) == frozenset(NAMES) - {"R5"}


def test_the_riskiest_go_first() -> None:
    search = Search(failing_with({"R3"}), budget=3)
    kept = largest_passing(search, ["R1", "R3", "R5"], {"R1": 0, "R3": 1, "R5": 0})
    assert kept == frozenset({"R1", "R5"})
    assert list(search.tried) == [{"R1", "R3", "R5"}, {"R1", "R5"}]


def test_nothing_passes() -> None:
    assert largest_passing(Search(lambda _: Verdict(False), budget=20), NAMES, dict.fromkeys(NAMES, 1)) is None


@given(
    st.sets(st.sampled_from(NAMES), max_size=3),
    st.lists(st.sampled_from(NAMES), unique=True),
    st.lists(st.integers(0, 2), min_size=8, max_size=8),
)
def test_with_enough_builds_exactly_the_guilty_are_dropped(
    guilty: set[str], suspects: list[str], grades: list[int]
) -> None:
    search = Search(failing_with(guilty, tuple(suspects)), budget=100)
    kept = largest_passing(search, NAMES, dict(zip(NAMES, grades, strict=True)))
    assert (kept or frozenset()) == frozenset(NAMES) - guilty
    assert len(search.tried) <= 30


@given(st.sets(st.sampled_from(NAMES), max_size=3), st.integers(1, 6))
def test_the_budget_holds_and_what_is_kept_passed(guilty: set[str], budget: int) -> None:
    search = Search(failing_with(guilty), budget=budget)
    kept = largest_passing(search, NAMES, dict.fromkeys(NAMES, 0))
    assert len(search.tried) <= budget
    assert kept is None or search.tried[kept].passed
