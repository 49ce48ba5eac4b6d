"""The ledger of a move: every path of the source, what was copied of it, and what was read back.

It lies in the action's folder as SQLite, so that a million files need no memory and a crash loses only what was being
copied at that moment. Nothing is noted as copied before it is on the destination's disk.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.migrations.models import LEFT_OUT, Entry, Kind, Totals

_FIELDS = [field.name for field in fields(Entry)]
_COLUMNS = ", ".join(_FIELDS)
# What tells that a file is another than the one copied. ctime cannot be set back by whoever owns the file.
_SAME = " AND ".join(
    f"files.{name} IS excluded.{name}"
    for name in ("kind", "size_bytes", "mtime_ns", "ctime_ns", "mode", "uid", "gid", "device", "inode", "links")
)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, {", ".join(f"{name} NOT NULL" for name in _FIELDS[1:])},
    sha256 BLOB, copied INTEGER NOT NULL DEFAULT 0, verified INTEGER NOT NULL DEFAULT 0, walk INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_files ON files (path) WHERE copied = 0;
CREATE INDEX IF NOT EXISTS hard_links ON files (device, inode, path) WHERE links > 1 AND kind = 'file';
CREATE TABLE IF NOT EXISTS deletable (
    path BLOB PRIMARY KEY, kind TEXT, size_bytes INTEGER, mtime_ns INTEGER, device INTEGER, inode INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""
_SEEN = f"""
INSERT INTO files ({_COLUMNS}, walk) VALUES ({", ".join("?" * len(_FIELDS))}, ?)
ON CONFLICT (path) DO UPDATE SET
    sha256 = CASE WHEN {_SAME} THEN sha256 END,
    copied = CASE WHEN {_SAME} THEN copied ELSE 0 END,
    verified = CASE WHEN {_SAME} THEN verified ELSE 0 END,
    {", ".join(f"{name} = excluded.{name}" for name in [*_FIELDS[1:], "walk"])}
"""
_LEADS = """
(links = 1 OR NOT EXISTS (
    SELECT 1 FROM files first WHERE first.links > 1 AND first.kind = 'file'
    AND first.device = files.device AND first.inode = files.inode AND first.path < files.path))
