"""Blocks of `Name: value` lines, as dpkg's databases and Python's METADATA and PKG-INFO have them (RFC 822)."""

from __future__ import annotations

import re
from collections.abc import Iterator

Fields = list[tuple[str, str]]
"""Names in lower case with their values, in order; a name may stand several times."""

_CONTINUATION = re.compile(r"\n[ \t]+")


def text_of(content: bytes) -> str:
    """The text with plain line ends, any byte kept."""
    text = content.decode("utf-8", "surrogateescape")
    return text.replace("\r\n", "\n") if "\r" in text else text


def blocks(text: str) -> Iterator[str]:
    """What stands between empty lines."""
    for block in text.split("\n\n"):
        if block := block.strip("\n"):
            yield block


def header_fields(block: str) -> Fields:
    """The fields of one block, each value on one line. A line that is no field is passed over."""
    found: Fields = []
    for line in _CONTINUATION.sub(" ", block).split("\n"):
        name, colon, value = line.partition(":")
        if colon and name and " " not in name:
            found.append((name.lower(), value.strip()))
    return found


def first_of(fields: Fields, name: str) -> str:
    """The value of the first field of that name, '' without one."""
    return next((value for field, value in fields if field == name), "")
