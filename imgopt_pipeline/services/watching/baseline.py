"""What is seen of a unit before it is switched: what the gate holds the new one to.

Goes into journals: counts, states and status codes, no bodies and no text of a log.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from imgopt_pipeline.builds.checks.isolation import Refused
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.image_config import parse_time
from imgopt_pipeline.services.models import Running, Unit
from imgopt_pipeline.services.watching.logs import LogErrors, read_errors
from imgopt_pipeline.services.watching.memory import limit_bytes, used_bytes
from imgopt_pipeline.services.watching.probes import Asker, Question, Told, default_questions, is_good, set_questions
from imgopt_pipeline.services.watching.states import NOT_RUNNING, State, state_of, worst_health
from imgopt_pipeline.settings import DeploymentSettings, TargetSettings

_LOG_SECONDS = 600.0
_START_SECONDS = 60.0
_SETTLED_SECONDS = 60.0
_ASKED_CONTAINERS = 8
_BETWEEN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Baseline:
    """A unit as it was. `running` counts the containers that ran and did not flap; `restarting`: some did.

    `answers`: what it answered, `unasked`: why nobody could ask. `errors`: its log's of the last ten minutes,
    `start_errors`: of the minute after it started, None where that cannot be told. Memory is that of the container
    that took most.
    """

    containers: int = 0
    running: int = 0
    container_ids: tuple[str, ...] = ()
    restarting: bool = False
    out_of_memory: bool = False
    health: str = NOT_RUNNING
    answers: tuple[Told, ...] = ()
    unasked: str = ""
    errors: LogErrors | None = None
    start_errors: LogErrors | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For a journal."""
        told = asdict(self)
        for name in ("errors", "start_errors"):
            if told[name] is not None:
                del told[name]["kinds"]
        return told

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Baseline:
        """From a journal."""
        errors = {name: LogErrors(**given[name]) if given[name] else None for name in ("errors", "start_errors")}
        answers = tuple(Told(**each) for each in given["answers"])
        return cls(**{**given, **errors, "answers": answers, "container_ids": tuple(given["container_ids"])})


def observe(host: EngineHost, unit: Unit, target: TargetSettings, settings: DeploymentSettings) -> Baseline:
    """Look at a unit as it does now, and ask it what its successor will be asked.

    Raises HostUnreachable.
    """
    states = [state_of(container) for container in unit.containers]
    now = engine_time(host)
    running = [one for one, state in zip(unit.containers, states, strict=True) if state.runs]
    answers, unasked = _answers(host, running[:_ASKED_CONTAINERS], target)
    memory = [used for used in (used_bytes(host, container) for container in running) if used is not None]
    limits = [limit for limit in map(limit_bytes, unit.containers) if limit is not None]
    return Baseline(
        containers=len(unit.containers),
        running=len(running),
        container_ids=tuple(container.container_id for container in unit.containers),
        restarting=any(state.restarting or _flapped(state, now) for state in states),
        out_of_memory=any(state.out_of_memory for state in states),
        health=worst_health(states),
        answers=answers,
        unasked=unasked,
        errors=summed(
            [
                read_errors(host, one, since=max(now - _LOG_SECONDS, started(one) or 0), until=now)
                for one in unit.containers
            ]
        ),
        start_errors=summed([_errors_at_start(host, one, now) for one in running]),
        memory_bytes=max(memory, default=None),
        memory_limit_bytes=min(limits, default=None),
    )


def engine_time(host: EngineHost) -> float:
    """The clock of the engine's machine, in seconds since 1970; ours where it does not tell."""
    with engine_errors("the engine does not say what it is"):
        told = parse_time(host.client.info().get("SystemTime"))
    return told.timestamp() if told is not None else time.time()


def started(container: Running) -> float | None:
    """When a container was last started, in seconds since 1970 by the engine's clock."""
    at = _time(state_of(container).started_at)
    # It may have written its first lines before the engine noted that it runs.
    return at.timestamp() - 1 if at is not None else None


def summed(each: Sequence[LogErrors | None]) -> LogErrors | None:
    """Those of several containers, None where one cannot be told or there are none."""
    known = [errors for errors in each if errors is not None]
    if not known or len(known) < len(each):
        return None
    return LogErrors(
        lines=sum(errors.lines for errors in known),
        errors=sum(errors.errors for errors in known),
        severe=sum(errors.severe for errors in known),
        seconds=max(errors.seconds for errors in known),
        kinds=tuple(dict.fromkeys(kind for errors in known for kind in errors.kinds)),
    )


def _answers(host: EngineHost, running: Sequence[Running], target: TargetSettings) -> tuple[tuple[Told, ...], str]:
    """What the containers answer, each asked twice, and why nobody could ask."""
    found: dict[str, list[tuple[Question, Told]]] = {}
    try:
        for container in running:
            asker = Asker(host, container)
            for question in _questions(asker, container, target):
                asked = question
                told = asker.ask(question)
                if question.number is None and told.opens and told.status is None:
                    # It speaks something else: from now on only whether it opens.
                    asked = replace(question, path=None, name=f"port {question.port}")
                    told = replace(told, path=None, name=asked.name)
                found.setdefault(asked.name, []).append((asked, told))
            if found:
                time.sleep(_BETWEEN_SECONDS)
            for asked, _ in [pairs[0] for pairs in found.values()]:
                found[asked.name].append((asked, asker.ask(asked)))
    except Refused as error:
        return (), error.message
    return tuple(_together(pairs) for pairs in found.values()), ""


def _questions(asker: Asker, container: Running, target: TargetSettings) -> list[Question]:
    if target.probes:
        needs_port = any(probe.command is None and probe.port is None for probe in target.probes)
        return set_questions(target, next(iter(asker.ports()), None) if needs_port else None)
    return default_questions(asker.ports(), container.inspected.get("Config") or {})


def _together(pairs: Sequence[tuple[Question, Told]]) -> Told:
    """One answer for all of them: the first good one, and not steady where there were others."""
    told = next((told for question, told in pairs if is_good(question, told)), pairs[0][1])
    same = all(
        (other.opens, other.status, other.matches) == (told.opens, told.status, told.matches) for _, other in pairs
    )
    return replace(told, steady=same)


def _flapped(state: State, now: float) -> bool:
    at = _time(state.started_at)
    return state.restarts > 0 and at is not None and now - at.timestamp() < _SETTLED_SECONDS


def _errors_at_start(host: EngineHost, container: Running, now: float) -> LogErrors | None:
    """What it wrote in the minute after it started. Of its first life only: else its log would be read up to there."""
    begin = started(container)
    ended_before = _time((container.inspected.get("State") or {}).get("FinishedAt")) is not None
    if begin is None or ended_before:
        return None
    return read_errors(host, container, since=begin, until=min(begin + _START_SECONDS, now), whole=True)


def _time(text: object) -> datetime | None:
    return parse_time(text)
