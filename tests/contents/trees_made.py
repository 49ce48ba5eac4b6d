"""A database with live files as an image's merged tree leaves it, in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from imgopt_pipeline.layers.merge import DiveFigures, ImageTree, MergedTree
from imgopt_pipeline.layers.scratch import load_table, scratch_database


@contextmanager
def live_tree(files: Mapping[str, int], *, links: Mapping[str, str] | None = None) -> Iterator[ImageTree]:
    """A tree that shows these files (sizes by path), all in layer 0, and these links in its root."""
    columns = {
        "file_id": "BIGINT",
        "position": "INTEGER",
        "path": "VARCHAR",
        "size_bytes": "BIGINT",
        "crc64": "UBIGINT",
    }
    merged = MergedTree(sum(files.values()), 0, len(files), 0, (), (), (), DiveFigures(1.0, 0, 0, 0, 0.0))
    with scratch_database() as connection:
        rows = [(number, 0, path, size, size + 1) for number, (path, size) in enumerate(files.items())]
        load_table(connection, "live_files", columns, rows)
        load_table(connection, "top_links", {"name": "VARCHAR", "target": "VARCHAR"}, (links or {}).items())
        yield ImageTree(connection, merged)
