"""Figure: all rules over a made-up warehouse of many audits (`rules.py`). Run as a module it is what is measured."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.ground import Ground
from benchmarks.measuring import Command, side_by_side
from benchmarks.report import Figure

IMAGES, PACKAGES, AUDITS = 1_000, 300, 52
LIMIT_SECONDS = 20


def measure(ground: Ground) -> list[Figure]:
    """The warehouse is made anew, since its schema may have changed since."""
    database = ground.home / "rules.duckdb"
    database.unlink(missing_ok=True)
    rules = [sys.executable, "-m", "benchmarks.all_rules"]
    side_by_side(1, {"make": Command([*rules, "make", str(database)])})
    found = side_by_side(ground.runs, {"rules": Command([*rules, "run", str(database)])})["rules"]
    return [
        Figure(
            f"all rules over {IMAGES:,} images × {PACKAGES} packages × {AUDITS} audits",
            f"< {LIMIT_SECONDS} s",
            f"{found.seconds:.1f} s; {found.peak_megabytes:.0f} MB",
            found.seconds < LIMIT_SECONDS,
            f"whole process, over a made-up warehouse of {database.stat().st_size / 1e6:.0f} MB:"
            f" {found.output.decode().splitlines()[-1]}.",
        )
    ]


def _main(step: str, database: str) -> None:
    from benchmarks import rules

    assert (rules.IMAGES, rules.PACKAGES, rules.AUDITS) == (IMAGES, PACKAGES, AUDITS)
    if step == "make":
        rules.make_warehouse(Path(database))
    else:
        rules.measure(Path(database))


if __name__ == "__main__":
    _main(*sys.argv[1:])
