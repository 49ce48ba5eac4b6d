"""What journals say of migrations: how each stands, and which one a name means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgopt_pipeline.journal.actions import actions_of, decided
from imgopt_pipeline.journal.journal import DONE, FAILED, Entry, Journal
from imgopt_pipeline.journal.outcomes import OPEN, OUTCOME, RETENTION
from imgopt_pipeline.migrations.migration import KIND, Migration
from imgopt_pipeline.migrations.moving import services_touched


@dataclass(frozen=True, slots=True)
class Record:
    """A migration as its journal has it. `outcome` is `open` while files are copied or a step may have to be undone."""

    journal: Journal
    migration: Migration

    @property
    def outcome(self) -> str:
        entry = self.outcome_entry
        return str(entry.facts["outcome"]) if entry is not None else OPEN

    @property
    def outcome_entry(self) -> Entry | None:
        """The last outcome, None where it went on after that."""
        entry = self.journal.last(OUTCOME)
        if entry is None or services_touched(self.journal):
            return None
        steps = (other for other in self.journal.entries if other.number > entry.number)
        return None if any(other.step != RETENTION for other in steps) else entry

    @property
    def reason(self) -> str:
        """Why it is not verified; of an open one what stopped it last."""
        entry = self.outcome_entry
        if entry is not None:
            return str(entry.facts.get("reason") or "")
        failed = [one for one in self.journal.entries if one.event == FAILED]
        return str(failed[-1].facts.get("message") or "") if failed else ""

    @property
    def copying(self) -> bool:
        """Whether it was cut off, or is at work, before any service was touched."""
        return self.outcome == OPEN and not services_touched(self.journal)

    @property
    def removed(self) -> dict[str, Any] | None:
        """What deleting the source came to; None where it is still there."""
        entry = self.journal.last(RETENTION, DONE)
        return dict(entry.facts) if entry is not None else None

    @property
    def names(self) -> set[str]:
        """What a person may call it."""
        migration = self.migration
        names = {migration.subject, str(migration.source), migration.source.name, migration.volume or ""}
        return names - {"", "_data"}


def records(actions_folder: Path, host: str | None = None) -> Iterator[Record]:
    """The migrations of a host, or of all, the oldest first."""
    for journal in actions_of(actions_folder, KIND):
        record = Record(journal, migration_in(journal))
        if host in (None, record.migration.host):
            yield record


def migration_in(journal: Journal) -> Migration:
    """What a journal is about, as it was decided on last."""
    return Migration.from_json(decided(journal))
