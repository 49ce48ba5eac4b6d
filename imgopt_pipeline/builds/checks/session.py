"""One run of an application in isolation: started, waited for, left alone for the soak time, asked, removed.

Whether that is well is for the checks `start`, `probe` and `smoke` to say, which hold two such runs side by side.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from imgopt_pipeline.builds.checks.application import HOST_NAME, Usage, application, expected_ports
from imgopt_pipeline.builds.checks.isolation import Isolation, Ran, Refused
from imgopt_pipeline.builds.checks.probing import Answer, Probe, health_page, probe_of
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.checks.surroundings import Surroundings
from imgopt_pipeline.builds.checks.wanting import Wanted, wanted_by
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_log, redact_text, secret_parts

_LOG_LINES = 25
_LINE_LENGTH = 300
_QUIET_SECONDS = 5.0
_LATE_SECONDS = 15.0
_PORTS = 8
_FIRST_EPHEMERAL = 32768
_ASKS = 5
_SMOKE_SECONDS = 300.0
_LOG_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Session:
    """What was seen. `refused`: why it could not even be started. `exit_code`: None while it still ran at the end.

    `ready_seconds`: after which time it was as expected, None where it never was; `unready` says what was
    missing. `unasked`: why nobody could ask it. `log`: its last lines, without secrets.
    """

    refused: str = ""
    exit_code: int | None = None
    out_of_memory: bool = False
    ready_seconds: float | None = None
    unready: str = ""
    health: str = ""
    answers: tuple[Answer, ...] = ()
    unasked: str = ""
    smoke: Ran | None = None
    log: tuple[str, ...] = field(default=(), repr=False)
    wanted: Wanted = field(default_factory=Wanted)

    @property
    def stayed_up(self) -> bool:
        return not self.refused and self.exit_code is None and not self.unready

    @property
    def ran_to_its_end(self) -> bool:
        return not self.refused and self.exit_code == 0

    @property
    def words(self) -> str:
        """In words how it went."""
        if self.refused:
            return self.refused
        if self.out_of_memory:
            return "was ended for want of memory"
        if self.exit_code is not None:
            return f"exits with code {self.exit_code}"
        return f"runs, but {self.unready}" if self.unready else f"ready after {self.ready_seconds or 0:.1f} s, stays up"


def run_session(
    isolation: Isolation,
    subject: Subject,
    usage: Usage,
    context: CheckContext,
    *,
    memory_bytes: int,
    dropped: bool,
    local: bool,
) -> Session:
    """Run an image's application once, with its doubles, and watch it."""
    with ExitStack() as running:
        try:
            join, others = _start_doubles(isolation, running, context, memory_bytes=memory_bytes, local=local)
            given = application(subject, usage, memory_bytes=memory_bytes, dropped=dropped, join=join)
            name = running.enter_context(isolation.created(subject.image_id, given))
            isolation.start(name)
        except Refused as error:
            return Session(refused=error.message)
        session = _watch(isolation, name, subject, usage, context, others, local=local)
        log = isolation.logs(name, tail=200)[-_LOG_CHARACTERS:]
        return replace(session, log=tuple(_lines(log, usage)), wanted=wanted_by(log))


def _watch(
    isolation: Isolation,
    name: str,
    subject: Subject,
    usage: Usage,
    context: CheckContext,
    others: frozenset[int],
    *,
    local: bool,
) -> Session:
    expected = expected_ports(subject, usage, context)
    started = time.monotonic()
    probe, unasked = None, ""
    try:
        probe = probe_of(isolation, name, isolation.inspect(name)["State"], local=local)
    except Refused as error:
        unasked = error.message
    unready = _wait_until_ready(isolation, name, probe, expected, others, context.builds.start_seconds)
    ready_seconds = None if unready else time.monotonic() - started
    soak = context.target.soak_seconds
    if not unready:
        isolation.wait(name, _ended, context.builds.soak_seconds if soak is None else soak)
    state = isolation.inspect(name)["State"]
    health = str((state.get("Health") or {}).get("Status") or "")
    if _ended(state):
        code, killed = int(state.get("ExitCode") or 0), bool(state.get("OOMKilled"))
        return Session(exit_code=code, out_of_memory=killed, ready_seconds=ready_seconds, unasked=unasked)
    answers: tuple[Answer, ...] = ()
    if probe is not None and not unready:
        questions = _questions(probe, expected, others, context, health_page(subject.config)[1])
        answers = tuple(_asked(probe, question) for question in questions)
    smoke = None
    if context.target.smoke is not None and not unready:
        with suppress(Refused):
            smoke = isolation.execute(name, smoke_command(context.target.smoke), seconds=_SMOKE_SECONDS)
    state = isolation.inspect(name)["State"]
    ended = int(state.get("ExitCode") or 0) if _ended(state) else None
    return Session(
        exit_code=ended,
        out_of_memory=bool(state.get("OOMKilled")),
        ready_seconds=ready_seconds,
        unready=unready,
        health=health,
        answers=answers,
        unasked=unasked,
        smoke=smoke,
    )


def smoke_command(smoke: str | Sequence[str]) -> list[str]:
    """The words of the command of a user's setting."""
    return ["sh", "-c", smoke] if isinstance(smoke, str) else list(smoke)


