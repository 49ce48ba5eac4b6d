"""The docker command as a subprocess: how it is told which engine, and how it is ended with all it started.

Not through a library: a build that hangs or is interrupted must go with its whole process group.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.interrupts import interrupts_deferred

_OWN_SETTINGS = ("DOCKER_", "BUILDX_", "BUILDKIT_")
_END_SECONDS = 10
_LINE_BYTES = 64_000
_READ_BYTES = 1 << 16


class TimeLimitReached(Exception):
    """The command did not end in time, and was ended."""


def docker_program() -> str | None:
    """The docker command of this machine."""
    return shutil.which("docker")


def engine_options(address: EngineAddress) -> list[str]:
    """What tells the docker command which engine to use."""
    options = [f"--host={address.url}"]
    if address.tls_folder is not None:
        options.append("--tlsverify")
        for option, name in (("tlscacert", "ca.pem"), ("tlscert", "cert.pem"), ("tlskey", "key.pem")):
            if (address.tls_folder / name).is_file():
                options.append(f"--{option}={address.tls_folder / name}")
    return options


def command_environment(state_folder: Path, *, buildkit: bool) -> dict[str, str]:
    """This process's environment without what would lead the docker command elsewhere.

    `state_folder`: where buildx keeps its notes on builds, instead of in the user's home. Without a chosen builder
    in it, the engine's own is used.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name == "DOCKER_CONFIG" or not name.startswith(_OWN_SETTINGS)
    }
    return environment | {
        "DOCKER_BUILDKIT": str(int(buildkit)),
        "DOCKER_CLI_HINTS": "false",
        "BUILDX_CONFIG": str(state_folder),
        # Attestations hold the time of the build: the same build would not give the same image.
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
    }


def run_command(
    command: Sequence[str],
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
    *,
    time_limit_seconds: float,
    write_input: Callable[[IO[bytes]], None] | None = None,
) -> int:
    """Run a command in a process group of its own, hand on what it says line by line; its exit status.

    `write_input` fills its standard input from another thread. Whatever is raised, Interrupted included, the whole
    group is gone afterwards. Raises TimeLimitReached.
    """
    with _process_group(command, environment, with_input=write_input is not None) as process:
        if write_input is not None and process.stdin is not None:
            threading.Thread(target=_write, args=(write_input, process.stdin), daemon=True).start()
        deadline = time.monotonic() + time_limit_seconds
        for line in _lines(process, deadline):
            on_line(line)
        try:
            return process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired as error:
            raise TimeLimitReached from error


@contextmanager
def _process_group(
    command: Sequence[str], environment: Mapping[str, str], *, with_input: bool
) -> Iterator[subprocess.Popen[bytes]]:
    process: subprocess.Popen[bytes] | None = None
    try:
        # An interrupt between the fork and the assignment would leave a process that nobody knows.
        with interrupts_deferred():
            process = subprocess.Popen(
                [*_ended_with_us(), *command],
                env=dict(environment),
                stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        yield process
    finally:
        if process is not None:
            _end(process)


def _ended_with_us() -> list[str]:
    """What, before a command, has it ended even where this process is killed; nothing where no program can that."""
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", "TERM", "--"] if program else []


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs of the group: asked first, so that the engine is told to stop the build."""
    try:
        if process.poll() is None:
            _signal_group(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _write(write_input: Callable[[IO[bytes]], None], stream: IO[bytes]) -> None:
    # A command that ends early closes its end; what it said tells why.
    with suppress(OSError, ValueError):
        write_input(stream)
    with suppress(OSError):
        stream.close()


def _lines(process: subprocess.Popen[bytes], deadline: float) -> Iterator[str]:
    """What a process says, line by line; an endless line comes in pieces."""
    if process.stdout is None:
        return
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise TimeLimitReached
            chunk = os.read(process.stdout.fileno(), _READ_BYTES)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LINE_BYTES:
                lines, rest = [*lines, rest], b""
            yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")
