"""The gate: a switched unit is watched until it does what the old one did, and while it is left alone.

Belongs here: when it is looked at, and when the gate ends. What is made of it is `judging`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from imgopt_pipeline.errors import HostUnreachable
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.services.finding import running_of
from imgopt_pipeline.services.models import FAILED, GateCheck, SubjectNotFound, Unit, UnitName
from imgopt_pipeline.services.watching.asking import Asking
from imgopt_pipeline.services.watching.baseline import Baseline, engine_time, started, summed
from imgopt_pipeline.services.watching.judging import (
    CHECKS,
    Expected,
    Since,
    judged_containers,
    judged_dependants,
    judged_errors,
    judged_health,
    judged_memory,
    judged_probes,
    judged_restarts,
    judged_running,
)
from imgopt_pipeline.services.watching.logs import last_lines, read_errors
from imgopt_pipeline.services.watching.memory import Sample, used_bytes
from imgopt_pipeline.services.watching.probes import questions_again
from imgopt_pipeline.services.watching.states import state_of
from imgopt_pipeline.settings import DeploymentSettings, TargetSettings
from imgopt_pipeline.units import format_seconds

__all__ = ["CHECKS", "Expected", "GateResult", "pass_gate"]

_AGAIN_SECONDS = 0.2
_CALM_SECONDS = 1.0
_IMPATIENT_SECONDS = 5.0
_ASKING_SECONDS = 5.0
_ENGINE_SECONDS = 0.3
_SETTLING_SECONDS = 10.0
_LOG_CONTAINERS = 20


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate saw. `passed`: nothing failed, whatever could not be verified."""

    checks: tuple[GateCheck, ...]
    passed: bool
    seconds: float


def pass_gate(
    host: EngineHost,
    find: Callable[[], Unit],
    expected: Expected,
    baseline: Baseline,
    target: TargetSettings,
    settings: DeploymentSettings,
) -> GateResult:
    """Watch a unit, as `find` finds it each time: until it is as it was, at most for the deadline, then for the soak.

    Ends at once where it cannot get well any more. An engine that goes away is waited for, for as long as the gate
    may take; what then runs is watched from the beginning. Raises HostUnreachable.
    """
    gate = _Gate(host, find, expected, baseline, target, settings)
    while True:
        try:
            return gate.watch()
        except HostUnreachable as error:
            gate.wait_for_engine(error)


