"""The only place where a moved source is deleted: after both sides were read, and each file is equal.

It may be called again after it was cut off: what is left is then read again, before more of it goes.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import local

from imgopt_pipeline.journal.journal import flush_folder
from imgopt_pipeline.migrations.content import Pace, SourceChanged, SourceError, digest_of, source_file
from imgopt_pipeline.migrations.copying import PROMOTING, opened_source, place_errors, unreadable
from imgopt_pipeline.migrations.ledger import Ledger, ledger
from imgopt_pipeline.migrations.models import LEFT_OUT, Entry, Move, MoveFailed, listing
from imgopt_pipeline.migrations.mounts import Held, held
from imgopt_pipeline.migrations.parallel import in_parallel
from imgopt_pipeline.migrations.sending import wait_until_sent
from imgopt_pipeline.migrations.tree import Folders, folders, look, open_folder, walk
from imgopt_pipeline.migrations.verifying import read_back
from imgopt_pipeline.progress import current
from imgopt_pipeline.services.models import Refused
from imgopt_pipeline.units import count


@dataclass(frozen=True, slots=True)
class Deleted:
    """What went. `freed_bytes` is what the disk has more afterwards, `counted_bytes` what the files took on it."""

    files: int
    freed_bytes: int
    counted_bytes: int


def delete_set_aside(move: Move, *, kept: Path | None = None, accepted: Collection[bytes] = ()) -> Deleted:
    """Delete the source that was set aside, if every file of it is at the destination with the same sha256.

    `kept` is where it is if it was not renamed, as in a volume: then the folder itself stays. `accepted` are paths of
    which a person said that their copy may differ, or be gone, by now. Otherwise nothing is deleted, and it says which.
    Raises Refused, Unreadable, MountGone, MoveFailed.
    """
    where = kept or move.aside
    if not os.path.lexists(where):
        return Deleted(0, 0, 0)
    free_before = _free_bytes(where.parent)
    with held(move) as place, ledger(move.ledger) as known, opened_source(where) as aside:
        if not known.noted(PROMOTING) or os.path.lexists(move.partial):
            raise Refused("the copy does not have its final name yet.", subject=str(move.final))
        wait_until_sent(place, os.fsencode(move.final.name))
        known.forget_deletable()
        _check(move, where, place, known, aside, frozenset(accepted))
        place.check()
        files, counted = _delete(where, known, aside)
    if kept is None:
        try:
            os.rmdir(where)
        except OSError as error:
            raise _something_new(where, error) from error
    flush_folder(where.parent)
    return Deleted(files, _free_bytes(where.parent) - free_before, counted)


def _check(move: Move, where: Path, place: Held, known: Ledger, aside: int, accepted: frozenset[bytes]) -> None:
    different: set[bytes] = set()
    problems: dict[bytes, str] = {}
    with place_errors(place):
        try:
            copy = open_folder(place.descriptor, os.fsencode(move.final.name))
        except FileNotFoundError as error:
            raise Refused("the copy is gone; nothing was deleted.", subject=str(move.final)) from error
        try:
            with closing(_compared(move, aside, copy, problems)) as outcomes:
                for entry, equal in outcomes:
                    if equal or entry.path in accepted:
                        known.deletable(entry)
                    else:
                        different.add(entry.path)
        finally:
            os.close(copy)
    known.commit()
    if problems:
        raise unreadable(where, problems)
    if different:
        raise Refused(
            f"{count(len(different), 'path')} set aside differ from the copy, or are not there:"
            f" {listing(different)}. Nothing was deleted.",
            subject=str(where),
            hint="If the service changed them at their new place, say so; what was set aside stays until then.",
        )


def _compared(
    move: Move, aside: int, copy: int, problems: dict[bytes, str]
) -> Generator[tuple[Entry, bool], None, None]:
    pace, threads, opened_folders = Pace(move.bytes_per_second), local(), list[Folders]()

    def one(entry: Entry) -> tuple[Entry, bool]:
        if not hasattr(threads, "pair"):
            threads.pair = Folders(aside), Folders(copy)
            opened_folders.extend(threads.pair)
        source, destination = threads.pair
        try:
            return entry, _equal(entry, source, destination, pace)
        except SourceChanged:
            return entry, False
        except SourceError as failed:
            problems[entry.path] = failed.error.strerror or "?"
            return entry, False

    current().start("comparing what was set aside with its copy")
    entries: Iterator[Entry] = walk(aside, lambda path, error: problems.update({path: error.strerror or "?"}))
    try:
        outcomes = in_parallel(one, entries, move.workers, pace, lambda entry: entry.size_bytes)
        with closing(outcomes) as results:
            yield from results
    finally:
        for folder in opened_folders:
            folder.close()


def _equal(entry: Entry, aside: Folders, copy: Folders, pace: Pace) -> bool:
    if entry.kind in LEFT_OUT:
        return entry.kind != "mount"
    try:
        folder, name = copy.parent_of(entry.path)
        found = look(folder, name or b".", entry.path)
        if entry.kind != "file" or found.kind != "file":
            return (found.kind, found.target) == (entry.kind, entry.target)
        if found.size_bytes != entry.size_bytes or (found.device, found.inode) == (entry.device, entry.inode):
            return False  # another, or the same file by another way
        at_destination = read_back(folder, name, pace)
    except (FileNotFoundError, NotADirectoryError):
        return False
    with source_file(entry, aside) as reading:
        return digest_of(reading, pace) == at_destination


def _delete(where: Path, known: Ledger, aside: int) -> tuple[int, int]:
    files, counted = 0, 0
    with folders(aside) as opened:
        for path, kind, *facts in known.all_deletable():
            if not path:
                continue
            try:
                folder, name = opened.parent_of(path)
                found = look(folder, name, path)
                if kind == "folder":
                    os.rmdir(name, dir_fd=folder)
                    continue
                if [found.size_bytes, found.mtime_ns, found.device, found.inode] != facts or found.kind != kind:
                    raise _something_new(where, None)
                os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _something_new(where, error) from error
            files += 1
            counted += found.disk_bytes if found.links == 1 else 0
    return files, counted


def _something_new(where: Path, error: OSError | None) -> MoveFailed:
    why = f" ({error.strerror})" if error else ""
    return MoveFailed(
        f"what was set aside changed while it was deleted{why}; what is left of it stays.",
        subject=str(where),
        hint="Some program still has it open. Stop that, and try again: it is compared anew.",
    )


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bfree * status.f_frsize
