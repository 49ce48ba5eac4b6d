"""The graph of a lock file that says which package needs which, by the lock file's own keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imgopt_pipeline.names import printable


@dataclass(frozen=True, slots=True)
class LockedGraph:
    """`production` and `development` are keys that the project and its workspaces name; `pairs` name and version."""

    production: tuple[str, ...]
    development: tuple[str, ...]
    edges: Mapping[str, tuple[str, ...]]
    pairs: Mapping[str, tuple[str, str]]

    def following(self, key: str) -> tuple[str, ...]:
        return self.edges.get(key, ())


def printable_pair(name: str, version: str) -> tuple[str, str]:
    """Name and version as packages carry them."""
    return printable(name), printable(version)
