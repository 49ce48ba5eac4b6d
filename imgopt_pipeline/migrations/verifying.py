"""What the destination gives back, against what was read from the source: every name, and the sha256 of every file.

It is read from the destination itself where the kernel can be told to forget what it holds of it. A file system in
user space may have a cache of its own, which only time empties: a second look after days is what counts there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from threading import local

from imgopt_pipeline.migrations.content import Pace, digest_of
from imgopt_pipeline.migrations.copying import Copied, copy, copy_name, place_errors
from imgopt_pipeline.migrations.ledger import Ledger, ledger
from imgopt_pipeline.migrations.models import CopyDiffers, Entry, Move, StillWritten, Totals, listing
from imgopt_pipeline.migrations.mounts import Held, held
from imgopt_pipeline.migrations.parallel import in_parallel
from imgopt_pipeline.migrations.sending import wait_until_sent
from imgopt_pipeline.migrations.tree import Folders, look, open_folder, walk
from imgopt_pipeline.progress import current
from imgopt_pipeline.units import count

_ROUNDS = 3
_ABSENT = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read back in this call. `different` must be copied again, `foreign` is none of ours."""

    totals: Totals
    files: int
    file_bytes: int
    different: tuple[bytes, ...]
    foreign: tuple[bytes, ...]
    seconds: float

    @property
    def equal(self) -> bool:
        return not self.different and not self.foreign


@dataclass(frozen=True, slots=True)
class Brought:
    """What bringing over took. `open` is 0 once the copy is equal to the source as it stood."""

    totals: Totals
    copied_files: int
    copied_bytes: int
    copy_seconds: float
    verified_bytes: int
    verify_seconds: float
    removed: int
    open: int
    lost: dict[str, int]


def verify(move: Move, *, everything: bool = False) -> Verified:
    """Read back what was not yet, or everything again; what differs is then no longer noted as copied.

    Raises MountGone, MoveFailed.
    """
    with held(move) as place, ledger(move.ledger) as known:
        if everything:
            known.verify_all_again()
        return _verify(move, place, known, known.to_verify, remember=True)


def compare(move: Move) -> Verified:
    """Read everything at the destination and note nothing: what was changed there since. Raises as `verify` does."""
    with held(move) as place, ledger(move.ledger) as known:
        return _verify(move, place, known, known.all_copied, remember=False)


def _verify(
    move: Move, place: Held, known: Ledger, rows: Callable[[], Iterator[tuple[Entry, bytes]]], *, remember: bool
) -> Verified:
    started, files, file_bytes = time.monotonic(), 0, 0
    with ExitStack() as stack:
        stack.enter_context(place_errors(place))
        try:
            root = open_folder(place.descriptor, copy_name(move, known))
        except _ABSENT:
            if remember:
                known.copy_all_again()
            return Verified(known.totals(), 0, 0, (b"",), (), time.monotonic() - started)
        stack.callback(os.close, root)
        wait_until_sent(place, copy_name(move, known))
        foreign, different = _names(known, root)
        if remember:
            for path in different:
                known.differs(path)
        current().start("reading back", known.bytes_to_verify())
        for entry, equal in stack.enter_context(closing(_contents(move, root, rows()))):
            if not equal:
                different.add(entry.path)
            if remember:
                (known.verified if equal else known.differs)(entry.path)
            files += entry.kind == "file"
            file_bytes += entry.size_bytes
        place.check()
        known.commit()
    seconds = time.monotonic() - started
    return Verified(known.totals(), files, file_bytes, tuple(sorted(different)), tuple(sorted(foreign)), seconds)


def bring_over(move: Move, *, writers_stopped: bool = False) -> Brought:
    """Copy and read back until the copy gives back what was written.

    With `writers_stopped` the copy is equal to the source in the end: every path, every byte. Without, files that
    change meanwhile stay open. Raises CopyDiffers, StillWritten, and what `copy` and `verify` do.
    """
    passes: list[tuple[Copied, Verified]] = []
    for _ in range(_ROUNDS):
        passes.append((copy(move), verify(move)))
        copied, verified = passes[-1]
        if verified.foreign:
            raise CopyDiffers(
                f"there is something in the copy that did not come from the source: {listing(verified.foreign)}.",
                subject=str(move.partial),
                hint="Something else writes there. Find it, remove what it wrote, and go on.",
            )
        if verified.equal and (not copied.open or not writers_stopped):
            return _brought(passes)
    copied, verified = passes[-1]
    if verified.different:
        raise CopyDiffers(
            f"{count(len(verified.different), 'path')} came back as another: {listing(verified.different)}.",
            subject=str(move.partial),
            hint="Do not trust that destination; the source is whole.",
        )
    raise StillWritten(
        f"{count(len(copied.open), 'file')} still change: {listing(copied.open)}.",
        subject=str(move.source),
        hint="Some program still writes there (`fuser -v` names it): stop it, and go on.",
    )


def _brought(passes: list[tuple[Copied, Verified]]) -> Brought:
    lost: dict[str, int] = {}
    for copied, _ in passes:
        for what, number in copied.lost.items():
            lost[what] = max(lost.get(what, 0), number)
    return Brought(
        passes[-1][1].totals,
        sum(copied.files for copied, _ in passes),
        sum(copied.file_bytes for copied, _ in passes),
        sum(copied.seconds for copied, _ in passes),
        sum(verified.file_bytes for _, verified in passes),
        sum(verified.seconds for _, verified in passes),
        sum(copied.removed for copied, _ in passes),
        len(passes[-1][0].open),
        lost,
    )


def _names(known: Ledger, root: int) -> tuple[set[bytes], set[bytes]]:
    """Which names are not known, and which are of another kind than they should be."""
    foreign, other = set(), set()

    def failed(path: bytes, error: OSError) -> None:
        raise error

    for entry in walk(root, failed):
        noted = known.knows(entry.path)
        if noted is None:
            foreign.add(entry.path)
        elif noted[0].kind != entry.kind:
            other.add(entry.path)
    return foreign, other


def _contents(move: Move, root: int, rows: Iterator[tuple[Entry, bytes]]) -> Generator[tuple[Entry, bool], None, None]:
    pace, threads, opened_folders = Pace(move.bytes_per_second), local(), list[Folders]()

    def one(noted: tuple[Entry, bytes]) -> tuple[Entry, bool]:
        if not hasattr(threads, "folders"):
            threads.folders = Folders(root)
            opened_folders.append(threads.folders)
        return noted[0], _equal(threads.folders, *noted, pace)

    try:
        outcomes = in_parallel(one, rows, move.workers, pace, lambda noted: noted[0].size_bytes)
        with closing(outcomes) as results:
            yield from results
    finally:
        for folder in opened_folders:
            folder.close()


def _equal(copy: Folders, entry: Entry, digest: bytes, pace: Pace) -> bool:
    try:
        folder, name = copy.parent_of(entry.path)
        found = look(folder, name or b".", entry.path)
        if entry.kind != "file" or found.kind != "file":
            return (found.kind, found.target) == (entry.kind, entry.target)
        return (digest, entry.size_bytes) == read_back(folder, name, pace)
    except _ABSENT:
        return False


def read_back(folder: int, name: bytes, pace: Pace) -> tuple[bytes, int]:
    """sha256 and length of a file as its file system gives it, not as the kernel remembers it. Raises OSError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return digest_of(descriptor, pace)
    finally:
        os.close(descriptor)
