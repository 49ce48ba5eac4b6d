"""What every engine test shares: one private daemon per image store, and when engine tests are skipped.

Belongs here: the fixtures `classic` and `containerd`, the marker `engine` and its conditions. Does not
belong here: how a daemon is run (`daemons.py`) and images that only one test needs.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .daemons import Daemon, private_daemon

#: Short, because the sockets' paths are limited, and on a disk, because overlay2 needs one.
ROOT = Path("/var/tmp")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, so that `-m engine` and `-m 'not engine'` select."""
    config.addinivalue_line("markers", "engine: needs a Docker engine; starts a private one")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark every test of this folder."""
    if item.path.is_relative_to(Path(__file__).parent):
        item.add_marker(pytest.mark.engine)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip where no engine can run, or fail there if the environment says that one is required."""
    if reason := _reason_to_skip():
        if os.environ.get("IMGOPT_REQUIRE_ENGINE") == "1":
            pytest.fail(f"IMGOPT_REQUIRE_ENGINE=1 is set, but {reason}", pytrace=False)
        pytest.skip(f"engine tests: {reason}")


@pytest.fixture(scope="session")
def classic() -> Iterator[Daemon]:
    """A private daemon with the classic overlay2 image store."""
    with private_daemon("classic", ROOT) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def containerd() -> Iterator[Daemon]:
    """A private daemon with the containerd image store."""
    with private_daemon("containerd", ROOT) as daemon:
        yield daemon


@cache
def _reason_to_skip() -> str | None:
    if os.environ.get("SKIP_ENGINE") == "1":
        return "SKIP_ENGINE=1 is set"
    if os.geteuid() != 0:
        return "starting a private engine needs root"
    for program in ("dockerd", "docker", "busybox", "setpriv"):
        if not shutil.which(program):
            return f"{program} is not installed: scripts/install-engine installs it"
    if subprocess.run(["docker", "buildx", "version"], check=False, capture_output=True).returncode:
        return "docker buildx is not installed: scripts/install-engine installs it"
    return None
