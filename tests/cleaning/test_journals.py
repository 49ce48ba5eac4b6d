"""What a journal of a cleaning says: fates, rows, retention, and what cannot be taken back."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from imgopt_pipeline.cleaning.carrying_out import cleaning_journal, locked_host, resume, undo
from imgopt_pipeline.cleaning.fates import fates_of
from imgopt_pipeline.cleaning.keeping import housekeeping_of
from imgopt_pipeline.cleaning.models import CONTAINER, DIRECTORY, FAILED, IMAGE, LEFT, MOVED, REMOVED, Found, Item, Plan
from imgopt_pipeline.cleaning.rows import cleaning_rows, publish_cleanings
from imgopt_pipeline.journal.clock import Moment
from imgopt_pipeline.journal.journal import BEGUN, DONE, NOTED, Journal
from imgopt_pipeline.journal.journal import FAILED as STEP_FAILED
from imgopt_pipeline.journal.locks import Busy
from imgopt_pipeline.services.models import Refused, SubjectNotFound
from imgopt_pipeline.settings import HostSettings, Settings
from tests.cleaning.made import application

DAY = 86_400


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", hosts={"local": HostSettings(engine=f"unix://{tmp_path}/no.sock")})


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    return application(tmp_path / "shop") / "node_modules"


def begun(settings: Settings, modules: Path, at: Moment | None = None) -> tuple[Journal, list[Item]]:
    """A cleaning that was planned: a container, an image, a directory."""
    items = [
        Item(CONTAINER, "c" * 64, "web", "exited 9 days ago", 10),
        Item(IMAGE, "sha256:" + "1" * 64, "1" * 12, "no tag names it", 1_000_000),
        Item(DIRECTORY, str(modules), str(modules), "nobody uses it", 300_000, inode=modules.stat().st_ino),
    ]
    moment = at or Moment(1_700_000_000, "boot", 1_000)
    journal = Journal(settings.paths.actions / "clean-20231114-1", clock=lambda: moment)
    journal.append("action", NOTED, **Plan("local", Found(tuple(items)), 7, 0).to_json())
    return journal, items


def moved(settings: Settings, modules: Path) -> Journal:
    journal, (container, image, directory) = begun(settings, modules)
    journal.append(container.step, BEGUN)
    journal.append(container.step, DONE, outcome=REMOVED, freed_bytes=8)
    journal.append(image.step, BEGUN)
    journal.append(image.step, STEP_FAILED, message="the engine does not remove it.")
    journal.append(directory.step, BEGUN)
    modules.rename(modules.with_name(f"node_modules.imgopt-{journal.action_id}"))
    journal.append(directory.step, DONE, outcome=MOVED)
    journal.append("outcome", NOTED, outcome="finished")
    return journal


def test_rows_tell_what_is_free_and_what_is_pending(settings: Settings, modules: Path) -> None:
    journal = moved(settings, modules)
    for _ in range(2):
        publish_cleanings(settings)
    with duckdb.connect(str(settings.paths.database), read_only=True) as connection:
        (row,) = connection.execute(
            "SELECT freed_bytes, pending_bytes, removed, moved_aside, failed, outcome, summary FROM cleanings"
        ).fetchall()
        items = connection.execute("SELECT outcome, detail, aside FROM cleaned_items ORDER BY kind").fetchall()
    assert row[:6] == (8, 300_000, 1, 1, 1, "finished")
    assert row[6] == "Freed 8 B, measured, 1 thing removed, 300 kB pending in 1 directory moved aside, 1 failed."
    assert items == [
        (REMOVED, "", None),
        (MOVED, "", f"{modules}.imgopt-{journal.action_id}"),
        (FAILED, "the engine does not remove it.", None),
    ]


def test_resume_removes_nothing_more(settings: Settings, modules: Path) -> None:
    journal, (_, _, directory) = begun(settings, modules)
    journal.append(directory.step, BEGUN)
    assert cleaning_rows(journal)["cleanings"][0]["outcome"] == "under way"
    assert "nothing was removed. 3 left as it was" in resume(Journal(journal.folder), settings)
    assert modules.is_dir()
    again = Journal(journal.folder)
    assert [fate.outcome for fate in fates_of(again)] == [LEFT] * 3
    assert cleaning_rows(again)["cleanings"][0]["outcome"] == "cut off"
    assert resume(again, settings)
    assert len(Journal(journal.folder).entries) == len(again.entries)


def test_a_move_that_was_cut_off_after_it_was_done(settings: Settings, modules: Path) -> None:
    journal, (_, _, directory) = begun(settings, modules)
    journal.append(directory.step, BEGUN)
    modules.rename(modules.with_name(f"node_modules.imgopt-{journal.action_id}"))
    assert f"directory {modules}: moved aside" in resume(journal, settings)
    assert undo(cleaning_journal(settings, "clean-2023"), settings) == []
    assert modules.is_dir()


def test_the_retention_trusts_no_wall_clock(settings: Settings, modules: Path) -> None:
    journal = moved(settings, modules)
    aside = modules.with_name(f"node_modules.imgopt-{journal.action_id}")
    start = 1_700_000_000

    def look(wall_days: float, boot: str, boot_days: float) -> None:
        at = Moment(start + wall_days * DAY, boot, (1_000 if boot == "boot" else 0) + boot_days * DAY)
        result = housekeeping_of(settings, clock=lambda: at)
        assert (result.removed, result.kept, result.problems) == (0, 1, ())
        assert aside.is_dir()

    look(365, "boot", 1)  # set a year forward
    look(-365, "boot", 2)  # and back
    look(3, "second", 1)  # restarted: only what passed since is certain
    look(30, "second", 3)
    look(300, "third", 1.9)
    due = Moment(start, "third", 2.1 * DAY)
    assert "no such socket" in str(housekeeping_of(settings, clock=lambda: due).problems)


def test_who_else_is_at_work(settings: Settings, modules: Path) -> None:
    journal = moved(settings, modules)
    with locked_host(settings, "local", "imgopt clean (other)"), pytest.raises(Busy, match="other"):
        undo(journal, settings)
    assert not modules.exists()


def test_names_of_cleanings(settings: Settings, modules: Path) -> None:
    journal = moved(settings, modules)
    other = Journal(settings.paths.actions / "clean-20231114-2")
    other.append("action", NOTED, kind="deploy")
    assert cleaning_journal(settings, "clean-20231114").folder == journal.folder
    for name in ("", "clean-20231114-2", "../x", "*", "nothing"):
        with pytest.raises(SubjectNotFound):
            cleaning_journal(settings, name)


def test_what_was_only_removed_cannot_come_back(settings: Settings, modules: Path) -> None:
    journal, (container, _, _) = begun(settings, modules)
    journal.append(container.step, DONE, outcome=REMOVED, freed_bytes=8)
    journal.append("outcome", NOTED, outcome="finished")
    with pytest.raises(Refused, match="cannot come back"):
        undo(journal, settings)
