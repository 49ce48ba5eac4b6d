"""The journal of one action: lines of JSON, appended and flushed to the disk before and after each step.

It is the truth about an action; the warehouse's rows are made from it. A line that a crash cut off is no entry. Values
of environment variables, arguments and other possible secrets never go into it.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.journal.clock import Clock, Moment, now

FILE_NAME = "journal.jsonl"

BEGUN: Final = "begun"
DONE: Final = "done"
FAILED: Final = "failed"
UNDOING: Final = "undoing"
UNDONE: Final = "undone"
SEEN: Final = "seen"
NOTED: Final = "noted"
_RESERVE_BYTES = 1_000_000
Event = Literal["begun", "done", "failed", "undoing", "undone", "seen", "noted"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: an event of a step, with what has to be known to go on or back from there."""

    number: int
    moment: Moment
    step: str
    event: Event
    facts: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """The journal of the action whose folder this is. Raises StorageError where it cannot be read or written."""

    def __init__(self, folder: Path, *, clock: Clock = now) -> None:
        self.folder = folder
        self.clock = clock
        self.entries: list[Entry] = []
        self._length_bytes = 0
        if self.path.exists():
            self._read()

    @property
    def path(self) -> Path:
        return self.folder / FILE_NAME

    @property
    def action_id(self) -> str:
        return self.folder.name

    def append(self, step: str, event: Event, **facts: Any) -> Entry:
        """Add an entry; when this returns it is on the disk."""
        entry = Entry(len(self.entries) + 1, self.clock(), step, event, facts)
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        try:
            try:
                self._write(line)
            except OSError as error:
                if error.errno != errno.ENOSPC or not self._reserve.exists():
                    raise
                self._reserve.unlink()
                self._write(line)
        except OSError as error:
            raise StorageError(
                f"the journal cannot be written ({error.strerror}).",
                subject=str(self.path),
                hint="Free some space there; `imgopt resume` then finishes or takes back what was begun.",
            ) from error
        self._length_bytes += len(line)
        self.entries.append(entry)
        return entry

    def reserve(self) -> None:
        """Set room aside, so that an action which was begun can be journaled to its end on a disk that fills up."""
        try:
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError as error:
            raise StorageError(
                f"there is no room for the journal ({error.strerror}).",
                subject=str(self.folder),
                hint="Free some space there first; nothing was changed.",
            ) from error

    def release(self) -> None:
        """Give that room back."""
        self._reserve.unlink(missing_ok=True)

    def last(self, step: str, *events: Event) -> Entry | None:
        """The last entry of a step, of these events or any."""
        found = (entry for entry in reversed(self.entries) if entry.step == step)
        return next((entry for entry in found if not events or entry.event in events), None)

    def facts(self, step: str, event: Event = DONE) -> Mapping[str, Any]:
        """What the last such entry of a step holds; empty where there is none."""
        entry = self.last(step, event)
        return entry.facts if entry is not None else {}

    @property
    def _reserve(self) -> Path:
        return self.folder / "reserve"

    def _write(self, line: bytes) -> None:
        new = not self.path.exists()
        if new:
            _make_folder(self.folder)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # Over what a crash left of a line, if it left any.
            os.ftruncate(descriptor, self._length_bytes)
            _write_all(descriptor, line, self._length_bytes)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            flush_folder(self.folder)

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise StorageError(f"the journal cannot be read ({error.strerror}).", subject=str(self.path)) from error
        for line in content.splitlines(keepends=True):
            entry = _entry(line) if line.endswith(b"\n") else None
            if entry is None or entry.number != len(self.entries) + 1:
                if self._length_bytes + len(line) < len(content):
                    raise StorageError(
                        f"line {len(self.entries) + 1} of the journal is damaged.",
                        subject=str(self.path),
                        hint="Look at the file: what it says up to there was done; see docs/guide/recover.md.",
                    )
                return
            self.entries.append(entry)
            self._length_bytes += len(line)


def journals(actions_folder: Path) -> Iterator[Journal]:
    """The journals of all actions, the oldest first."""
    found = [Journal(path.parent) for path in actions_folder.glob(f"*/{FILE_NAME}")]
    yield from sorted(
        (journal for journal in found if journal.entries), key=lambda journal: journal.entries[0].moment.wall_seconds
    )


def write_durably(path: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Write a file beside and put it in its place; afterwards it is on the disk whole, or what was there is.

    `owner` is user and group, for root. What a crash left beside goes: only one at a time may write a file. The
    folder may be somebody else's: no link that waits there is written through.
    """
    for left in path.parent.glob(f".{escape(path.name)}.*.part"):
        with suppress(OSError):  # a folder, or gone
            left.unlink()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            _write_all(descriptor, content, 0)
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Have a folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        flush_folder(folder.parent)


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _entry(line: bytes) -> Entry | None:
    try:
        given = orjson.loads(line)
        return Entry(given["number"], Moment(**given["moment"]), given["step"], given["event"], given["facts"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
