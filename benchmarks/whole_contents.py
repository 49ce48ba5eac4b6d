"""Figure: everything in one image, its packages, categories and GPU verdict, beside `syft`."""

from __future__ import annotations

import json
from dataclasses import replace

from benchmarks.ground import IMAGE, Ground
from benchmarks.measuring import side_by_side
from benchmarks.report import Figure

TIMES_FASTER = 40
PEAK_MEGABYTES = 200


def measure(ground: Ground) -> list[Figure]:
    """Both read the same image of the same engine; imgopt keeps no layer."""
    inspect = ground.imgopt("inspect", "--no-cache", "--json", IMAGE, engine=ground.classic)
    syft = replace(ground.syft(IMAGE, ground.classic), keep_output=False)
    found = side_by_side(ground.runs, {"imgopt": inspect, "syft": syft})
    ratio = found["syft"].seconds / found["imgopt"].seconds
    peaks = {name: samples.peak_megabytes for name, samples in found.items()}
    return [
        Figure(
            f"`imgopt inspect {IMAGE}` with packages, categories and GPU verdict, nothing cached",
            f"≥ {TIMES_FASTER} × faster than `syft scan`; peak < {PEAK_MEGABYTES} MB",
            f"{ratio:.0f} × ({found['imgopt'].seconds:.2f} s against {found['syft'].seconds:.1f} s);"
            f" {peaks['imgopt']:.0f} MB against {peaks['syft']:.0f} MB",
            ratio >= TIMES_FASTER and peaks["imgopt"] < PEAK_MEGABYTES,
            f"whole processes, image through the API; {_said(found['imgopt'].output)}.",
        )
    ]


def _said(output: bytes) -> str:
    document = json.loads(output)
    accounted = sum(row["bytes"] for row in document["packages"]) + document["unowned_bytes"]
    filled = sum(row["bytes"] for row in document["space"])
    exact = accounted == filled == document["live_bytes"]
    return (
        f"imgopt says {len(document['packages'])} packages, {len(document['space'])} categories, whose bytes"
        f" {'' if exact else 'do NOT '}add up to the image's, and the verdict {document['gpu']['verdict']}"
    )
