"""Having compose read and bring up a service: the compose that made it, its files, its engine, and nothing else moved.

Belongs here: which command, what it is told, what its files come to. What a killed compose leaves is `leftovers`, our
own file among the project's `override`. Rendered files hold secrets: they stay in memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from imgopt_pipeline.builds.builder.docker_command import TimeLimitReached, docker_program, run_command
from imgopt_pipeline.builds.sources.compose_files import ComposeError, mapping
from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_text
from imgopt_pipeline.services.compose_inputs import file_digests
from imgopt_pipeline.services.finding import labels_of
from imgopt_pipeline.services.labels import CONFIG_HASH, VERSION
from imgopt_pipeline.services.leftovers import settle_leftovers
from imgopt_pipeline.services.models import Refused, Running, ServiceName, SwitchFailed, Unit
from imgopt_pipeline.services.override import files_in_force

_SECONDS = 60
_TRIES = 2
_LEAST_SECONDS = 1.0
_LAST_LINES = 5
_LONGEST = 300
_ELSEWHERE: Final = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
_OTHER_PROJECT: Final = ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_ENV_FILES")
_JOINED: Final = (("network_mode", "NetworkMode"), ("ipc", "IpcMode"), ("pid", "PidMode"))


@dataclass(frozen=True, slots=True)
class ServiceReading:
    """What the files of a project come to for one service.

    `config` is the service as compose renders it: in memory only, as is `document`, the whole of it. `digest` is the
    sha256 of the service but for its image, `file_digests` those of the files it comes from, by path.
    """

    config: Mapping[str, Any] = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)
    digest: str
    file_digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Compose:
    """An installed compose."""

    command: tuple[str, ...]
    version: str


def compose_command(name: ServiceName) -> tuple[str, ...]:
    """The command of the installed compose of the major version that made a service. Raises Refused without one."""
    return _compose(name).command


def read_service(host: EngineHost, name: ServiceName, files: Sequence[Path] | None = None) -> ServiceReading:
    """A service as compose reads it from these files, by default those in force. Raises ComposeError, Refused."""
    files = files_in_force(name) if files is None else files
    command = [*_command(name, files), "config", *(["--format=json"] if name.compose_major > 1 else [])]
    document = _document(_told(command, host, name), name)
    config = mapping(mapping(document.get("services")).get(name.service))
    if not config:
        raise ComposeError("its compose files have no such service.", subject=f"service {name.project}/{name.service}")
    rest = {key: value for key, value in config.items() if key != "image"}
    digest = sha256(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return ServiceReading(config, document, digest, file_digests(name, files))


def config_hash_agrees(host: EngineHost, unit: Unit, reading: ServiceReading) -> bool | None:
    """Whether bringing a service up would change nothing about its containers but the image.

    False: a file was edited, or variables had other values when it was brought up. None: it cannot be said, as compose
    1, another version than the installed, or one that made a container differently gives no comparable hash.
    """
    name = unit.name.compose
    if name is None or name.compose_major == 1 or not unit.containers:
        return None
    compose = _compose(name)
    made_by = {_number(labels_of(container).get(VERSION, "")) for container in unit.containers}
    if made_by != {compose.version} or reading.config.get("volumes_from"):
        return None
    # Most replicas are made alike.
    distinct = {(labels_of(one).get(CONFIG_HASH, ""), one.reference, _joined(reading, one)) for one in unit.containers}
    return all(
        any(_hash(compose, host, name, form) == label for form in _forms(reading, name.service, reference, joined))
        for label, reference, joined in distinct
    )


def up(
    host: EngineHost,
    name: ServiceName,
    files: Sequence[Path] | None = None,
    *,
    replicas: int,
    log: Path,
    recreate: bool,
    start: bool = True,
    time_limit_seconds: float,
) -> None:
    """Have compose bring up one service with so many replicas: nothing built, pulled or else touched.

    Clears away first what a killed compose left, and runs it once more where it fails, as it does where it is killed.
    `start=False` makes the containers and leaves them stopped. Raises SwitchFailed where compose says it failed; it
    may also say nothing of it: look at the containers afterwards. Raises HostUnreachable where the engine went away.
    """
    command = [*_command(name, files_in_force(name) if files is None else files), "up"]
    command += ["--detach"] if start else ["--no-start"]
    command += ["--no-deps", "--no-build", f"--scale={name.service}={replicas}"]
    command += ["--pull=never"] if name.compose_major > 1 else []
    command += ["--force-recreate"] if recreate else []
    deadline, tries = time.monotonic() + time_limit_seconds, 0
    status: int | None = 1
    while status and tries < _TRIES:
        tries += 1
        settle_leftovers(host, name)
        left_seconds = max(deadline - time.monotonic(), _LEAST_SECONDS)
        status, last = _logged([*command, "--", name.service], host, name, log, left_seconds)
        if status != 0:
            with engine_errors("the engine does not answer"):
                host.client.ping()
    if status != 0:
        how = "did not end in time" if status is None else f"failed (exit status {status})"
        raise SwitchFailed(
            f"compose {how}: {last or 'it said nothing'}.",
            subject=f"service {name.project}/{name.service}",
            hint=f"All it said stands in {log}.",
        )


def _compose(name: ServiceName) -> _Compose:
    found = []
    docker, alone = docker_program(), shutil.which("docker-compose")
    candidates: list[tuple[str, ...]] = [(docker, "compose")] if docker is not None and name.compose_major > 1 else []
    candidates += [(alone,)] if alone is not None else []
    for command in candidates:
        version = _version(command)
        if version and (version.startswith("1.") == (name.compose_major == 1)):
            return _Compose(command, version)
        found.append(version)
    others = [version for version in found if version]
    raise Refused(
        f"it was made by compose {name.compose_version or name.compose_major}, which is not installed here"
        + (f" (compose {', '.join(others)} is)." if others else "."),
        subject=f"service {name.project}/{name.service}",
        hint="Install that, or bring the project up once with the one that is installed: the two do not mix.",
    )


def _version(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            [*command, "version", "--short"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return _number(done.stdout.decode(errors="replace").strip())


def _number(version: str) -> str:
    """`2.26.1`, also of `v2.26.1-4`, as a distribution calls it."""
    return printable(version.removeprefix("v").partition("-")[0])


def _command(name: ServiceName, files: Sequence[Path]) -> list[str]:
    """The command up to its verb. Each profile is on: a service may depend on one of another profile."""
    command = [*compose_command(name), f"--project-name={name.project}", f"--project-directory={name.folder}"]
    command += ["--profile=*"] if name.compose_major > 1 else []
    command += [f"--env-file={file}" for file in name.environment_files]
    return [*command, *(f"--file={file}" for file in files)]


def _environment(host: EngineHost, name: ServiceName) -> dict[str, str]:
    """This process's environment, whose variables the files may use, for that engine and no other project."""
    kept = {variable: value for variable, value in os.environ.items() if variable not in (*_ELSEWHERE, *_OTHER_PROJECT)}
    return (
        kept
        | _engine(host.address)
        | {
            "PWD": str(name.folder),
            "COMPOSE_REMOVE_ORPHANS": "false",
            "COMPOSE_IGNORE_ORPHANS": "true",
            "COMPOSE_ANSI": "never",
            "DOCKER_CLI_HINTS": "false",
        }
    )


