"""`imgopt migrate-data` and what belongs to it as a user starts them, where no engine is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from imgopt_pipeline.cli.interruptions import outcome_told
from imgopt_pipeline.cli.migrations import _outcome
from imgopt_pipeline.errors import Interrupted
from imgopt_pipeline.journal.journal import NOTED, Journal
from imgopt_pipeline.migrations.migration import KIND, Migration, UnitPlan
from imgopt_pipeline.migrations.records import migration_in
from imgopt_pipeline.services.models import OldContainer, ServiceName, UnitName
from imgopt_pipeline.settings import Settings
from tests.cli.test_commands import environment

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


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["migrate-data", "music"], 2, "nobody is there to ask"),
        (["migrate-data", "music", "--back", "--cancel", "--yes"], 2, "three different things"),
        (["migrate-data", "music", "--to", "/mnt", "--limit", "fast", "--yes"], 2, "is not a size"),
        (["migrate-data", "music", "--to", "/mnt", "--yes", "--host", "nowhere"], 2, "there is no host 'nowhere'"),
        (["migrate-data", "music", "--to", "/mnt", "--yes"], 3, "there is no such socket"),
        (["migrate-data", "music", "--to", "/mnt", "--dry-run"], 3, "there is no such socket"),
        (["migrate-data", "music", "--back", "--yes"], 3, "no migration of it is known"),
        (["migrate-data", "music", "--cancel", "--yes"], 3, "no migration of it is known"),
        (["migrate-data", "music", "--delete-source", "--yes"], 3, "no migration of it is known"),
        (["migrations", "music"], 3, "no migration of that name is known"),
        (["archive-files", "music", "--unused-days", "9", "--to", "/tmp"], 2, "nobody is there to ask"),
        (["archive-files", "music", "--unused-days", "9", "--to", "/tmp", "--yes"], 3, "there is no such socket"),
        (["archive-files", "music", "--unused-days", "9", "--to", "/no/such", "--yes"], 2, "mkdir -p -- /no/such"),
        (["archive-files", "music", "--unused-days", "9", "--to", "/no/such", "--dry-run"], 2, "no such folder"),
        (["restore-files", "/no/such.tar.zst"], 3, "there is no such archive"),
        (["restore-files", "/no/such.tar.zst", "x", "--to", "/tmp"], 3, "there is no such archive"),
        (["restore-files", "/dev/../etc/passwd"], 3, "where its files came from is not known"),
    ],
)
def test_what_cannot_be_done_is_told(imgopt: Run, arguments: list[str], code: int, said: str) -> None:
    done = imgopt(*arguments, code=code, DOCKER_HOST="unix:///no/such.sock")
    assert said in done.stderr
    assert done.stdout == ""


def test_an_interrupt_tells_what_came_of_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(home=home)
    migration = migration_in(begun(settings))
    with pytest.raises(typer.Exit) as ended, outcome_told(lambda: _outcome(settings, migration)):
        raise Interrupted
    assert ended.value.exit_code == 130
    assert "/srv/shop/music: Copying: nothing that runs was touched. The same command" in capsys.readouterr().err
    with pytest.raises(Interrupted), outcome_told(lambda: _outcome(Settings(home=home / "empty"), migration)):
        raise Interrupted


def test_a_folder_of_archives_has_no_services(imgopt: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "archives").mkdir()
    (home / "imgopt.yaml").write_text("hosts: {files: {archives: " + str(tmp_path / "archives") + "}}")
    done = imgopt("migrate-data", "music", "--to", "/mnt", "--yes", code=3, IMGOPT_CONFIG=str(home / "imgopt.yaml"))
    assert "it holds image archives" in done.stderr


def test_nothing_was_moved_yet(imgopt: Run) -> None:
    assert "Nothing was moved yet" in imgopt("migrations").stdout
    assert json.loads(imgopt("migrations", "--json").stdout) == []


def test_one_that_was_cut_off_is_told_with_what_goes_on(imgopt: Run, home: Path) -> None:
    begun(Settings(home=home))
    (listed,) = json.loads(imgopt("migrations", "--json").stdout)
    assert (listed["outcome"], listed["pending_bytes"], listed["freed_bytes"]) == ("open", 0, 0)
    told = imgopt("migrations", "music").stdout
    assert "imgopt migrate-data /srv/shop/music` goes on with what is copied already" in told
    assert "--cancel" in told
    by_id = imgopt("migrations", "0f0f", "--json").stdout
    assert json.loads(by_id)["migrations"][0]["migration_id"] == "0f0f-1"
    done = imgopt("migrate-data", "music", "--back", "--yes", code=1, DOCKER_HOST="unix:///no/such.sock")
    assert "nothing that runs was touched yet" in done.stderr


def begun(settings: Settings) -> Journal:
    """The journal of a migration that was cut off at once."""
    service = ServiceName("shop", "web", Path("/srv/shop"), (Path("/srv/shop/compose.yaml"),), "2.26.1")
    plan = UnitPlan(
        name=UnitName("shop/web", service),
        image_id="sha256:1",
        places={"/data": "/mnt/remote/music"},
        read_only=(),
        containers=(OldContainer("c1", "shop-web-1", True, {"Name": "always"}),),
        override=Path("/srv/shop/compose.override.yaml"),
    )
    migration = Migration(
        migration_id="0f0f-1",
        host="local",
        subject="/srv/shop/music",
        source_kind="bind",
        volume=None,
        source=Path("/srv/shop/music"),
        final=Path("/mnt/remote/music"),
        mount_point=Path("/mnt/remote"),
        filesystem="nfs4",
        workers=4,
        bytes_per_second=None,
        backup=None,
        units=(plan,),
        approved_by="tester",
        keep_days=7,
        files=3,
        file_bytes=9_000_000,
    )
    journal = Journal(settings.paths.actions / migration.migration_id)
    journal.append("action", NOTED, kind=KIND, **migration.to_json())
    assert Migration.from_json({k: v for k, v in journal.facts("action", NOTED).items() if k != "kind"}) == migration
    return journal
