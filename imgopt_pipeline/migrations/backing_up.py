"""A packed copy of a whole folder, made before anything is done with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from imgopt_pipeline.migrations.copying import opened_source, unreadable
from imgopt_pipeline.migrations.models import Entry
from imgopt_pipeline.migrations.packing import SUFFIX, Packed, manifest_of, pack, verify_packed
from imgopt_pipeline.migrations.tree import walk
from imgopt_pipeline.migrations.unpacking import unpack
from imgopt_pipeline.services.models import Refused


def back_up(folder: Path, into: Path, action_id: str) -> Packed:
    """Pack a folder into a file of `into`, and read that back; one that is there already is only read.

    Files that change meanwhile are in it as they were read. Raises Unreadable, Refused, CopyDiffers, StorageError.
    """
    if into.resolve().is_relative_to(folder.resolve()):
        raise Refused("the backup would lie in the folder itself.", subject=str(into), hint="Name another folder.")
    archive = into / f"{folder.name}-{action_id}{SUFFIX}"
    if not (os.path.lexists(archive) and os.path.lexists(manifest_of(archive))):
        pack(folder, archive, entries_of(folder))
    return verify_packed(archive)


def verify_backup(archive: Path) -> Packed:
    """Read a backup through. Raises CopyDiffers, StorageError."""
    return verify_packed(archive)


def restore_backup(archive: Path, into: Path) -> Packed:
    """Unpack a backup into a new or an empty folder, or one that an earlier call was cut off at. Raises as `unpack`."""
    return unpack(archive, into)


def entries_of(folder: Path) -> Iterator[Entry]:
    """Everything in a folder. Raises Unreadable at the end, MoveFailed."""
    problems: dict[bytes, str] = {}
    with opened_source(folder) as root:
        yield from walk(root, lambda path, error: problems.update({path: error.strerror or "?"}))
    if problems:
        raise unreadable(folder, problems)
