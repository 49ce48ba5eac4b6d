"""What the lock file of a Node project says of each installed package: production, development, asked for.

Each format answers alike, as `Locked`: npm by the paths of packages, yarn and pnpm by a closure over names
and versions. npm's `devOptional` is not development: `npm install --omit=dev` keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from imgopt_pipeline.contents.closure import reachable
from imgopt_pipeline.contents.npm_manifests import Manifest
from imgopt_pipeline.contents.pnpm_lockfiles import pnpm_graph
from imgopt_pipeline.contents.yarn_lockfiles import yarn_graph

Pair = tuple[str, str]
"""Name and version of a package."""

_NESTING = 64


@dataclass(frozen=True, slots=True)
class Locked:
    """What a lock file says. `development_paths` are relative to the project; pairs name packages anywhere in it."""

    document: str
    development_paths: frozenset[str] = frozenset()
    development: frozenset[Pair] = frozenset()
    requested: frozenset[Pair] = frozenset()

    def is_development(self, path: str, pair: Pair) -> bool:
        return path in self.development_paths or pair in self.development


def locked(
    folder: str, importers: Sequence[Manifest], documents: Mapping[str, bytes], warnings: list[str]
) -> Locked | None:
    """By the lock file that the installation in `folder` came from; None without one that can be read.

    `importers`: the package.json of the project and of its workspaces.
    """
    base = f"{folder}/" if folder else ""
    modules = f"{base}node_modules/"
    candidates = (
        (f"{modules}.package-lock.json", True),
        (f"{base}pnpm-lock.yaml", f"{modules}.modules.yaml" in documents),
        (f"{base}yarn.lock", f"{modules}.yarn-integrity" in documents),
        (f"{base}npm-shrinkwrap.json", True),
        (f"{base}package-lock.json", True),
        (f"{base}pnpm-lock.yaml", True),
        (f"{base}yarn.lock", True),
    )
    tried: set[str] = set()
    for path, likely in candidates:
        if not likely or path in tried or path not in documents:
            continue
        tried.add(path)
        answer = _read(path, folder, documents[path], importers)
        if isinstance(answer, Locked):
            return answer
        warnings.append(answer)
    return None


def has_lockfile(folder: str, documents: Mapping[str, bytes]) -> bool:
    """Whether any lock file stands there."""
    base = f"{folder}/" if folder else ""
    names = ("pnpm-lock.yaml", "yarn.lock", "npm-shrinkwrap.json", "package-lock.json")
    return any(f"{base}{name}" in documents for name in (*names, "node_modules/.package-lock.json"))


def _read(path: str, folder: str, content: bytes, importers: Sequence[Manifest]) -> Locked | str:
    if path.endswith(".json"):
        return _npm(path, content)
    make = pnpm_graph if path.endswith(".yaml") else yarn_graph
    graph = make(path, folder, content, importers)
    if isinstance(graph, str):
        return graph
    production = reachable(graph.production, graph.following)
    development = reachable(graph.development, graph.following)
    kept = {graph.pairs[key] for key in production if key in graph.pairs}
    return Locked(
        document=path,
        development=frozenset({graph.pairs[key] for key in development if key in graph.pairs} - kept),
        requested=frozenset(graph.pairs[key] for key in (*graph.production, *graph.development) if key in graph.pairs),
    )


def _npm(path: str, content: bytes) -> Locked | str:
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        return f"{path} is no JSON ({error.msg}); passed over"
    match data:
        case {"packages": dict(packages)}:
            paths = {key for key, entry in packages.items() if isinstance(entry, dict) and entry.get("dev") is True}
        case {"dependencies": dict(dependencies)}:
            paths = set(_nested(dependencies))
        case {"lockfileVersion": int()}:
            paths = set()
        case _:
            return f"{path} is no lock file of npm; passed over"
    return Locked(path, development_paths=frozenset(paths))


def _nested(dependencies: dict[str, Any]) -> Iterable[str]:
    """Paths of development packages of lock file version 1, whose nesting is that of the folders."""
    waiting: list[tuple[str, dict[str, Any], int]] = [("", dependencies, 0)]
    while waiting:
        prefix, level, depth = waiting.pop()
        for name, entry in level.items():
            if not isinstance(entry, dict):
                continue
            path = f"{prefix}node_modules/{name}"
            if entry.get("dev") is True:
                yield path
            inner = entry.get("dependencies")
            if isinstance(inner, dict) and depth < _NESTING:
                waiting.append((f"{path}/", inner, depth + 1))
