"""`imgopt deploy` and what belongs to it as a user starts them, where no engine is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import fetch_rows, publish, replace_rows, snapshot
from tests.cli.test_commands import environment
from tests.orchestration.test_deployments import NEW, OLD, begun
from tests.small_archive import write_archive
from tests.warehouse.builds_made import IN_USE, MB
from tests.warehouse.deployments_made import deployment_row, gate_row, step_row

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def imgopt(home: Path, tmp_path: Path) -> Run:
    """Runs `imgopt` with nobody at its standard input."""

    def run(*arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "imgopt_pipeline.cli", *arguments],
            env=environment(home) | more,
            cwd=tmp_path,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def settings(home: Path) -> Settings:
    """Where the program's files lie."""
    return Settings(home=home)


@pytest.fixture
def remembered(home: Path) -> Path:
    """A warehouse with two deployments whose journals are gone, and a plan of one image and two directories."""
    tables: dict[str, list[dict[str, Any]]] = {
        "deployments": [
            deployment_row("11aa22cc"),
            deployment_row(
                "33bb44dd", "shop-api:2", subject="api", units=["container api"], days=2, outcome="rolled back"
            ),
        ],
        "deployment_steps": [step_row("11aa22cc", 1, "move tag", detail="moved"), step_row("33bb44dd", 1, "gate")],
        "deployment_checks": [gate_row("11aa22cc", "running"), gate_row("33bb44dd", "probes", outcome="failed")],
        "audits": [audit_row()],
        "optimization_plan": [
            plan_row(1, "image", "shop-web:latest", image_id=IN_USE),
            plan_row(2, "directory", "/srv/shop/media", path="/srv/shop/media"),
            plan_row(3, "directory", "/srv/blog/media", path="/srv/blog/media"),
        ],
    }
    publish(home / "imgopt.duckdb", lambda connection: replace_rows(connection, tables))
    return home


def audit_row() -> dict[str, Any]:
    at = datetime(2026, 1, 5)
    counts = dict.fromkeys(("images", "containers", "layers", "layers_read", "problems"), 1)
    names = dict.fromkeys(("engine_kind", "engine_version", "image_store", "imgopt_version", "analyser_version"), "")
    stated = {"audit_id": "a1", "host": "local", "started_at": at, "finished_at": at, "status": "complete"}
    return {**stated, **counts, **names}


def plan_row(rank: int, kind: str, subject: str, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "audit_id": "a1",
        "host": "local",
        "rank": rank,
        "subject_kind": kind,
        "subject": subject,
        "image_id": None,
        "path": None,
        "decision": "optimize",
        "action": "rebuild with a multi-stage build" if kind == "image" else "move to a remote mount",
        "techniques": [],
        "rules": [],
        "complexity": "low",
        "risk": "low",
        "priority": "high",
        "phase": 1,
        "size_bytes": 900 * MB,
        "low_bytes": 300 * MB,
        "likely_bytes": 450 * MB,
        "high_bytes": 600 * MB,
        "counted": "",
        "reason": "",
        "prerequisites": [],
        "command": "",
    }
    return row | more


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["deploy", "web", "--yes"], 3, "there is no such socket"),
        (["deploy", "web", "--yes", "--host", "locl"], 2, "did you mean 'local'"),
        (["deploy", "web"], 3, "there is no such socket"),
        (["deploy", "web", "--json"], 3, "there is no such socket"),
        (["deploy", "web", "--yes", "--soak", "-1"], 2, "greater than or equal to 0"),
        (["rollback", "web", "--yes"], 3, "web: no deployment of it is known on host local."),
        (["rollback", "web", "--yes", "--host", "locl"], 2, "did you mean 'local'"),
        (["rollback", "web"], 3, "web: no deployment of it is known on host local."),
        (["resume", "--host", "locl"], 2, "did you mean 'local'"),
        (["keep", "web"], 3, "web: no deployment of it is known on host local."),
        (["keep", "web", "--host", "locl"], 2, "did you mean 'local'"),
        (["approve", "web"], 3, "there is no audit yet"),
        (["approve", "web", "--host", "locl"], 2, "did you mean 'local'"),
        (["deployments", "web"], 3, "web: no deployment of that name is known."),
    ],
)
def test_mistakes(imgopt: Run, home: Path, arguments: list[str], code: int, said: str) -> None:
    done = imgopt(*arguments, code=code)
    assert said in done.stderr
    assert not (home / "actions").exists()


@pytest.mark.parametrize("name", ["deploy", "rollback"])
def test_an_engine_that_does_not_answer_is_told_whatever_was_cut_off(
    imgopt: Run, home: Path, settings: Settings, name: str
) -> None:
    begun(settings, "11aa22cc")
    assert "there is no such socket" in imgopt(name, "web", "--yes", code=3).stderr
    assert "there is no such socket" in imgopt("resume", code=3).stderr
    assert "imgopt resume" in imgopt(name, "web", "--dry-run", code=3).stderr


