"""What the engine says of a container's state, as far as a gate needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Running

HEALTHY, UNHEALTHY, STARTING, NO_HEALTHCHECK, NOT_RUNNING = "healthy", "unhealthy", "starting", "none", "not running"
_WORST_FIRST = (NOT_RUNNING, UNHEALTHY, STARTING, HEALTHY, NO_HEALTHCHECK)


@dataclass(frozen=True, slots=True)
class State:
    """A container's state. `runs`: it does, and neither flaps nor stands still. `health`: none without a check."""

    status: str
    runs: bool
    restarting: bool
    exit_code: int
    restarts: int
    started_at: str
    health: str
    out_of_memory: bool
    pid: int

    @property
    def words(self) -> str:
        """`running`, `restarting after exit code 1`, `exited with code 3`."""
        if self.restarting:
            return f"restarting after exit code {self.exit_code}"
        return f"exited with code {self.exit_code}" if self.status == "exited" else self.status


def state_of(container: Running) -> State:
    """The state of a container when it was inspected."""
    state: dict[str, Any] = container.inspected.get("State") or {}
    restarting = bool(state.get("Restarting"))
    # One that flaps counts as running for the engine, between two of its ends too.
    runs = bool(state.get("Running")) and not (restarting or state.get("Paused") or state.get("Dead"))
    health = str((state.get("Health") or {}).get("Status") or NO_HEALTHCHECK)
    return State(
        status=printable(str(state.get("Status") or "unknown")),
        runs=runs,
        restarting=restarting,
        exit_code=int(state.get("ExitCode") or 0),
        restarts=int(container.inspected.get("RestartCount") or 0),
        started_at=str(state.get("StartedAt") or ""),
        health=printable(health) if runs else NOT_RUNNING,
        out_of_memory=bool(state.get("OOMKilled")),
        pid=int(state.get("Pid") or 0),
    )


def worst_health(states: list[State]) -> str:
    """The health of a unit: that of its worst container."""
    found = {state.health for state in states} or {NOT_RUNNING}
    return next((health for health in _WORST_FIRST if health in found), UNHEALTHY)
