"""What journals say of deployments: how each stands, and which one a name means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgopt_pipeline.deployments.models import KIND, Deployment
from imgopt_pipeline.journal.actions import actions_of, decided
from imgopt_pipeline.journal.journal import BEGUN, DONE, Entry, Journal
from imgopt_pipeline.journal.outcomes import BACK, OPEN, OUTCOME, RETENTION

PIN = "pin"


@dataclass(frozen=True, slots=True)
class Record:
    """A deployment as its journal has it. `outcome` is `open` while a step may still have to be finished or undone."""

    journal: Journal
    deployment: Deployment

    @property
    def outcome(self) -> str:
        entry = self.outcome_entry
        return str(entry.facts["outcome"]) if entry is not None else OPEN

    @property
    def outcome_entry(self) -> Entry | None:
        """The last outcome, None where it went on after that."""
        entry, back = self.journal.last(OUTCOME), self.journal.last(BACK, BEGUN)
        return None if entry is not None and back is not None and back.number > entry.number else entry

    @property
    def reason(self) -> str:
        entry = self.outcome_entry
        return str(entry.facts.get("reason") or "") if entry is not None else ""

    @property
    def gap(self) -> Mapping[str, Any]:
        """`gap_seconds` and `gap_detail` of the last switch; empty where it was cut off, and they were lost with it."""
        entry = self.outcome_entry
        return entry.facts if entry is not None and "gap_seconds" in entry.facts else {}

    @property
    def pinned(self) -> bool:
        """Whether a person wants the old state kept beyond the usual time."""
        entry = self.journal.last(PIN)
        return entry is not None and bool(entry.facts.get("pinned"))

    @property
    def removed(self) -> dict[str, Any] | None:
        """What was removed after the time that old states are kept; None where it is still there."""
        entry = self.journal.last(RETENTION, DONE)
        return dict(entry.facts) if entry is not None else None

    @property
    def names(self) -> set[str]:
        """What a person may call it."""
        deployment = self.deployment
        names = {deployment.subject, deployment.reference or "", (deployment.reference or "").removesuffix(":latest")}
        for plan in deployment.units:
            names |= {plan.name.name, *(old.name for old in plan.containers)}
            if plan.name.compose is not None:
                names.add(plan.name.compose.service)
        return names - {""}


def records(actions_folder: Path, host: str | None = None) -> Iterator[Record]:
    """The deployments of a host, or of all, the oldest first."""
    for journal in actions_of(actions_folder, KIND):
        record = Record(journal, Deployment.from_json(decided(journal)))
        if host in (None, record.deployment.host):
            yield record
