"""`imgopt rewrite`: a better Dockerfile by its text alone, as a diff."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from imgopt_pipeline.cli.asking import Json
from imgopt_pipeline.cli.output import errors, print_json, show

Level = Annotated[str, typer.Option(help="How far to go: safe, balanced or aggressive.")]
Rules = Annotated[str, typer.Option(help="Only these rules, like R1,R5.")]
Without = Annotated[str, typer.Option(help="All but these rules.")]
Write = Annotated[bool, typer.Option("--write", help="Write the Dockerfile too; the old one stays beside it.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("rewrite")(rewrite)


def rewrite(
    dockerfile: Annotated[Path, typer.Argument(help="The Dockerfile.")] = Path("Dockerfile"),
    level: Level = "safe",
    rules: Rules = "",
    without: Without = "",
    context: Annotated[Path | None, typer.Option(help="The folder it is built in. Default: its own folder.")] = None,
    stage: Annotated[str | None, typer.Option("--target", help="The stage that matters. Default: the last.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the reasons above the diff, not on standard error.")
    ] = False,
    write: Write = False,
    json: Json = False,
) -> None:
    """Print a better Dockerfile as a diff that `patch` applies, by what its text alone justifies. Needs no engine."""
    from imgopt_pipeline.dockerfiles.context import read_context
    from imgopt_pipeline.dockerfiles.diff import unified_diff
    from imgopt_pipeline.dockerfiles.files import add_ignore_lines, read_dockerfile
    from imgopt_pipeline.dockerfiles.rewriting import chosen_rules
    from imgopt_pipeline.dockerfiles.rewriting import rewrite as rewritten_by
    from imgopt_pipeline.reports.builds import (
        ignore_view,
        left_out_lines,
        printable_lines,
        reason_lines,
        rewrite_document,
    )

    chosen = chosen_rules(level, rule_ids(rules), rule_ids(without))
    text = read_dockerfile(dockerfile)
    folder = context or dockerfile.absolute().parent
    result = rewritten_by(
        text, chosen, name=str(dockerfile), stage=stage, context=read_context(folder, str(dockerfile))
    )
    if json:
        print_json(rewrite_document(result, dockerfile.name))
    else:
        words = [*reason_lines(result), *ignore_view(result), *left_out_lines(result)]
        if explain:
            show(*words)
        else:
            for line in words:
                errors().print(line, markup=False, highlight=False, soft_wrap=True)
        diff = unified_diff(text, result.text, dockerfile.name)
        if sys.stdout.isatty():
            show(printable_lines(diff))
        else:
            sys.stdout.buffer.write(diff.encode())
        if not diff and not explain:
            errors().print("Nothing to change by its text alone.", markup=False)
    if write and result.text != text:
        replace_dockerfile(dockerfile, result.text)
    if write and result.ignore_lines:
        path = add_ignore_lines(folder, dockerfile, result.ignore_lines)
        errors().print(
            f"Added {', '.join(result.ignore_lines)} to {path}.", markup=False, highlight=False, soft_wrap=True
        )


def rule_ids(given: str) -> list[str]:
    """`r1, R5` as IDs of rules."""
    return [name.strip().upper() for name in given.split(",") if name.strip()]


def replace_dockerfile(path: Path, text: str) -> None:
    """Write a user's Dockerfile, and say where the old one is."""
    from imgopt_pipeline.dockerfiles.files import write_dockerfile

    backup = write_dockerfile(path, text)
    errors().print(f"Wrote {path}; what it was is {backup}.", markup=False, highlight=False, soft_wrap=True)
