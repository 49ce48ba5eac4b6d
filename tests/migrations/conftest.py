"""What moving files needs of the machine, and when its tests are skipped."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .grounds import ext4

_PROGRAMS = {"rclone": "rclone", "exfat": "mount.exfat-fuse"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(program): skipped where rclone or exfat cannot be mounted")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Mounting needs root; remotes need their programs and FUSE."""
    if not item.path.is_relative_to(Path(__file__).parent):
        return
    reason = "mounting file systems needs root" if os.geteuid() else ""
    for marker in item.iter_markers("needs"):
        program = _PROGRAMS[marker.args[0]]
        if not shutil.which(program) or not Path("/dev/fuse").exists():
            reason = f"{program} or /dev/fuse is missing: scripts/install-engine installs the former"
    if reason and os.environ.get("IMGOPT_REQUIRE_ENGINE") == "1":
        pytest.fail(f"IMGOPT_REQUIRE_ENGINE=1 is set, but {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty ext4 file system of its own."""
    with ext4(tmp_path / "ext4") as mounted:
        yield mounted
