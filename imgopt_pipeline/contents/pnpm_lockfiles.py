"""pnpm-lock.yaml of versions 5, 6 and 9 (pnpm's specification of its lock file).

Keys of packages: `/name/1.0.0_peers` (5), `/name@1.0.0(peers)` (6), `name@1.0.0(peers)` (9, where `snapshots`
holds the dependencies).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgopt_pipeline.contents.locked_graph import LockedGraph, printable_pair
from imgopt_pipeline.contents.npm_manifests import Manifest, text_map
from imgopt_pipeline.contents.yaml_documents import text_in, yaml_mapping


def pnpm_graph(path: str, folder: str, content: bytes, importers: Sequence[Manifest]) -> LockedGraph | str:
    """The graph, with what the lock file's own importers name as starts; else in words what is broken."""
    data = yaml_mapping(path, content)
    if isinstance(data, str):
        return data
    if "lockfileVersion" not in data:
        return f"{path} is no lock file of pnpm; passed over"
    slashes = text_in(data, "lockfileVersion").startswith("5")
    packages = _mapping(data.get("packages"))
    entries = _mapping(data.get("snapshots")) or packages

    def resolved(wanted: Mapping[str, str]) -> tuple[str, ...]:
        found = []
        for name, version in wanted.items():
            candidates = (f"/{name}/{version}", f"/{name}@{version}", f"{name}@{version}", version)
            key = next((key for key in candidates if key in entries), None)
            if key is not None:
                found.append(key)
        return tuple(found)

    roots = [root for root in _mapping(data.get("importers")).values() if isinstance(root, dict)] or [data]
    edges, pairs = {}, {}
    for key, entry in entries.items():
        if not isinstance(entry, dict) or not isinstance(key, str):
            continue
        edges[key] = resolved(_wanted(entry, "dependencies", "optionalDependencies"))
        name, version = _name_and_version(key, slashes=slashes)
        stated = packages.get(key)
        if isinstance(stated, dict):  # of packages that come from elsewhere than a registry
            name, version = text_in(stated, "name") or name, text_in(stated, "version") or version
        if name and version:
            pairs[key] = printable_pair(name, version)
    return LockedGraph(
        production=tuple(
            key for root in roots for key in resolved(_wanted(root, "dependencies", "optionalDependencies"))
        ),
        development=tuple(key for root in roots for key in resolved(_wanted(root, "devDependencies"))),
        edges=edges,
        pairs=pairs,
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _wanted(entry: Mapping[str, Any], *kinds: str) -> dict[str, str]:
    """Names with locked versions; from version 6 on an importer states its range beside the version."""
    found: dict[str, str] = {}
    for kind in kinds:
        for name, value in _mapping(entry.get(kind)).items():
            found |= text_map({name: value.get("version") if isinstance(value, dict) else value})
    return found


def _name_and_version(key: str, *, slashes: bool) -> tuple[str, str]:
    plain = key.removeprefix("/").partition("(")[0]
    name, _, version = plain.rpartition("/" if slashes else "@")
    return name, version.partition("_")[0] if slashes else version
