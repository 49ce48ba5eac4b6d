"""What is kept for a time never goes early, whatever the clocks say."""

from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.journal.clock import Moment, certain_seconds, now

DAY = 86_400.0


def test_within_one_boot_it_is_the_time_since_boot_and_not_the_wall_clock() -> None:
    assert certain_seconds([Moment(1e9, "a", 100), Moment(5e9, "a", 160)]) == 60
    assert certain_seconds([Moment(1e9, "a", 100), Moment(1e3, "a", 160)]) == 60


def test_across_a_restart_only_the_time_since_then_is_certain() -> None:
    assert certain_seconds([Moment(0, "a", 100), Moment(9e9, "b", 30)]) == 30


def test_sightings_add_up() -> None:
    days = [Moment(day * DAY, "a", day * DAY) for day in range(8)]
    assert certain_seconds(days) == 7 * DAY


def test_now_goes_on() -> None:
    first, second = now(), now()
    assert first.boot_id == second.boot_id
    assert 0 <= certain_seconds([first, second]) < 5


@given(
    st.lists(
        st.tuples(st.floats(0, 30 * DAY), st.booleans(), st.floats(-400 * DAY, 400 * DAY)), min_size=1, max_size=20
    )
)
def test_it_is_never_more_than_what_passed(steps: list[tuple[float, bool, float]]) -> None:
    """A naive model of time: it passes, the machine restarts at once or not at all, the wall clock is set at will."""
    true, booted, boot, error = 0.0, 0.0, 0, 0.0
    moments = [Moment(0, "boot 0", 0)]
    for passed, restarts, error in steps:
        if restarts:
            boot, booted = boot + 1, true
        true += passed
        moments.append(Moment(true + error, f"boot {boot}", true - booted))
    assert certain_seconds(moments) <= true + 1e-6 * (1 + true)
