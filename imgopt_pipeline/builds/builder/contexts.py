"""A build's context: what of a folder goes to the builder, and how much that is.

The folder is only read. What .dockerignore means is `dockerfiles.ignore_file`.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from imgopt_pipeline.dockerfiles.ignore_file import IgnoreFile, ignore_file
from imgopt_pipeline.errors import ImgoptError, LimitExceeded
from imgopt_pipeline.names import printable
from imgopt_pipeline.units import format_bytes

IGNORE_NAME = ".dockerignore"

_IGNORE_BYTES = 1_000_000
_ENTRIES = 1_000_000
_NAMED_FOLDERS = 3


class ContextUnreadable(ImgoptError):
    """The build's context is missing, no folder, or cannot be read."""

    kind = "build context"


@dataclass(frozen=True, slots=True)
class ContextSize:
    """What goes to the builder. `complete` is False where counting stopped at a million files."""

    size_bytes: int
    files: int
    complete: bool = True


def effective_ignore_text(context: Path, dockerfile: Path | None = None) -> str:
    """The text of the .dockerignore in force: one named after the Dockerfile, beside it, wins."""
    if dockerfile is not None:
        own = dockerfile.with_name(f"{dockerfile.name}{IGNORE_NAME}")
        if own.is_file():
            return _text(own)
    shared = context / IGNORE_NAME
    return _text(shared) if shared.is_file() else ""


def check_context(context: Path) -> None:
    """Raises ContextUnreadable where there is no folder to build from."""
    if not os.path.lexists(context):
        raise ContextUnreadable("there is no such folder to build from.", subject=str(context))
    if not os.path.isdir(context):
        raise ContextUnreadable("what is built from must be a folder.", subject=str(context))


def measure_context(context: Path, ignore_text: str | None, limit_bytes: int) -> ContextSize:
    """How much of a folder goes to the builder; `ignore_text` as in BuildRequest.

    Raises ContextUnreadable, and LimitExceeded with the folders that are to blame.
    """
    ignoring = _ignoring(effective_ignore_text(context) if ignore_text is None else ignore_text)
    total_bytes = files = entries = 0
    by_folder: Counter[str] = Counter()
    for path, entry in islice(context_entries(context, ignoring), _ENTRIES):
        entries += 1
        if entry.is_file(follow_symlinks=False):
            size_bytes = _stat(entry).st_size
            total_bytes += size_bytes
            files += 1
            by_folder[path.partition("/")[0]] += size_bytes
    if total_bytes > limit_bytes:
        raise _too_large(context, total_bytes, limit_bytes, by_folder)
    return ContextSize(total_bytes, files, complete=entries < _ENTRIES)


def context_entries(context: Path, ignoring: IgnoreFile) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Paths, relative to the context, of all that goes to the builder; a folder stands before what is in it.

    Raises ContextUnreadable.
    """
    check_context(context)
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for entry in _listed(context, folder):
            path = f"{folder}{entry.name}"
            if not ignoring.ignores(path):
                yield path, entry
            if entry.is_dir(follow_symlinks=False) and not ignoring.ignores_all_below(path):
                waiting.append(f"{path}/")


def write_context(context: Path, ignore_text: str | None, extra: dict[str, str], target: IO[bytes]) -> None:
    """Write a context as a tar, as the classic builder takes it; `extra` holds texts of files to add, by name."""
    text = effective_ignore_text(context) if ignore_text is None else ignore_text
    hidden = f"{text}\n" + "".join(f"{name}\n" for name in extra)
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        # The texts first: by a short first header the docker command knows a tar.
        # The builder takes what .dockerignore names, itself included, out of the context again.
        for name, content_text in (extra | {IGNORE_NAME: hidden}).items():
            data = content_text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for path, entry in context_entries(context, _ignoring(text)):
            _stat(entry)  # what cannot be read shall not look like a builder that stopped listening
            member = tar.gettarinfo(entry.path, arcname=path)
            if path == IGNORE_NAME or member is None:  # the latter is a socket
                continue
            if member.isreg():
                with _opened(entry.path) as content:
                    tar.addfile(member, content)
            else:
                tar.addfile(member)


def _ignoring(text: str) -> IgnoreFile:
    return ignore_file(text.splitlines())


def _listed(context: Path, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(context / folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ContextUnreadable(
            f"{printable(folder or '.')} cannot be read ({error.strerror}).",
            subject=str(context),
            hint="Give this user the right to read it, or name it in .dockerignore.",
        ) from error


def _stat(entry: os.DirEntry[str]) -> os.stat_result:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError as error:
        raise ContextUnreadable(f"{printable(entry.path)} cannot be read ({error.strerror}).") from error


def _opened(path: str) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise ContextUnreadable(f"{printable(path)} cannot be read ({error.strerror}).") from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_IGNORE_BYTES).decode(errors="replace")
    except OSError as error:
        raise ContextUnreadable(f"it cannot be read ({error.strerror}).", subject=str(path)) from error


def _too_large(context: Path, total_bytes: int, limit_bytes: int, by_folder: Counter[str]) -> LimitExceeded:
    largest = by_folder.most_common(_NAMED_FOLDERS)
    named = ", ".join(f"{printable(name)} ({format_bytes(size_bytes)})" for name, size_bytes in largest)
    return LimitExceeded(
        f"{format_bytes(total_bytes)} would go to the builder, more than {format_bytes(limit_bytes)}: mostly {named}.",
        subject=str(context),
        hint=f"If the build does not need it, add the line `/{printable(largest[0][0])}` to .dockerignore;"
        " else raise builds.context_bytes in imgopt.yaml.",
    )
