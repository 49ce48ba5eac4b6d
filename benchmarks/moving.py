"""Copying a folder as a migration does, beside `cp` and `rsync`: seconds and throughput ratios.

`python -m benchmarks.moving SOURCE DESTINATION [RUNS]`, where DESTINATION is an empty folder on another file system.
All write until it is on the disk; ours hashes and notes every file meanwhile. Reading back is counted apart.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import median

from imgopt_pipeline.migrations.copying import copy
from imgopt_pipeline.migrations.models import Move
from imgopt_pipeline.migrations.mounts import mount_of
from imgopt_pipeline.migrations.verifying import verify


def main() -> None:
    """Run each in turn, and print the medians."""
    source, destination, runs = Path(sys.argv[1]), Path(sys.argv[2]), int(next(iter(sys.argv[3:]), "3"))
    peers = {"cp": ["cp", "-a"], "rsync": ["rsync", "-aH"]}
    seconds: dict[str, list[float]] = {}
    for _ in range(runs):
        for name, words in peers.items():
            command = [*words, str(source), str(destination / "copy")]
            seconds.setdefault(name, []).append(_timed(partial(_run_to_disk, command, destination)))
            rmtree(destination / "copy")
        for name, taken in _ours(source, destination).items():
            seconds.setdefault(name, []).append(taken)
    for name, measured in seconds.items():
        ratios = "".join(f"  {median(seconds[peer]) / median(measured):5.0%} of {peer}" for peer in peers)
        print(f"{name:12} {median(measured):6.2f} s{ratios}")


def _ours(source: Path, destination: Path) -> dict[str, float]:
    mount = mount_of(destination)
    with tempfile.TemporaryDirectory() as folder:
        move = Move("b", source, destination / "copy", Path(folder), mount.mount_point, mount.filesystem)
        taken = {"copy": _timed(lambda: copy(move)), "read back": _timed(lambda: verify(move))}
        rmtree(move.partial)
    return taken


def _timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _run_to_disk(command: list[str], destination: Path) -> None:
    subprocess.run(command, check=True)
    subprocess.run(["sync", "-f", destination], check=True)


if __name__ == "__main__":
    main()
