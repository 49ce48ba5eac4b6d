"""Joins packages with an image's live files: who owns which byte, and what each byte is.

The parsers say what packages claim; the tree says what is there. Every live byte ends in exactly one
package (or none) and exactly one category.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import Any

from imgopt_pipeline.contents.models import Package
from imgopt_pipeline.layers.merge import ImageTree
from imgopt_pipeline.layers.scratch import load_table
from imgopt_pipeline.sql import with_values
from imgopt_pipeline.warehouse.store import fetch_rows

CONTENT_VERSION = "1"
"""Changes when packages, categories or GPU evidence of an unchanged image would come out differently."""

_OWNERS = {
    "owner_id": "INTEGER",
    "ecosystem": "VARCHAR",
    "name": "VARCHAR",
    "version": "VARCHAR",
    "local_version": "VARCHAR",
    "document": "VARCHAR",
    "location": "VARCHAR",
    "installed_bytes": "BIGINT",
    "requested": "BOOLEAN",
    "development": "BOOLEAN",
    "only_recommended": "BOOLEAN",
    "section": "VARCHAR",
    "requires": "VARCHAR",
    "gpu_role": "VARCHAR",
}
_PATHS = {"owner_id": "INTEGER", "path": "VARCHAR"}
_REQUIRED = 500
_SEPARATOR = " "
_SPACE_ROWS = 400
Rows = list[dict[str, Any]]


def own_files(tree: ImageTree, packages: Sequence[Package], role_of: Callable[[Package], str]) -> None:
    """Make the tables `owners` and `ownership`. `role_of` gives a package's `gpu_role`."""
    connection = tree.connection
    load_table(connection, "owner_texts", _OWNERS, _owner_rows(packages, role_of))
    connection.execute(
        "CREATE TEMP TABLE owners AS"
        " SELECT * REPLACE (list_filter(string_split(requires, ' '), lambda name: name <> '') AS requires,"
        " coalesce(section, '') AS section, coalesce(gpu_role, '') AS gpu_role, coalesce(version, '') AS version,"
        " coalesce(location, '') AS location) FROM owner_texts"
    )
    numbered = list(enumerate(packages))
    load_table(connection, "owned_paths", _PATHS, ((n, path) for n, item in numbered for path in item.files))
    load_table(connection, "owned_folders", _PATHS, ((n, path) for n, item in numbered for path in item.folders))
    connection.execute(_sql("ownership.sql"))


def categorise(tree: ImageTree, gpu_only: str) -> None:
    """Make the table `categories`, after `own_files`.

    `gpu_only` is a condition over path and gpu_role: files that only a GPU build has.
    """
    tree.connection.execute(
        "CREATE TEMP TABLE gpu_files AS SELECT file_id FROM live_files LEFT JOIN ownership USING (file_id)"
        f" LEFT JOIN owners USING (owner_id) WHERE {gpu_only}"
    )
    tree.connection.execute(_sql("categories.sql"))


def package_rows(tree: ImageTree) -> Rows:
    """Rows of the table `package_inventory`, without image_id, biggest first."""
    return fetch_rows(tree.connection, _sql("packages.sql"))


def space_rows(tree: ImageTree) -> Rows:
    """Rows of the table `space_usage`, without image_id, biggest first."""
    return fetch_rows(tree.connection, with_values(_sql("space.sql"), {"rows": _SPACE_ROWS}))


def _owner_rows(packages: Sequence[Package], role_of: Callable[[Package], str]) -> Iterator[tuple[object, ...]]:
    for number, package in enumerate(packages):
        yield (
            number,
            package.ecosystem,
            package.name,
            package.version,
            package.local_version,
            package.document,
            package.location,
            package.installed_bytes,
            package.requested,
            package.development,
            package.only_recommended,
            package.section,
            _SEPARATOR.join(package.requires[:_REQUIRED]),
            role_of(package),
        )


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()
