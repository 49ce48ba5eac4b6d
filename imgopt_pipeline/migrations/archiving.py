"""Files that nobody used for a long time, packed into a dated archive, and got back from there by name.

An original goes only after the archive was read back, and if it still is what is in the archive.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imgopt_pipeline.migrations.backing_up import entries_of
from imgopt_pipeline.migrations.content import Pace, SourceChanged, SourceError, digest_of, source_file
from imgopt_pipeline.migrations.copying import opened_source
from imgopt_pipeline.migrations.manifest import read_rows
from imgopt_pipeline.migrations.models import Entry
from imgopt_pipeline.migrations.mounts import flush, mount_of
from imgopt_pipeline.migrations.packing import SUFFIX, Packed, manifest_of, pack, verify_packed
from imgopt_pipeline.migrations.tree import folders, look
from imgopt_pipeline.migrations.unpacking import unpack
from imgopt_pipeline.services.models import Refused

_DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Unused:
    """Files that were neither read nor written since. `remark` says how far times of reading can be trusted there."""

    files: int
    file_bytes: int
    remark: str


@dataclass(frozen=True, slots=True)
class Archived:
    """What was packed, and how many originals went. `kept` changed since they were packed, and stay."""

    packed: Packed
    deleted: int
    counted_bytes: int
    kept: tuple[bytes, ...]


def find_unused(folder: Path, days: float, now: datetime) -> Unused:
    """How much was not used for so many days. Raises Unreadable, MoveFailed."""
    entries = [entry.size_bytes for entry in entries_of(folder) if _is_unused(entry, days, now)]
    return Unused(len(entries), sum(entries), _remark(folder))


def archive_unused(folder: Path, into: Path, action_id: str, days: float, now: datetime) -> Archived:
    """Pack files not used for so many days into an archive in `into`, read it back, and delete them in the folder.

    Called again with the same action it goes on where it was cut off. Raises Unreadable, Refused, CopyDiffers,
    StorageError, MoveFailed.
    """
    if into.resolve().is_relative_to(folder.resolve()):
        raise Refused("the archive would lie in the folder itself.", subject=str(into), hint="Name another folder.")
    made = sorted(into.glob(f"*-{action_id}{SUFFIX}"))
    archive = made[0] if made else into / f"{folder.name}-{now.astimezone(UTC):%Y-%m-%d}-{action_id}{SUFFIX}"
    if not made:
        folders_and_files = (e for e in entries_of(folder) if e.kind == "folder" or _is_unused(e, days, now))
        # Each name by itself: it must come back without the others.
        pack(folder, archive, folders_and_files, hard_links=False)
    packed = verify_packed(archive)
    deleted, counted, kept = _delete_packed(folder, archive)
    return Archived(packed, deleted, counted, tuple(kept))


def restore_archived(archive: Path, into: Path, names: Collection[bytes] = ()) -> Packed:
    """Get all files back, or those of these names, with the folders they lay in. Raises as `unpack` does."""
    return unpack(archive, into, names)


def _delete_packed(folder: Path, archive: Path) -> tuple[int, int, list[bytes]]:
    deleted, counted, kept, pace = 0, 0, list[bytes](), Pace()
    with opened_source(folder) as root, folders(root) as opened:
        for entry, digest in read_rows(manifest_of(archive)):
            if entry.kind != "file":
                continue
            try:
                with source_file(entry, opened) as reading:
                    found, _ = digest_of(reading, pace)
                holder, name = opened.parent_of(entry.path)
                now = look(holder, name, entry.path)
            except (FileNotFoundError, SourceChanged):
                continue
            except SourceError:
                kept.append(entry.path)
                continue
            if found != digest or (now.inode, now.mtime_ns) != (entry.inode, entry.mtime_ns):
                kept.append(entry.path)
                continue
            os.unlink(name, dir_fd=holder)
            deleted += 1
            counted += now.disk_bytes if now.links == 1 else 0
        flush(root)
    return deleted, counted, kept


def _is_unused(entry: Entry, days: float, now: datetime) -> bool:
    before_ns = int(now.timestamp() * 1_000_000_000) - int(days * _DAY_NS)
    return entry.kind == "file" and max(entry.atime_ns, entry.mtime_ns) < before_ns


def _remark(folder: Path) -> str:
    options = mount_of(folder).options
    if "noatime" in options:
        return "times of reading are not kept there (noatime): only writing counts"
    if "relatime" in options:
        return "times of reading are kept to the day there (relatime)"
    return ""
