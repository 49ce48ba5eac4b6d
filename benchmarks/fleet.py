"""Forty small images, as one archive: a common base and two layers of their own each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.image_archive import header, new_archive, padded

IMAGES = 40
_BASE_FILES = 1_000
_OWN_FILES = 100
_SMALL = b"0123456789abcdef" * 64


def write_fleet(path: Path) -> None:
    """Write all images as one archive."""
    with new_archive(path) as archive:
        base = archive.layer(_files("usr/lib/base", _BASE_FILES, _SMALL))
        for number in range(IMAGES):
            own = [
                archive.layer(_files(f"opt/service-{number}/part-{part}", _OWN_FILES, _SMALL * (part + 1)))
                for part in range(2)
            ]
            archive.image(f"small/service-{number:02d}:latest", [base, *own])


def _files(folder: str, count: int, content: bytes) -> Iterator[bytes]:
    yield header(folder, directory=True)
    for number in range(count):
        yield header(f"{folder}/file-{number}.dat", size_bytes=len(content)) + padded(content)
