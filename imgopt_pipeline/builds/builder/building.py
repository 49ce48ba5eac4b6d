"""Builds an image from the text of a Dockerfile, with BuildKit or, where there is none, the classic builder.

The user's folder is only read: the Dockerfile and its .dockerignore lie in a private folder beside each other, where
BuildKit looks for both. Whatever ends a build, its processes and what it made are gone unless it succeeded.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO

from imgopt_pipeline import progress
from imgopt_pipeline.builds.builder.build_command import (
    CLASSIC_DOCKERFILE,
    argument_environment,
    buildkit_words,
    classic_words,
)
from imgopt_pipeline.builds.builder.build_log import BuildLog, Failure, Reason, Redactor, step_text
from imgopt_pipeline.builds.builder.capabilities import BuilderCapabilities, capabilities
from imgopt_pipeline.builds.builder.contexts import ContextUnreadable, check_context, write_context
from imgopt_pipeline.builds.builder.docker_command import (
    TimeLimitReached,
    command_environment,
    docker_program,
    engine_options,
    run_command,
)
from imgopt_pipeline.builds.models import BuildRequest, Built
from imgopt_pipeline.errors import (
    HostUnreachable,
    ImageNotFound,
    ImgoptError,
    SettingsError,
    StorageError,
    UnreadableLayer,
)
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.units import format_bytes, format_seconds

_LOG_BYTES = 200_000_000
_SECRET_BYTES = 500_000  # more BuildKit does not take either
_HINTS: dict[Reason, str] = {
    "base missing": "Check the base's name, and that this host has it or reaches its registry.",
    "no space": "Free some space where the engine keeps its images (`docker system df`).",
    "timeout": "Raise builds.time_limit_seconds in imgopt.yaml if it needs longer.",
    "killed": "It may have run out of memory: see builds.memory_bytes in imgopt.yaml, and the memory of the host.",
    "context": "Is the file there, and not left out by .dockerignore?",
    "step failed": "",
}


class BuildFailed(ImgoptError):
    """A build did not give an image. `lines` are the last that the builder or the failing step said."""

    kind = "build failed"

    def __init__(
        self, message: str, *, reason: Reason, subject: str, hint: str, step: str = "", lines: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, subject=subject, hint=hint)
        self.reason = reason
        self.step = step
        self.lines = lines


def build(host: EngineHost, request: BuildRequest, *, builder: BuilderCapabilities | None = None) -> Built:
    """Build, tag and label an image on a host; the builder's output, redacted, is kept in the request's log file.

    Raises BuildFailed, ContextUnreadable, HostUnreachable, SettingsError. Where it fails or is interrupted, no
    image, container or file of it stays but the log.
    """
    check_context(request.context)
    builder = builder or capabilities(host)
    redact = Redactor([*request.arguments.values(), *_secret_texts(request)])
    before = _image_id(host, request.tag)
    started = time.monotonic()
    try:
        with _log_file(request.log_file) as log, _private_folder(request.log_file.parent) as folder:
            _run(host, request, builder, folder, _Listener(log, redact, request.tag, buildkit=builder.buildkit))
            seconds = time.monotonic() - started
            image_id = _image_id(host, request.tag)
    except BaseException as error:
        _remove_unfinished(host, request.tag, before)
        if isinstance(error, OSError):
            raise StorageError(
                f"the build's own files cannot be written ({error.strerror}).",
                subject=str(request.log_file.parent),
                hint="Free some space there.",
            ) from error
        raise
    if image_id is None:
        raise BuildFailed(
            "the builder says that it is done, but there is no image.",
            reason="step failed",
            subject=request.tag,
            hint=f"The whole log is {request.log_file}.",
        )
    return Built(image_id, seconds, request.log_file)


class _Listener:
    """Writes a build's log and follows its steps."""

    def __init__(self, file: TextIO, redact: Redactor, tag: str, *, buildkit: bool) -> None:
        self.log = BuildLog(lambda step: progress.current().start(f"Building {tag}: {step}"), buildkit=buildkit)
        self._file = file
        self._redact = redact
        self._left_bytes = _LOG_BYTES

    def __call__(self, line: str) -> None:
        line = self._redact(line)
        if self._left_bytes > 0:
            self._left_bytes -= self._file.write(f"{line}\n")
            if self._left_bytes <= 0:
                self._file.write(f"The rest is left out: more than {format_bytes(_LOG_BYTES)}.\n")
        self.log.feed(line)


