"""Containers that see nothing of the host's other containers, volumes and networks, and leave nothing behind.

Belongs here: creating, running and removing them, and what they printed. Does not belong here: what is asked of
them (`checks`).

They have no network but their own loopback: with the values of production in its environment an application
must not reach production.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from imgopt_pipeline.builds.checks.surroundings import Surroundings
from imgopt_pipeline.errors import HostUnreachable, ImageNotFound, ImgoptError
from imgopt_pipeline.hosts.docker_sdk import APIError, DockerException, NotFound
from imgopt_pipeline.hosts.engine_files import HELPER_LABEL, LOST_CONNECTION, SWEEP_AGE_SECONDS
from imgopt_pipeline.names import printable

OUTPUT_BYTES = 8_000_000
_POLL_SECONDS = 0.1
_STOPPED = "the checks were ended."
_REMOVE_TRIES = 20
_NO_HEALTHCHECK = {"test": ["NONE"]}


class Refused(ImgoptError):
    """The engine does not do what a check needs; the message says why."""

    kind = "check"


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended, or was ended: then `exit_code` is None."""

    exit_code: int | None
    output: str
    errors: str

    @property
    def last_line(self) -> str:
        """The last thing it said, printable."""
        lines = [line for line in (self.errors or self.output).splitlines() if line.strip()]
        return printable(lines[-1][:300]) if lines else ""


