"""Bases tagged like the usual ones (python:3.11, node:20-slim, …) on a private daemon.

Belongs here: making them with `scripts/make-usual-bases`, and skipping where that cannot be. Does not belong here:
what they hold (the script) and what is built on them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .daemons import Daemon
from .real_images import NO_NETWORK

_SCRIPT = Path(__file__).resolve().parents[2] / "scripts/make-usual-bases"


def make_usual_bases(daemon: Daemon, *tags: str) -> None:
    """Make the bases of these tags, or all of them; skips the test without debootstrap or network."""
    done = subprocess.run(
        [_SCRIPT, daemon.url, *tags], check=False, capture_output=True, text=True, env=daemon.environment
    )
    said = done.stdout + done.stderr
    if "debootstrap is missing" in said:
        pytest.skip("usual bases: debootstrap is not installed")
    skip_without_network("usual bases", said, done.returncode)
    assert done.returncode == 0, said


def skip_without_network(what: str, said: str, status: int = 1) -> None:
    """Skip the test where a command failed because packages are out of reach."""
    if status and NO_NETWORK.search(said):
        pytest.skip(f"{what}: packages are out of reach")
