"""Something happens at an entry of a journal: a process kills itself there, or the surroundings change.

Belongs here: how it is made to happen. Does not belong here: what is expected then.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.journal.journal import Entry, Journal

FORK = multiprocessing.get_context("fork")
KILLED = -signal.SIGKILL


def entries_of(act: Callable[[], object]) -> list[Entry]:
    """The journal entries that something writes when nothing stops it."""
    entries: list[Entry] = []
    with on_append(entries.append):
        act()
    return entries


@contextmanager
def on_append(react: Callable[[Entry], None]) -> Iterator[None]:
    """Have something happen right after each journal entry is written."""
    append = Journal.append

    def reacting(journal: Journal, *given: Any, **facts: Any) -> Entry:
        entry = append(journal, *given, **facts)
        react(entry)
        return entry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", reacting)
        yield


def kills(entries: Sequence[Entry]) -> Iterator[tuple[int, str]]:
    """Where to kill what wrote these entries: before each, and after each with which a step begins.

    Between the end of a step and the beginning of the next nothing happens: killed there, all is the same.
    """
    for number, entry in enumerate(entries, start=1):
        yield number, "before"
        if entry.event == "begun":
            yield number, "after"


def killed(number: int, moment: str, act: Callable[[], object]) -> int:
    """Act in a child process that kills itself before or after its nth journal entry; how it ended."""
    process = FORK.Process(target=_child, args=(number, moment, act))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def counted(outcomes: Sequence[str]) -> str:
    """`12 rolled back, 3 verified`."""
    return ", ".join(f"{outcomes.count(each)} {each}" for each in sorted(set(outcomes)))


def _child(number: int, moment: str, act: Callable[[], object]) -> None:
    append, count = Journal.append, 0

    def killing(journal: Journal, *given: Any, **facts: Any) -> Entry:
        nonlocal count
        count += 1
        if count == number and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        entry = append(journal, *given, **facts)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return entry

    Journal.append = killing  # type: ignore[method-assign, assignment]
    try:
        act()
    except ImgoptError:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
