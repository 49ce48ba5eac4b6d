"""The copy made equal to the source: what is new or changed is brought over, what vanished goes from the copy.

The first pass and the one after the writers stopped are the same. Only the copy is ever written to.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import local

from imgopt_pipeline.migrations.abilities import Abilities, probe
from imgopt_pipeline.migrations.committing import Committer, committer
from imgopt_pipeline.migrations.content import (
    Pace,
    SourceChanged,
    SourceError,
    copy_file,
    set_properties,
    set_times,
)
from imgopt_pipeline.migrations.ledger import Ledger, ledger
from imgopt_pipeline.migrations.models import Entry, Move, MoveFailed, Totals, Unreadable, listing
from imgopt_pipeline.migrations.mounts import Held, destination_error, flush, held
from imgopt_pipeline.migrations.parallel import in_parallel
from imgopt_pipeline.migrations.tree import Folders, folders, look, open_folder, opened, remove, walk
from imgopt_pipeline.progress import current
from imgopt_pipeline.units import count

PROMOTING = "promoting"
"""Noted before the copy gets its final name: from then on it may be there."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What one pass did. `open` are files that changed or vanished under it: the next pass takes them.

    `lost` counts what the destination did not take of owners, modes, times and attributes.
    """

    totals: Totals
    files: int
    file_bytes: int
    removed: int
    open: tuple[bytes, ...]
    lost: Mapping[str, int]
    seconds: float


@dataclass(slots=True)
class _Pass:
    """What a pass works with."""

    move: Move
    place: Held
    known: Ledger
    source: int
    copy: int
    abilities: Abilities
    pace: Pace
    lost: Counter[str] = field(default_factory=Counter)
    unreadable: dict[bytes, str] = field(default_factory=dict)
    open: set[bytes] = field(default_factory=set)
    files: int = 0
    file_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Result:
    entry: Entry
    sha256: bytes = b""
    lost: frozenset[str] = frozenset()
    problem: OSError | None = None
    changed: bool = False


def copy(move: Move, *, source: Path | None = None) -> Copied:
    """Bring everything over that is not there as it is now; goes on where an earlier call was cut off.

    `source` is where the files are by now, if they were set aside. Raises Unreadable, DestinationFull, MountGone,
    MoveFailed.
    """
    started = time.monotonic()
    where = source or move.source
    with held(move) as place, ledger(move.ledger) as known, opened_source(where) as reading:
        abilities = probe(place)
        with place_errors(place), _copy_folder(move, place, known) as writing:
            work = _Pass(move, place, known, reading, writing, abilities, Pace(move.bytes_per_second))
            _list(work)
            removed = _remove_vanished(work)
            _make_folders(work)
            _copy_files(work)
            _link_files(work)
            _make_links(work)
            _set_folder_properties(work)
            place.check()
            place.flush()
        if work.unreadable:
            raise unreadable(where, work.unreadable)
        totals = known.totals()
    left = tuple(sorted(work.open))
    return Copied(totals, work.files, work.file_bytes, removed, left, dict(work.lost), time.monotonic() - started)


def unreadable(where: Path, problems: Mapping[bytes, str]) -> Unreadable:
    """What cannot be read, as an error."""
    reasons = ", ".join(sorted(set(problems.values())))
    return Unreadable(
        f"{count(len(problems), 'path')} cannot be read ({reasons}): {listing(problems)}.",
        subject=str(where),
        hint="Nothing was moved. Make them readable, or take them out of the folder, and go on.",
    )


@contextmanager
def opened_source(folder: Path) -> Iterator[int]:
    """The source, open. Raises MoveFailed."""
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(opened(folder))
        except OSError as error:
            raise MoveFailed(f"the folder cannot be opened ({error.strerror}).", subject=str(folder)) from error
        yield descriptor


@contextmanager
def place_errors(place: Held) -> Iterator[None]:
    """OSErrors of the destination as errors of ours."""
    try:
        yield
    except OSError as error:
        raise destination_error(error, place) from error


def copy_name(move: Move, known: Ledger) -> bytes:
    """What the copy is called now, beside its final name."""
    partial, final = move.partial, move.final
    promoted = known.noted(PROMOTING) and not os.path.lexists(partial)
    return os.fsencode((final if promoted else partial).name)


@contextmanager
def _copy_folder(move: Move, place: Held, known: Ledger) -> Iterator[int]:
    name = copy_name(move, known)
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=place.descriptor)
        # Whatever was copied before is not here.
        known.copy_all_again()
    descriptor = open_folder(place.descriptor, name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _list(work: _Pass) -> None:
    current().start("looking at the files")
    work.known.see(walk(work.source, lambda path, error: work.unreadable.update({path: error.strerror or "?"})))
    if work.unreadable:  # what is in there would count as vanished
        raise unreadable(work.move.source, work.unreadable)


def _remove_vanished(work: _Pass) -> int:
    removed = 0
    with folders(work.copy) as destination:
        for path in work.known.vanished():
            with suppress(FileNotFoundError, NotADirectoryError):
                remove(*destination.parent_of(path))
                removed += 1
    work.known.forget_vanished()
    return removed


def _make_folders(work: _Pass) -> None:
    with folders(work.copy) as destination:
        for entry in work.known.to_make("folder"):
            if entry.path:
                folder, name = destination.parent_of(entry.path)
                if not _is_folder(folder, name):
                    remove(folder, name)
                    os.mkdir(name, 0o700, dir_fd=folder)
            work.known.copied(entry.path)
    work.known.commit()


def _is_folder(folder: int, name: bytes) -> bool:
    with suppress(FileNotFoundError):
        return look(folder, name, name).kind == "folder"
    return False


def _copy_files(work: _Pass) -> None:
    current().start("copying", work.known.bytes_to_copy())
    flush_each = work.place.mount.in_user_space
    threads, opened_folders = local(), list[Folders]()

    def one(entry: Entry) -> _Result:
        if not hasattr(threads, "pair"):
            threads.pair = Folders(work.source), Folders(work.copy)
            opened_folders.extend(threads.pair)
        source, destination = threads.pair
        try:
            digest, lost = copy_file(
                entry, source, destination, work.pace, holes=work.abilities.holes, flush_each=flush_each
            )
        except SourceChanged:
            return _Result(entry, changed=True)
        except SourceError as failed:
            return _Result(entry, problem=failed.error)
        return _Result(entry, digest, lost)

    try:
        files = work.known.to_copy(each_name=not work.abilities.hard_links)
        with (
            committer(work.place, work.known) as commits,
            closing(in_parallel(one, files, work.move.workers, work.pace, lambda entry: entry.size_bytes)) as results,
        ):
            for result in results:
                _take(work, result, commits)
    finally:
        for folder in opened_folders:
            folder.close()


def _take(work: _Pass, result: _Result, commits: Committer) -> None:
    if result.problem is not None:
        work.unreadable[result.entry.path] = result.problem.strerror or "?"
    elif result.changed:
        work.open.add(result.entry.path)
    else:
        commits.take(result.entry.path, result.sha256)
        work.lost.update(result.lost)
        work.files += 1
        work.file_bytes += result.entry.size_bytes


def _link_files(work: _Pass) -> None:
    with folders(work.copy) as destination, folders(work.copy) as leads:
        for lead, entry, digest in work.known.to_link():
            folder, name = destination.parent_of(entry.path)
            first_folder, first = leads.parent_of(lead)
            remove(folder, name)
            os.link(first, name, src_dir_fd=first_folder, dst_dir_fd=folder, follow_symlinks=False)
            work.known.copied(entry.path, digest)
            work.files += 1
    work.known.commit()


def _make_links(work: _Pass) -> None:
    with folders(work.copy) as destination:
        for entry in work.known.to_make("link"):
            folder, name = destination.parent_of(entry.path)
            remove(folder, name)
            os.symlink(entry.target, name, dir_fd=folder)
            try:
                os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
            except PermissionError:
                work.lost["owner"] += 1
            work.lost.update(set_times(entry, folder, name))
            work.known.copied(entry.path)
    work.known.commit()


def _set_folder_properties(work: _Pass) -> None:
    """Last, and what is inside first: writing into a folder changes its times and may need its rights."""
    for entry in work.known.folders():
        try:
            reading = open_folder(work.source, entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue  # the next pass sees that it is gone
        try:
            writing = open_folder(work.copy, entry.path)
            try:
                work.lost.update(set_properties(entry, reading, writing))
                with suppress(NotImplementedError):
                    os.utime(writing, ns=(entry.atime_ns, entry.mtime_ns))
                flush(writing)
            finally:
                os.close(writing)
        finally:
            os.close(reading)
