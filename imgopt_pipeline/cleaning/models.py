"""What can go, what stays, and what became of it, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from imgopt_pipeline.errors import ImgoptError

Kind = Literal["container", "image", "build cache", "volume", "directory"]
CONTAINER: Final = "container"
IMAGE: Final = "image"
BUILD_CACHE: Final = "build cache"
VOLUME: Final = "volume"
DIRECTORY: Final = "directory"
KINDS: tuple[Kind, ...] = (CONTAINER, IMAGE, BUILD_CACHE, VOLUME, DIRECTORY)
"""In the order in which they go: images are free once their containers went."""

REMOVED: Final = "removed"
MOVED: Final = "moved aside"
PUT_BACK: Final = "put back"
LEFT: Final = "left"
FAILED: Final = "failed"
Outcome = Literal["removed", "moved aside", "put back", "left", "failed"]


class CleaningFailed(ImgoptError):
    """Something could not be removed, or moved."""

    exit_code = 1
    kind = "cleaning failed"


@dataclass(frozen=True, slots=True)
class Item:
    """What can go. `key` finds it again: an ID, a volume's name, a printable path; `subject` is what a person reads.

    `size_bytes` is what it takes by itself, `most_bytes` with what it shares, None where nobody says. `named`: a
    person asked for this very one.
    """

    kind: Kind
    key: str
    subject: str
    reason: str
    size_bytes: int | None = None
    named: bool = False
    inode: int | None = None
    most_bytes: int | None = None

    @property
    def step(self) -> str:
        """The name of its step in a journal."""
        return f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True)
class Left:
    """What is left alone, and why. `key` is that of an item."""

    kind: Kind
    key: str
    subject: str
    reason: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What can go, and what of its kind stays."""

    items: tuple[Item, ...] = ()
    left: tuple[Left, ...] = ()

    def __add__(self, other: Found) -> Found:
        return Found(self.items + other.items, self.left + other.left)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a person chose: kinds, and things by name. Volumes go by name only, with no age asked for."""

    kinds: frozenset[Kind] = frozenset()
    containers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    older_than_days: float = 7

    @property
    def everything(self) -> bool:
        """Whether nothing was chosen: all that can go is meant."""
        return not (self.kinds or self.containers or self.volumes or self.directories)

    def wants(self, kind: Kind) -> bool:
        """Whether all of a kind is meant."""
        return self.everything or kind in self.kinds


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cleaning of a host would do. `kept_cache_bytes` stay of the build cache."""

    host: str
    found: Found
    older_than_days: float
    kept_cache_bytes: int

    def to_json(self) -> dict[str, Any]:
        """For a journal; nothing in it is secret."""
        return {
            "kind": KIND,
            "host": self.host,
            "what": "clean",
            "older_than_days": self.older_than_days,
            "kept_cache_bytes": self.kept_cache_bytes,
            "items": [
                {
                    "kind": item.kind,
                    "key": item.key,
                    "subject": item.subject,
                    "reason": item.reason,
                    "size_bytes": item.size_bytes,
                    "named": item.named,
                    "inode": item.inode,
                    "most_bytes": item.most_bytes,
                }
                for item in self.found.items
            ],
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Plan:
        """From a journal."""
        items = tuple(Item(**item) for item in given["items"])
        return cls(given["host"], Found(items), given["older_than_days"], given["kept_cache_bytes"])


KIND: Final = "clean"
"""The kind of action in a journal's first entry."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an item. `freed_bytes` were measured, None where that could not be; `pending_bytes` lie aside."""

    item: Item
    outcome: Outcome
    detail: str = ""
    freed_bytes: int | None = None
    pending_bytes: int = 0
    aside: str | None = None