"""
_BATCH = 2000


class Ledger:
    """An open ledger; for one thread."""

    def __init__(self, connection: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self._connection = connection
        self._reader = reader

    def commit(self) -> None:
        self._connection.commit()

    def note(self, name: str, value: int | str) -> None:
        """Keep a fact of the whole move; on the disk when this returns."""
        self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))
        self.commit()

    def noted(self, name: str) -> Any:
        """A fact kept by `note`, None where there is none."""
        row = self._connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def see(self, entries: Iterable[Entry]) -> None:
        """Take what a walk found; what is not as it was must be copied again."""
        number = (self.noted("walk") or 0) + 1
        rows = ((*_values(entry), number) for entry in entries)
        while batch := list(itertools.islice(rows, _BATCH)):
            self._connection.executemany(_SEEN, batch)
        self.note("walk", number)

    def vanished(self) -> Iterator[bytes]:
        """What the last walk did not find any more, what is in a folder before it."""
        for (path,) in self._rows("SELECT path FROM files WHERE walk < ? ORDER BY path DESC", self.noted("walk") or 0):
            yield path

    def forget_vanished(self) -> None:
        self._connection.execute("DELETE FROM files WHERE walk < ?", (self.noted("walk") or 0,))
        self.commit()

    def folders(self) -> Iterator[Entry]:
        """All folders, what is in one before it."""
        yield from self._entries("WHERE kind = 'folder' ORDER BY path DESC")

    def rows(self) -> Iterator[tuple[Entry, bytes | None]]:
        """Everything, with the sha256 of files."""
        yield from self._digested("ORDER BY path")

    def to_make(self, kind: Kind) -> Iterator[Entry]:
        """Folders or links that are not at the destination yet, folders before what they hold."""
        yield from self._entries("WHERE copied = 0 AND kind = ? ORDER BY path", kind)

    def left_out(self) -> Iterator[Entry]:
        """What stays behind."""
        yield from self._entries(f"WHERE kind IN ({', '.join('?' * len(LEFT_OUT))}) ORDER BY path", *LEFT_OUT)

    def to_copy(self, *, each_name: bool = False) -> Iterator[Entry]:
        """Files whose content must be copied; of hard links the first name, or each as a file of its own."""
        leads = "" if each_name else f"AND {_LEADS}"
        yield from self._entries(f"WHERE copied = 0 AND kind = 'file' {leads} ORDER BY path")

    def to_link(self) -> Iterator[tuple[bytes, Entry, bytes]]:
        """Further names of files: the first name, the entry, and the sha256 of what both name."""
        query = f"""
            SELECT {", ".join(f"files.{name}" for name in _FIELDS)}, (
                SELECT min(path) FROM files first WHERE first.links > 1 AND first.kind = 'file'
                AND first.device = files.device AND first.inode = files.inode) AS lead
            FROM files WHERE copied = 0 AND kind = 'file' AND NOT {_LEADS} ORDER BY path"""
        for *values, lead in self._rows(query):
            row = self._connection.execute("SELECT sha256 FROM files WHERE path = ? AND copied = 1", (lead,)).fetchone()
            if row is not None:
                yield lead, Entry(*values), row[0]

    def to_verify(self) -> Iterator[tuple[Entry, bytes]]:
        """What was copied and not read back yet, with the sha256 of files."""
        yield from self._digested("WHERE copied = 1 AND verified = 0 ORDER BY path")

    def all_copied(self) -> Iterator[tuple[Entry, bytes]]:
        """What was copied, with the sha256 of files."""
        yield from self._digested("WHERE copied = 1 ORDER BY path")

    def copied(self, path: bytes, sha256: bytes | None = None) -> None:
        self._connection.execute("UPDATE files SET copied = 1, verified = 0, sha256 = ? WHERE path = ?", (sha256, path))

    def verified(self, path: bytes) -> None:
        self._connection.execute("UPDATE files SET verified = 1 WHERE path = ?", (path,))

    def differs(self, path: bytes) -> None:
        """What is at the destination is not it: it must be copied again, with the other names of the same file."""
        self._connection.execute(
            """UPDATE files SET copied = 0, verified = 0 WHERE path = :path OR (links > 1 AND kind = 'file'
            AND (device, inode) = (SELECT device, inode FROM files WHERE path = :path AND links > 1))""",
            {"path": path},
        )

    def copy_all_again(self) -> None:
        self._connection.execute("UPDATE files SET copied = 0, verified = 0")
        self.commit()

    def verify_all_again(self) -> None:
        self._connection.execute("UPDATE files SET verified = 0")
        self.commit()

    def knows(self, path: bytes) -> tuple[Entry, bytes | None] | None:
        """What is noted of a path, with its sha256."""
        row = self._connection.execute(f"SELECT {_COLUMNS}, sha256 FROM files WHERE path = ?", (path,)).fetchone()
        return (Entry(*row[:-1]), row[-1]) if row else None

    def unproven(self) -> int:
        """How much is not copied, or not read back yet."""
        marks = ", ".join("?" * len(LEFT_OUT))
        query = f"SELECT count(*) FROM files WHERE (copied = 0 OR verified = 0) AND kind NOT IN ({marks})"
        return int(self._connection.execute(query, LEFT_OUT).fetchone()[0])

    def bytes_to_copy(self) -> int:
        query = f"SELECT coalesce(sum(size_bytes), 0) FROM files WHERE copied = 0 AND kind = 'file' AND {_LEADS}"
        return int(self._connection.execute(query).fetchone()[0])

    def bytes_to_verify(self) -> int:
        query = "SELECT coalesce(sum(size_bytes), 0) FROM files WHERE copied = 1 AND verified = 0"
        return int(self._connection.execute(query).fetchone()[0])

    def totals(self) -> Totals:
        counted: dict[str, tuple[int, int]] = {
            kind: (number, size)
            for kind, number, size in self._connection.execute(
                "SELECT kind, count(*), sum(size_bytes) FROM files GROUP BY kind"
            )
        }
        number = {kind: counted.get(kind, (0, 0))[0] for kind in ("file", "folder", "link")}
        left_out = sum(counted.get(kind, (0, 0))[0] for kind in LEFT_OUT)
        return Totals(number["file"], number["folder"], number["link"], left_out, counted.get("file", (0, 0))[1])

    def samples(self, number: int) -> list[tuple[bytes, int, str]]:
        """Some files, spread over all: path, size and sha256."""
        query = """
            SELECT path, size_bytes, lower(hex(sha256)) FROM (
                SELECT *, row_number() OVER (ORDER BY path) - 1 AS place, count(*) OVER () AS every
                FROM files WHERE kind = 'file' AND copied = 1)
            WHERE place * ?1 / every > (place - 1) * ?1 / every OR place = 0 ORDER BY path LIMIT ?1"""
        return list(self._rows(query, number))

    def forget_deletable(self) -> None:
        self._connection.execute("DELETE FROM deletable")
        self.commit()

    def deletable(self, entry: Entry) -> None:
        """Both sides of it were read, and are equal."""
        values = (entry.path, entry.kind, entry.size_bytes, entry.mtime_ns, entry.device, entry.inode)
        self._connection.execute("INSERT INTO deletable VALUES (?, ?, ?, ?, ?, ?)", values)

    def all_deletable(self) -> Iterator[tuple[bytes, str, int, int, int, int]]:
        """What may go, what is in a folder before it: path, kind, size_bytes, mtime_ns, device, inode."""
        yield from self._rows("SELECT * FROM deletable ORDER BY path DESC")

    def _entries(self, rest: str, *values: Any) -> Iterator[Entry]:
        for row in self._rows(f"SELECT {_COLUMNS} FROM files {rest}", *values):
            yield Entry(*row)

    def _digested(self, rest: str) -> Iterator[Any]:
        for *values, digest in self._rows(f"SELECT {_COLUMNS}, sha256 FROM files {rest}"):
            yield Entry(*values), digest

    def _rows(self, query: str, *values: Any) -> Iterator[Any]:
        """Rows of a query as they are now: what is noted while they are gone through does not change them."""
        self.commit()
        # Not `yield from`: whoever stops half-way may do so after the ledger is closed.
        for row in self._reader.execute(query, values):  # noqa: UP028
            yield row


@contextmanager
def ledger(path: Path) -> Iterator[Ledger]:
    """Open a ledger, or begin one. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(path)) as reader:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_SCHEMA)
            yield Ledger(connection, reader)
            connection.commit()
    except sqlite3.Error as error:
        raise StorageError(
            f"the list of moved files cannot be read or written ({error}).",
            subject=str(path),
            hint="Free some space there; `imgopt resume` then goes on.",
        ) from error


def _values(entry: Entry) -> tuple[Any, ...]:
    return tuple(getattr(entry, name) for name in _FIELDS)
