"""The described host's directories as real, sparse files with real times, so that any scanner can read them."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imgopt_pipeline.demo.declaration import Directory, Fleet, Volume
from imgopt_pipeline.demo.description import mountpoint
from imgopt_pipeline.demo.distribution_files import Installed
from imgopt_pipeline.demo.files import MadeFile, pattern_files, total_bytes
from imgopt_pipeline.demo.planning import contents_files
from imgopt_pipeline.errors import SettingsError

_DAY_SECONDS = 86_400
_VOLUME_DAYS = 1


def planned_files(fleet: Fleet) -> list[MadeFile]:
    """All files of the described host, by their paths on it. Raises SettingsError, naming the directory."""
    files: dict[str, MadeFile] = {}
    for directory in fleet.directories:
        for file in _directory_files(directory):
            if file.path in files:
                raise SettingsError(f"directories → {directory.path}: another directory holds /{file.path} already.")
            files[file.path] = file
    for volume in fleet.volumes:
        if not any(_within(directory.path, mountpoint(volume)) for directory in fleet.directories):
            files |= {file.path: file for file in _volume_files(volume)}
    return list(files.values())


def _directory_files(directory: Directory) -> list[MadeFile]:
    try:
        files, _ = contents_files(directory, Installed())
    except SettingsError as error:
        raise SettingsError(f"directories → {directory.path}: {error.message}", hint=error.hint) from error
    return [
        replace(
            file,
            path=f"{directory.path[1:]}/{file.path}",
            modified_days=directory.modified_days if file.modified_days is None else file.modified_days,
            read_days=directory.read_days if file.read_days is None else file.read_days,
        )
        for file in files
    ]


def _volume_files(volume: Volume) -> list[MadeFile]:
    files = pattern_files(volume.files)
    left = volume.size - total_bytes(files)
    if left < 0:
        raise SettingsError(f"volumes → {volume.name}: its files take more than its {volume.size:,} bytes.")
    if left:
        files.append(MadeFile("data.bin", left))
    home = mountpoint(volume)[1:]
    return [replace(file, path=f"{home}/{file.path}") for file in files]


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def files_key(files: Sequence[MadeFile]) -> str:
    """A digest of what the files are, for telling whether they have to be made again."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(repr(file).encode())
    return digest.hexdigest()


def write_files(folder: Path, fleet: Fleet, files: Sequence[MadeFile]) -> None:
    """Make `folder` anew, beside and renamed. Raises OSError."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for parent in {(partial / file.path).parent for file in files}:
        parent.mkdir(parents=True, exist_ok=True)
    for path in (*(item.path for item in fleet.directories), *map(mountpoint, fleet.volumes)):
        (partial / path[1:]).mkdir(parents=True, exist_ok=True)
    for file in files:
        target = partial / file.path
        if file.text is not None:
            target.write_bytes(file.text)
        else:
            with target.open("wb") as stream:
                stream.truncate(file.size_bytes)
    set_times(partial, files)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def set_times(folder: Path, files: Sequence[MadeFile]) -> None:
    """Let the files be as old as they are declared to be, counted from now. Raises OSError where one is missing."""
    now = time.time()
    for file in files:
        read = _VOLUME_DAYS if file.read_days is None else file.read_days
        modified = _VOLUME_DAYS if file.modified_days is None else file.modified_days
        os.utime(folder / file.path, (now - read * _DAY_SECONDS, now - modified * _DAY_SECONDS))