def _run(
    host: EngineHost, request: BuildRequest, builder: BuilderCapabilities, folder: Path, listener: _Listener
) -> None:
    program = docker_program()
    missing = ""
    if program is None or builder.builder == "none":
        missing = "the docker command is not installed on this machine."
    elif not builder.buildkit and (request.secrets or request.contexts):
        missing = "it needs secrets or named contexts, and there is no BuildKit for this host."
    if program is None or missing:
        hint = "Install the docker command line and its buildx plugin."
        raise BuildFailed(missing, reason="step failed", subject=request.tag, hint=hint)
    if request.memory_bytes and not builder.memory_limit:
        limit = format_bytes(request.memory_bytes)
        progress.current().note(f"BuildKit has no limit for a build's memory: each of its processes gets {limit}.")
    words = buildkit_words(request, folder) if builder.buildkit else classic_words(request)
    command = [program, *engine_options(host.address), *words]
    environment = command_environment(folder / "buildx", buildkit=builder.buildkit)
    environment |= argument_environment(request.arguments)
    unread: list[ImgoptError] = []

    def send_context(target: IO[bytes]) -> None:
        try:
            write_context(request.context, request.ignore_text, {CLASSIC_DOCKERFILE: request.dockerfile_text}, target)
        except ContextUnreadable as error:
            unread.append(error)

    try:
        status = run_command(
            [*command, str(request.context.absolute()) if builder.buildkit else "-"],
            environment,
            listener,
            time_limit_seconds=request.time_limit_seconds,
            write_input=None if builder.buildkit else send_context,
        )
    except TimeLimitReached as error:
        raise _timed_out(request, step_text(listener.log.step)) from error
    if unread:
        raise unread[0]
    if status:
        raise _failed(request, listener.log.failure(), status)


def _secret_texts(request: BuildRequest) -> Iterator[str]:
    """What must not get into the log. Raises SettingsError for a secret that cannot be read."""
    for name, source in request.secrets.items():
        try:
            with open(source, "rb") as file:
                yield file.read(_SECRET_BYTES).decode(errors="replace")
        except OSError as error:
            raise SettingsError(
                f"the build secret {name} cannot be read from {source} ({error.strerror}).", subject=request.tag
            ) from error


@contextmanager
def _log_file(path: Path) -> Iterator[TextIO]:
    """The log, for this user's eyes only. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise StorageError(f"the build's log cannot be written ({error.strerror}).", subject=str(path)) from error
    with open(descriptor, "w", buffering=1, encoding="utf-8", errors="replace") as file:
        yield file


@contextmanager
def _private_folder(parent: Path) -> Iterator[Path]:
    """What the docker command reads and notes down; beside the log, where it is found if this process is killed."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=parent) as folder:
        yield Path(folder)


def _image_id(host: EngineHost, tag: str) -> str | None:
    try:
        with engine_errors("the engine does not say what it built", missing=ImageNotFound):
            return str(host.client.inspect_image(tag)["Id"])
    except ImageNotFound:
        return None


def _remove_unfinished(host: EngineHost, tag: str, before: str | None) -> None:
    """Take an image off the host that came to be although the build was given up."""
    with suppress(HostUnreachable, UnreadableLayer):
        image_id = _image_id(host, tag)
        if image_id not in (None, before):
            with engine_errors("the engine does not remove it", missing=UnreadableLayer):
                host.client.remove_image(tag, noprune=True)


def _timed_out(request: BuildRequest, step: str) -> BuildFailed:
    limit = format_seconds(request.time_limit_seconds)
    return BuildFailed(
        f"the build was ended after {limit}, its time limit" + (f", in {_quoted(step)}." if step else "."),
        reason="timeout",
        subject=request.tag,
        hint=_hint("timeout", request.log_file),
        step=step,
    )


def _failed(request: BuildRequest, failure: Failure, status: int) -> ImgoptError:
    if failure.engine_gone:
        return HostUnreachable("the engine went away during the build.", hint="Start it and try again.")
    reason: Reason = "killed" if status < 0 else failure.reason
    what = f"{_quoted(failure.step)} failed" if failure.step else "the build failed"
    if reason == "killed":
        what = f"{_quoted(failure.step) if failure.step else 'the build'} was killed"
    elif reason == "base missing":
        what = "the base image cannot be had"
    elif reason == "no space":
        what += " for want of disk space"
    elif failure.exit_status:
        what += f" with exit status {failure.exit_status}"
    said = failure.telling_line.strip().rstrip(".")
    return BuildFailed(
        f"{what}: {said}." if said else f"{what}.",
        reason=reason,
        subject=request.tag,
        hint=_hint(reason, request.log_file),
        step=failure.step,
        lines=failure.lines,
    )


def _quoted(step: str) -> str:
    return f"`{step}`"


def _hint(reason: Reason, log_file: Path) -> str:
    return f"{_HINTS[reason]} The whole log is {log_file}.".strip()