@dataclass(slots=True)
class _Gate:
    host: EngineHost
    find: Callable[[], Unit]
    expected: Expected
    baseline: Baseline
    target: TargetSettings
    settings: DeploymentSettings
    unit: Unit = field(default_factory=lambda: Unit(UnitName(""), ()))
    since: dict[str, Since] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    away_seconds: float = 0.0
    began: float = field(default_factory=time.monotonic)
    deadline: float = 0.0
    settled: float = 0.0
    asking: Asking = field(init=False)

    def __post_init__(self) -> None:
        asked = questions_again(self.target, self.baseline.answers) if self.expected.running else []
        self.asking = Asking(self.host, asked)
        self.deadline = self.began + self._patience_seconds

    @property
    def _patience_seconds(self) -> float:
        """How long it may take; one that was not well before is not waited for in the hope that it gets better."""
        well = self.baseline.running and not self.baseline.restarting
        limits = [self.settings.deadline_seconds, *([] if well else [self.settings.soak_seconds])]
        return min(limits)

    def watch(self) -> GateResult:
        """Wait until it is ready, leave it alone for the soak, and say what there is to say."""
        self._look()
        self._note_restarts()
        if self._wait() and self.expected.running:
            self._soak()
        checks = self._checks()
        passed = all(check.outcome != FAILED for check in checks)
        return GateResult(checks, passed, time.monotonic() - self.began)

    def wait_for_engine(self, error: HostUnreachable) -> None:
        """Wait until the engine answers; raises the error where it does not in the time that the gate may take."""
        left, limit = time.monotonic(), self.began + self.settings.deadline_seconds + self.settings.soak_seconds
        while time.monotonic() < limit:
            time.sleep(_ENGINE_SECONDS)
            try:
                with engine_errors("the engine does not answer"):
                    self.host.client.ping()
            except HostUnreachable:
                continue
            now = time.monotonic()
            self.away_seconds += now - left
            self.deadline = now + self._patience_seconds
            # It may still be starting what it has to start.
            self.settled = now + min(_SETTLING_SECONDS, self.settings.deadline_seconds)
            self.samples.clear()
            self.asking.forget()
            return
        raise error

    def _wait(self) -> bool:
        """Whether it became as it was, before the deadline."""
        in_a_row = 0
        while True:
            if self._is_lost() and self._is_lost_for_good():
                return False
            # Until an engine that came back has settled, a container that does not run says nothing.
            ready = self._all_run() and self._health() != FAILED
            in_a_row = in_a_row + 1 if ready and self.asking.ask(self.unit) else 0
            if ready and (in_a_row >= self.settings.probe_times or not self.asking.answers):
                return True
            now = time.monotonic()
            if now > self.deadline:
                return False
            impatient = in_a_row or now - self.began < _IMPATIENT_SECONDS
            time.sleep(_AGAIN_SECONDS if impatient else _CALM_SECONDS)
            self._look()

    def _soak(self) -> None:
        """Leave it alone, looking and asking now and then; ends early where it is lost."""
        self.since = {
            one.container_id: Since(state.restarts, state.started_at)
            for one, state in ((one, state_of(one)) for one in self.unit.containers)
        }
        until = time.monotonic() + self.settings.soak_seconds
        pause = min(_CALM_SECONDS, max(self.settings.soak_seconds / 10, _AGAIN_SECONDS / 2))
        self.asking.begin_soak()
        self._sample()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            self._look()
            self._sample()
            if self._is_lost(soaking=True) and self._is_lost_for_good(soaking=True):
                return
            if not self.asking.ask_soaking(self.unit):
                return
        self._ask_at_the_end()

    def _ask_at_the_end(self) -> None:
        """The answers once more, as often in a row; what it answers when time is up is what counts."""
        in_a_row, until = 0, time.monotonic() + _ASKING_SECONDS
        while True:
            in_a_row = in_a_row + 1 if self.asking.ask(self.unit) else 0
            if in_a_row >= self.settings.probe_times or not self.asking.answers:
                return
            if not in_a_row and time.monotonic() > until:
                return
            time.sleep(_AGAIN_SECONDS / 2)

    def _look(self) -> None:
        try:
            self.unit = self.find()
        except SubjectNotFound:
            self.unit = replace(self.unit, containers=())

    def _is_lost(self, *, soaking: bool = False) -> bool:
        """Whether it failed in a way that waiting does not mend."""
        checks = [
            judged_containers(self.unit, self.expected),
            judged_running(self.unit, self.expected, self.baseline),
            judged_restarts(self.unit, self.since, self.baseline),
        ]
        if soaking and (health := judged_health(self.unit, self.baseline)) is not None:
            checks.append(health)
        failed = any(check.outcome == FAILED for check in checks) or self._out_of_memory()
        return failed and time.monotonic() > self.settled

    def _is_lost_for_good(self, *, soaking: bool = False) -> bool:
        """Look once more: what is being changed by somebody may be seen half done."""
        time.sleep(_AGAIN_SECONDS)
        self._look()
        return self._is_lost(soaking=soaking)

    def _out_of_memory(self) -> bool:
        return not self.baseline.out_of_memory and any(state_of(one).out_of_memory for one in self.unit.containers)

    def _all_run(self) -> bool:
        return judged_running(self.unit, self.expected, self.baseline).outcome != FAILED

    def _health(self) -> str:
        check = judged_health(self.unit, self.baseline) if self.expected.running else None
        return check.outcome if check is not None else ""

    def _note_restarts(self) -> None:
        """What its containers begin with: new ones with no restart at all."""
        known = self.baseline.container_ids
        self.since = {
            one.container_id: Since(state_of(one).restarts if self.away_seconds or one.container_id in known else 0)
            for one in self.unit.containers
        }

    def _sample(self) -> None:
        for container in self.unit.containers:
            if state_of(container).runs and (used := used_bytes(self.host, container)) is not None:
                taken = self.samples.setdefault(container.container_id, [])
                taken.append(Sample(time.monotonic() - self.began, used))

    def _checks(self) -> tuple[GateCheck, ...]:
        checks: list[GateCheck | None] = [judged_containers(self.unit, self.expected), self._running()]
        if self.expected.running:
            if not self.asking.answers:
                self.asking.ask(self.unit)
            checks += [
                judged_restarts(self.unit, self.since, self.baseline),
                judged_health(self.unit, self.baseline),
                judged_probes(
                    self.asking.asked, self.asking.answers, self.baseline, self.asking.unasked, self.asking.soaked
                ),
                self._log(),
                judged_memory(
                    self.unit,
                    self.samples,
                    self.baseline,
                    share=self.settings.memory_share,
                    horizon_seconds=self.settings.deadline_seconds,
                ),
            ]
        found = {name: running_of(self.host, name) for name in self.expected.dependants}
        checks.append(
            judged_dependants({name: state_of(one) if one is not None else None for name, one in found.items()})
        )
        return tuple(check for check in checks if check is not None)

    def _running(self) -> GateCheck:
        down = next((one for one in self.unit.containers if not state_of(one).runs), None)
        said = last_lines(self.host, down) if down is not None and self.expected.running else ()
        check = judged_running(self.unit, self.expected, self.baseline, said)
        if not self.away_seconds:
            return check
        away = f"The engine was away for {format_seconds(self.away_seconds)} meanwhile."
        return replace(check, detail=f"{check.detail} {away}".strip())

    def _log(self) -> GateCheck:
        now = engine_time(self.host)
        errors = [
            read_errors(self.host, one, since=started(one) or now, until=now)
            for one in self.unit.containers[:_LOG_CONTAINERS]
        ]
        return judged_errors(self.baseline, summed(errors))
