"""Asking the containers of a unit, over and over, what the old ones were asked.

Belongs here: whom to ask and how often. What is asked, and whether an answer is as before, is `probes`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from imgopt_pipeline.builds.checks.isolation import Refused
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.services.models import Running, Unit
from imgopt_pipeline.services.watching.probes import Asker, Question, Told, as_before, counts
from imgopt_pipeline.services.watching.states import state_of

BLIPS = 1
"""So many times it may answer otherwise while it is left alone: that is told, and no failure."""

_EVERY_SECONDS = 1.0
_PAUSE_PER_SECOND = 4.0


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of asking while it was left alone: how many times, how many of them it answered otherwise, and what."""

    times: int = 0
    otherwise: int = 0
    words: str = ""


NOT_SOAKED = Soaked()


@dataclass(slots=True)
class Asking:
    """Asks all containers. `answers` are the last ones, by the name of the container; `unasked`: why nobody could ask.

    `asked`: each question, with what the old one answered.
    """

    host: EngineHost
    asked: Sequence[tuple[Question, Told | None]]
    answers: dict[str, list[Told]] = field(default_factory=dict)
    unasked: str = ""
    soaked: Soaked = NOT_SOAKED
    _due: float = 0.0
    _askers: dict[tuple[str, int], Asker] = field(default_factory=dict)

    def ask(self, unit: Unit) -> bool:
        """Ask all that run; whether each answers as the old one did."""
        self.answers = {}
        if not self.asked:
            return True
        for container in unit.containers:
            if not state_of(container).runs:
                continue
            try:
                asker = self._asker(container)
            except Refused as error:
                self.unasked = error.message
                continue
            self.answers[container.name] = [asker.ask(question) for question, _ in self.asked]
        return not self._otherwise()

    def begin_soak(self) -> None:
        """From now on it is left alone."""
        self.soaked = NOT_SOAKED
        self._due = time.monotonic() + _EVERY_SECONDS

    def ask_soaking(self, unit: Unit) -> bool:
        """Ask if it is time to, and count; whether it answered otherwise no more often than it may.

        About once a second; where it takes its time to answer, less often, so that it has little to do for us.
        """
        began = time.monotonic()
        if began < self._due or not any(counts(question, before) for question, before in self.asked):
            return True
        good = self.ask(unit)
        now = time.monotonic()
        self._due = now + max(_EVERY_SECONDS, _PAUSE_PER_SECOND * (now - began) if good else 0)
        if self.answers:
            words = self.soaked.words if good else self._otherwise()[-1]
            self.soaked = Soaked(self.soaked.times + 1, self.soaked.otherwise + (not good), words)
        return self.soaked.otherwise <= BLIPS

    def forget(self) -> None:
        """Make no use of how containers were asked so far: the engine was away."""
        self._askers.clear()

    def _otherwise(self) -> list[str]:
        """The last answers that are not as before, in words."""
        return [
            told.words
            for each in self.answers.values()
            for (question, before), told in zip(self.asked, each, strict=True)
            if before is not None and counts(question, before) and not as_before(question, before, told)
        ]

    def _asker(self, container: Running) -> Asker:
        key = container.container_id, state_of(container).pid
        if key not in self._askers:
            self._askers[key] = Asker(self.host, container)
        return self._askers[key]
