"""yarn.lock, version 1 (its own syntax) and later ones (YAML).

An entry is named by the descriptors `name@range` that it answers. Where a range has no entry, because
`resolutions` replaced it, every version of that name counts: rather production than development.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgopt_pipeline.contents.header_fields import text_of
from imgopt_pipeline.contents.locked_graph import LockedGraph, printable_pair
from imgopt_pipeline.contents.npm_manifests import Manifest, text_map
from imgopt_pipeline.contents.yaml_documents import YAML_BYTES, text_in, yaml_mapping

_VERSIONS = 100
"""No more versions of one name are told apart where a range has no entry."""


@dataclass(slots=True)
class _Entry:
    descriptors: list[str]
    version: str = ""
    dependencies: dict[str, str] = field(default_factory=dict)


def yarn_graph(path: str, folder: str, content: bytes, importers: Sequence[Manifest]) -> LockedGraph | str:
    """The graph, with what `importers` name as starts; else in words what is broken."""
    if len(content) > YAML_BYTES:
        return f"{path} is larger than {YAML_BYTES:,} bytes; passed over"
    text = text_of(content)
    if "__metadata:" in text:
        data = yaml_mapping(path, content)
        if isinstance(data, str):
            return data
        entries = list(_berry_entries(data))
    else:
        entries = _classic_entries(text)
        if not entries and text.strip() and "yarn lockfile" not in text:
            return f"{path} is no lock file of yarn; passed over"
    keys = {descriptor: str(number) for number, entry in enumerate(entries) for descriptor in entry.descriptors}
    by_name: dict[str, list[str]] = {}
    for descriptor, key in keys.items():
        known = by_name.setdefault(_name_of(descriptor), [])
        if key not in known[-1:] and len(known) < _VERSIONS:
            known.append(key)

    def resolved(wanted: Mapping[str, str]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for name, stated in wanted.items():
            key = keys.get(f"{name}@{stated}") or keys.get(f"{name}@npm:{stated}")
            found |= dict.fromkeys([key] if key else by_name.get(name, ()))
        return tuple(found)

    return LockedGraph(
        production=_starts(resolved, (importer.dependencies for importer in importers)),
        development=_starts(resolved, (importer.development for importer in importers)),
        edges={str(number): resolved(entry.dependencies) for number, entry in enumerate(entries)},
        pairs={
            str(number): printable_pair(_name_of(entry.descriptors[0]), entry.version)
            for number, entry in enumerate(entries)
        },
    )


def _starts(resolved: Any, wanted: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for dependencies in wanted for key in resolved(dependencies)))


def _name_of(descriptor: str) -> str:
    """`@scope/name@^1` → `@scope/name`."""
    at = descriptor.find("@", 1)
    return descriptor[:at] if at > 0 else descriptor


def _berry_entries(data: Mapping[str, Any]) -> Iterable[_Entry]:
    for names, entry in data.items():
        if names == "__metadata" or not isinstance(names, str) or not isinstance(entry, dict):
            continue
        descriptors = [name.strip() for name in names.split(",") if name.strip()]
        # A workspace lists what it needs for development among the rest; its package.json tells them apart.
        if descriptors and "@workspace:" not in text_in(entry, "resolution"):
            yield _Entry(descriptors, text_in(entry, "version"), text_map(entry.get("dependencies")))


def _classic_entries(text: str) -> list[_Entry]:
    entries: list[_Entry] = []
    listing = False
    for line in text.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        indent = len(line) - len(line.lstrip(" "))
        if indent == 0:
            names = [name.strip().strip('"') for name in line.strip().rstrip(":").split(",")]
            entries.append(_Entry([name for name in names if name] or [""]))
            listing = False
        elif not entries:
            continue
        elif indent == 2:
            key, _, value = line.strip().partition(" ")
            listing = key in ("dependencies:", "optionalDependencies:")
            if key == "version":
                entries[-1].version = value.strip().strip('"')
        elif listing:
            name, _, stated = line.strip().rpartition(" ") if '" "' not in line else line.strip().partition('" "')
            entries[-1].dependencies[name.strip().strip('"')] = stated.strip().strip('"')
    return [entry for entry in entries if entry.version]
