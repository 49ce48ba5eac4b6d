"""`imgopt archive-files` and `imgopt restore-files`: files that nobody used for long, packed, and got back by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from imgopt_pipeline.cli.asking import DryRun, HostName, Json, Yes, ask, check_somebody_answers
from imgopt_pipeline.cli.interruptions import outcome_told
from imgopt_pipeline.cli.output import print_json, show, shown_progress
from imgopt_pipeline.settings import load_settings
from imgopt_pipeline.units import count, format_bytes

Directory = Annotated[
    str, typer.Argument(help="A directory: its path, an entry of `migrations:`, a volume, or who mounts it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("archive-files")(archive_files)
    app.command("restore-files")(restore_files)


def archive_files(
    name: Directory,
    unused_days: Annotated[float, typer.Option("--unused-days", help="Neither read nor written for so long.", min=1)],
    to: Annotated[Path, typer.Option(help="The folder that the archive is to lie in.", metavar="DIR")],
    yes: Yes = False,
    dry_run: DryRun = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """Pack files that nobody used for long, read the archive back, and only then delete them."""
    from imgopt_pipeline.migrations.file_archives import archive_directory, check_destination, unused_in

    settings = load_settings()
    host_name = host or next(iter(settings.hosts))
    check_somebody_answers(yes=yes, dry_run=dry_run, json=json)
    into = Path(os.path.abspath(to))
    check_destination(into)
    with shown_progress():
        folder, unused = unused_in(settings, host_name, name, unused_days)
    if json and dry_run:
        print_json({"folder": str(folder), "files": unused.files, "file_bytes": unused.file_bytes})
    elif not json:
        show(
            f"{folder}: neither read nor written for {unused_days:g} days:"
            f" {count(unused.files, 'file')} of {format_bytes(unused.file_bytes)}. {unused.remark}".strip()
        )
    if dry_run or not unused.files:
        return
    if not yes:
        ask(f"Pack them into {to}, and delete them in {folder}?")
    with (
        outcome_told(lambda: "No file goes before the archive was read back; the same command goes on."),
        shown_progress(),
    ):
        row = archive_directory(settings, host_name, folder, into, unused_days)
    if json:
        print_json(row)
    else:
        show(row["summary"], f"To get one back: imgopt restore-files {row['archive']} NAME")


def restore_files(
    archive: Annotated[Path, typer.Argument(help="An archive that `imgopt archive-files` made.")],
    names: Annotated[list[str] | None, typer.Argument(help="Files or folders in it; default: all.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="The folder to put them into; default: where they were.", metavar="DIR")
    ] = None,
    json: Json = False,
) -> None:
    """Get files back from an archive. Nothing that is there is written over."""
    from imgopt_pipeline.migrations.file_archives import restore

    settings = load_settings()
    with outcome_told(lambda: "What came already is whole; the same command goes on."), shown_progress():
        into, packed = restore(settings, Path(os.path.abspath(archive)), names or [], to)
    if json:
        print_json({"folder": str(into), "files": packed.files, "file_bytes": packed.file_bytes})
    else:
        show(f"Back in {into}: {count(packed.files, 'file')} of {format_bytes(packed.file_bytes)}.")
