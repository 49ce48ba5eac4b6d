"""A DuckDB connection on which rules of users can do no harm, and how one of their queries is run on it.

No file, network or extension can be reached, settings cannot be changed, and memory, time and rows are bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import duckdb

from imgopt_pipeline.names import printable
from imgopt_pipeline.sql import Value, with_values

COLUMNS = (
    *("subject_kind", "subject", "image_id", "path", "size_bytes", "low_bytes", "likely_bytes", "high_bytes"),
    *("evidence", "advice"),
)
SEVERITY = "severity"
"""The only other column that a rule may give."""

_LOCK = """
SET memory_limit = '1GB';
SET max_temp_directory_size = '2GB';
SET python_enable_replacements = false;
SET autoinstall_known_extensions = false;
SET autoload_known_extensions = false;
SET enable_external_access = false;
SET lock_configuration = true;
"""


class RuleError(Exception):
    """A rule's query is none, fails or is stopped; the message says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """Rows of a query; `cut` where there are more than were asked for."""

    rows: list[dict[str, Any]]
    cut: bool


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Close the connection's whole database to files and settings. There is no way back but to open it anew."""
    try:
        connection.execute(_LOCK)
    except duckdb.InvalidInputException as error:  # locked already
        if "locked" not in str(error):
            raise


def prepare(connection: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> None:
    """Make the temporary tables and macros of prelude.sql on this connection."""
    connection.execute(with_values(resources.files(__package__).joinpath("prelude.sql").read_text(), values))


def columns_of(connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Value]) -> list[str]:
    """Names of the columns of a rule's query, which is not run. Raises RuleError where it cannot be one."""
    return [row[0] for row in _fetch(connection, f"DESCRIBE {_select(sql, values, '*')}", seconds=10)[0]]


def check_columns(names: list[str]) -> None:
    """Raise RuleError where a query does not give a finding's columns."""
    if missing := [name for name in COLUMNS if name not in names]:
        raise RuleError(f"it gives no column {', '.join(missing)}")
    if extra := [name for name in names if name not in (*COLUMNS, SEVERITY)]:
        raise RuleError(f"it gives a column that findings do not have: {printable(', '.join(extra))}")


def fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Value], *, limit: int, seconds: float
) -> Result:
    """Rows of a rule's query, at most `limit`. Raises RuleError where it fails or takes longer."""
    rows, names = _fetch(connection, f"{_select(sql, values, '*')} LIMIT {limit + 1}", seconds=seconds)
    check_columns(names)
    return Result([dict(zip(names, row, strict=True)) for row in rows[:limit]], len(rows) > limit)


def _select(sql: str, values: Mapping[str, Value], columns: str) -> str:
    """A query around the rule's, which is one SELECT and nothing else."""
    try:
        text = with_values(sql, values)
    except KeyError as error:
        raise RuleError(
            f"there is no ${error.args[0]}; there are {', '.join(f'${name}' for name in values)}"
        ) from error
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise RuleError(_words(error)) from error
    if len(statements) != 1:
        raise RuleError(f"it holds {len(statements)} statements instead of one SELECT")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise RuleError(f"it is no SELECT but {statements[0].type.name}")
    return f"SELECT {columns} FROM (\n{_without_end(text)}\n)"


def _without_end(text: str) -> str:
    """A statement without its semicolon, which only comments and blanks may follow."""
    tokens = [(start, kind) for start, kind in duckdb.tokenize(text) if kind != duckdb.token_type.comment]
    last = tokens[-1][0] if tokens else len(text)
    return text[:last] if text[last : last + 1] == ";" else text


def _fetch(connection: duckdb.DuckDBPyConnection, sql: str, *, seconds: float) -> tuple[list[Any], list[str]]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        cursor = connection.execute(sql)
        return cursor.fetchall(), [column[0] for column in cursor.description or []]
    except duckdb.InterruptException as error:
        raise RuleError(f"it took longer than {seconds:g} seconds and was stopped") from error
    except (duckdb.Error, ValueError, OverflowError, UnicodeDecodeError) as error:
        raise RuleError(_words(error)) from error
    finally:
        timer.cancel()


def _words(error: Exception) -> str:
    return printable(str(error).splitlines()[0] if str(error) else type(error).__name__)
