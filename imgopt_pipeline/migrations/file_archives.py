"""Archives of unused files by the names that a person uses, and what the warehouse knows of them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgopt_pipeline.builds.preparing import engine_of
from imgopt_pipeline.errors import SettingsError, StorageError
from imgopt_pipeline.hosts.inventory import utc
from imgopt_pipeline.hosts.opening import open_host
from imgopt_pipeline.journal.clock import now
from imgopt_pipeline.journal.locks import locked, unit_lock
from imgopt_pipeline.migrations.archiving import Unused, archive_unused, find_unused, restore_archived
from imgopt_pipeline.migrations.packing import Packed
from imgopt_pipeline.migrations.preparing import check_here
from imgopt_pipeline.migrations.sources import find_source
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.commands import word
from imgopt_pipeline.services.models import SubjectNotFound
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.units import count, format_bytes
from imgopt_pipeline.warehouse.store import fetch_rows, publish, replace_rows, snapshot


def unused_in(settings: Settings, host_name: str, name: str, days: float) -> tuple[Path, Unused]:
    """The folder that a name means, and what nobody used there for so many days. Raises SubjectNotFound, Refused."""
    with open_host(settings, host_name) as opened:
        host = engine_of(opened)
        check_here(host)
        folder = find_source(settings, host, name).path
    return folder, find_unused(folder, days, now().at)


def check_destination(into: Path) -> None:
    """Raise SettingsError where an archive cannot lie."""
    if not into.is_dir():
        raise SettingsError(
            "there is no such folder.",
            subject=str(into),
            hint=f"Make it first: mkdir -p -- {word(printable(str(into)))}",
        )


def archive_directory(settings: Settings, host_name: str, folder: Path, into: Path, days: float) -> dict[str, Any]:
    """Pack what was not used for so many days, read that back, delete the originals; the row of file_archives.

    One that was cut off is gone on with. Raises Unreadable, Refused, CopyDiffers, StorageError, MoveFailed, Busy.
    """
    check_destination(into)
    what = f"imgopt archive-files {folder}"
    with locked(settings.paths.locks, [unit_lock(host_name, f"directory {folder}")], what):
        begun = _open(settings, host_name, folder, into)
        row = begun or {
            "archive_id": secrets.token_hex(8),
            "host": host_name,
            "folder": str(folder),
            "destination": str(into),
            "archive": "",
            "unused_days": days,
            "made_at": utc(now().at),
            "files": 0,
            "file_bytes": 0,
            "archive_bytes": 0,
            "deleted": 0,
            "finished": False,
            "summary": "It was cut off; the same command goes on.",
        }
        _store(settings, row)
        done = archive_unused(folder, into, row["archive_id"], row["unused_days"], now().at)
        packed = done.packed
        kept = f" Changed meanwhile, and kept: {count(len(done.kept), 'file')}." if done.kept else ""
        row |= {
            "archive": str(packed.archive),
            "files": packed.files,
            "file_bytes": packed.file_bytes,
            "archive_bytes": packed.archive_bytes,
            "deleted": done.deleted,
            "finished": True,
            "summary": f"{count(packed.files, 'file')} of {format_bytes(packed.file_bytes)} in {packed.archive}"
            f" ({format_bytes(packed.archive_bytes)}), read back; {count(done.deleted, 'original')} deleted.{kept}",
        }
        _store(settings, row)
    return row


def restore(settings: Settings, archive: Path, names: Sequence[str], to: Path | None) -> tuple[Path, Packed]:
    """Get files back to where they were, or into `to`; the folder and what came.

    Raises SubjectNotFound, StorageError, Refused.
    """
    if not archive.is_file():
        raise SubjectNotFound("there is no such archive.", subject=printable(str(archive)))
    into = to or _came_from(settings, archive)
    return into, restore_archived(archive, into, [name.strip("/").encode("utf-8", "surrogateescape") for name in names])


def _came_from(settings: Settings, archive: Path) -> Path:
    rows = []
    if settings.paths.database.exists():
        with snapshot(settings.paths.database) as connection:
            rows = fetch_rows(
                connection, "SELECT folder FROM file_archives WHERE archive = $archive", archive=str(archive)
            )
    if not rows:
        raise StorageError(
            "where its files came from is not known.", subject=str(archive), hint="Name the folder with --to DIR."
        )
    return Path(rows[0]["folder"])


def _open(settings: Settings, host_name: str, folder: Path, into: Path) -> dict[str, Any] | None:
    """The archive of that folder that was begun there and not finished."""
    if not settings.paths.database.exists():
        return None
    query = "FROM file_archives WHERE NOT finished AND host = $host AND folder = $folder AND destination = $into"
    with snapshot(settings.paths.database) as connection:
        rows = fetch_rows(connection, query, host=host_name, folder=str(folder), into=str(into))
    return rows[0] if rows else None


def _store(settings: Settings, row: dict[str, Any]) -> None:
    publish(settings.paths.database, lambda connection: replace_rows(connection, {"file_archives": [row]}))
