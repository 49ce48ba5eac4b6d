"""A DuckDB in memory for computations, bounded in memory, spilling to a temporary folder.

Only the connection stands here; the warehouse is another matter.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

_MEMORY_LIMIT = "700MB"
_THREADS = 4  # each takes a megabyte or two, and on a large machine there would be dozens


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
