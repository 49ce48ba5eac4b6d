"""A DuckDB connection on which rules of users can do no harm, and how one of their queries is run on it.

No file, network or extension can be reached, settings cannot be changed, and memory, time, rows and the length
of texts are bounded.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

import duckdb

from imgopt_pipeline.names import printable
from imgopt_pipeline.sql import Value, identifier, with_values

BYTES = ("size_bytes", "low_bytes", "likely_bytes", "high_bytes")
COLUMNS = (*("subject_kind", "subject", "image_id", "path"), *BYTES, *("evidence", "advice"))
SEVERITY = "severity"
"""The only other column that a rule may give."""
TEXT_CHARACTERS = 4_000

_ALL_CHARACTERS = 20_000_000
_ROWS_AT_ONCE = 500
_WHOLE_NUMBERS = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?")
_TEXTS = re.compile(r"VARCHAR|JSON|ENUM\(.*\)", re.DOTALL)

# What the expression rewriter computes in advance is not counted against the memory limit.
_LOCK = """
SET disabled_optimizers = 'expression_rewriter';
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
    """Rows of a query; `cut` where there are more than were asked for, or than their texts leave room for.

    A text that is longer than TEXT_CHARACTERS has one character more than that.
    """

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


def columns_of(connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Value]) -> dict[str, str]:
    """Types of the columns of a rule's query by name; it is not run. Raises RuleError where it cannot be one."""
    with _in_time(connection, seconds=10):
        rows = connection.execute(f"DESCRIBE SELECT * FROM {_select(sql, values)}").fetchall()
    return {row[0]: row[1] for row in rows}


def check_columns(types: Mapping[str, str]) -> None:
    """Raise RuleError where a query does not give a finding's columns, or no whole numbers of bytes."""
    if missing := [name for name in COLUMNS if name not in types]:
        raise RuleError(f"it gives no column {', '.join(missing)}")
    if extra := [name for name in types if name not in (*COLUMNS, SEVERITY)]:
        raise RuleError(f"it gives a column that findings do not have: {printable(', '.join(extra))}")
    for name in BYTES:
        if not _WHOLE_NUMBERS.fullmatch(types[name]):
            raise RuleError(f"{name} is {printable(types[name][:80])} instead of a whole number, such as BIGINT")


def fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Value], *, limit: int, seconds: float
) -> Result:
    """Rows of a rule's query, at most `limit`. Raises RuleError where it fails or takes longer."""
    types = columns_of(connection, sql, values)
    check_columns(types)
    columns = ", ".join(_bounded(name, kind) for name, kind in types.items())
    rows: list[dict[str, Any]] = []
    characters = 0
    with _in_time(connection, seconds=seconds):
        cursor = connection.execute(f"SELECT {columns} FROM {_select(sql, values)} LIMIT {limit + 1}")
        while len(rows) <= limit and (some := cursor.fetchmany(_ROWS_AT_ONCE)):
            for row in some:
                characters += sum(len(value) for value in row if isinstance(value, str))
                if characters > _ALL_CHARACTERS:
                    return Result(rows[:limit], cut=True)
                rows.append(dict(zip(types, row, strict=True)))
    return Result(rows[:limit], len(rows) > limit)


def _bounded(name: str, kind: str) -> str:
    """A column as SQL: numbers as they are, texts cut off, of anything else only whether there is something."""
    column = identifier(name)
    if name in BYTES:
        return column
    if _TEXTS.fullmatch(kind):
        return f"left({column}::VARCHAR, {TEXT_CHARACTERS + 1}) AS {column}"
    return f"CASE WHEN {column} IS NOT NULL THEN 0 END AS {column}"


def _select(sql: str, values: Mapping[str, Value]) -> str:
    """A rule's query, which is one SELECT and nothing else, in brackets."""
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
    return f"(\n{_without_end(text)}\n)"


def _without_end(text: str) -> str:
    """A statement without its semicolon, which only comments and blanks may follow."""
    tokens = [(start, kind) for start, kind in duckdb.tokenize(text) if kind != duckdb.token_type.comment]
    last = tokens[-1][0] if tokens else len(text)
    return text[:last] if text[last : last + 1] == ";" else text


@contextmanager
def _in_time(connection: duckdb.DuckDBPyConnection, *, seconds: float) -> Iterator[None]:
    """What runs on the connection within, stopped after that time; failures become RuleErrors."""
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise RuleError(f"it took longer than {seconds:g} seconds and was stopped") from error
    except (duckdb.Error, ValueError, OverflowError, UnicodeDecodeError) as error:
        raise RuleError(_words(error)) from error
    finally:
        timer.cancel()


def _words(error: Exception) -> str:
    return printable(str(error).splitlines()[0] if str(error) else type(error).__name__)
