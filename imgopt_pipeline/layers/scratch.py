"""A DuckDB in memory for computations, bounded in memory, spilling to a temporary folder.

Only the connection stands here; the warehouse is another matter.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb

from imgopt_pipeline.errors import StorageError

_MEMORY_LIMIT = "700MB"
_LINE_BYTES = 1_000_000
_NULL = "\\N"  # never a text: `printable` doubles backslashes
_THREADS = 1  # each takes some megabytes, and the work is over before a second one would help


@contextmanager
def scratch_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that goes, with whatever it spilled, when the block ends."""
    with tempfile.TemporaryDirectory(prefix="imgopt-spill-", ignore_cleanup_errors=True) as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY_LIMIT,
            "threads": min(_THREADS, os.cpu_count() or 1),
            "temp_directory": folder,
            "preserve_insertion_order": False,
        }
        with duckdb.connect(":memory:", config=settings) as connection:
            yield connection


def load_table(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]
) -> None:
    """Make a temporary table of rows, by way of an unnamed file: DuckDB's own ways import pandas.

    `columns`: types by name. Text is in the form of `names.printable`, which has no tabs or line ends.
    """
    described = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    try:
        with tempfile.TemporaryFile(prefix="imgopt-") as file:
            for row in rows:
                file.write("\t".join(map(_cell, row)).encode() + b"\n")
            file.flush()
            connection.execute(
                f"""
                CREATE OR REPLACE TEMP TABLE {table} AS FROM read_csv(
                    '/proc/self/fd/{file.fileno()}', auto_detect = false, header = false, delim = '\t', quote = '',
                    escape = '', nullstr = '{_NULL}', columns = {{{described}}},
                    max_line_size = {_LINE_BYTES}, buffer_size = {_LINE_BYTES * 2}
                )
                """
            )
    except OSError as error:
        raise StorageError(
            f"temporary rows cannot be kept ({error.strerror}).",
            subject=tempfile.gettempdir(),
            hint="Free some space there, or set TMPDIR to another folder.",
        ) from error


def _cell(value: object) -> str:
    return _NULL if value is None else str(value)
