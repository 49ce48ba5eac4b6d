"""The two files of a template, written into a project's folder: both or none, and nothing overwritten unasked."""

from __future__ import annotations

import os
import tempfile
from itertools import count
from pathlib import Path

from imgopt_pipeline.dockerfiles.templates.answers import TemplateRefused
from imgopt_pipeline.dockerfiles.templates.rendering import Rendered

_MODE = 0o644


def write(rendered: Rendered, folder: Path, *, overwrite: bool = False) -> list[str]:
    """Write Dockerfile and .dockerignore; in words what was done. With `overwrite` the old files stay as backups.

    Raises TemplateRefused where a different file of that name is there, or the folder cannot be written.
    """
    files = {folder / "Dockerfile": rendered.dockerfile, folder / ".dockerignore": rendered.ignore}
    try:
        wanted = {path: text for path, text in files.items() if not _is(path, text)}
        in_the_way = [path.name for path in wanted if os.path.lexists(path)]
        if in_the_way and not overwrite:
            raise TemplateRefused(
                f"{' and '.join(in_the_way)} would be overwritten.",
                subject=str(folder),
                hint="--force keeps a backup beside and writes.",
            )
        done = []
        for path, text in wanted.items():
            if os.path.lexists(path):
                backup = _backup(path)
                done.append(f"{path.name} is kept as {backup.name}")
            _replace(path, text)
            done.append(f"{path} written")
    except OSError as error:
        raise TemplateRefused(f"it cannot be written ({error.strerror}).", subject=str(folder)) from error
    return done or [f"{folder} has both files as they are"]


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.stat().st_size == len(content := text.encode()) and path.read_bytes() == content


def _backup(path: Path) -> Path:
    """A second name for the file of that name, so that it is there at any moment."""
    for number in count():
        backup = path.with_name(f"{path.name}.bak{number or ''}")
        if not os.path.lexists(backup):
            os.link(path, backup, follow_symlinks=False)
            return backup
    raise AssertionError("count() ends nowhere")


def _replace(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(descriptor, "w", newline="") as file:
            file.write(text)
        os.chmod(temporary, _MODE)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
