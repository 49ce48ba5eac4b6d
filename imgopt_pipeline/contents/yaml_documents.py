"""YAML out of images: read as texts, lists and mappings only, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

YAML_BYTES = 5_000_000
_NESTING = 200

# libyaml's loader of plain texts: no tags, no merge keys, and a version 1.10 stays what it is.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def yaml_mapping(path: str, content: bytes) -> dict[str, Any] | str:
    """The mapping that a YAML file holds; else in words what is broken."""
    if len(content) > YAML_BYTES:
        return f"{path} is larger than {YAML_BYTES:,} bytes; passed over"
    if _depth(content) > _NESTING:
        return f"{path} is nested too deeply; passed over"
    try:
        data = yaml.load(content, Loader=_LOADER)  # noqa: S506  (makes texts, lists and mappings only)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return f"{path} is no YAML ({' '.join(str(error).split())[:200]}); passed over"
    if not isinstance(data, dict):
        return f"{path} holds no mapping; passed over"
    return data


def text_in(data: Mapping[str, Any], key: str) -> str:
    """The text under that key; '' where there is none. Anything else may be huge when written out."""
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _depth(content: bytes) -> int:
    """About how deep its blocks nest: what begins a line, in pairs. libyaml itself bounds brackets."""
    begins = (len(line) - len(line.lstrip(b" -?:")) for line in content.split(b"\n") if line[:1] in b" -?:")
    return max(begins, default=0) // 2
