"""What a migration is, as plain values that go into its journal: no environment values, no contents of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from imgopt_pipeline.migrations.models import Move
from imgopt_pipeline.services.models import OldContainer, UnitName

KIND = "migrate"

SourceKind = Literal["bind", "volume"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a person wants of a migration beyond the settings, and what they allow.

    `leave_special`: that sockets, pipes and devices stay behind. `discard_changes`: that what containers of compose
    services wrote outside their volumes is lost when they are made anew.
    """

    destination: Path | None = None
    backup: Path | None = None
    bytes_per_second: int | None = None
    leave_special: bool = False
    discard_changes: bool = False


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """How one unit is pointed to the new place.

    `places`: the folders of the host that its containers get, by the paths at which they see them; those of
    `read_only` stay so. A compose service is told by the `override` file, a single container is made anew.
    """

    name: UnitName
    image_id: str
    places: Mapping[str, str]
    read_only: tuple[str, ...]
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
class Migration:
    """A migration as it was decided on.

    `source` is the folder that containers mount, of the named volume `volume` where it is one; `final` is what it is
    at the destination, on what is mounted at `mount_point` as `filesystem`.
    """

    migration_id: str
    host: str
    subject: str
    source_kind: SourceKind
    volume: str | None
    source: Path
    final: Path
    mount_point: Path
    filesystem: str
    workers: int
    bytes_per_second: int | None
    backup: Path | None
    units: tuple[UnitPlan, ...]
    approved_by: str
    keep_days: float
    files: int
    file_bytes: int
    left_out: int = 0
    remarks: tuple[str, ...] = ()
    discard_changes: bool = False

    @property
    def sets_aside(self) -> bool:
        """Whether the source is renamed; a volume stays where it is, unused."""
        return self.source_kind == "bind"

    def move(self, folder: Path) -> Move:
        """The same for those who move files; `folder` is the action's own."""
        return Move(
            action_id=self.migration_id,
            source=self.source,
            final=self.final,
            folder=folder,
            mount_point=self.mount_point,
            filesystem=self.filesystem,
            workers=self.workers,
            bytes_per_second=self.bytes_per_second,
        )

    def to_json(self) -> Any:
        """For the journal."""
        return _ADAPTER.dump_python(self, mode="json")

    @classmethod
    def from_json(cls, given: Any) -> Migration:
        """From the journal."""
        return _ADAPTER.validate_python(given)


_ADAPTER = TypeAdapter(Migration)