def _wait_until_ready(
    isolation: Isolation,
    name: str,
    probe: Probe | None,
    expected: frozenset[int],
    others: frozenset[int],
    limit_seconds: float,
) -> str:
    """Wait until it is as expected or has ended; what is missing in the end.

    Ready: one of the expected ports is open, or any other port for a while; without expected ports after a quiet
    time. Its health check must be through besides.
    """
    started = time.monotonic()
    while True:
        state = isolation.inspect(name)["State"]
        passed = time.monotonic() - started
        if _ended(state):
            return ""
        health = (state.get("Health") or {}).get("Status")
        opened = probe.ports() - others if probe is not None else frozenset()
        late = passed > _LATE_SECONDS and bool(opened)
        if probe is None:
            ports_ready = health == "healthy" or passed > _QUIET_SECONDS
        else:
            ports_ready = bool(opened & expected) or late if expected else bool(opened) or passed > _QUIET_SECONDS
        if ports_ready and health in (None, "none", "healthy"):
            return ""
        if health == "unhealthy" and passed > _LATE_SECONDS:
            return "its HEALTHCHECK says that it is not healthy"
        if passed > limit_seconds:
            ports = ", ".join(str(port) for port in sorted(expected))
            missing = "its HEALTHCHECK is not through" if ports_ready else f"port {ports} did not open"
            return f"{missing} in {limit_seconds:g} s"
        time.sleep(probe.poll_seconds if probe is not None else 0.5)


def _questions(
    probe: Probe, expected: frozenset[int], others: frozenset[int], context: CheckContext, health_path: str
) -> list[tuple[int, str | None]]:
    """Ports and paths to ask for: those of the settings, else `/` of each port that is open, and what the
    HEALTHCHECK asks."""
    opened = probe.ports() - others
    ports = sorted(opened & expected) or sorted(port for port in opened if port < _FIRST_EPHEMERAL)
    if context.target.probes:
        first = ports[0] if ports else min(expected, default=80)
        return [(probe.port or first, probe.path) for probe in context.target.probes]
    asked: list[tuple[int, str | None]] = [(port, "/") for port in ports[:_PORTS]]
    return [*asked, *((port, health_path) for port in ports[:1] if health_path not in ("", "/"))]


def _asked(probe: Probe, question: tuple[int, str | None]) -> Answer:
    """The answer to a question, asked again while it is none or an error: some take a moment to be ready."""
    for attempt in range(_ASKS):
        answer = probe.ask(*question)
        failing = not answer.opens or (answer.status or 0) >= 500
        if not failing or attempt == _ASKS - 1:
            break
        time.sleep(1)
    again = probe.ask(*question)
    same = (again.status, again.content_type) == (answer.status, answer.content_type)
    return answer if same else replace(answer, steady=False)


def _start_doubles(
    isolation: Isolation, running: ExitStack, context: CheckContext, *, memory_bytes: int, local: bool
) -> tuple[str | None, frozenset[int]]:
    """Start the settings' doubles: in one network, that the application joins, under the names it asks for.

    The container whose network the others join, and the ports that are open in it.
    """
    owner: str | None = None
    opened: frozenset[int] = frozenset()
    for service, double in context.target.doubles.items():
        given = Surroundings(
            environment=tuple(f"{name}={value}" for name, value in double.environment.items()),
            command=double.command,
            memory_bytes=memory_bytes,
            join=owner,
            names=() if owner else (HOST_NAME, *context.target.doubles),
        )
        try:
            name = running.enter_context(isolation.created(double.image, given))
        except ImageNotFound as error:
            raise Refused(f"the image {double.image} of the double {service} is not on this host; pull it.") from error
        isolation.start(name)
        owner = owner or name
        opened = _wait_for_double(isolation, name, service, opened, context.builds.start_seconds, local=local)
    return owner, opened


def _wait_for_double(
    isolation: Isolation, name: str, service: str, before: frozenset[int], limit_seconds: float, *, local: bool
) -> frozenset[int]:
    """Wait until a double opens a port of its own; the ports that are open then."""
    started = time.monotonic()
    state = isolation.inspect(name)["State"]
    probe = None if _ended(state) else probe_of(isolation, name, state, local=local)
    while True:
        state = isolation.inspect(name)["State"]
        if _ended(state):
            lines = isolation.logs(name, tail=5).strip().splitlines() or ["it printed nothing"]
            said = printable(redact_text(lines[-1])[:_LINE_LENGTH])
            raise Refused(f"the double {service} ended with exit code {state.get('ExitCode')}: {said}.")
        opened = probe.ports() if probe is not None else before
        if opened - before:
            return opened
        if time.monotonic() - started > limit_seconds:
            raise Refused(f"the double {service} opened no port in {limit_seconds:g} s.")
        time.sleep(0.5)


def _ended(state: Mapping[str, Any]) -> bool:
    return not state.get("Running")


def _lines(log: str, usage: Usage) -> list[str]:
    """The last lines of a log, without the values that it was given and without what looks like a secret."""
    if len(log) >= _LOG_CHARACTERS:
        log = log.partition("\n")[2]  # it begins within a line, and half a secret would not be known
    parts = secret_parts(entry.partition("=")[2] for entry in usage.environment)
    lines = [line for line in redact_log(log, parts).splitlines() if line.strip()]
    return [printable(line)[:_LINE_LENGTH] for line in lines[-_LOG_LINES:]]
