"""Runs the `imgopt` program as a user would: a process of its own, with its own folder for state.

Belongs here: its environment and what comes back. Does not belong here: daemons, and what tests expect.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

PROGRAM = Path(sys.executable).with_name("imgopt")
SECONDS = 120


def environment(home: Path, docker_host: str | None = None, **more: str) -> dict[str, str]:
    """The environment for `imgopt` with its state in `home` and no settings of this machine's user."""
    config = home / "imgopt.yaml"
    if not config.exists():
        home.mkdir(parents=True, exist_ok=True)
        config.write_text("")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "IMGOPT_"))}
    kept |= {"IMGOPT_HOME": str(home), "IMGOPT_CONFIG": str(config), "DOCKER_CONFIG": str(home / "no-client")}
    return kept | ({"DOCKER_HOST": docker_host} if docker_host else {}) | more


def imgopt(
    arguments: Sequence[str], env: Mapping[str, str], *, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = [*prefix, str(PROGRAM), *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=env, cwd=env["IMGOPT_HOME"], timeout=SECONDS
    )


def rows(home: Path, query: str, *parameters: object) -> list[dict[str, Any]]:
    """Rows of the warehouse below `home`."""
    with duckdb.connect(str(home / "imgopt.duckdb"), read_only=True) as connection:
        cursor = connection.execute(query, parameters)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def leftovers(home: Path) -> list[Path]:
    """Files and folders that should not outlive a run."""
    marks = (".part", ".wal", ".read", ".spill-", ".unverified-")
    return [path for path in home.rglob("*") if any(mark in path.name for mark in marks)]
