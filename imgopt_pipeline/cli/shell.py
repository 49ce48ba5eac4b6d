"""The interactive part of `imgopt sql`: statements in, tables out, on a read-only snapshot."""

from __future__ import annotations

import duckdb
from rich.table import Table

from imgopt_pipeline.cli.output import errors, show

_ROWS_SHOWN = 200


def run_shell(connection: duckdb.DuckDBPyConnection) -> None:
    """Read statements up to a semicolon until `.quit` or the end of input."""
    show(
        "DuckDB on a snapshot of the warehouse, read-only. End a statement with ;  `SHOW TABLES;` lists what is there,"
    )
    show(".quit leaves.")
    pending = ""
    while True:
        try:
            line = input("… " if pending else "imgopt> ")
        except EOFError:
            return
        if not pending and line.strip() in (".quit", ".exit", "exit", "quit"):
            return
        pending += line + "\n"
        if not line.rstrip().endswith(";"):
            continue
        try:
            show_result(connection.execute(pending))
        except duckdb.Error as error:
            errors().print(str(error), markup=False, style="red")
        pending = ""


def show_result(cursor: duckdb.DuckDBPyConnection | None) -> None:
    """A result as a table, up to a screenful of rows; nothing for an empty statement."""
    if cursor is None or cursor.description is None:
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in cursor.description:
        table.add_column(str(column[0]), overflow="fold")
    rows = cursor.fetchmany(_ROWS_SHOWN + 1)
    for row in rows[:_ROWS_SHOWN]:
        table.add_row(*("" if value is None else str(value) for value in row))
    show(table)
    if len(rows) > _ROWS_SHOWN:
        show(f"The first {_ROWS_SHOWN} rows; add a LIMIT or use --json for all.")
