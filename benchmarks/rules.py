"""Figure: all built-in rules over a made-up warehouse of 1,000 images × 300 packages × 52 audits.

`python -m benchmarks.rules [DATABASE]` makes the warehouse (always the same) where it is missing, and prints the times.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from imgopt_pipeline.findings.rule_files import load_rules, rule_values
from imgopt_pipeline.findings.runner import run_rules
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.sql import Value, with_values
from imgopt_pipeline.warehouse.store import publish, snapshot

IMAGES = 1_000
PACKAGES = 300
AUDITS = 52
LIMIT_SECONDS = 20
_LAYERS = 12
_HOST = "synthetic"


def make_warehouse(database: Path) -> None:
    """The same rows at every call."""
    values: dict[str, Value] = {
        "host": _HOST,
        "images": IMAGES,
        "packages": PACKAGES,
        "audits": AUDITS,
        "layers": _LAYERS,
    }
    text = with_values(Path(__file__).with_suffix(".sql").read_text(), values)
    publish(database, lambda connection: connection.execute(text))


def measure(database: Path, *, each: bool = False) -> float:
    """Seconds that all rules take for the newest audit, opening the warehouse included; `each` prints them by rule."""
    values = rule_values(Settings(home=Path()))
    started = time.perf_counter()
    rules, _ = load_rules(None)
    with snapshot(database) as connection:
        connection.execute("SET threads = 2")
        done = run_rules(connection, _HOST, f"audit-{AUDITS - 1}", rules, values)
    seconds = time.perf_counter() - started
    assert not [problem for problem in done.problems if problem.kind != "findings cut off"], done.problems
    print(f"{len(rules)} rules, {len(done.findings):,} findings, {seconds:.2f} s (limit {LIMIT_SECONDS} s)")
    if each:
        with snapshot(database) as connection:
            for rule in rules:
                begun = time.perf_counter()
                found = run_rules(connection, _HOST, f"audit-{AUDITS - 1}", [rule], values).findings
                print(f"  {rule.rule_id:35} {len(found):6,} {time.perf_counter() - begun:.2f} s with its prelude")
    return seconds


def main(arguments: list[str]) -> int:
    """Exit code 1 where the limit is passed."""
    with tempfile.TemporaryDirectory(prefix="imgopt-rules-") as folder:
        database = Path(arguments[0] if arguments else f"{folder}/imgopt.duckdb")
        if not database.exists():
            started = time.perf_counter()
            make_warehouse(database)
            size_mb = database.stat().st_size / 1e6
            print(f"warehouse of {size_mb:.0f} MB made in {time.perf_counter() - started:.1f} s")
        return int(measure(database, each=True) > LIMIT_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