def test_a_folder_of_archives_deploys_nothing(imgopt: Run, tmp_path: Path) -> None:
    write_archive(tmp_path / "images" / "one.tar", "demo/one:1", [{"a": b"x"}])
    (tmp_path / "imgopt.yaml").write_text("hosts: {kept: {archives: images}}\n")
    assert "kept: it holds image archives" in imgopt("deploy", "demo/one:1", "--yes", code=3).stderr


def test_where_nothing_was_deployed_the_command_that_does_is_named(imgopt: Run) -> None:
    assert "imgopt deploy" in imgopt("deployments").stdout
    assert json.loads(imgopt("deployments", "--json").stdout) == []
    assert imgopt("resume").stdout == "Nothing was cut off.\n"


@pytest.mark.usefixtures("remembered")
def test_deployments_are_listed_the_newest_first(imgopt: Run) -> None:
    listed = imgopt("deployments").stdout
    assert listed.index("11aa22cc") < listed.index("33bb44dd")
    assert [row["deployment_id"] for row in json.loads(imgopt("deployments", "--json").stdout)] == [
        "11aa22cc",
        "33bb44dd",
    ]
    assert json.loads(imgopt("deployments", "--json", "--host", "other").stdout) == []


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize("name", ["shop-web", "shop-web:latest", "shop/web", "web", "11aa22cc", "11aa"])
def test_one_deployment_by_any_of_its_names(imgopt: Run, name: str) -> None:
    rows = json.loads(imgopt("deployments", name, "--json").stdout)
    assert [row["deployment_id"] for row in rows["deployments"]] == ["11aa22cc"]
    assert [row["step"] for row in rows["deployment_steps"]] == ["move tag"]
    assert [row["check_name"] for row in rows["deployment_checks"]] == ["running"]


@pytest.mark.usefixtures("remembered")
def test_what_is_shown_of_one(imgopt: Run) -> None:
    shown = imgopt("deployments", "web").stdout
    for words in (
        "Verified: 900 MB → 400 MB",
        "service shop/web by tag; root, 2026-01-05 10:00 UTC said yes.",
        "did not answer for 1.2 s (http://127.0.0.1:8080/)",
        "`imgopt keep shop/web` keeps it for longer",
        "To roll back: imgopt rollback shop/web",
        "moved",
    ):
        assert words in shown
    rolled_back = imgopt("deployments", "api").stdout
    assert "imgopt rollback" not in rolled_back and "Kept until" not in rolled_back


@pytest.mark.usefixtures("remembered")
def test_a_journal_knows_better_than_the_warehouse(imgopt: Run, settings: Settings) -> None:
    begun(settings, "11aa22cc")
    (row,) = json.loads(imgopt("deployments", "11aa22cc", "--json").stdout)["deployments"]
    assert (row["outcome"], row["old_image_id"], row["new_image_id"]) == ("open", OLD, NEW)
    assert "`imgopt resume` finishes it or puts the old state back" in imgopt("deployments", "11aa22cc").stdout


@pytest.mark.parametrize(
    ("name", "subject"),
    [("shop-web", "shop-web:latest"), (IN_USE, "shop-web:latest"), ("/srv/blog/media", "/srv/blog/media")],
)
def test_approving(imgopt: Run, remembered: Path, name: str, subject: str) -> None:
    done = imgopt("approve", name, "--note", "after the fair")
    assert subject in done.stdout and "Approved by " in done.stdout
    with snapshot(remembered / "imgopt.duckdb") as connection:
        (row,) = fetch_rows(connection, "FROM approvals")
    assert (row["subject"], row["note"]) == (subject, "after the fair")


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize("name", ["shop-db", "shop-db:1"])
def test_what_the_plan_leaves_alone_is_not_approved(imgopt: Run, remembered: Path, name: str) -> None:
    rows = [
        plan_row(4, "image", "shop-db:1", image_id="sha256:" + "d" * 64, decision="accept"),
        plan_row(5, "image", "shop-db", image_id="sha256:" + "e" * 64, decision="avoid"),
    ]
    publish(
        remembered / "imgopt.duckdb",
        lambda connection: replace_rows(connection, {"optimization_plan": rows, "audits": [audit_row()]}),
    )
    assert f"{name}: the plan says to leave it as it is." in imgopt("approve", name, code=1).stderr
    with snapshot(remembered / "imgopt.duckdb") as connection:
        assert fetch_rows(connection, "FROM approvals") == []


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("blog", "blog: the newest plan of host local has no item for it."),
        ("media", "Name one: /srv/blog/media, /srv/shop/media."),
    ],
)
def test_what_the_plan_does_not_say_is_not_approved(imgopt: Run, remembered: Path, name: str, said: str) -> None:
    assert said in imgopt("approve", name, code=3).stderr
    with snapshot(remembered / "imgopt.duckdb") as connection:
        assert fetch_rows(connection, "FROM approvals") == []
