"""Which files a Python distribution owns: RECORD (PEP 376, 627), installed-files.txt and top-level names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from imgopt_pipeline.contents.header_fields import text_of
from imgopt_pipeline.contents.image_paths import below
from imgopt_pipeline.names import printable

PIP = "sha256=zuuue4knoyJ-UwPPXg8fezS7VCrXJQrAP7zeNuwvFQg"
"""The checksum that RECORD has of an INSTALLER that says `pip`."""


def record_rows(content: bytes) -> tuple[list[tuple[str, str]], bool]:
    """Path as written and checksum of each row of a RECORD, and whether it is broken after the last of them."""
    text = text_of(content)
    if '"' not in text:
        rows = (line.split(",", 2) for line in text.split("\n") if line)
        return [(row[0], row[1] if len(row) > 1 else "") for row in rows if row[0]], False
    found: list[tuple[str, str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline="")):
            if row and row[0]:
                found.append((row[0], row[1] if len(row) > 1 else ""))
    except csv.Error:
        return found, True
    return found, False


def resolved(folder: str, written: Iterable[str]) -> tuple[list[str], int]:
    """The paths in the image, seen from `folder`, and how many were absolute or left the image."""
    found: list[str] = []
    refused = 0
    for name in written:
        path = below(folder, printable(name))
        if path:
            found.append(path)
        else:
            refused += 1
    return found, refused


def lines(content: bytes) -> list[str]:
    """The lines of a text file that are not empty."""
    return [line.strip() for line in text_of(content).split("\n") if line.strip()]


def source_tops(content: bytes) -> Iterator[str]:
    """Top-level names of the packages and modules in a SOURCES.txt, whose paths begin at the project's root."""
    for line in lines(content):
        parts = line.removeprefix("src/").removeprefix("lib/").split("/")
        if len(parts) == 2 and parts[1] == "__init__.py":
            yield parts[0]
