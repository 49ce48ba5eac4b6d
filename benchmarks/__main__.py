"""`python -m benchmarks [FIGURE …]`: all figures with docs/benchmarks.md, or some of them printed only."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    all_rules,
    archive_on_disk,
    classic_store,
    containerd_store,
    demo_fleet,
    open_warehouse,
    package_counts,
    rewriting,
    small_files,
    unchanged_audit,
    whole_contents,
)
from benchmarks.ground import Ground, prepared_ground
from benchmarks.machine import machine, versions
from benchmarks.report import Figure, print_figures, write_document

_FIGURES: dict[str, Callable[[Ground], list[Figure]]] = {
    "classic": classic_store.measure,
    "contents": whole_contents.measure,
    "packages": package_counts.measure,
    "containerd": containerd_store.measure,
    "archive": archive_on_disk.measure,
    "audit": unchanged_audit.measure,
    "demo": demo_fleet.measure,
    "rules": all_rules.measure,
    "files": small_files.measure,
    "readers": open_warehouse.measure,
    "rewriting": rewriting.measure,
}
_DOCUMENT = Path(__file__).resolve().parent.parent / "docs/benchmarks.md"


def main(chosen: list[str]) -> int:
    """Exit code 2 for a figure that there is not; a missed target is told and is no failure."""
    if unknown := set(chosen) - set(_FIGURES):
        print(f"There is no figure {', '.join(sorted(unknown))}; known: {', '.join(_FIGURES)}.", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    with prepared_ground() as ground:
        started, load = time.monotonic(), os.getloadavg()[0]
        if load > (os.cpu_count() or 1) / 2:
            print(f"bench: the machine is busy (load {load:.1f}); the ratios will be off.", file=sys.stderr)
        for name in chosen or _FIGURES:
            print(f"bench: measures {name}.", file=sys.stderr, flush=True)
            figures += _FIGURES[name](ground)
        print_figures(figures)
        if not chosen:
            details = {
                **machine(),
                "load before": f"{load:.1f} processes (1 minute's average)",
                "measuring took": f"{(time.monotonic() - started) / 60:.1f} minutes",
            }
            write_document(_DOCUMENT, figures, details, versions(ground.classic.url))
            print(f"bench: wrote {_DOCUMENT}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
