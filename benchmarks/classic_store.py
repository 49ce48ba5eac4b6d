"""Figure: one image on an engine with the classic store, beside `dive --json`."""

from __future__ import annotations

import json

from benchmarks.ground import IMAGE, Ground
from benchmarks.measuring import Samples, side_by_side
from benchmarks.report import Figure

TIMES_FASTER = 30
PEAK_MEGABYTES = 150


def measure(ground: Ground) -> list[Figure]:
    """Both read the same image of the same engine; imgopt keeps no layer."""
    inspect = ground.imgopt("inspect", "--layers-only", "--no-cache", "--json", IMAGE, engine=ground.classic)
    found = side_by_side(ground.runs, {"imgopt": inspect, "dive": ground.dive(IMAGE, engine=ground.classic)})
    same = _same_figures(found["imgopt"], (ground.home / "dive.json").read_bytes())
    ratio = found["dive"].seconds / found["imgopt"].seconds
    peak = found["imgopt"].peak_megabytes
    return [
        Figure(
            f"`imgopt inspect --layers-only {IMAGE}`, classic store, nothing cached",
            f"≥ {TIMES_FASTER} × faster than `dive --json`; peak < {PEAK_MEGABYTES} MB",
            f"{ratio:.0f} × ({found['imgopt'].seconds:.2f} s against {found['dive'].seconds:.1f} s); {peak:.0f} MB",
            ratio >= TIMES_FASTER and peak < PEAK_MEGABYTES,
            f"whole processes, image through the API ({readers(found['imgopt'])}); {same}",
        )
    ]


def readers(inspected: Samples) -> str:
    """The ways in which the layers were read, as `inspect --json` records them."""
    return ", ".join(dict.fromkeys(layer["reader"] for layer in json.loads(inspected.output)["layers"]))


def _same_figures(inspected: Samples, dive: bytes) -> str:
    ours, theirs = json.loads(inspected.output)["dive"], json.loads(dive)["image"]
    same = (ours["size_bytes"], ours["wasted_bytes"]) == (theirs["sizeBytes"], theirs["inefficientBytes"])
    return f"imgopt's size and wasted bytes by dive's formula are {'' if same else 'NOT '}dive's to the byte."
