"""How long work tells whoever waits for it how far it is, without knowing who that is.

Domain code calls `current()`; the command line installs a reporter for the duration of a command.
A context variable, so that the reporter reaches code that runs inside a Dagster step of this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """Receives what is being done and how many bytes of it are through."""

    def start(self, what: str, total_bytes: int | None = None) -> None: ...
    def advance(self, done_bytes: int) -> None: ...
    def note(self, message: str) -> None: ...


class Silent:
    """Tells nobody."""

    def start(self, what: str, total_bytes: int | None = None) -> None: ...
    def advance(self, done_bytes: int) -> None: ...
    def note(self, message: str) -> None: ...


_SILENT = Silent()
_CURRENT: ContextVar[Progress | None] = ContextVar("progress", default=None)


def current() -> Progress:
    """The reporter of this context."""
    return _CURRENT.get() or _SILENT


@contextmanager
def reporting(progress: Progress) -> Iterator[None]:
    """Install a reporter for the duration of a block."""
    token = _CURRENT.set(progress)
    try:
        yield
    finally:
        _CURRENT.reset(token)
