"""Dockerfiles on disk: read and written byte for byte, whatever ends their lines."""

from __future__ import annotations

import os
from pathlib import Path

from imgopt_pipeline.dockerfiles.parsing import DockerfileError
from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.names import printable

BACKUP_SUFFIX = ".before-imgopt"


def read_dockerfile(path: Path) -> str:
    """The text of a Dockerfile, its line ends as they are. Raises DockerfileError."""
    shown = printable(str(path))
    try:
        return path.read_bytes().decode()
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
    target = path.resolve()
    backup = target.with_name(target.name + BACKUP_SUFFIX)
    part = target.with_name(f".{target.name}.part")
    try:
        if not backup.exists():
            backup.write_bytes(target.read_bytes())
        part.write_bytes(text.encode())
        part.chmod(target.stat().st_mode & 0o7777)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"it cannot be written ({error.strerror}).", subject=printable(str(target))) from error
    return backup
