"""What was watched, as it goes into an action's journal and comes out of it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imgopt_pipeline.journal.journal import BEGUN, Journal
from imgopt_pipeline.services.models import GateCheck
from imgopt_pipeline.services.watching.baseline import Baseline
from imgopt_pipeline.services.watching.gap import GapMeter

OBSERVE, GATE, BACK_GATE = "observe", "gate", "back: gate"
"""Steps: how units do before, after a switch, and after the way back."""


def baselines_in(journal: Journal) -> dict[str, Baseline]:
    """What the units did before, by name."""
    return {name: Baseline.from_json(each) for name, each in journal.facts(OBSERVE).items()}


def check_facts(checks: Iterable[tuple[str, GateCheck]]) -> list[dict[str, str]]:
    """Checks, each with the name of its unit."""
    names = ("check", "outcome", "old", "new", "detail")
    return [{"unit": unit, **{name: getattr(check, name) for name in names}} for unit, check in checks]


def gap_facts(gap: GapMeter) -> dict[str, Any]:
    """How long the units did not answer."""
    return {"gap_seconds": gap.seconds, "gap_detail": gap.detail}


def last_seen(journal: Journal, step: str) -> Mapping[str, Any]:
    """What the last run of a gate saw, whether it passed or not; empty where none came to its end."""
    entries = [entry for entry in journal.entries if entry.step == step and entry.event != BEGUN]
    return next((entry.facts for entry in reversed(entries) if "checks" in entry.facts), {})


def check_rows(journal: Journal, phases: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The checks of the last gates as columns of a table of checks; `phases` maps a row's phase to the step."""
    for phase, step in phases.items():
        for check in last_seen(journal, step).get("checks") or []:
            yield {
                "phase": phase,
                "unit": check["unit"],
                "check_name": check["check"],
                "outcome": check["outcome"],
                "old_value": check["old"],
                "new_value": check["new"],
                "detail": check["detail"],
            }
