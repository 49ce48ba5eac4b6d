"""package.json as npm, pnpm and yarn read it: name, version and whom it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from imgopt_pipeline.names import printable

_NAME_CHARACTERS = 500
_MODULES = "node_modules/"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One package.json. `folder` it stands in, '' for the image's root; names in dependencies map to ranges.

    `dependencies` holds optional and peer dependencies as well: they are installed for production.
    """

    folder: str
    name: str
    version: str
    dependencies: Mapping[str, str]
    development: Mapping[str, str]

    @property
    def installed(self) -> bool:
        """Whether it lies in a node_modules, other than an application and what it is made of."""
        return in_modules(self.folder)

    @property
    def vendored(self) -> bool:
        """Whether it is a part of another module's files, with no node_modules between."""
        return self.installed and module_folder(self.folder) != self.folder

    @property
    def folder_name(self) -> str:
        """What `require` calls it: the path after the last node_modules, also under an alias."""
        return self.folder.rpartition(_MODULES)[2] if self.installed else self.name


def module_folder(folder: str) -> str:
    """The folder of the module that a folder in a node_modules lies in: `node_modules/b` of `node_modules/b/dist`."""
    start = folder.rfind(_MODULES) + len(_MODULES)
    parts = folder[start:].split("/")
    return folder[:start] + "/".join(parts[: 2 if parts[0].startswith("@") else 1])


def in_modules(folder: str) -> bool:
    """Whether a folder lies in a node_modules."""
    return folder.startswith(_MODULES) or f"/{_MODULES}" in folder


def parse_manifest(path: str, content: bytes) -> Manifest | str:
    """The manifest, with '' for a name or version that is missing or no text; else in words what is broken."""
    try:
        data = orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        return f"{path} is no JSON ({error.msg}); passed over"
    if not isinstance(data, dict):
        return f"{path} describes no package; passed over"
    return Manifest(
        folder=path.rpartition("/")[0],
        name=printable(_text(data.get("name"))),
        version=printable(_text(data.get("version"))),
        dependencies={
            **text_map(data.get("peerDependencies")),
            **text_map(data.get("optionalDependencies")),
            **text_map(data.get("dependencies")),
        },
        development=text_map(data.get("devDependencies")),
    )


def text_map(value: Any) -> dict[str, str]:
    """The entries of a JSON or YAML mapping that are texts."""
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and len(value) <= _NAME_CHARACTERS else ""
