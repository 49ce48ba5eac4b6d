"""The guide says what the code does: its table of techniques and its constants."""

from __future__ import annotations

import re
from pathlib import Path

from imgopt_pipeline.planning import cases, cleaning, directories, priorities
from imgopt_pipeline.planning.techniques import TECHNIQUES
from imgopt_pipeline.units import format_bytes

GUIDE = (Path(__file__).parents[2] / "docs/guide/plan.md").read_text()


def test_the_table_of_techniques_is_that_of_the_code() -> None:
    told: dict[str, tuple[str, str]] = {}
    for names, complexity, risk in re.findall(r"^\| (R\d[R\d, ]*) \| .* \| (\w+) \| (\w+) \|$", GUIDE, re.M):
        told |= dict.fromkeys(names.split(", "), (complexity, risk))
    assert told == {name: (technique.complexity, technique.risk) for name, technique in TECHNIQUES.items()}


def test_the_order_of_techniques_is_that_of_the_code() -> None:
    (order,) = re.findall(r"first of: ([R\d,\s]+)\.", GUIDE)
    assert re.findall(r"R\d+", order) == list(TECHNIQUES)


def test_the_constants_are_those_of_the_code() -> None:
    factors = ", ".join(f"{risk} {factor:g}" for risk, factor in priorities.RISK_FACTORS.items())
    assert f"risk factor: {factors}" in GUIDE
    assert f"high from a score of {priorities.HIGH_SHARE:.0%}".replace("%", " %") in GUIDE
    assert f"medium from {priorities.MEDIUM_SHARE:.1%}".replace("%", " %") in GUIDE
    assert (
        f"gain under {format_bytes(cases.WORTHWHILE_BYTES)} or under {cases.WORTHWHILE_SHARE:.0%}".replace("%", " %")
        in GUIDE
    )
    assert f"at least {cases.CARRYING_SHARE:.0%} of its likely gain".replace("%", " %") in GUIDE
    assert f"at least {cases.NAMED_SHARE:.0%} of the high gain".replace("%", " %") in GUIDE
    assert f"at least {format_bytes(cleaning.LOG_BYTES)} each" in GUIDE
    assert f"at least {format_bytes(directories.LARGE_BYTES)} |" in GUIDE
