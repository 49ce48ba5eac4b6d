"""Runs commands side by side and says what they took: wall seconds, peak memory, what they printed.

Peak memory is that of the largest process of the tree, as the kernel counts it. A new process starts with
its parent's count, so whoever measures must be smaller than whatever is measured.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO

MEGABYTE = 1_000_000
_QUIET_SECONDS = 30
_IDLE_SHARE = 0.9


class CommandFailed(RuntimeError):
    """A measured command did not end well; the message holds what it printed."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command with what its environment has beyond ours; `keep_output` where somebody reads it."""

    words: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    keep_output: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """One run."""

    seconds: float
    peak_bytes: int
    output: bytes


@dataclass(frozen=True, slots=True)
class Samples:
    """The runs of one command. What it printed is the same each time: the last stands for all."""

    runs: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        return median(sample.seconds for sample in self.runs)

    @property
    def peak_megabytes(self) -> float:
        """The worst run, not the median: memory must suffice every time."""
        return max(sample.peak_bytes for sample in self.runs) / MEGABYTE

    @property
    def output(self) -> bytes:
        return self.runs[-1].output


def run(command: Command) -> Sample:
    """Run a command once. Raises CommandFailed."""
    words = [str(word) for word in command.words]
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complained:
        output: IO[bytes] | int = printed if command.keep_output else subprocess.DEVNULL
        started = time.monotonic()
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=complained,
            env={**os.environ, **command.environment},
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        content = printed.read()
        if process.returncode:
            complained.seek(0)
            said = (content + complained.read())[-2_000:].decode(errors="replace")
            raise CommandFailed(f"{' '.join(words)} exited with {process.returncode}:\n{said}")
    return Sample(seconds, usage.ru_maxrss * 1024, content)


def side_by_side(runs: int, commands: Mapping[str, Command]) -> dict[str, Samples]:
    """Run each command several times, taking turns, so that a busy minute meets all of them.

    Each begins on a quiet machine: an engine goes on clearing away for seconds after a peer's command has ended.
    """
    found: dict[str, list[Sample]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            _await_quiet()
            found[name].append(run(command))
    return {name: Samples(tuple(samples)) for name, samples in found.items()}


def _await_quiet() -> None:
    """Wait until the processors idle, but not for ever."""
    deadline = time.monotonic() + _QUIET_SECONDS
    before = _ticks()
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = _ticks()
        idle, total = (new - old for new, old in zip(now, before, strict=True))
        if idle >= _IDLE_SHARE * total:
            return
        before = now


def _ticks() -> tuple[int, int]:
    """Idle ticks of all processors since the start, and all ticks (proc(5), /proc/stat)."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return fields[3], sum(fields)
