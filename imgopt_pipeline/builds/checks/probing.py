"""Asking an application in its container: which ports it opened, what it answers over HTTP.

Root on the engine's own machine asks through the container's network namespace. Anybody else asks from within,
with whatever the image has for it: Python, Node, curl or wget. The loopback is asked first, and where it takes no
connection the addresses that the port listens on.
"""

from __future__ import annotations

import ctypes
import http.client
import ipaddress
import os
import re
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import orjson

from imgopt_pipeline.builds.checks.isolation import Isolation, Refused
from imgopt_pipeline.names import printable

SECONDS = 10.0
BODY_BYTES = 1_000_000
LOOPBACKS = ("127.0.0.1", "::1")
_NAME_SERVER = "127.0.0.11"  # the engine's own, inside every container of a network that was made
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h
_LISTENING = "0A"
_INTERPRETERS = (("python3", "-c", "ask.py"), ("python", "-c", "ask.py"), ("node", "-e", "ask.js"))
_STATUS = re.compile(r"HTTP/[\d.]+ (\d{3})")
_OWN_PAGE = re.compile(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::(\d{1,5}))?(/[^\s\"'`|;&)\\]*)")
_TYPE = re.compile(r"^\s*content-type:\s*([^\r\n;]+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came from a port: `status` is None where it was not HTTP or nobody asked, `opens` whether it took the
    connection. `body` is its beginning, raw; `steady` is False where another time it was another one."""

    port: int
    path: str | None
    opens: bool
    status: int | None = None
    content_type: str = ""
    size_bytes: int = 0
    body: str = field(default="", repr=False)
    steady: bool = True

    @property
    def words(self) -> str:
        """In words: what was asked and what came."""
        asked = f"port {self.port}" + (f" {printable(self.path)}" if self.path else "")
        if not self.opens:
            return f"{asked} takes no connection"
        if self.status is None:
            return f"{asked} is open" if self.path is None else f"{asked} is open and answers no HTTP"
        return f"{asked} answers {self.status}" + (f" {printable(self.content_type)}" if self.content_type else "")


class Probe(Protocol):
    """Asks one container."""

    poll_seconds: float

    def ports(self) -> frozenset[int]:
        """The TCP ports that something listens on."""
        ...

    def ask(self, port: int, path: str | None, *, seconds: float = SECONDS) -> Answer:
        """What a port answers to a GET of a path, or only whether it opens."""
        ...


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP socket that listens; `inode` tells it from others."""

    address: str
    port: int
    inode: str


def probe_of(isolation: Isolation, container: str, state: Mapping[str, Any], *, local: bool) -> Probe:
    """The best way to ask a container that runs. Raises Refused where there is none."""
    inspected, pid = isolation.inspect(container), int(state.get("Pid") or 0)
    if local and os.geteuid() == 0 and pid and _is_of(pid, str(inspected["Id"])):
        return _ThroughNamespace(pid)
    return _FromWithin(isolation, container)


class _ThroughNamespace:
    """From the container's network namespace, which only a thread of its own enters."""

    poll_seconds = 0.1

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def ports(self) -> frozenset[int]:
        return listening(socket_table(self._pid))

    def ask(self, port: int, path: str | None, *, seconds: float = SECONDS) -> Answer:
        answers: list[Answer] = []
        addresses = _addresses(socket_table(self._pid), port)

        def inside() -> None:
            try:
                with open(f"/proc/{self._pid}/ns/net", "rb") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _NEW_NETWORK):
                        return
                answers.append(ask_at(addresses, port, path, seconds=seconds))
            except OSError:  # it ended
                return

        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        thread.join(3 * seconds)
        return answers[0] if answers else Answer(port, path, opens=False)


class _FromWithin:
    """By a program of the image, run beside the application."""

    poll_seconds = 1.0

    def __init__(self, isolation: Isolation, container: str) -> None:
        self._isolation = isolation
        self._container = container
        self._tool = next((tool for tool in _INTERPRETERS if self._works(tool[0], "--version")), None)
        if self._tool is None and not self._works("sh", "-c", "cat /proc/net/tcp"):
            raise Refused("nobody but root on the engine's machine can ask it: it has no Python, Node or shell.")

    def ports(self) -> frozenset[int]:
        return listening(self._table())

    def ask(self, port: int, path: str | None, *, seconds: float = SECONDS) -> Answer:
        if self._tool is None:
            return self._asked_by_shell(port, path, seconds)
        question = {"port": port, "path": path, "seconds": seconds, "bytes": BODY_BYTES}
        told = self._told(question)
        others = [] if told.get("opens") else _addresses(self._table(), port)[len(LOOPBACKS) :]
        if others:
            told = self._told({**question, "hosts": others})
        status = told.get("status")
        return Answer(
            port,
            path,
            opens=bool(told.get("opens")),
            status=status if isinstance(status, int) else None,
            content_type=str(told.get("type") or ""),
            size_bytes=int(told.get("size") or 0),
            body=str(told.get("body") or ""),
        )

    def _table(self) -> str:
        if self._tool is None:
            command = ["sh", "-c", "cat /proc/net/tcp /proc/net/tcp6"]
            return self._isolation.execute(self._container, command, seconds=SECONDS).output
        return str(self._told({"ports": True}).get("tcp", ""))

    def _told(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self._tool is not None
        program, option, script = self._tool
        text = resources.files(__package__).joinpath("inside", script).read_text()
        command = [program, option, text, orjson.dumps(question).decode()]
        ran = self._isolation.execute(self._container, command, seconds=3 * SECONDS)
        try:
            told = orjson.loads(ran.output)
        except orjson.JSONDecodeError:
            return {}
        return told if isinstance(told, dict) else {}

    def _asked_by_shell(self, port: int, path: str | None, seconds: float) -> Answer:
        own = [listener.address for listener in listeners(self._table()) if listener.port == port]
        if path is None or not own:
            return Answer(port, path, opens=bool(own))
        address = own[0] if all(map(_is_particular, own)) else LOOPBACKS[0]
        address = f"[{address}]" if ":" in address else address
        url = f"http://{address}:{port}{path}"
        script = f'curl -s -i -m {seconds:g} "$0" || wget -q -S -O - "$0"'
        ran = self._isolation.execute(self._container, ["sh", "-c", script, url], seconds=3 * SECONDS)
        text = ran.errors + ran.output
        status, kind = _STATUS.search(text), _TYPE.search(text)
        body = ran.output.partition("\r\n\r\n")[2] or ran.output
        return Answer(
            port, path, True, int(status[1]) if status else None, kind[1].strip() if kind else "", len(body), body
        )

    def _works(self, *command: str) -> bool:
        try:
            return self._isolation.execute(self._container, command, seconds=SECONDS).exit_code == 0
        except Refused:
            return False


def health_page(config: Mapping[str, Any]) -> tuple[int | None, str]:
    """Port and path of a page of its own that the HEALTHCHECK of a `Config` asks for; no path where there is none."""
    words = (config.get("Healthcheck") or {}).get("Test")
    found = _OWN_PAGE.search(" ".join(map(str, words))) if isinstance(words, list) else None
    return (int(found[1]) if found[1] else None, found[2]) if found else (None, "")


def socket_table(pid: int) -> str:
    """The TCP sockets of a process's network, as the kernel of this machine lists them; empty where it ended."""
    texts = []
    for name in ("tcp", "tcp6"):
        try:
            texts.append(Path(f"/proc/{pid}/net/{name}").read_text())
        except OSError:
            continue
    return "\n".join(texts)


def listening(table: str) -> frozenset[int]:
    """The ports of the sockets that listen, of the text of /proc/net/tcp and tcp6."""
    return frozenset(listener.port for listener in listeners(table))


def listeners(table: str) -> tuple[Listener, ...]:
    """The sockets that listen, of the text of /proc/net/tcp and tcp6; without the engine's own name server."""
    rows = (line.split() for line in table.splitlines())
    found = (_listener(row) for row in rows if len(row) > 3 and row[3] == _LISTENING)
    return tuple(listener for listener in found if listener.address != _NAME_SERVER)


def ask_at(addresses: Sequence[str], port: int, path: str | None, *, seconds: float = SECONDS) -> Answer:
    """What a port answers at the first of some addresses that takes the connection."""
    connection: socket.socket | None = None
    for address in addresses:
        try:
            connection = socket.create_connection((address, port), seconds)
            break
        except OSError:
            continue
    if connection is None:
        return Answer(port, path, opens=False)
    with closing(connection):
        if path is None:
            return Answer(port, path, opens=True)
        client = http.client.HTTPConnection("localhost", port, timeout=seconds)
        client.sock = connection
        try:
            client.request("GET", path, headers={"Connection": "close", "User-Agent": "imgopt"})
            response = client.getresponse()
            body = response.read(BODY_BYTES)
        except (OSError, http.client.HTTPException, ValueError):
            return Answer(port, path, opens=True)
        kind = response.headers.get_content_type() if response.headers.get("Content-Type") else ""
        return Answer(port, path, True, response.status, kind, len(body), body.decode(errors="replace"))


def _listener(row: Sequence[str]) -> Listener:
    address, _, port = row[1].partition(":")
    words = (int(address[at : at + 8], 16) for at in range(0, len(address), 8))
    # Each word of 32 bits stands in the machine's own byte order.
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return Listener(str(ipaddress.ip_address(packed)), int(port, 16), row[9] if len(row) > 9 else "")


def _addresses(table: str, port: int) -> list[str]:
    """Where to ask for a port: the loopbacks, then where else it listens."""
    own = [listener.address for listener in listeners(table) if listener.port == port]
    return [*LOOPBACKS, *(address for address in own if _is_particular(address))]


def _is_particular(address: str) -> bool:
    """Whether what listens on an address is reached by that one only."""
    return not ipaddress.ip_address(address).is_unspecified and address not in LOOPBACKS


def _is_of(pid: int, container_id: str) -> bool:
    """Whether a process of this machine is that container's; an engine in a virtual machine has others."""
    try:
        return container_id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
