"""Figure: rewriting 1,000 Dockerfiles, the golden pairs of the tests over and over, each a little different.

Run as a module it is what is measured.
"""

from __future__ import annotations

import sys
import time

from benchmarks.ground import Ground
from benchmarks.measuring import Command, side_by_side
from benchmarks.report import Figure

FILES = 1_000
LIMIT_SECONDS = 10


def measure(ground: Ground) -> list[Figure]:
    """With all rules and with what each pair knows of its image."""
    command = Command([sys.executable, "-m", "benchmarks.rewriting"])
    found = side_by_side(ground.runs, {"rewriting": command})["rewriting"]
    return [
        Figure(
            f"rewriting {FILES:,} Dockerfiles",
            f"< {LIMIT_SECONDS} s",
            f"{found.seconds:.1f} s; {found.peak_megabytes:.0f} MB",
            found.seconds < LIMIT_SECONDS,
            f"whole process, all rules, with facts where the pair has them: {found.output.decode().splitlines()[-1]}.",
        )
    ]


def _main() -> None:
    from imgopt_pipeline.dockerfiles.rewriting import chosen_rules, rewrite
    from tests.dockerfiles.golden_cases import golden_cases

    cases, rules = golden_cases(), chosen_rules("aggressive")
    changed = lines = 0
    started = time.perf_counter()
    for number in range(FILES):
        case = cases[number % len(cases)]
        # A label at the end makes each a text of its own and moves no line that facts name.
        text = f"{case.before.rstrip()}\nLABEL number={number}\n"
        known = case.known
        result = rewrite(
            text, rules, stage=known.stage, image=known.image, context=known.context, sources=known.sources
        )
        changed += result.text != text
        lines += text.count("\n")
    print(f"{changed:,} of them changed, {lines:,} lines, {time.perf_counter() - started:.1f} s without the start")


if __name__ == "__main__":
    _main()
