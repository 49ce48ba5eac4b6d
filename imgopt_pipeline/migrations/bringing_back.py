"""What services wrote at the destination since they use it, brought back to the source before that is used again.

Whatever is not as it was handed over is made beside the source's own, read back, and put in its place at once, so that
no file there is ever half. What was deleted at the destination stays in the source, for nobody can tell whether it was
meant; so does what something of another kind took the place of. The destination itself is only read.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from imgopt_pipeline import progress
from imgopt_pipeline.migrations.content import (
    Pace,
    SourceChanged,
    SourceError,
    copy_file,
    set_properties,
    set_times,
)
from imgopt_pipeline.migrations.handed_over import handed_over, notes_of, opened_copy, refuse
from imgopt_pipeline.migrations.models import LEFT_OUT, CopyDiffers, Entry, Kind, Move, MoveFailed, StillWritten
from imgopt_pipeline.migrations.mounts import flush, held
from imgopt_pipeline.migrations.tree import Folders, folders, look, open_folder, opened, remove, walk
from imgopt_pipeline.migrations.verifying import read_back
from imgopt_pipeline.names import printable

_AGAIN_SECONDS, _LONGEST_SECONDS = 0.5, 10.0
_FULL = {errno.ENOSPC, errno.EDQUOT}
_CANNOT_LINK = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV}


@dataclass(frozen=True, slots=True)
class Returned:
    """What was brought back. `gone`: what was handed over and is not at the destination any more.

    `originals` are the source's own that something of another kind took the place of, under the names they have now.
    """

    files: int = 0
    file_bytes: int = 0
    gone: int = 0
    originals: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sides:
    """The destination that is read, and the source that is written.

    `beside` is the name of what is being made, `aside` how names of kept originals end; `links`: whether numbers of
    files tell hard links. `brought`: the first name of each file with several; `changed`: folders with new names.
    """

    there: int
    here: int
    reading: Folders
    writing: Folders
    leads: Folders
    beside: bytes
    aside: bytes
    links: bool
    pace: Pace = field(default_factory=Pace)
    brought: dict[str, bytes] = field(default_factory=dict)
    changed: set[bytes] = field(default_factory=set)
    originals: set[bytes] = field(default_factory=set)

    def note_originals(self, entry: Entry, names: Iterable[bytes]) -> None:
        """What is kept beside a path, of which something of another kind took the place."""
        folder = entry.path.rpartition(b"/")[0]
        self.originals.update(_below(folder, name) for name in names)


def bring_back(move: Move, into: Path) -> Returned:
    """Bring back what is not as it was handed over. Nobody may write on either side meanwhile.

    Can be called again, wherever an earlier call was cut off. Raises MountGone, CopyDiffers, StillWritten, MoveFailed.
    """
    if not notes_of(move).exists():
        return Returned()
    progress.current().start("bringing back what was written since")
    files = file_bytes = present = 0
    with (
        held(move) as place,
        opened_copy(place, move) as there,
        _opened(into) as here,
        handed_over(move) as known,
        folders(there) as reading,
        folders(here) as writing,
        folders(here) as leads,
    ):
        beside, aside = (os.fsencode(f".{word}-{move.action_id}") for word in ("bringing", "original"))
        links = not place.mount.in_user_space  # there numbers of files are often made up
        sides = _Sides(there, here, reading, writing, leads, beside, aside, links)
        for entry in walk(there, refuse):
            present += known.knows(entry.path)
            if not known.as_it_was(entry) and entry.kind not in LEFT_OUT:
                _bring(entry, sides)
                files += entry.kind == "file"
                file_bytes += entry.size_bytes
            if entry.kind == "folder":
                _sweep(entry.path, sides)
        place.check()
        _flush(sides)
        return Returned(files, file_bytes, known.paths() - present, tuple(sorted(sides.originals)))


def _bring(entry: Entry, sides: _Sides) -> None:
    folder, name = sides.writing.parent_of(entry.path)
    if name == sides.beside:
        raise MoveFailed("its name is needed here.", subject=printable(entry.path), hint="Give it another one.")
    kind = _kind(folder, name)
    asides, free_name = _aside_names(entry, folder, name, sides)
    if kind == entry.kind == "folder":
        sides.note_originals(entry, asides)
        return
    try:
        _make(entry, folder, sides)
        if kind not in (None, entry.kind):
            os.rename(name, free_name, src_dir_fd=folder, dst_dir_fd=folder)
            asides.append(free_name)
        os.rename(sides.beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        remove(folder, sides.beside)
    sides.note_originals(entry, asides)
    sides.changed.add(entry.path.rpartition(b"/")[0])


def _make(entry: Entry, folder: int, sides: _Sides) -> None:
    """Make it beside its place, whole and on the disk."""
    if entry.kind == "folder":
        os.mkdir(sides.beside, 0o700, dir_fd=folder)
        there, here = open_folder(sides.there, entry.path), open_folder(folder, sides.beside)
        try:
            set_properties(entry, there, here)
            flush(here)
        finally:
            os.close(there)
            os.close(here)
    elif entry.kind == "link":
        os.symlink(entry.target, sides.beside, dir_fd=folder)
        os.chown(sides.beside, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
        set_times(entry, folder, sides.beside)
    elif not _linked(entry, folder, sides):
        digest, size_bytes = _copied(entry, sides)
        if read_back(folder, sides.beside, sides.pace) != (digest, size_bytes):
            raise CopyDiffers("it came back as another than was written.", subject=printable(entry.path))


def _linked(entry: Entry, folder: int, sides: _Sides) -> bool:
    """Whether it could be made as one more name of a file that was brought back already."""
    group = entry.hard_link_group
    if not group or not sides.links:
        return False
    if group not in sides.brought:
        sides.brought[group] = entry.path
        return False
    first, first_name = sides.leads.parent_of(sides.brought[group])
    try:
        os.link(first_name, sides.beside, src_dir_fd=first, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        return False
    return True


def _copied(entry: Entry, sides: _Sides) -> tuple[bytes, int]:
    """sha256 and length of a file that was brought over, as it is now.

    A remote in user space may still be settling what was written last: its times are then others a moment later.
    """
    pause_seconds = _AGAIN_SECONDS
    while True:
        try:
            digest, _ = copy_file(
                entry, sides.reading, sides.writing, sides.pace, holes=True, flush_each=True, beside=sides.beside
            )
            return digest, entry.size_bytes
        except SourceChanged as error:
            if pause_seconds > _LONGEST_SECONDS:
                raise StillWritten("it changes while it is brought back.", subject=printable(entry.path)) from error
        except SourceError as error:
            raise MoveFailed(
                f"it cannot be read at the destination ({error}).", subject=printable(entry.path)
            ) from error
        # Looked at again too soon, some begin anew.
        time.sleep(pause_seconds)
        pause_seconds *= 2
        folder, name = sides.reading.parent_of(entry.path)
        entry = look(folder, name, entry.path)


def _kind(folder: int, name: bytes) -> Kind | None:
    with suppress(FileNotFoundError):
        return look(folder, name, name).kind
    return None


def _aside_names(entry: Entry, folder: int, name: bytes, sides: _Sides) -> tuple[list[bytes], bytes]:
    """The names under which originals are kept already, and the next that is free on both sides."""
    there, _ = sides.reading.parent_of(entry.path)
    longest, taken = os.fpathconf(folder, "PC_NAME_MAX"), list[bytes]()
    for number in itertools.count(1):
        end = sides.aside if number == 1 else b"%b-%d" % (sides.aside, number)
        candidate = name[: longest - len(end)] + end
        if _kind(folder, candidate) is not None:
            taken.append(candidate)
        elif _kind(there, candidate) is None:
            break
    return taken, candidate


def _sweep(path: bytes, sides: _Sides) -> None:
    """Remove from a folder what a call that was cut off left in it."""
    with suppress(FileNotFoundError, NotADirectoryError):
        remove(*sides.writing.parent_of(_below(path, sides.beside)))


def _flush(sides: _Sides) -> None:
    """Have the new names on the disk; what they name is there already."""
    for path in sides.changed:
        folder = open_folder(sides.here, path)
        try:
            flush(folder)
        finally:
            os.close(folder)


def _below(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    try:
        with opened(folder) as descriptor:
            yield descriptor
    except OSError as error:
        if error.errno in _FULL:
            raise MoveFailed(
                "no space is left there for what was written at the destination.",
                subject=str(folder),
                hint="Free some there; every file is whole, as it was or as it is now.",
            ) from error
        raise MoveFailed(f"it cannot be written or read ({error.strerror}).", subject=str(folder)) from error
