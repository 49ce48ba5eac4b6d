"""The steps of an action, each journaled before and after, and the way back over those that were begun.

Each step can be done again, and taken back, from wherever a crash left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.journal.journal import BEGUN, DONE, FAILED, UNDOING, UNDONE, Journal

Facts = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `do` gives what is journaled of it; `undo` is None where nothing has to be taken back.

    Both look at what stands before they change it: a step may have been begun before, and cut off anywhere.
    """

    name: str
    do: Callable[[], Facts]
    undo: Callable[[], Facts] | None = None


def run_steps(journal: Journal, steps: Iterable[Step], *, anew: bool = False) -> None:
    """Do the steps that are not done yet, or all `anew`, in order. What one raises is journaled and goes on."""
    for step in steps:
        last = journal.last(step.name)
        if not anew and last is not None and last.event == DONE:
            continue
        journal.append(step.name, BEGUN)
        try:
            facts = step.do()
        except ImgoptError as error:
            journal.append(step.name, FAILED, message=str(error))
            raise
        journal.append(step.name, DONE, **(facts or {}))


def undo_steps(journal: Journal, steps: Sequence[Step]) -> None:
    """Take back the steps that were begun, the last first. Stops at the first that cannot be taken back."""
    for step in reversed(steps):
        last = journal.last(step.name)
        if last is None or last.event == UNDONE:
            continue
        journal.append(step.name, UNDOING)
        facts = step.undo() if step.undo is not None else None
        journal.append(step.name, UNDONE, **(facts or {}))


def begun(journal: Journal, step: str) -> bool:
    """Whether a step may have changed something that is not taken back."""
    last = journal.last(step)
    return last is not None and last.event != UNDONE
