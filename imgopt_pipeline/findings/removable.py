"""What each technique would remove from an image, at the level of files, as sets that never count a byte twice.

`claims.sql` does the work over the image's scratch database; which techniques a plan chooses is not decided here.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import duckdb

from imgopt_pipeline.errors import StorageError


def removable_rows(connection: duckdb.DuckDBPyConnection, image_id: str) -> list[dict[str, Any]]:
    """Rows of the table `removable_bytes` for one image.

    The connection has these tables: live_files (file_id, position, path, size_bytes); owners (owner_id,
    ecosystem, name, version, local_version, location, requested, development, only_recommended, section,
    requires, gpu_role); ownership (file_id, owner_id), at most one owner a file; categories (file_id, category);
    gpu_files (file_id), those that only a GPU build has; dead_files (position, path, size_bytes, killed_by, reason);
    history (position, created_by).
    Raises StorageError where memory and disk do not suffice.
    """
    try:
        connection.execute(resources.files(__package__).joinpath("claims.sql").read_text())
        cursor = connection.execute("FROM claim_groups ORDER BY position, dead, claims")
        names = [column[0] for column in cursor.description or []]
        return [{"image_id": image_id, **dict(zip(names, row, strict=True))} for row in cursor.fetchall()]
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise StorageError(
            f"what could be removed from it cannot be computed ({str(error).splitlines()[0]}).",
            subject=image_id,
            hint="Free some space, or set TMPDIR to another folder.",
        ) from error