def _engine(address: EngineAddress) -> dict[str, str]:
    tls = {} if address.tls_folder is None else {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(address.tls_folder)}
    return {"DOCKER_HOST": address.url, **tls}


def _told(command: Sequence[str], host: EngineHost, name: ServiceName, stdin: bytes = b"") -> bytes:
    """What compose answers. Raises ComposeError with what it says is wrong."""
    subject = f"service {name.project}/{name.service}"
    try:
        done = subprocess.run(
            command,
            env=_environment(host, name),
            input=stdin,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ComposeError(f"compose did not answer within {_SECONDS} s.", subject=subject) from error
    except (OSError, ValueError) as error:
        raise ComposeError("compose cannot be run.", subject=subject) from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise ComposeError(f"compose refuses its files: {printable(redact_text(said))[-_LONGEST:]}.", subject=subject)
    return done.stdout


def _logged(
    command: Sequence[str], host: EngineHost, name: ServiceName, log: Path, time_limit_seconds: float
) -> tuple[int | None, str]:
    """The exit status of a command that writes to a log, None where it had to be ended, and its last lines."""
    last: deque[str] = deque(maxlen=_LAST_LINES)

    def note(line: str) -> None:
        if text := printable(redact_text(line.strip())):
            file.write(f"{text}\n")
            last.append(text[:_LONGEST])

    status: int | None
    try:
        with log.open("a", encoding="utf-8") as file:
            try:
                status = run_command(command, _environment(host, name), note, time_limit_seconds=time_limit_seconds)
            except TimeLimitReached:
                status = None
    except OSError as error:
        raise StorageError(f"the log cannot be written ({error.strerror}).", subject=str(log)) from error
    return status, " / ".join(last)


def _document(output: bytes, name: ServiceName) -> Mapping[str, Any]:
    try:
        return mapping(orjson.loads(output) if name.compose_major > 1 else yaml.safe_load(output))
    except (orjson.JSONDecodeError, yaml.YAMLError) as error:
        raise ComposeError("compose did not render its files.", subject=f"service {name.project}") from error


def _joined(reading: ServiceReading, container: Running) -> tuple[tuple[str, Any], ...]:
    """The container that each `service:` of a service stands for."""
    made_as = container.inspected.get("HostConfig") or {}
    wanted = reading.config
    return tuple(
        (key, made_as.get(setting)) for key, setting in _JOINED if str(wanted.get(key, "")).startswith("service:")
    )


def _hash(compose: _Compose, host: EngineHost, name: ServiceName, document: Mapping[str, Any]) -> str:
    """The hash of a service as it is rendered. Of the files themselves it would know no env files."""
    command = [*compose.command, f"--project-name={name.project}", f"--project-directory={name.folder}"]
    command += ["--profile=*", "--file=-", "config", f"--hash={name.service}"]
    return _told(command, host, name, orjson.dumps(document)).decode(errors="replace").rpartition(" ")[2].strip()


def _forms(
    reading: ServiceReading, service: str, reference: str, joined: Sequence[tuple[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """The document with the service as compose makes a container of it: under `--no-deps` it depends on nothing."""
    own = {**reading.config, **dict(joined)}
    if "image" in own:
        own["image"] = reference
    yield {**reading.document, "services": {**reading.document["services"], service: own}}
    if own.pop("depends_on", None):
        yield {**reading.document, "services": {**reading.document["services"], service: own}}
