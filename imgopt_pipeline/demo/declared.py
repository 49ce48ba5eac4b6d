"""What all parts of a fleet's declaration share: sizes as people write them, and errors that name the nearest key.

Values only; what a declaration may say stands in `contents` and `declaration`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.names import printable
from imgopt_pipeline.units import parse_bytes

_NAMES = ("name", "path", "at", "command")
_OBJECT_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_NAME_BYTES = 255  # of a file, on the file systems of Linux
_PATH_BYTES = 3_000


def _size(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is not a size; write it like 2GB, 17.3kB or 1200")
    try:
        return parse_bytes(value)
    except SettingsError as error:
        raise ValueError(f"{error.message} {error.hint}") from error


def path_fault(path: str) -> str:
    """What is wrong with a path that has to lie below the root it is meant for, in words; empty where nothing is."""
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        return f"{shortened(path)} is no path of a file"
    try:
        too_long = len(path.encode()) > _PATH_BYTES or any(len(part.encode()) > _NAME_BYTES for part in parts)
    except UnicodeEncodeError:
        return f"{shortened(path)} is no path of a file"
    return (
        f"{shortened(path)} is too long: a name may take {_NAME_BYTES} bytes, a path {_PATH_BYTES:,}"
        if too_long
        else ""
    )


def shortened(text: str) -> str:
    """A text in quotes for a message, at most 100 characters of it."""
    return repr(text if len(text) <= 100 else f"{text[:99]}…")


def _inside(path: str) -> str:
    """A path below the root it is meant for, without a leading slash."""
    cleaned = path.strip("/")
    if path_fault(cleaned):
        raise ValueError(path_fault(cleaned) if cleaned else f"{path!r} is no path of a file")
    return cleaned


def _object_name(name: str) -> str:
    """The name of a container or volume. Source: Docker's rule for names."""
    if not _OBJECT_NAME.fullmatch(name) or len(name) > _NAME_BYTES:
        raise ValueError(
            f"{shortened(name)} is no name: it may have {_NAME_BYTES} letters, digits, '_', '.' and '-',"
            " and begins with a letter or digit"
        )
    return name


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} must begin with a slash")
    return f"/{_inside(path)}"


Size = Annotated[int, BeforeValidator(_size), Field(ge=0, le=10**15)]
"""Bytes, also written as 2GB, 745MB or 17.3kB."""

InsidePath = Annotated[str, AfterValidator(_inside)]
"""A path inside an image or directory, relative to its root."""

AbsolutePath = Annotated[str, AfterValidator(_absolute)]
"""A path of the described host."""


ObjectName = Annotated[str, AfterValidator(_object_name)]
"""A name that an engine takes for a container or volume."""


class Declared(BaseModel):
    """A mapping of the declaration. It never changes, and refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in values if isinstance(values, dict) else ():
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                told = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
                raise ValueError(f"there is no key {str(key)!r} here{told}")
        return values


def listed(value: Any, separator: str) -> Any:
    """Items such as `- torch==2.8.0: 1.6GB` or `- torch==2.8.0: {size: 1.6GB, …}` as mappings with name and version."""
    if not isinstance(value, list):
        return value
    return [_item(item, separator) for item in value]


def _item(item: Any, separator: str) -> Any:
    if isinstance(item, str):
        item = {item: {}}
    if not isinstance(item, dict) or len(item) != 1 or not isinstance(next(iter(item)), str):
        raise ValueError(f"{item!r} is no package; write it like `- NAME{separator}VERSION: 12MB`")
    title, details = next(iter(item.items()))
    name, found, version = title.rpartition(separator) if separator == "@" else title.partition(separator)
    if not found or not name.strip() or not version.strip():
        raise ValueError(f"{title!r} names no version; write it like NAME{separator}VERSION")
    return {"name": name.strip(), "version": version.strip(), **mapping(details, "size")}


def mapping(details: Any, key: str) -> dict[str, Any]:
    """A mapping as it is; nothing as an empty one; anything else as the value of `key`."""
    if isinstance(details, dict):
        return details
    return {} if details is None else {key: details}


def explain(error: ValidationError, values: object) -> str:
    """The first faults of a declaration in words, each with its place: names instead of numbers where there are any."""
    lines = [f"{_place(item['loc'], values)}{_message(item)}" for item in error.errors()[:5]]
    left = error.error_count() - len(lines)
    text = "; ".join(lines) + (f"; and {left} more" if left > 0 else "")
    return text if text.endswith(("?", ".")) else f"{text}."


def told(text: str) -> str:
    """A message about names, safe to print; most of them stand in it as `repr` writes them, and stay as they are."""
    return text if text.isprintable() else printable(text)


def _message(item: Mapping[str, Any]) -> str:
    if item["type"] == "missing":
        return "it is missing"
    return told(item["msg"].removeprefix("Value error, "))


def _place(location: Sequence[int | str], values: object) -> str:
    """`images → whisperx:latest → layers 2 → size: `."""
    parts: list[str] = []
    for step in location:
        inner: object = None
        if isinstance(values, dict):
            inner = values.get(step)
        elif isinstance(values, list) and isinstance(step, int) and step < len(values):
            inner = values[step]
        name = _name(inner) if isinstance(step, int) else None
        if isinstance(step, int) and name is None and parts:
            parts[-1] += f" {step + 1}"
        else:
            parts.append(name or str(step))
        values = inner
    return printable(" → ".join(parts)) + ": " if parts else ""


def _name(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    if len(value) == 1:
        return str(next(iter(value)))
    return next((str(value[key]) for key in _NAMES if isinstance(value.get(key), str)), None)
