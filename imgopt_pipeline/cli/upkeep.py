"""`imgopt sql`, `ui`, `doctor` and `housekeeping`: everything around the audits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import duckdb
import typer

from imgopt_pipeline.cli.output import print_json, rows_of, show
from imgopt_pipeline.cli.shell import run_shell, show_result
from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.settings import load_settings
from imgopt_pipeline.warehouse.store import snapshot

if TYPE_CHECKING:
    from imgopt_pipeline.doctor import Finding

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("sql")(sql)
    app.command("ui")(ui)
    app.command("doctor")(doctor)
    app.command("housekeeping")(housekeeping)


def sql(
    statement: Annotated[
        str | None,
        typer.Argument(help="A statement to run, - to read it from standard input; without it a shell opens."),
    ] = None,
    json: Json = False,
) -> None:
    """Query the warehouse: one statement, or a shell on a read-only snapshot."""
    with snapshot(load_settings().paths.database) as connection:
        if statement is None:
            run_shell(connection)
            return
        try:
            cursor = connection.execute(sys.stdin.read() if statement == "-" else statement)
            if json:
                print_json(rows_of(cursor))
            else:
                show_result(cursor)
        except duckdb.Error as error:
            raise SettingsError(str(error), hint="`imgopt sql 'SHOW TABLES'` lists tables and views.") from error


def ui(
    port: Annotated[int, typer.Option(help="Port of the web page.", min=1, max=65535)] = 3000,
    address: Annotated[str, typer.Option(help="Address to listen on; the page has no password.")] = "127.0.0.1",
) -> None:
    """Start the Dagster UI and the daemon that runs the schedules, until Ctrl-C."""
    from imgopt_pipeline.orchestration.instance import serve

    show(f"Dagster's UI comes up at http://{address}:{port} in a few seconds; Ctrl-C ends it.")
    raise typer.Exit(serve(load_settings(), address=address, port=port))


def doctor(json: Json = False) -> None:
    """Say what works on this machine, and what to do about the rest."""
    from imgopt_pipeline.doctor import examine

    findings = examine(load_settings())
    if json:
        print_json(
            [{"subject": item.subject, "ok": item.ok, "message": item.message, "hint": item.hint} for item in findings]
        )
    else:
        for item in findings:
            show(f"{_mark(item)} {item.subject}: {item.message}" + (f"\n  → {item.hint}" if item.hint else ""))
    raise typer.Exit(0 if all(item.ok or not item.needed for item in findings) else 3)


def housekeeping() -> None:
    """Remove old audits, layer files that nothing names, and old runs and logs of Dagster."""
    from imgopt_pipeline.orchestration.running import run_housekeeping

    show(run_housekeeping(load_settings()).summary())


def _mark(finding: Finding) -> str:
    if finding.ok:
        return "✓"
    return "✗" if finding.needed else "–"
