"""What a gate makes of what it saw: a check for each thing, from values alone.

Where the old one was not well itself, the new one is held to no more than that: what is not as it should be is then
unverified, and not failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import FAILED, PASSED, UNVERIFIED, GateCheck, Outcome, Unit
from imgopt_pipeline.services.watching.asking import BLIPS, NOT_SOAKED, Soaked
from imgopt_pipeline.services.watching.baseline import Baseline
from imgopt_pipeline.services.watching.logs import LogErrors, judged_log, kinds_of
from imgopt_pipeline.services.watching.memory import Sample, limit_bytes, running_out
from imgopt_pipeline.services.watching.probes import Question, Told, as_before, counts, is_good
from imgopt_pipeline.services.watching.states import HEALTHY, NO_HEALTHCHECK, NOT_RUNNING, State, state_of, worst_health
from imgopt_pipeline.units import count, format_bytes

CHECKS = {
    "containers": "As many containers as before, all of the image that was switched to.",
    "running": "They run, and none flaps.",
    "restarts": "None was restarted while they were watched.",
    "health": "Their HEALTHCHECK says healthy, as the old one's did.",
    "probes": "They answer as the old one did, from the beginning to the end.",
    "log": "Their log does not tell of clearly more errors than the old one's.",
    "memory": "They do not run out of memory.",
    "dependants": "What depends on them still runs.",
}
"""Every check of a gate; one that has nothing to look at is left out."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to stand after a switch. `dependants`: IDs or names of containers that ran before it."""

    image_id: str
    containers: int
    running: bool
    dependants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Since:
    """What a container's inspection said when watching began; an empty `started_at` holds it to its restarts alone."""

    restarts: int
    started_at: str = ""


def judged_containers(unit: Unit, expected: Expected) -> GateCheck:
    """The number of containers, and their image."""
    strange = sorted({one.image_id for one in unit.containers if one.image_id != expected.image_id})
    new = f"{count(len(unit.containers), 'container')}, " + (
        f"image {', '.join(map(_short, strange))}" if strange else f"image {_short(expected.image_id)}"
    )
    detail = ""
    if len(unit.containers) != expected.containers:
        detail = f"There should be {count(expected.containers, 'container')}."
    elif strange:
        detail = f"It should run image {_short(expected.image_id)}."
    outcome: Outcome = FAILED if detail else PASSED
    return GateCheck("containers", outcome, count(expected.containers, "container"), new, detail)


def judged_running(unit: Unit, expected: Expected, baseline: Baseline, said: Sequence[str] = ()) -> GateCheck:
    """Whether the containers run; of `said`, the last lines of the log of one that does not, only the kind is told."""
    states = [state_of(container) for container in unit.containers]
    running = sum(state.runs for state in states)
    old = f"{baseline.running} of {baseline.containers} running" + (", restarting" if baseline.restarting else "")
    new = f"{running} of {len(states)} running"
    if not expected.running and running:
        return GateCheck("running", UNVERIFIED, old, new, "It did not run before.")
    if not expected.running or running >= expected.containers:
        return GateCheck("running", PASSED, old, new)
    words = [
        f"{one.name} is {state.words}" for one, state in zip(unit.containers, states, strict=True) if not state.runs
    ]
    detail = "; ".join(words or ["there is no container"]) + "."
    detail += f" Its last lines tell of: {', '.join(kinds)}." if (kinds := kinds_of(said)) else ""
    as_few = baseline.restarting or running >= baseline.running
    outcome: Outcome = UNVERIFIED if as_few else FAILED
    return GateCheck("running", outcome, old, new, f"Not all ran before either: {detail}" if as_few else detail)


def judged_restarts(unit: Unit, since: Mapping[str, Since], baseline: Baseline) -> GateCheck:
    """Whether a container was restarted or made anew while it was watched."""
    restarted = []
    for container in unit.containers:
        state, before = state_of(container), since.get(container.container_id)
        if before is None:
            restarted.append(f"{container.name} was made anew")
        elif state.restarts > before.restarts:
            restarted.append(f"{container.name} was restarted {count(state.restarts - before.restarts, 'time')}")
        elif before.started_at and state.started_at != before.started_at:
            restarted.append(f"{container.name} was started anew")
    old = "restarting" if baseline.restarting else "not restarting"
    if not restarted:
        return GateCheck("restarts", PASSED, old, "not restarted")
    detail = f"{'; '.join(restarted)} while it was watched."
    return GateCheck("restarts", UNVERIFIED if baseline.restarting else FAILED, old, "restarted", detail)


