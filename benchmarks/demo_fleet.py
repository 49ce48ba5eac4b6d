"""Figures: making the demo fleet, and its first and second audit.

Run as a module it makes the fleet and nothing else.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace

from benchmarks.ground import Ground
from benchmarks.measuring import Command, Samples, run
from benchmarks.report import Figure

MAKING_SECONDS = 90
FIRST_SECONDS = 60
SECOND_SECONDS = 6


def measure(ground: Ground) -> list[Figure]:
    """Each time from an empty state folder."""
    home = ground.home / "state-demo"
    demo = replace(ground.imgopt("demo", "--json", home=home), keep_output=False)
    making = Command([sys.executable, "-m", "benchmarks.demo_fleet"], demo.environment)
    made, first, second = [], [], []
    for _ in range(ground.runs):
        shutil.rmtree(home, ignore_errors=True)
        made.append(run(making))
        first.append(run(demo))
        second.append(run(demo))
    size_megabytes = float(made[-1].output) / 1e6
    return [
        _figure("making the demo fleet", MAKING_SECONDS, Samples(tuple(made)), f"{size_megabytes:.1f} MB on disk."),
        _figure(
            "first audit of the demo fleet", FIRST_SECONDS, Samples(tuple(first)), "`imgopt demo`, the fleet made."
        ),
        _figure("second audit of it", SECOND_SECONDS, Samples(tuple(second)), "`imgopt demo` once more."),
    ]


def _figure(name: str, limit_seconds: float, samples: Samples, how: str) -> Figure:
    reached = f"{samples.seconds:.1f} s; {samples.peak_megabytes:.0f} MB"
    return Figure(name, f"< {limit_seconds} s whole process", reached, samples.seconds < limit_seconds, how)


def _make() -> None:
    from imgopt_pipeline.demo.generator import make_fleet
    from imgopt_pipeline.settings import load_settings

    folder = load_settings().paths.demo
    make_fleet(None, folder)
    print(sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")))


if __name__ == "__main__":
    _make()
