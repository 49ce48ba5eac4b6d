"""Asking a container of production, and whether it answers as the one before it did.

Belongs here: what is asked, of whom, and what counts as the same answer. How a socket is asked is
`builds.checks.probing`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from imgopt_pipeline.builds.checks.isolation import Isolation, Refused
from imgopt_pipeline.builds.checks.probing import (
    LOOPBACKS,
    SECONDS,
    Answer,
    Probe,
    ask_at,
    health_page,
    listeners,
    probe_of,
    socket_table,
)
from imgopt_pipeline.builds.checks.session import smoke_command
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Running
from imgopt_pipeline.services.watching.states import state_of
from imgopt_pipeline.settings import ProbeSettings, TargetSettings

_COMMAND_SECONDS = 30.0
_PORTS = 8
_FIRST_EPHEMERAL = 32768
_ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  nothing is bound to it
#: Servers of other protocols: a GET would be a fault in their log, or count against whoever asks.
_NO_HTTP = frozenset({21, 22, 25, 53, 110, 143, 389, 465, 587, 636, 993, 995, 1433, 1521, 1883, 3306, 3389, 4222})
_NO_HTTP |= frozenset({5432, 5671, 5672, 6379, 6432, 8883, 9042, 9092, 11211, 26379, 27017, 33060})


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask: a GET of `path`, whether `port` opens, or a `command`. `name` holds no secret.

    `number` is that of the settings' probe, from 1; None for what is asked without settings. `status` and `body`
    are what settings want.
    """

    name: str
    port: int | None = None
    path: str | None = field(default=None, repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)
    number: int | None = None
    status: int | None = None
    body: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What came, without bodies: for a journal. `status` is that of HTTP, or a command's exit code.

    `path` comes without its query. `matches`: whether the body is as settings ask; `steady` is False where another
    time it was another answer.
    """

    name: str
    opens: bool
    status: int | None = None
    content_type: str = ""
    matches: bool = True
    steady: bool = True
    port: int | None = None
    path: str | None = None
    number: int | None = None

    @property
    def words(self) -> str:
        """What was asked and what came."""
        if self.port is None:
            return f"{self.name} " + ("does not end" if self.status is None else f"exits with code {self.status}")
        if not self.opens:
            return f"{self.name} takes no connection"
        if self.status is None:
            return f"{self.name} is open" + (" and answers no HTTP" if self.path is not None else "")
        body = "" if self.matches else ", with another body than settings ask for"
        return f"{self.name} answers {self.status}" + (f" {self.content_type}" if self.content_type else "") + body


class Asker:
    """Asks one container that runs. Raises Refused where nobody can ask it."""

    def __init__(self, host: EngineHost, container: Running) -> None:
        self._isolation = Isolation(host.client)
        self._container = container
        self._own = own_ports(container) if _shares_network(container) and host.facts().local else None
        local = host.facts().local
        try:
            self._probe: Probe = probe_of(
                self._isolation, container.container_id, container.inspected.get("State") or {}, local=local
            )
        except Refused:
            if not local or not published(container):
                raise
            self._probe = _FromOutside(container)

    def ports(self) -> list[int]:
        """The ports to ask where settings name none: those it tells of, else whatever it opened."""
        told, opened = told_ports(self._container), self._probe.ports()
        if _shares_network(self._container):
            opened = opened & (told if self._own is None else self._own)
        return (sorted(opened & told) or sorted(port for port in opened if port < _FIRST_EPHEMERAL))[:_PORTS]

    def ask(self, question: Question) -> Told:
        """Ask once."""
        if question.command:
            try:
                ran = self._isolation.execute(self._container.container_id, question.command, seconds=_COMMAND_SECONDS)
            except (Refused, ImageNotFound):
                return Told(question.name, opens=False, status=127, number=question.number)
            return Told(question.name, opens=True, status=ran.exit_code, number=question.number)
        if question.port is None:
            return Told(question.name, opens=False, port=0, number=question.number)
        try:
            answer = self._probe.ask(question.port, question.path)
        except Refused:  # it ended meanwhile
            answer = Answer(question.port, question.path, opens=False)
        return told_of(question, answer)


class _FromOutside:
    """Through the ports that it publishes on this machine: for who is not root, where its image has no tools."""

    poll_seconds = 0.5

    def __init__(self, container: Running) -> None:
        self._published = published(container)

    def ports(self) -> frozenset[int]:
        return frozenset(self._published)

    def ask(self, port: int, path: str | None, *, seconds: float = SECONDS) -> Answer:
        if port not in self._published:
            return Answer(port, path, opens=False)
        address, outer = self._published[port]
        return replace(ask_at((address,), outer, path, seconds=seconds), port=port)


def default_questions(ports: Sequence[int], config: Mapping[str, Any]) -> list[Question]:
    """What to ask where settings name nothing: `/` of each port, and the page of its own HEALTHCHECK."""
    found = [_page(port, None if port in _NO_HTTP else "/") for port in ports]
    port, path = health_page(config)
    path = path.partition("?")[0]
    port = port if port in ports else next(iter(ports), None)
    return [*found, _page(port, path)] if port is not None and path not in ("", "/") else found


def set_questions(target: TargetSettings, first_port: int | None) -> list[Question]:
    """What settings ask; `first_port` is asked where they name none."""
    return [_set(number, probe, first_port) for number, probe in enumerate(target.probes, 1)]


def questions_again(target: TargetSettings, before: Sequence[Told]) -> list[tuple[Question, Told | None]]:
    """What was asked before, with what then came; what settings ask beside it, with None."""
    if target.probes:
        by_number = {told.number: told for told in before if told.number is not None}
        pairs = [(probe, by_number.get(number)) for number, probe in enumerate(target.probes, 1)]
        asked = [(_set(at, probe, told.port if told else None), told) for at, (probe, told) in enumerate(pairs, 1)]
        # Settings may have changed since.
        return [(question, told if told and told.name == question.name else None) for question, told in asked]
    return [(_page(told.port, told.path), told) for told in before if told.number is None and told.port]


def told_of(question: Question, answer: Answer) -> Told:
    """An answer without its body."""
    return Told(
        name=question.name,
        opens=answer.opens,
        status=answer.status,
        content_type=printable(answer.content_type)[:100],
        matches=question.body is None or re.search(question.body, answer.body) is not None,
        port=answer.port,
        path=None if question.path is None else question.path.partition("?")[0],
        number=question.number,
    )


def is_good(question: Question, told: Told) -> bool:
    """Whether an answer is what settings ask for; without them, whether it is no failure."""
    if question.command:
        return told.status == 0
    if not told.opens or not told.matches:
        return False
    if question.status is not None:
        return told.status == question.status
    if question.path is None:
        return True
    return told.status is not None and told.status < 500


def counts(question: Question, old: Told | None) -> bool:
    """Whether the new one is held to an answer: the old one gave it, and always the same."""
    return old is not None and old.steady and is_good(question, old)


def as_before(question: Question, old: Told, new: Told) -> bool:
    """Whether an answer is as the old one's."""
    if not is_good(question, new):
        return False
    if question.command:
        return True
    if question.status is None and new.status != old.status:
        return False
    # Who asks with a shell's means does not always learn it.
    return not new.content_type or not old.content_type or new.content_type == old.content_type