class Isolation:
    """What checking puts on an engine. At the end of the block all of it is gone.

    Threads may share it. `stop` removes everything at once, so that none of them waits any longer.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._names: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def __enter__(self) -> Isolation:
        sweep(self.client)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove all containers, and let no more be made."""
        with self._lock:
            self._stopped = True
            names = list(self._names)
        try:
            self._remove_all(names)
        except BaseException:
            # Interrupted in the middle of it: once more, because nobody else will.
            self._remove_all(names)
            raise

    def create(self, image_id: str, given: Surroundings) -> str:
        """A container that is not started; its name."""
        name = f"imgopt-check-{secrets.token_hex(8)}"
        with self._lock:
            if self._stopped:
                raise Refused(_STOPPED)
            self._names.add(name)
        try:
            with asking("the engine does not create a container"):
                self.client.create_container(image_id, name=name, **given.options(self.client))
        except (Refused, ImageNotFound):
            self._forget(name)
            raise
        except BaseException:
            # Interrupted before the answer came: the engine may still be making it.
            self._remove_soon(name)
            raise
        if self._stopped:
            self.remove(name)
            raise Refused(_STOPPED)
        return name

    @contextmanager
    def created(self, image_id: str, given: Surroundings | None = None) -> Iterator[str]:
        """A container for the duration of a block; it is not started."""
        name = self.create(image_id, given or Surroundings(entrypoint=["imgopt-never-started"], command=[]))
        try:
            yield name
        finally:
            self.remove(name)

    def start(self, name: str) -> None:
        """Start a container. Raises Refused where its command cannot be run."""
        with asking("the engine does not start it"):
            self.client.start(name)

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine says of a container."""
        with asking("a container is gone"):
            return dict(self.client.inspect_container(name))

    def run(self, image_id: str, command: Sequence[str], *, seconds: float, given: Surroundings | None = None) -> Ran:
        """Run a command instead of what the image runs; ended after so many seconds.

        Raises Refused where the image has no such command.
        """
        given = given or Surroundings()
        options = {
            name: getattr(given, name) for name in ("environment", "user", "workdir", "memory_bytes", "gpu", "more")
        }
        bare = Surroundings(
            entrypoint=command[:1],
            command=command[1:],
            healthcheck=_NO_HEALTHCHECK,
            dropped=True,
            capabilities=("DAC_OVERRIDE",),
            **options,
        )
        with self.created(image_id, bare) as name:
            self.start(name)
            ended = self.wait(name, lambda state: not state.get("Running"), seconds)
            if ended is None:
                with suppress(Refused):
                    self.kill(name)
            output, errors = self.logs(name, stderr=False), self.logs(name, stdout=False, tail=50)
            return Ran(None if ended is None else int(ended.get("ExitCode", -1)), output, errors)

    def wait(self, name: str, done: Callable[[Mapping[str, Any]], bool], seconds: float) -> Mapping[str, Any] | None:
        """The container's state once it is as asked; None where that takes longer."""
        deadline = time.monotonic() + seconds
        while True:
            state: Mapping[str, Any] = self.inspect(name)["State"]
            if done(state):
                return state
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_SECONDS)

    def kill(self, name: str) -> None:
        """End a container."""
        with asking("the engine does not end it"):
            self.client.kill(name)

    def execute(self, name: str, command: Sequence[str], *, seconds: float, environment: Sequence[str] = ()) -> Ran:
        """Run a command in a container that runs. Raises Refused where there is no such command."""
        with asking("the engine runs nothing in it"):
            made = self.client.exec_create(name, list(command), environment=list(environment) or None)
            stream = self.client.exec_start(made["Id"], stream=True, demux=True)
        parts: tuple[list[bytes], list[bytes]] = ([], [])

        def receive() -> None:
            with suppress(DockerException, *LOST_CONNECTION, ValueError, OSError):
                left = OUTPUT_BYTES
                for pair in stream:
                    for kept, part in zip(parts, pair, strict=True):
                        kept.append((part or b"")[:left])
                    left -= sum(len(part or b"") for part in pair)

        # An exec cannot be ended through the API; its thread ends with its container.
        reader = threading.Thread(target=receive, daemon=True)
        reader.start()
        reader.join(seconds)
        with asking("the engine does not say how it ended"):
            ended = self.client.exec_inspect(made["Id"])
        running = reader.is_alive() or ended.get("ExitCode") is None
        output, errors = (b"".join(kept).decode(errors="replace") for kept in parts)
        return Ran(None if running else int(ended["ExitCode"]), output, errors)

    def logs(self, name: str, *, stdout: bool = True, stderr: bool = True, tail: int | str = "all") -> str:
        """What a container printed, as far as it is kept: raw, it may hold anything."""
        parts, left = [], OUTPUT_BYTES
        with asking("the engine does not hand out what it printed"):
            stream = self.client.logs(name, stdout=stdout, stderr=stderr, tail=tail, stream=True, follow=False)
            for part in stream:
                parts.append(part[:left])
                left -= len(part)
                if left <= 0:
                    break
        return b"".join(parts).decode(errors="replace")

    def remove(self, name: str) -> None:
        """Take a container off the engine, its anonymous volumes with it."""
        try:
            self._remove(name)
        except BaseException:
            self._remove(name)
            raise
        self._forget(name)

    def _remove_all(self, names: Sequence[str]) -> None:
        for name in names:
            self._remove(name)

    def _remove_soon(self, name: str) -> None:
        for _ in range(_REMOVE_TRIES):
            if self._remove(name):
                break
            time.sleep(0.05)
        self._forget(name)

    def _remove(self, name: str) -> bool:
        with suppress(DockerException, *LOST_CONNECTION):
            self.client.remove_container(name, v=True, force=True)
            return True
        return False

    def _forget(self, name: str) -> None:
        with self._lock:
            self._names.discard(name)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours: `what` says what the engine does not do. Raises Refused, ImageNotFound,
    HostUnreachable."""
    try:
        yield
    except NotFound as error:
        refusal = str(error.explanation or error)
        if "No such image" in refusal:
            raise ImageNotFound(f"an image was removed while it was checked ({_short(refusal)}).") from error
        raise Refused(f"{what} ({_short(refusal)}).") from error
    except APIError as error:
        raise Refused(f"{what} ({_short(str(error.explanation or error))}).") from error
    except (DockerException, *LOST_CONNECTION) as error:
        raise HostUnreachable("the engine went away.", hint="Start it and try again.") from error


def sweep(client: Any, *, age_seconds: int = SWEEP_AGE_SECONDS) -> int:
    """Remove containers of checks that a crash left, running or not, once they are that old; how many went."""
    swept = 0
    with suppress(DockerException, *LOST_CONNECTION):
        for container in client.containers(all=True, filters={"label": HELPER_LABEL, "name": "imgopt-check-"}):
            if time.time() - int(container.get("Created") or 0) > age_seconds:
                with suppress(DockerException, *LOST_CONNECTION):
                    client.remove_container(container["Id"], v=True, force=True)
                    swept += 1
    return swept


def _short(refusal: str) -> str:
    return printable(refusal.strip().rstrip(".")[:400])
