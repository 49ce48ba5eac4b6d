"""What a move is, as plain values, and what can go wrong with it.

Paths inside a moved folder are bytes, relative to it, `b""` for the folder itself: they may be no UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.names import printable
from imgopt_pipeline.units import count

Kind = Literal["file", "folder", "link", "socket", "fifo", "device", "mount"]
LEFT_OUT: Final = ("socket", "fifo", "device", "mount")
"""Kinds that no copy of a folder can hold: they are listed, and stay behind."""

_SHOWN = 20


class MoveFailed(ImgoptError):
    """Files could not be brought over. The source is whole and where it was."""

    exit_code = 1
    kind = "move failed"


class MountGone(MoveFailed):
    """The destination is no longer mounted, or something else is in its place."""


class DestinationFull(MoveFailed):
    """No space is left at the destination."""


class Unreadable(MoveFailed):
    """Some files of the source cannot be read."""


class StillWritten(MoveFailed):
    """Files of the source change faster than they are copied."""


class CopyDiffers(MoveFailed):
    """What the destination gives back is not what was written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a folder, as it was seen without following links. `disk_bytes` is what it takes on its disk."""

    path: bytes
    kind: Kind
    size_bytes: int
    disk_bytes: int
    mtime_ns: int
    ctime_ns: int
    atime_ns: int
    mode: int
    uid: int
    gid: int
    device: int
    inode: int
    links: int
    target: bytes = b""

    @property
    def hard_link_group(self) -> str:
        """The same for all names of one file; empty for a file with one name."""
        return f"{self.device}:{self.inode}" if self.kind == "file" and self.links > 1 else ""


@dataclass(frozen=True, slots=True)
class Move:
    """A move of `source` to `final`, which lies on what is mounted at `mount_point` as `filesystem`.

    `folder` is the action's own; all of it can be kept in a journal.
    """

    action_id: str
    source: Path
    final: Path
    folder: Path
    mount_point: Path
    filesystem: str
    workers: int = 4
    bytes_per_second: int | None = None

    @property
    def partial(self) -> Path:
        """Where the copy is made, beside its final name."""
        return self.final.with_name(f".partial-{self.action_id}")

    @property
    def aside(self) -> Path:
        """What the source is called after it was set aside."""
        return self.source.with_name(f"{self.source.name}.migrated-{self.action_id}")

    @property
    def ledger(self) -> Path:
        return self.folder / "files.sqlite"

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.parquet"


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is. Bytes are those of files as they are read, holes included; each hard link counts."""

    files: int = 0
    folders: int = 0
    links: int = 0
    left_out: int = 0
    file_bytes: int = 0


def listing(paths: Iterable[bytes]) -> str:
    """The first paths as a person can read them, and how many more there are."""
    names = sorted(paths)
    shown = ", ".join(printable(name) or "." for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {count(more, 'other')}" if more > 0 else shown
