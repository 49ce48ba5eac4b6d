"""Figure: a `docker save` archive on disk, warm, beside dive's `docker-archive` source."""

from __future__ import annotations

from benchmarks.classic_store import readers
from benchmarks.ground import Ground
from benchmarks.measuring import run, side_by_side
from benchmarks.report import Figure

TIMES_FASTER = 10


def measure(ground: Ground) -> list[Figure]:
    """The archive is in the page cache: the first run of each only brings it there."""
    inspect = ground.imgopt("inspect", "--layers-only", "--no-cache", "--json", ground.archive)
    dive = ground.dive("--source", "docker-archive", ground.archive)
    for command in (dive, inspect):
        run(command)
    found = side_by_side(ground.runs + 2, {"imgopt": inspect, "dive": dive})
    ratio = found["dive"].seconds / found["imgopt"].seconds
    return [
        Figure(
            f"`imgopt inspect --layers-only {ground.archive.name}`, an archive of it on disk, warm",
            f"≥ {TIMES_FASTER} × faster than `dive --source docker-archive`",
            f"{ratio:.1f} × ({found['imgopt'].seconds:.2f} s against {found['dive'].seconds:.1f} s);"
            f" {found['imgopt'].peak_megabytes:.0f} MB",
            ratio >= TIMES_FASTER,
            f"after one run of each that is not counted ({readers(found['imgopt'])}).",
        )
    ]
