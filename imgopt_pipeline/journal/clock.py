"""How long ago something was, by evidence that a wrong clock cannot make longer.

A wall clock that is set forward, or was behind when something was noted, makes it look older than it is. What is kept
for a time must then not go early. Time since boot cannot be set: between two moments of one boot it is the truth, and
across a restart only what has passed since the last start is certain.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment by both clocks: `wall_seconds` since 1970, and `boot_seconds` since the start that `boot_id` names."""

    wall_seconds: float
    boot_id: str
    boot_seconds: float

    @property
    def at(self) -> datetime:
        """The wall clock's time, UTC."""
        return datetime.fromtimestamp(self.wall_seconds, UTC)


Clock = Callable[[], Moment]


def now() -> Moment:
    """This moment."""
    return Moment(time.time(), _boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME))


def certain_seconds(sightings: Sequence[Moment]) -> float:
    """How long the time from the first sighting to the last was at least, whatever the wall clock was set to.

    The more often something is seen across restarts, the closer this comes to the truth; it never exceeds it.
    """
    passed = 0.0
    for before, after in itertools.pairwise(sightings):
        since_boot = after.boot_seconds - before.boot_seconds if before.boot_id == after.boot_id else after.boot_seconds
        passed += max(0.0, since_boot)
    return passed


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""  # no Linux; every moment then counts as of one boot, by a clock that begins with it
