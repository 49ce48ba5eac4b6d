"""What the destination looked like when services were pointed to it: by that, what they wrote since is told apart."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.migrations.copying import copy_name
from imgopt_pipeline.migrations.ledger import ledger
from imgopt_pipeline.migrations.models import Entry, Move, MoveFailed
from imgopt_pipeline.migrations.mounts import Held, held, mount_of
from imgopt_pipeline.migrations.tree import open_folder, walk
from imgopt_pipeline.names import printable

_SCHEMA = "CREATE TABLE seen (path BLOB PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID"


class HandedOver:
    """What was noted; for one thread."""

    def __init__(self, connection: sqlite3.Connection, *, in_user_space: bool) -> None:
        self._connection = connection
        self._in_user_space = in_user_space

    def knows(self, path: bytes) -> bool:
        """Whether it was there."""
        return self._state(path) is not None

    def as_it_was(self, entry: Entry) -> bool:
        """Whether nothing was written there since."""
        return self._state(entry.path) == state_of(entry, in_user_space=self._in_user_space)

    def paths(self) -> int:
        """How many there were."""
        return int(self._connection.execute("SELECT count(*) FROM seen").fetchone()[0])

    def all_paths(self) -> set[bytes]:
        """Every path that was there."""
        return {path for (path,) in self._connection.execute("SELECT path FROM seen")}

    def files(self, folder: bytes) -> int:
        """How many files there were in a folder, or in all (`b""`)."""
        query = "SELECT count(*) FROM seen WHERE state LIKE 'file %' AND (?1 = x'' OR substr(path, 1, length(?1)) = ?1)"
        return int(self._connection.execute(query, (folder + b"/" if folder else b"",)).fetchone()[0])

    def _state(self, path: bytes) -> str | None:
        row = self._connection.execute("SELECT state FROM seen WHERE path = ?", (path,)).fetchone()
        return str(row[0]) if row else None


def note_handed_over(move: Move) -> int:
    """Note what the destination looks like now, before anybody writes there; how many paths. Raises MountGone."""
    notes = notes_of(move)
    beside = notes.with_name(f"{notes.name}.part")
    beside.unlink(missing_ok=True)
    with held(move) as place, opened_copy(place, move) as root, _storage_errors(beside):
        with closing(sqlite3.connect(beside)) as connection:
            connection.execute(_SCHEMA)
            in_user_space = place.mount.in_user_space
            rows = ((entry.path, state_of(entry, in_user_space=in_user_space)) for entry in walk(root, refuse))
            connection.executemany("INSERT INTO seen VALUES (?, ?)", rows)
            connection.commit()
            (number,) = connection.execute("SELECT count(*) FROM seen").fetchone()
        os.replace(beside, notes)
    return int(number)


@contextmanager
def handed_over(move: Move) -> Iterator[HandedOver]:
    """The notes, which must be there."""
    with _storage_errors(notes_of(move)), closing(sqlite3.connect(notes_of(move))) as connection:
        yield HandedOver(connection, in_user_space=mount_of(move.final.parent).in_user_space)


def notes_of(move: Move) -> Path:
    """The file with the notes."""
    return move.folder / "handed-over.sqlite"


def state_of(entry: Entry, *, in_user_space: bool) -> str:
    """What tells that something was written. In user space the time of a change is often made up."""
    if entry.kind == "folder":
        return "folder"
    ctime = 0 if in_user_space else entry.ctime_ns
    return f"{entry.kind} {entry.size_bytes} {entry.mtime_ns} {ctime} {printable(entry.target)}"


@contextmanager
def opened_copy(place: Held, move: Move) -> Iterator[int]:
    """The copy at the destination, under whichever name it has now. Raises MoveFailed."""
    try:
        with ledger(move.ledger) as known:
            descriptor = open_folder(place.descriptor, copy_name(move, known))
    except OSError as error:
        raise MoveFailed(f"the moved folder cannot be opened ({error.strerror}).", subject=str(move.final)) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def refuse(path: bytes, error: OSError) -> None:
    """What cannot be looked at while walking through the destination ends it. Raises MoveFailed."""
    raise MoveFailed(f"it cannot be read at the destination ({error.strerror}).", subject=printable(path)) from error


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"the notes on the destination cannot be used ({error}).", subject=str(path)) from error
