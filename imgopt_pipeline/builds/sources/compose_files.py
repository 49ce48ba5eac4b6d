"""The files of a compose project, as one document.

`docker compose config` reads the files where it is installed and accepts them; else they are read here, as far as
YAML, `extends` and variables go. What a service's build means stands in `compose_builds`.
"""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from dotenv import dotenv_values

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_text

_SECONDS = 60
_FILE_BYTES = 4_000_000
_EXTENDS = 20
_UNSET = re.compile(r'\\?"(\w+)\\?" variable is not set')
_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<operator>:?[-+?])(?P<word>[^{}]*))?\}|(?P<plain>[A-Za-z_]\w*)|(?P<odd>\{))"
)
ELSEWHERE = re.compile(r"(?:[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:|github\.com/)", re.IGNORECASE)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ComposeError(ImgoptError):
    """A compose file that is missing or says nothing that can be built here."""

    kind = "compose"


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """A compose project: its name, its folder, and its files, later ones over earlier ones."""

    name: str
    folder: Path
    files: tuple[Path, ...]

    @property
    def told(self) -> str:
        """Its files as they are named to a person."""
        return ", ".join(printable(str(file)) for file in self.files)


@dataclass(frozen=True, slots=True)
class ComposeReading:
    """Compose files as one document. `unset` names variables that have no value here and count as empty.

    `known` are the values of variables; where `interpolated` is False they still have to be put in.
    """

    services: Mapping[str, Any]
    secrets: Mapping[str, Any]
    known: Mapping[str, str]
    interpolated: bool
    unset: tuple[str, ...] = ()


def read_project(project: ComposeProject, service: str, environment: Mapping[str, str]) -> ComposeReading:
    """A project's files, with at least that service. Raises ComposeError where a file is missing or broken."""
    _check_files(project)
    return _by_compose(project, environment) or _by_hand(project, service, environment)


def _check_files(project: ComposeProject) -> None:
    if not project.files:
        raise ComposeError(
            "no container says which files it consists of.", subject=f"compose project {printable(project.name)}"
        )
    for file in project.files:
        try:
            found = file.stat()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no file name"
            raise ComposeError(f"the compose file cannot be read ({reason}).", subject=printable(str(file))) from error
        if not stat.S_ISREG(found.st_mode) or found.st_size > _FILE_BYTES:
            raise ComposeError("that is no compose file.", subject=printable(str(file)))


def _by_compose(project: ComposeProject, environment: Mapping[str, str]) -> ComposeReading | None:
    """The files as `docker compose` reads them, without variables at a second try; None where it does not."""
    files = [f"--file={file}" for file in project.files]
    command = ["docker", "compose", *files, f"--project-directory={project.folder}"]
    if project.name:
        command.append(f"--project-name={project.name}")
    for options in ([], ["--no-interpolate"]):
        try:
            done = subprocess.run(
                [*command, "--profile=*", "config", "--format=json", *options],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
        document = _document(done.stdout) if done.returncode == 0 else None
        if document is not None:
            unset = tuple(dict.fromkeys(_UNSET.findall(done.stderr.decode(errors="replace"))))
            return ComposeReading(
                mapping(document.get("services")),
                mapping(document.get("secrets")),
                known=_known(project, environment),
                interpolated=not options,
                unset=unset,
            )
    return None


def _document(output: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(output)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _by_hand(project: ComposeProject, service: str, environment: Mapping[str, str]) -> ComposeReading:
    """The part of the files that a service needs, as YAML says it."""
    merged: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    for file in project.files:
        document = _yaml(file)
        found = _extended(document, service, file, project.folder, _EXTENDS)
        merged = _over(merged, found) if found is not None else merged
        secrets |= mapping(document.get("secrets"))
    services = {service: merged} if merged else {}
    return ComposeReading(services, secrets, known=_known(project, environment), interpolated=False)


def _yaml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            document = yaml.load(opened.read(_FILE_BYTES), Loader=_LOADER)  # noqa: S506  (a safe loader)
    except OSError as error:
        raise ComposeError(f"it cannot be read ({error.strerror}).", subject=printable(str(file))) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = printable(redact_text(" ".join(str(error).split())[:200]))
        raise ComposeError(f"it is no YAML ({said}).", subject=printable(str(file))) from error
    return mapping(document)


def _extended(document: Mapping[str, Any], service: str, file: Path, folder: Path, depth: int) -> dict[str, Any] | None:
    """A service with what it extends below it; paths of an extended file are relative to that file."""
    found = mapping(document.get("services", document if "version" not in document else None)).get(service)
    if not isinstance(found, dict):
        return None
    found = _anchored(found, folder)
    extends = found.pop("extends", None)
    if not extends:
        return found
    if not depth:
        raise ComposeError("its services extend one another without an end.", subject=printable(str(file)))
    parent = {"service": extends} if isinstance(extends, str) else mapping(extends)
    name = str(parent.get("service") or service)
    if not (other := parent.get("file")):
        below = _extended(document, name, file, folder, depth - 1)
    else:
        path = folder / str(other)
        below = _extended(_yaml(path), name, path, path.parent, depth - 1)
    if below is None:
        raise ComposeError(f"it extends {printable(name)}, which is not there.", subject=printable(str(file)))
    return _over(below, found)


def _anchored(service: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A service whose build is a mapping with a context that no longer depends on the file."""
    build = service.get("build")
    if not build:
        return dict(service)
    build = {"context": build} if isinstance(build, str) else dict(mapping(build))
    if "context" in build:
        context = str(build["context"])
        build["context"] = context if ELSEWHERE.match(context) else str(folder / Path(context).expanduser())
    build["args"] = pairs(build.get("args"))
    return {**service, "build": build}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A service over another: builds and their arguments merge, all else is replaced."""
    merged = {**below, **above}
    lower, upper = mapping(below.get("build")), mapping(above.get("build"))
    if lower or upper:
        merged["build"] = {**lower, **upper, "args": {**pairs(lower.get("args")), **pairs(upper.get("args"))}}
    return merged


def _known(project: ComposeProject, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a project: its .env file below the environment."""
    file = project.folder / ".env"
    try:
        listed = dotenv_values(file) if file.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ComposeError("the .env file cannot be read.", subject=printable(str(file))) from error
    return {name: value for name, value in listed.items() if value is not None} | dict(environment)


def with_values(text: str, known: Mapping[str, str]) -> tuple[str, list[str]]:
    """A text of a compose file with its variables replaced, and the names of those without a value."""
    missing: list[str] = []

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name, operator, word = match["name"] or match["plain"] or "?", match["operator"] or "", match["word"] or ""
        found = known.get(name)
        given = bool(found) if operator.startswith(":") else found is not None
        if operator.endswith("+"):
            return word if given else ""
        if given:
            return found or ""
        if not operator.endswith("-"):
            missing.append(name)
        return word if operator.endswith("-") else ""

    return _VARIABLE.sub(value, text), missing


def pairs(value: object) -> dict[str, Any]:
    """`[A=1, B]` or `{A: 1, B: null}` as names and values; None stands for the environment's."""
    if isinstance(value, dict):
        return {str(name): each for name, each in value.items()}
    items = [str(item).partition("=") for item in value] if isinstance(value, list) else []
    return {name: each if equals else None for name, equals, each in items}


def mapping(value: object) -> dict[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
