"""`imgopt clean` as a user starts it where no engine is, and what it prints of a plan."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from imgopt_pipeline.cleaning.models import CONTAINER, DIRECTORY, VOLUME, Found, Item, Left, Plan
from imgopt_pipeline.cli.cleaning import register
from imgopt_pipeline.errors import HostUnreachable, ImgoptError, SettingsError
from imgopt_pipeline.reports.cleaning import plan_document, plan_view
from imgopt_pipeline.services.models import Refused, SubjectNotFound
from imgopt_pipeline.settings import HostSettings, Settings
from tests.small_archive import write_archive


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> typer.Typer:
    folder = tmp_path / "archives"
    write_archive(folder / "one.tar", "demo/one:1", [{"a": b"x"}])
    hosts = {"local": HostSettings(engine=f"unix://{tmp_path}/no.sock"), "files": HostSettings(archives=folder)}
    settings = Settings(home=tmp_path / "home", hosts=hosts)
    monkeypatch.setattr("imgopt_pipeline.cli.cleaning.load_settings", lambda: settings)
    made = typer.Typer()
    register(made)
    return made


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], SettingsError, "nobody is there to ask"),
        (["--json"], SettingsError, "nobody is there to ask"),
        (["--yes"], HostUnreachable, "no such socket"),
        (["--dry-run", "--host", "lokal"], SettingsError, "did you mean 'local'"),
        (["--dry-run", "--host", "files"], Refused, "there is nothing to clean"),
        (["--undo", "clean-1"], SubjectNotFound, "no such cleaning"),
    ],
)
def test_what_it_refuses(app: typer.Typer, arguments: list[str], error: type[ImgoptError], message: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, error)
    assert message in str(done.exception)


def test_usage(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, ["--older-than", "-1"]).exit_code == 2
    assert "--undo" in CliRunner().invoke(app, ["--help"]).output


def test_a_plan_says_what_goes_what_stays_and_what_comes_back() -> None:
    items = (
        Item(CONTAINER, "c" * 64, "[bold]web", "exited 9 days ago", 10_000_000),
        Item(DIRECTORY, "/srv/a\\x0ab/node_modules", "/srv/a\\x0ab/node_modules", "nobody uses it", 200_000_000),
    )
    plan = Plan("local", Found(items, (Left(VOLUME, "data", "data", "name it to remove it", None),)), 7, 0)
    console = Console(width=140, record=True)
    for part in plan_view(plan, 7):
        console.print(part, markup=False, highlight=False)
    text = console.export_text()
    assert "[bold]web" in text
    assert "/srv/a\\x0ab/node_modules" in text
    assert "Removed for good, about 10 MB: this cannot be taken back." in text
    assert "Moved aside, 200 MB: frees nothing before it is removed after 7 days" in text
    assert "name it to remove it" in text
    document = plan_document(plan)
    assert [item["undoable"] for item in document["items"]] == [False, True]
    assert Plan.from_json(plan.to_json()).found.items == items