def judged_health(unit: Unit, baseline: Baseline) -> GateCheck | None:
    """What the HEALTHCHECK says; None where neither has one."""
    new = worst_health([state_of(container) for container in unit.containers])
    if baseline.health == NO_HEALTHCHECK and new in (NO_HEALTHCHECK, NOT_RUNNING):
        return None
    if new == HEALTHY:
        return GateCheck("health", PASSED, baseline.health, new)
    if baseline.health not in (HEALTHY, NO_HEALTHCHECK):
        return GateCheck("health", UNVERIFIED, baseline.health, new, f"The old one was {baseline.health} already.")
    if new == NO_HEALTHCHECK:
        return GateCheck("health", UNVERIFIED, HEALTHY, new, "It has no HEALTHCHECK any more.")
    before = "was healthy" if baseline.health == HEALTHY else "had none"
    return GateCheck("health", FAILED, baseline.health, new, f"Its HEALTHCHECK says {new}; the old one {before}.")


def judged_probes(
    asked: Sequence[tuple[Question, Told | None]],
    answers: Mapping[str, Sequence[Told]],
    baseline: Baseline,
    unasked: str,
    soaked: Soaked = NOT_SOAKED,
) -> GateCheck:
    """Whether the answers of all containers are as the old one's; `answers` by the name of the container.

    `soaked`: what they answered while they were left alone.
    """
    old = "; ".join(told.words for told in baseline.answers)
    new = "; ".join(dict.fromkeys(told.words for each in answers.values() for told in each))
    wrong, open_ = [], []
    for name, each in answers.items():
        where = f" ({name})" if len(answers) > 1 else ""
        for (question, before), told in zip(asked, each, strict=True):
            was = f"the old one: {before.words}" if before is not None else "the old one was not asked"
            if counts(question, before) and before is not None:
                if not as_before(question, before, told):
                    wrong.append(f"{told.words}{where}; {was}")
            elif not is_good(question, told):
                open_.append(f"{told.words}{where}; {was}")
    if soaked.otherwise:
        (wrong if soaked.otherwise > BLIPS else open_).append(
            f"while it was left alone, {soaked.otherwise} of {count(soaked.times, 'answer')} failed: {soaked.words}; "
            f"the old one: {old}"
        )
    if wrong:
        return GateCheck("probes", FAILED, old, new, f"{'; '.join(wrong)}.")
    if open_:
        return GateCheck("probes", UNVERIFIED, old, new, f"{'; '.join(open_)}.")
    if not answers or not asked:
        why = unasked or baseline.unasked or "It opens no port; settings can name a probe."
        return GateCheck("probes", UNVERIFIED, old, new, why)
    return GateCheck("probes", PASSED, old, new)


def judged_errors(baseline: Baseline, new: LogErrors | None) -> GateCheck:
    """Errors in the log."""
    outcome, detail = judged_log(baseline.errors, baseline.start_errors, new)
    old = baseline.errors.words if baseline.errors is not None else "unknown"
    return GateCheck("log", outcome, old, new.words if new is not None else "unknown", detail)


def judged_memory(
    unit: Unit,
    samples: Mapping[str, Sequence[Sample]],
    baseline: Baseline,
    *,
    share: float,
    horizon_seconds: float,
) -> GateCheck:
    """Memory against the limit."""
    wrong, used = [], 0
    for container in unit.containers:
        taken = samples.get(container.container_id, ())
        limit = limit_bytes(container)
        used = max([used, *(sample.used_bytes for sample in taken[-1:])])
        if state_of(container).out_of_memory:
            wrong.append(f"The engine's machine ended a process of {container.name} for want of memory.")
        elif out := running_out(
            taken, limit, share=share, old_bytes=baseline.memory_bytes, horizon_seconds=horizon_seconds
        ):
            wrong.append(f"{container.name}: {out}")
    old, new = _taken(baseline.memory_bytes, baseline.memory_limit_bytes), _taken(used or None, _least_limit(unit))
    if not wrong:
        return GateCheck("memory", PASSED, old, new)
    limit_before, before = baseline.memory_limit_bytes, baseline.memory_bytes
    full_before = before is not None and limit_before is not None and before >= share * limit_before
    outcome: Outcome = UNVERIFIED if baseline.out_of_memory or full_before else FAILED
    also = " The old one ran out of memory too." if outcome == UNVERIFIED else ""
    return GateCheck("memory", outcome, old, new, " ".join(wrong) + also)


def judged_dependants(states: Mapping[str, State | None]) -> GateCheck | None:
    """Whether what ran before still runs; by name, None for one that is gone. None where there is none."""
    if not states:
        return None
    down = [
        f"{printable(name)} is {state.words if state is not None else 'gone'}"
        for name, state in states.items()
        if state is None or not state.runs
    ]
    old, new = f"{len(states)} running", f"{len(states) - len(down)} running"
    return GateCheck("dependants", FAILED if down else PASSED, old, new, f"{'; '.join(down)}." if down else "")


def _short(image_id: str) -> str:
    return printable(image_id.removeprefix("sha256:")[:12])


def _taken(used: int | None, limit: int | None) -> str:
    return format_bytes(used) + (f" of {format_bytes(limit)}" if limit is not None else "")


def _least_limit(unit: Unit) -> int | None:
    return min((limit for limit in map(limit_bytes, unit.containers) if limit is not None), default=None)
