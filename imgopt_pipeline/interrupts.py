"""Ctrl-C and SIGTERM as an exception, so that whatever a command holds is let go on the way out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from imgopt_pipeline.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def raise_interrupts() -> None:
    """From now on Ctrl-C and SIGTERM raise Interrupted."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Keep an interrupt back until the block is through, where a library would be torn in the middle.

    Other threads than the main one get no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise Interrupted


def _interrupt(_signal: int, _frame: object) -> None:
    raise Interrupted
