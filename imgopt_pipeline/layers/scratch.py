"""A DuckDB in memory for one computation, bounded in memory, spilling to a folder of its own.

Only the connection stands here; the warehouse is another matter.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

_MEMORY_LIMIT = "700MB"


@contextmanager
def scratch_database(folder: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose spill files lie in a temporary folder (below `folder`) and go with it."""
    spill = Path(tempfile.mkdtemp(prefix=".spill-", dir=folder))
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": str(spill),
            "preserve_insertion_order": "false",
        },
    )
    try:
        yield connection
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)
