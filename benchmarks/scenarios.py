"""The section of docs/benchmarks.md about optimized applications: `python -m benchmarks.scenarios FILE`.

Belongs here: turning what the scenario tests recorded into Markdown. The cases stand in `tests/scenarios`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.report import write_section
from imgopt_pipeline.units import format_bytes, format_percent

_DOCUMENT = Path(__file__).resolve().parent.parent / "docs/benchmarks.md"
_HEAD = (
    "case",
    "before",
    "after",
    "smaller",
    "expected after",
    "rules kept",
    "dropped",
    "builds",
    "optimize",
    "checks",
)


def section(lines: Sequence[dict[str, Any]], rewriting: str) -> str:
    """A row for each optimized image, in the order they ran; `rewriting`: what benchmarks.rewriting said."""
    system = machine()
    return "\n".join(
        [
            "The last run of `make scenarios`: `imgopt optimize --yes` on real applications, whose sources stand in",
            "`tests/scenarios/applications`, on bases made from the distribution's packages. Bytes are those",
            "stored in all layers; *optimize* is the whole command with builds and downloads, *checks* those of the",
            "slowest candidate, 10 s of soak time in it.",
            "",
            f"| {' | '.join(_HEAD)} |",
            f"|{'---|' * len(_HEAD)}",
            *_rows(lines),
            "",
            f"Rewriting Dockerfiles: {rewriting}.",
            "",
            f"On {system['cores']} cores of {system['processor']}, {system['memory']}.",
        ]
    )


def _rows(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    for line in lines:
        (build,) = line["builds"]
        old, new = build["old_bytes"], build["new_bytes"]
        expected = f"{format_bytes(old - build['high_bytes'])} to {format_bytes(old - build['low_bytes'])}"
        checks = max((attempt["check_seconds"] for attempt in line["build_attempts"]), default=0.0)
        kept = new is not None
        cells = [
            line["case"],
            format_bytes(old),
            format_bytes(new) if kept else "–",
            format_percent(1 - new / old) if kept else "nothing to change",
            expected if kept else "–",
            " ".join(build["techniques"]) if kept else "–",
            " ".join(build["dropped"]) or "–",
            str(build["attempts"]),
            f"{line['seconds']:.0f} s",
            f"{checks:.0f} s" if kept else "–",
        ]
        yield f"| {' | '.join(cells)} |"


def _main(recorded: Path) -> None:
    lines = [json.loads(line) for line in recorded.read_text().splitlines()]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rewriting"], check=True, capture_output=True, text=True
    ).stdout.splitlines()[-1]
    text = section(lines, done)
    print(text)
    write_section(_DOCUMENT, text)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
