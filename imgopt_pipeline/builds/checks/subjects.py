"""What the checks are given: the two images, and what is known of how the one in use runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgopt_pipeline.settings import BuildSettings, TargetSettings

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """An image: `config` is `Config` of its inspection, `packages` are rows of package_inventory."""

    image_id: str
    config: Mapping[str, Any] = field(repr=False)
    packages: Sequence[Row] = field(repr=False)
    size_bytes: int

    @property
    def environment(self) -> dict[str, str]:
        """Its variables; their values are never shown."""
        return variables(self.config.get("Env"))


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What the candidate's checks may count on.

    `reference` is the name of the image in settings, `rules` are those applied. `container`: the inspection of a
    container that runs the image in use; values of its environment stay in memory. `cpu_replacements` maps
    packages to what takes their place; `removed_packages` and `explained_config` (names as the check
    `configuration` tells them, or their kind, such as `env`) are what the rules said they change.
    """

    reference: str = ""
    rules: tuple[str, ...] = ()
    target: TargetSettings = field(default_factory=TargetSettings, repr=False)
    builds: BuildSettings = field(default_factory=BuildSettings)
    container: Mapping[str, Any] | None = field(default=None, repr=False)
    gpu_verdict: str = ""
    host_gpu: bool = False
    cpu_replacements: Mapping[str, str] = field(default_factory=dict)
    removed_packages: tuple[str, ...] = ()
    explained_config: tuple[str, ...] = ()

    def applied(self, *rules: str) -> tuple[str, ...]:
        """Those of some rules that were applied, in their order."""
        return tuple(rule for rule in rules if rule in self.rules)


def variables(entries: object) -> dict[str, str]:
    """`NAME=value` entries as a mapping."""
    listed = entries if isinstance(entries, list) else []
    pairs = (str(entry).partition("=") for entry in listed)
    return {name: value for name, _, value in pairs}
