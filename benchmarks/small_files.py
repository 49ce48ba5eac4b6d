"""Figure: an image of three million small files."""

from __future__ import annotations

import json

from benchmarks.ground import Ground
from benchmarks.measuring import run
from benchmarks.report import Figure

SECONDS = 60
PEAK_MEGABYTES = 1_500


def measure(ground: Ground) -> list[Figure]:
    """The answer must be right, too."""
    sample = run(ground.imgopt("inspect", "--no-cache", "--json", ground.many_files))
    peak = sample.peak_bytes / 1e6
    document = json.loads(sample.output)
    right = document["dead_bytes"] == ground.shape.dead_bytes
    return [
        Figure(
            f"`imgopt inspect` of an image with {ground.shape.files:,} small files",
            f"< {SECONDS} s, < {PEAK_MEGABYTES / 1000:.1f} GB",
            f"{sample.seconds:.1f} s, {peak / 1000:.2f} GB",
            right and sample.seconds < SECONDS and peak < PEAK_MEGABYTES,
            "one run, over an archive alone (an engine would first have to unpack it file by file) of"
            f" {ground.many_files.stat().st_size / 1e9:.1f} GB in {len(document['layers'])} layers;"
            f" the dead bytes are {'' if right else 'NOT '}those it was made with.",
        )
    ]
