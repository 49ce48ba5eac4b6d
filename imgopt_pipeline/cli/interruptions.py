"""Ctrl-C in a command that acts: what came of it is told, since something may be left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from imgopt_pipeline.cli.output import errors
from imgopt_pipeline.errors import Interrupted


@contextmanager
def outcome_told(outcome: Callable[[], str]) -> Iterator[None]:
    """After Ctrl-C say what came of it, in a sentence that `outcome` makes; empty where nothing had begun."""
    try:
        yield
    except Interrupted:
        told = outcome()
        if not told:
            raise
        errors().print(f"imgopt: interrupted. {told}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None
