"""What runs, as plain values.

The engine's inspection of a container holds values of environment variables: it stays in memory and is never stored,
journaled or printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from imgopt_pipeline.errors import ImgoptError

PASSED: Final = "passed"
FAILED: Final = "failed"
UNVERIFIED: Final = "unverified"
Outcome = Literal["passed", "failed", "unverified"]


class SubjectNotFound(ImgoptError):
    """Nothing on the host has that name, or more than one thing."""

    kind = "subject not found"


class Refused(ImgoptError):
    """It is not ours to change, or changing it would lose something."""

    exit_code = 1
    kind = "refused"


class GateFailed(ImgoptError):
    """A switched service does not do what it did, or does not see its data."""

    exit_code = 1
    kind = "gate failed"


class SwitchFailed(ImgoptError):
    """The engine or compose did not do what a switch takes."""

    exit_code = 1
    kind = "switch failed"


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A compose service as the labels of its containers name it; enough to find it where none of them is left.

    `files` are absolute, later ones over earlier ones; `compose_version` is that of the compose which made it.
    `environment_files` were named by --env-file in the place of the folder's .env.
    """

    project: str
    service: str
    folder: Path
    files: tuple[Path, ...]
    compose_version: str
    environment_files: tuple[Path, ...] = ()

    @property
    def compose_major(self) -> int:
        """1 for compose written in Python, 2 for the plugin and what came after."""
        first = self.compose_version.removeprefix("v").partition(".")[0]
        return 1 if first == "1" else 2


@dataclass(frozen=True, slots=True)
class UnitName:
    """What is switched as one: all containers of a compose service, or the single container of that name.

    Nothing in it is secret: it goes into journals.
    """

    name: str
    compose: ServiceName | None = None

    @property
    def kind(self) -> Literal["service", "container"]:
        return "container" if self.compose is None else "service"

    @property
    def words(self) -> str:
        """`service shop/web`, `container web`."""
        return f"{self.kind} {self.name}"

    def to_json(self) -> dict[str, Any]:
        """For a journal."""
        if self.compose is None:
            return {"name": self.name}
        return {
            "name": self.name,
            "compose": {
                "project": self.compose.project,
                "service": self.compose.service,
                "folder": str(self.compose.folder),
                "files": [str(file) for file in self.compose.files],
                "compose_version": self.compose.compose_version,
                "environment_files": [str(file) for file in self.compose.environment_files],
            },
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> UnitName:
        """From a journal."""
        if not (compose := given.get("compose")):
            return cls(given["name"])
        paths = {
            "folder": Path(compose["folder"]),
            "files": tuple(map(Path, compose["files"])),
            "environment_files": tuple(map(Path, compose["environment_files"])),
        }
        return cls(given["name"], ServiceName(**{**compose, **paths}))


@dataclass(frozen=True, slots=True)
class Running:
    """A container as it stands now. `name` comes without the slash; `reference` is its `Config.Image`."""

    container_id: str
    name: str
    image_id: str
    reference: str
    running: bool
    inspected: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class OldContainer:
    """A container before a switch: what it takes to start it again under its name. It may go into a journal."""

    container_id: str
    name: str
    running: bool
    restart_policy: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, container: Running) -> OldContainer:
        policy = (container.inspected.get("HostConfig") or {}).get("RestartPolicy") or {}
        return cls(container.container_id, container.name, container.running, dict(policy))


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit with the containers that it has now, in the order of their numbers; none where all are gone."""

    name: UnitName
    containers: tuple[Running, ...]

    @property
    def image_ids(self) -> frozenset[str]:
        return frozenset(container.image_id for container in self.containers)


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One thing that a gate looked at: what it was before, what it is now, and in a sentence what is wrong."""

    check: str
    outcome: Outcome
    old: str = ""
    new: str = ""
    detail: str = ""
