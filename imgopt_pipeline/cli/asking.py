"""What every command that acts has in common: its options, and asking a person before it does anything."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from imgopt_pipeline.cli.output import show
from imgopt_pipeline.errors import SettingsError

HostName = Annotated[str | None, typer.Option("--host", help="The host. Default: the first of the settings.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def somebody_answers(*, yes: bool, dry_run: bool, json: bool) -> bool:
    """Whether the answer is given, or a person is there to give it."""
    return yes or dry_run or (sys.stdin.isatty() and not json)


def check_somebody_answers(*, yes: bool, dry_run: bool, json: bool) -> None:
    """Raise SettingsError where a person would have to be asked and none is there."""
    if not somebody_answers(yes=yes, dry_run=dry_run, json=json):
        raise SettingsError("nobody is there to ask.", hint="Add --yes, or --dry-run to see what would be done.")


def ask(question: str) -> None:
    """Go on only on a person's word; else end the command, and say that nothing was done.

    Raises SettingsError where nobody is there.
    """
    check_somebody_answers(yes=False, dry_run=False, json=False)
    if not typer.confirm(question):
        show("Nothing was changed.")
        raise typer.Exit(0)
