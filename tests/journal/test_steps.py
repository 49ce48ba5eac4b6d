"""Steps are done once, and taken back from wherever they were left."""

from collections.abc import Callable
from pathlib import Path

import pytest

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.journal.journal import DONE, FAILED, UNDONE, Journal
from imgopt_pipeline.journal.steps import Step, begun, run_steps, undo_steps


class Killed(BaseException):
    """Ends a run as a kill does: nothing is journaled after it."""


def _steps(host: set[str], kill_in: str = "") -> list[Step]:
    def change(name: str, action: Callable[[str], None]) -> Callable[[], None]:
        def change_it() -> None:
            if name == kill_in:
                raise Killed
            action(name)

        return change_it

    return [Step(name, change(name, host.add), change(name, host.discard)) for name in ("a", "b", "c")]


def test_done_steps_are_not_done_again(tmp_path: Path) -> None:
    host: set[str] = set()
    with pytest.raises(Killed):
        run_steps(Journal(tmp_path), _steps(host, kill_in="b"))
    assert host == {"a"}
    host.clear()
    run_steps(Journal(tmp_path), _steps(host))
    assert host == {"b", "c"}
    run_steps(Journal(tmp_path), _steps(host), anew=True)
    assert host == {"a", "b", "c"}


@pytest.mark.parametrize("kill_in", ["a", "b", "c"])
def test_what_was_begun_is_taken_back(tmp_path: Path, kill_in: str) -> None:
    host: set[str] = set()
    with pytest.raises(Killed):
        run_steps(Journal(tmp_path), _steps(host, kill_in))
    with pytest.raises(Killed):
        undo_steps(Journal(tmp_path), _steps(host, kill_in))
    undo_steps(Journal(tmp_path), _steps(host))
    assert host == set()
    journal = Journal(tmp_path)
    assert not any(begun(journal, name) for name in "abc")
    assert journal.entries[-1].event == UNDONE


def test_a_failure_is_journaled_and_goes_on(tmp_path: Path) -> None:
    def fail() -> None:
        raise ImgoptError("it does not work.", subject="web")

    journal = Journal(tmp_path)
    with pytest.raises(ImgoptError):
        run_steps(journal, [Step("a", lambda: {"made": 1}), Step("b", fail)])
    assert [(entry.step, entry.event) for entry in journal.entries][-1] == ("b", FAILED)
    assert journal.entries[-1].facts == {"message": "web: it does not work."}
    assert journal.facts("a", DONE) == {"made": 1}
