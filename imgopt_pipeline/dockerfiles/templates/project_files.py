"""Bounded reading of a project's folder: nothing outside it, nothing large, nothing that is not the project's own."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgopt_pipeline.dockerfiles.templates.answers import TemplateRefused
from imgopt_pipeline.names import printable

_TEXT_BYTES = 32_000_000
_SOURCE_BYTES = 1_000_000
_MOST_SOURCES = 2_000
_MOST_FOLDERS = 5_000
_FOREIGN = frozenset(
    {
        "node_modules",
        "venv",
        "env",
        "site-packages",
        "__pycache__",
        "build",
        "dist",
        "out",
        "coverage",
        "tests",
        "test",
        "docs",
        "migrations",
        "vendor",
    }
)
"""Folders that hold no source of the application, or not its own."""


@dataclass(frozen=True, slots=True)
class ProjectFolder:
    """A folder with a project in it."""

    root: Path

    def has(self, name: str) -> bool:
        """Whether there is a file of that name, within the folder."""
        return self._within(name) is not None and (self.root / name).is_file()

    def has_folder(self, name: str) -> bool:
        """Whether there is a folder of that name, within the folder."""
        return self._within(name) is not None and (self.root / name).is_dir()

    def first(self, *names: str) -> str | None:
        """The first of these files that is there."""
        return next((name for name in names if self.has(name)), None)

    def text(self, name: str) -> str:
        """A file's text, empty where there is none. Raises TemplateRefused for one that is unreadable or too large."""
        path = self._within(name)
        if path is None or not path.is_file():
            return ""
        try:
            with path.open("rb") as file:
                content = file.read(_TEXT_BYTES + 1)
        except OSError as error:
            raise TemplateRefused(f"it cannot be read ({error.strerror}).", subject=printable(name)) from error
        if len(content) > _TEXT_BYTES:
            raise TemplateRefused(f"it has more than {_TEXT_BYTES:,} bytes.", subject=printable(name))
        return content.decode("utf-8-sig", "replace")

    def toml(self, name: str) -> dict[str, Any]:
        """A TOML file's tables, empty where there is none. Raises TemplateRefused for one that is broken."""
        try:
            return tomllib.loads(self.text(name))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise TemplateRefused(f"it is no TOML ({printable(str(error))}).", subject=name) from error

    def json(self, name: str) -> dict[str, Any]:
        """A JSON object, empty where there is none. Raises TemplateRefused for one that is broken."""
        text = self.text(name)
        try:
            value = json.loads(text) if text else {}
        except (json.JSONDecodeError, RecursionError) as error:
            raise TemplateRefused(f"it is no JSON ({printable(str(error))}).", subject=name) from error
        if not isinstance(value, dict):
            raise TemplateRefused("it holds no JSON object.", subject=name)
        return value

    def sources(self, *suffixes: str) -> Iterator[tuple[str, str]]:
        """Path and text of the project's own sources, the nearest to its root first."""
        folders, seen, given = [""], 0, 0
        while folders and seen < _MOST_FOLDERS:
            folder = folders.pop(0)
            seen += 1
            for name, path, is_folder in self._entries(folder):
                inside = f"{folder}/{name}" if folder else name
                if is_folder:
                    if name not in _FOREIGN and not name.startswith("."):
                        folders.append(inside)
                elif name.endswith(suffixes) and path.stat().st_size <= _SOURCE_BYTES:
                    yield inside, self.text(inside)
                    given += 1
                    if given == _MOST_SOURCES:
                        return

    def _entries(self, folder: str) -> list[tuple[str, Path, bool]]:
        try:
            with os.scandir(self.root / folder) as found:
                return sorted(
                    (entry.name, Path(entry.path), entry.is_dir(follow_symlinks=False))
                    for entry in found
                    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
                )
        except PermissionError:
            # Data of another user, as databases leave beside sources.
            return []

    def _within(self, name: str) -> Path | None:
        """Where a name leads, None if out of the folder."""
        path = (self.root / name).resolve()
        return path if path.is_relative_to(self.root.resolve()) else None


def table(value: object, *names: str) -> dict[str, Any]:
    """The table of these names within a table; empty where there is none, or something else."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """A list, empty where something else stands in its place."""
    return value if isinstance(value, list) else []


def open_project(folder: Path) -> ProjectFolder:
    """The project in a folder. Raises TemplateRefused where there is no folder."""
    if not folder.is_dir():
        raise TemplateRefused("there is no such folder.", subject=printable(str(folder)))
    return ProjectFolder(folder)
