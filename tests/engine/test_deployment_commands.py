"""`imgopt deploy`, `rollback` and `resume` on a real engine, as a user starts them: exit codes, words, lineage.

What becomes of the service itself in all its faults stands in test_deployments.py and test_deployment_faults.py.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from .daemons import Daemon
from .deployed import Shop, shop
from .program import PROGRAM, environment, rows

ASSET = dg.AssetKey(["imgopt", "verified_deployments"])
QUICK = "deployments: {soak_seconds: 0.5, deadline_seconds: 15, probe_times: 2, stop_seconds: 1}\n"
FAILING = 'CMD ["sh", "-c", "exit 3"]'


@dataclass
class Bench:
    """A shop, and the program with its settings."""

    shop: Shop

    @property
    def home(self) -> Path:
        return self.shop.settings.home

    @property
    def env(self) -> dict[str, str]:
        config = self.shop.folder / "imgopt.yaml"
        config.write_text(QUICK)
        daemon = self.shop.daemon
        told = {"IMGOPT_CONFIG": str(config), "DOCKER_CONFIG": str(daemon.home / "client")}
        return environment(self.home, daemon.url) | told

    def imgopt(self, *arguments: str, code: int = 0, answers: str | None = None) -> str:
        """What it prints, with a person's answers where some are given."""
        mine, its = pty.openpty()
        os.write(mine, (answers or "").encode())
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            env=self.env,
            cwd=self.home,
            stdin=subprocess.DEVNULL if answers is None else its,
            capture_output=True,
            text=True,
            timeout=120,
        )
        for descriptor in (mine, its):
            os.close(descriptor)
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def lineage(self) -> tuple[str, str]:
        """What the newest materialization says: the outcome, and how the last run ended."""
        with dg.DagsterInstance.from_config(str(self.home / "dagster")) as instance:
            event = instance.get_latest_materialization_event(ASSET)
            (run,) = instance.get_runs(limit=1)
        assert event is not None and event.asset_materialization is not None
        assert event.asset_materialization.partition == f"local|{self.shop.reference}"
        return str(event.asset_materialization.metadata["outcome"].value), run.status.value


@pytest.fixture
def bench(classic: Daemon, tmp_path: Path) -> Iterator[Bench]:
    with shop(classic, tmp_path, more="    stop_grace_period: 0s\n") as made:
        made.start()
        yield Bench(made)


def test_the_story(bench: Bench) -> None:
    subject, made = bench.shop.subject, bench.shop
    made.candidate("newer")
    planned = json.loads(bench.imgopt("deploy", subject, "--dry-run", "--json"))
    assert planned["way_back"]["command"] == f"imgopt rollback {subject}"
    assert planned["units"][0]["method"] == "tag"
    assert made.page() == "old"

    deployed = json.loads(bench.imgopt("deploy", subject, "--yes", "--json"))
    (row,) = deployed["deployments"]
    assert (row["outcome"], made.page()) == ("verified", "newer")
    assert {check["outcome"] for check in deployed["deployment_checks"]} == {"passed"}
    assert bench.lineage() == ("verified", "SUCCESS")
    assert rows(bench.home, "SELECT deployment_id FROM latest_deployments") == [{"deployment_id": row["deployment_id"]}]
    (approval,) = rows(bench.home, "FROM approvals WHERE approved_by <> 'tester'")
    assert approval["image_id"] == row["old_image_id"]

    assert "until a person lets it go" in bench.imgopt("keep", subject)
    shown = bench.imgopt("deployments", subject)
    assert "move tag" in shown and f"docker image tag {row['backup_reference']}" in shown

    back = bench.imgopt("rollback", subject, "--yes")
    assert "After the old state was put back:" in back
    assert made.page() == "old"
    assert bench.lineage() == ("rolled back", "SUCCESS")


def test_one_that_does_not_do_what_the_old_did_ends_with_exit_code_1(bench: Bench) -> None:
    made = bench.shop
    made.candidate("failing", FAILING)
    told = bench.imgopt("deploy", made.subject, "--yes", code=1)
    assert "Rolled back, and the old state runs as before" in told
    assert "exited with code 3" in told
    assert made.page() == "old"
    assert bench.lineage() == ("rolled back", "FAILURE")


def test_what_would_be_lost_is_asked_about_by_itself(bench: Bench) -> None:
    made = bench.shop
    made.candidate("newer")
    made.daemon.docker("exec", f"{made.name}-web-1", "sh", "-c", "echo kept > /www/upload")
    refused = bench.imgopt("deploy", made.subject, "--yes", code=1)
    assert "A /www/upload" in refused and "--discard-changes" in refused
    no = bench.imgopt("deploy", made.subject, answers="y\nn\n")
    assert "Go on although this will be lost?" in no and "Nothing was changed." in no
    assert made.page() == "old"
    assert not (bench.home / "actions").exists()
    assert rows(bench.home, "FROM approvals WHERE approved_by <> 'tester'") == []
    assert "Verified" in bench.imgopt("deploy", made.subject, answers="y\ny\n")
    assert made.page() == "newer"


def test_a_killed_deployment_is_settled_before_the_next_begins(bench: Bench) -> None:
    made = bench.shop
    made.candidate("newer")
    process = subprocess.Popen(
        [str(PROGRAM), "deploy", made.subject, "--yes", "--soak", "60"],
        env=bench.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for_step(bench.home, "gate", process)
        assert "is at work on it" in bench.imgopt("resume", code=3)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "imgopt resume" in bench.imgopt("deploy", made.subject, "--dry-run", code=3)
    (told,) = json.loads(bench.imgopt("resume", "--json"))
    assert told.startswith(f"{made.subject}: Rolled back, and the old state runs as before.")
    assert made.page() == "old"
    assert bench.lineage() == ("rolled back", "CANCELED")
    assert rows(bench.home, "SELECT outcome FROM deployments") == [{"outcome": "rolled back"}]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("nothing-of-that-name", 3, "nothing-of-that-name: "), ("", 3, "no optimized image of it was built")],
)
def test_nothing_to_deploy(bench: Bench, name: str, code: int, said: str) -> None:
    told = bench.imgopt("deploy", name or bench.shop.subject, "--yes", code=code)
    assert said in told
    assert bench.shop.page() == "old"
    assert not (bench.home / "dagster").exists()


def _wait_for_step(home: Path, step: str, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 60
    while not any(f'"step":"{step}"' in path.read_text() for path in home.glob("actions/*/journal.jsonl")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
