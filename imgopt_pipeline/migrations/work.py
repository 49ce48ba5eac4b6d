"""What a step of a migration works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.journal.journal import Journal
from imgopt_pipeline.migrations.migration import Migration, UnitPlan
from imgopt_pipeline.migrations.models import Move
from imgopt_pipeline.services.finding import unit_of
from imgopt_pipeline.services.models import Unit
from imgopt_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """One migration being carried out or taken back on an open host."""

    settings: Settings
    host: EngineHost
    migration: Migration
    journal: Journal

    @property
    def move(self) -> Move:
        return self.migration.move(self.journal.folder)

    @property
    def kept(self) -> Path:
        """Where the source is while the new place is in use."""
        return self.move.aside if self.migration.sets_aside else self.move.source

    def unit(self, plan: UnitPlan) -> Unit:
        """The unit as it stands now."""
        return unit_of(self.host, plan.name)
