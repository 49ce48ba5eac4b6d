"""Nothing that a container was given comes out of its log: not into a check, and not into what is kept of the log."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.services.finding import unit_of
from imgopt_pipeline.services.models import Unit, UnitName
from imgopt_pipeline.services.watching.baseline import Baseline
from imgopt_pipeline.services.watching.gate import Expected, pass_gate
from imgopt_pipeline.services.watching.logs import keep_last_lines
from imgopt_pipeline.settings import DeploymentSettings, TargetSettings

from .daemons import Daemon

IMAGE = "kept-logs-base:1"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvSECRETLINEONE0001\nSECRETLINETWO0002\n-----END PRIVATE KEY-----\n"
GIVEN = {"KEY": KEY, "DATABASE_URL": "postgres://app:hunter2PartSecret@db/x", "LIST": "a=b;password=SEKRET;c=d"}
SAYS = (
    'i=0; while [ $i -lt 70 ]; do echo "line $i"; i=$((i+1)); done; echo ERROR using password hunter2PartSecret;'
    ' echo "$KEY" >&2; echo SEKRET; echo KeyError: SEKRET; printf unended; exit 3'
)
SECRETS = ("SECRETLINE", "hunter2PartSecret", "SEKRET", "BEGIN PRIVATE")
QUICK = DeploymentSettings(soak_seconds=0.2, deadline_seconds=2, probe_times=1)


@pytest.fixture(scope="module")
def host(classic: Daemon) -> Iterator[EngineHost]:
    classic.import_busybox(IMAGE)
    with closing(EngineHost("local", [EngineAddress(classic.url, "test")])) as opened:
        yield opened


@pytest.fixture(params=["frames", "terminal"])
def talker(classic: Daemon, host: EngineHost, request: pytest.FixtureRequest) -> Iterator[Unit]:
    """A container that tells what it was given, and has ended."""
    name = f"kept-logs-{request.param}"
    given = [word for key, value in GIVEN.items() for word in ("--env", f"{key}={value}")]
    options = ["--tty"] if request.param == "terminal" else []
    classic.docker("run", "-d", "--name", name, *options, *given, IMAGE, "sh", "-c", SAYS)
    classic.docker("wait", name)
    yield unit_of(host, UnitName(name))
    subprocess.run(["docker", "rm", "-f", "-v", name], check=False, capture_output=True, env=classic.environment)


def test_what_a_container_was_given_stays_out_of_checks(classic: Daemon, host: EngineHost, talker: Unit) -> None:
    before = Baseline(containers=1, running=1, health="none")
    expected = Expected(classic.image_id(IMAGE), 1, True)
    result = pass_gate(host, lambda: talker, expected, before, TargetSettings(), QUICK)

    running = next(check for check in result.checks if check.check == "running")
    assert not result.passed
    assert running.detail.endswith("is exited with code 3. Its last lines tell of: KeyError."), running
    assert not {secret for secret in SECRETS if secret in str(result)}


def test_the_last_lines_are_kept_for_their_owner_alone(host: EngineHost, talker: Unit, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.write_text("as it was")
    [file] = keep_last_lines(host, talker.containers, tmp_path)
    file.unlink()
    file.symlink_to(planted)

    assert keep_last_lines(host, talker.containers, tmp_path) == [file]

    text = file.read_text()
    assert (file.name, planted.read_text()) == (f"log-of-{talker.containers[0].name}.txt", "as it was")
    assert not file.is_symlink() and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert 40 < len(text.splitlines()) <= 50 and text.endswith("unended\n")
    assert {"line 69", "ERROR using password ***", "KeyError: ***"} <= set(text.splitlines())
    assert not {secret for secret in SECRETS if secret in text}, text


def test_what_has_no_log_leaves_no_file(classic: Daemon, host: EngineHost, tmp_path: Path) -> None:
    name = "kept-logs-none"
    classic.docker("run", "-d", "--name", name, "--log-driver", "none", IMAGE, "sh", "-c", "echo hello")
    try:
        classic.docker("wait", name)
        unit = unit_of(host, UnitName(name))
        assert keep_last_lines(host, unit.containers, tmp_path) == []
    finally:
        classic.docker("rm", "-f", "-v", name)
    assert keep_last_lines(host, unit.containers, tmp_path) == []  # it is gone
    assert not list(tmp_path.iterdir())
