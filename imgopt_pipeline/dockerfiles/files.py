"""Dockerfiles on disk: read and written byte for byte, whatever ends their lines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from imgopt_pipeline.dockerfiles.parsing import DockerfileError
from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.names import printable

BACKUP_SUFFIX = ".before-imgopt"
_LARGEST_BYTES = 4_000_000


def read_dockerfile(path: Path) -> str:
    """The text of a Dockerfile, its line ends as they are. Raises DockerfileError."""
    shown = printable(str(path))
    try:
        if not path.is_file():
            what = "it is no file" if path.exists() else "there is no such file"
            raise DockerfileError(f"{what}.", subject=shown)
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise DockerfileError("it is larger than any Dockerfile.", subject=shown)
        return content.decode()
    except OSError as error:
        raise DockerfileError(f"it cannot be read ({error.strerror}).", subject=shown) from error
    except UnicodeDecodeError as error:
        raise DockerfileError(
            "it is not written in UTF-8.", subject=shown, hint="Convert it: iconv -t UTF-8."
        ) from error


def write_dockerfile(path: Path, text: str) -> Path:
    """Put a text in the place of a Dockerfile; the path of what it was, which stays beside. Raises StorageError.

    A symbolic link stays one, and what a first writing kept is not overwritten by a second.
    """
    return _replaced(path.resolve(), text)


def add_ignore_lines(context: Path, dockerfile: Path, lines: Sequence[str]) -> Path:
    """Put lines before those of the .dockerignore in force, which have the last word; its path.

    Raises StorageError.
    """
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    path = (own if own.is_file() else context / ".dockerignore").resolve()
    before = path.read_text(errors="surrogateescape") if path.is_file() else ""
    missing = [line for line in lines if line not in before.splitlines()]
    if missing:
        _replaced(path, "".join(f"{line}\n" for line in missing) + before)
    return path


def _replaced(target: Path, text: str) -> Path:
    """Write a file beside and put it in the place of one, what that was kept beside; the path of that."""
    backup = target.with_name(target.name + BACKUP_SUFFIX)
    part = target.with_name(f".{target.name}.part")
    try:
        if target.exists() and not backup.exists():
            backup.write_bytes(target.read_bytes())
        part.write_bytes(text.encode("utf-8", "surrogateescape"))
        if target.exists():
            part.chmod(target.stat().st_mode & 0o7777)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"it cannot be written ({error.strerror}).", subject=printable(str(target))) from error
    return backup
