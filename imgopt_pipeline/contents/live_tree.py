"""The `Tree` that parsers ask, over an image's live files. Links and empty folders are not in it."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from imgopt_pipeline.sql import literal

_CHILDREN = 10_000


class LiveTree:
    """Answers from the table `live_files` (layers/live.sql)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def is_file(self, path: str) -> bool:
        """Whether the image shows a file of that path."""
        return self._any(f"path = {literal(path)}")

    def is_folder(self, path: str) -> bool:
        """Whether the image shows a file below that path."""
        return self._any(_below(path))

    def children(self, folder: str) -> Sequence[str]:
        """Names of the files and of the folders with files in a folder, in order."""
        start = len(folder) + 2 if folder else 1
        rows = self._connection.execute(
            f"SELECT DISTINCT split_part(substr(path, {start}), '/', 1) AS name FROM live_files"
            f" WHERE {_below(folder)} ORDER BY name LIMIT {_CHILDREN}"
        ).fetchall()
        return [name for (name,) in rows]

    def _any(self, condition: str) -> bool:
        return bool(self._connection.execute(f"SELECT 1 FROM live_files WHERE {condition} LIMIT 1").fetchall())


def _below(folder: str) -> str:
    # '0' is the letter after '/'.
    return f"path >= {literal(folder + '/')} AND path < {literal(folder + '0')}" if folder else "true"
