"""The table of the scenarios' results for docs/benchmarks.md: `python -m benchmarks.scenarios FILE`.

Belongs here: turning what the scenario tests recorded into Markdown. The cases stand in `tests/scenarios`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgopt_pipeline.units import format_bytes, format_percent

HEAD = "| case | before | after | smaller | expected | rules kept | dropped | builds | optimize s | checks s |"


def table(lines: list[dict[str, Any]]) -> str:
    """A row for each optimized image, in the order they ran."""
    return "\n".join([HEAD, "|---|---|---|---|---|---|---|---|---|---|", *_rows(lines)])


def _rows(lines: list[dict[str, Any]]) -> Iterator[str]:
    for line in lines:
        (build,) = line["builds"]
        old, new = build["old_bytes"], build["new_bytes"]
        expected = f"{format_bytes(old - build['high_bytes'])} to {format_bytes(old - build['low_bytes'])}"
        checks = max((attempt["check_seconds"] for attempt in line["build_attempts"]), default=0.0)
        cells = [
            line["case"],
            format_bytes(old),
            "–" if new is None else format_bytes(new),
            "nothing to change" if new is None else format_percent(1 - new / old),
            "–" if new is None else expected,
            " ".join(build["techniques"]) if new is not None else "–",
            " ".join(build["dropped"]) or "–",
            str(build["attempts"]),
            f"{line['seconds']:.0f}",
            f"{checks:.0f}",
        ]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(table([json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]))