def told_ports(container: Running) -> frozenset[int]:
    """TCP ports that a container's image exposes or that it publishes."""
    config, host = (container.inspected.get(part) or {} for part in ("Config", "HostConfig"))
    words = [*(config.get("ExposedPorts") or {}), *(host.get("PortBindings") or {})]
    pairs = (str(word).partition("/") for word in words)
    return frozenset(int(number) for number, _, protocol in pairs if number.isdecimal() and protocol in ("", "tcp"))


def published(container: Running) -> dict[int, tuple[str, int]]:
    """The container's TCP ports that can be asked on the engine's machine: address and port there."""
    found: dict[int, tuple[str, int]] = {}
    for word, bindings in ((container.inspected.get("NetworkSettings") or {}).get("Ports") or {}).items():
        number, _, protocol = str(word).partition("/")
        for binding in bindings or []:
            outer, address = str(binding.get("HostPort") or ""), str(binding.get("HostIp") or "")
            if protocol == "tcp" and number.isdecimal() and outer.isdecimal() and int(number) not in found:
                found[int(number)] = (LOOPBACKS[0] if address in _ANY_ADDRESS else address, int(outer))
    return found


def own_ports(container: Running) -> frozenset[int] | None:
    """The TCP ports that the container's own processes listen on; None where this user or machine cannot tell."""
    state = state_of(container)
    if os.geteuid() != 0 or not state.pid:
        return None
    inodes: set[str] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended
            if container.container_id in (folder / "cgroup").read_text():
                inodes |= {os.readlink(link) for link in (folder / "fd").iterdir()}
    if not inodes:
        return None
    return frozenset(
        listener.port for listener in listeners(socket_table(state.pid)) if f"socket:[{listener.inode}]" in inodes
    )


def _shares_network(container: Running) -> bool:
    mode = str((container.inspected.get("HostConfig") or {}).get("NetworkMode") or "")
    return mode == "host" or mode.startswith("container:")


def _page(port: int | None, path: str | None) -> Question:
    return Question(f"port {port}" + (f" {printable(path)}" if path else ""), port, path)


def _set(number: int, probe: ProbeSettings, first_port: int | None) -> Question:
    if probe.command is not None:
        return Question(f"command {number}", command=tuple(smoke_command(probe.command)), number=number)
    port = probe.port or first_port
    shown = printable(probe.path.partition("?")[0]) if probe.path else ""
    name = f"port {port or '?'}" + (f" {shown}" if shown else "")
    return Question(name, port, probe.path, (), number, probe.status, probe.body)
