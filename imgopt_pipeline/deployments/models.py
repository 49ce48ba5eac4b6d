"""What a deployment is, as plain values that go into its journal: no environment values, no contents of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.services.models import OldContainer, UnitName

KIND = "deploy"

Method = Literal["tag", "override", "recreate"]


class NoCandidate(ImgoptError):
    """There is no optimized image to deploy, or it did not pass its checks."""

    kind = "no candidate"


@dataclass(frozen=True, slots=True)
class Options:
    """What a person allows. `discard_changes`: that what containers wrote outside their volumes is lost.

    `with_edits`: that compose brings up more than the image anew, because its files or variables differ from when the
    service was made.
    """

    discard_changes: bool = False
    with_edits: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """The optimized image, as its build's rows tell it. `unverified`: checks that could not be tried."""

    build_id: str
    image_id: str
    reference: str
    kind: Literal["rewrite", "flatten"]
    old_bytes: int
    new_bytes: int
    unverified: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """How one unit is switched.

    `tag`: its image's name moves, and compose makes its containers anew. `override`: a file beside the compose file
    names the image. `recreate`: the container is made anew from its inspection, the old one set aside.
    `file_digests` are of the compose project's files.
    """

    name: UnitName
    method: Method
    containers: tuple[OldContainer, ...]
    override: Path | None = None
    file_digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        return any(container.running for container in self.containers)

    @property
    def replicas(self) -> int:
        return len(self.containers)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as it was decided on.

    `reference` is the image's name that runs, None where it has none; with `moves_tag` it is given to the candidate.
    `deployed_reference` is a name of the candidate that later builds do not take; `backup_reference` keeps the old
    image. `following` join the namespaces of the units' containers, and are made anew with them on their own image.
    `dependants`: names of containers that ran and depend on the units.
    """

    deployment_id: str
    host: str
    subject: str
    reference: str | None
    moves_tag: bool
    old_image_id: str
    candidate: Candidate
    deployed_reference: str
    backup_reference: str
    units: tuple[UnitPlan, ...]
    following: tuple[UnitPlan, ...]
    dependants: tuple[str, ...]
    approved_by: str
    keep_days: float
    remarks: tuple[str, ...] = ()

    @property
    def image_reference(self) -> str:
        """The name under which units are made of the candidate."""
        return self.reference if self.moves_tag and self.reference else self.deployed_reference

    def to_json(self) -> Any:
        """For the journal."""
        return _ADAPTER.dump_python(self, mode="json")

    @classmethod
    def from_json(cls, given: Any) -> Deployment:
        """From the journal."""
        return _ADAPTER.validate_python(given)


_ADAPTER = TypeAdapter(Deployment)
