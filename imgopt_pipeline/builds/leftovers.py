"""Temporary folders of this user that a killed build left on this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from imgopt_pipeline.hosts.engine_files import SWEEP_AGE_SECONDS

_PREFIXES = ("imgopt-build-", "imgopt-spill-")


def sweep_folders(*, age_seconds: int = SWEEP_AGE_SECONDS) -> list[Path]:
    """Remove those that are old; the folders that went."""
    before = time.time() - age_seconds
    gone = []
    for path in Path(tempfile.gettempdir()).iterdir():
        if not path.name.startswith(_PREFIXES):
            continue
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue  # it went meanwhile
        if path.is_dir() and not path.is_symlink() and found.st_uid == os.getuid() and found.st_mtime < before:
            shutil.rmtree(path, ignore_errors=True)
            gone.append(path)
    return gone
