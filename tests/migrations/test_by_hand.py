"""The commands that a person is given: with real names, safe to paste, and none that cannot work now untold."""

import json
import subprocess
from pathlib import Path
from typing import cast

import pytest

from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.journal.journal import NOTED, Journal
from imgopt_pipeline.journal.outcomes import CANCELLED, OUTCOME, ROLLED_BACK
from imgopt_pipeline.migrations.migration import KIND, Migration, UnitPlan
from imgopt_pipeline.migrations.preflight import Preflight
from imgopt_pipeline.migrations.preparing import Prepared
from imgopt_pipeline.migrations.records import Record
from imgopt_pipeline.migrations.rows import summary
from imgopt_pipeline.migrations.sources import Source, destination_of
from imgopt_pipeline.migrations.standing import commands_left, manual_commands
from imgopt_pipeline.migrations.work import Work
from imgopt_pipeline.reports.migrations import prepared_document, way_back_view
from imgopt_pipeline.services.models import OldContainer, Refused, UnitName
from imgopt_pipeline.settings import Settings

from .grounds import ext4, unmount


def a_migration(source: Path, final: Path, migration_id: str = "m1") -> Migration:
    """Of the folder of a single container."""
    api = OldContainer("c1", "api", True, {"Name": "always"})
    return Migration(
        migration_id=migration_id,
        host="local",
        subject=str(source),
        source_kind="bind",
        volume=None,
        source=source,
        final=final,
        mount_point=final.parent,
        filesystem="ext4",
        workers=1,
        bytes_per_second=None,
        backup=None,
        units=(UnitPlan(UnitName("api"), "sha256:1", {"/data": str(final)}, (), (api,)),),
        approved_by="tester",
        keep_days=7,
        files=1,
        file_bytes=1,
    )


def test_what_has_no_id_yet_says_so(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    migration = a_migration(Path("/srv/music"), Path("/mnt/music"), migration_id="")
    shown = "\n".join(map(str, way_back_view(migration, settings)))
    assert "/srv/music.migrated-ID/" in shown and "api.imgopt-ID-old" in shown
    assert "`imgopt migrations /srv/music` tells it" in shown
    preflight = Preflight(migration.source, migration.final, migration.mount_point, "ext4", ())
    document = json.dumps(prepared_document(Prepared(migration, preflight), settings)["way_back"])
    assert ".migrated-ID" in document and ".migrated-/" not in document
    begun = "\n".join(map(str, way_back_view(a_migration(Path("/srv/music"), Path("/mnt/music")), settings)))
    assert "/srv/music.migrated-m1/" in begun and "ID is" not in begun


def test_odd_names_are_one_word_each(tmp_path: Path) -> None:
    odd = tmp_path / "it's\\odd\nname"
    commands = manual_commands(a_migration(odd, Path("/mnt/x")), tmp_path)
    (move,) = [command for command in commands if command.startswith("mv ")]
    assert "\n" not in move
    odd.with_name(f"{odd.name}.migrated-m1").mkdir()
    subprocess.run(["bash", "-c", move], check=True)
    assert odd.is_dir()


def test_what_cannot_work_now_is_told_and_in_which_order(tmp_path: Path) -> None:
    with ext4(tmp_path / "disk") as remote:
        source, final = tmp_path / "music", remote / "music"
        final.mkdir()
        aside = tmp_path / "music.migrated-m1"
        aside.mkdir()
        work = Work(
            Settings(home=tmp_path), cast(EngineHost, None), a_migration(source, final), Journal(tmp_path / "m1")
        )
        there = commands_left(work, files_left=True)
        assert there == manual_commands(work.migration, work.journal.folder)
        unmount(remote)
        away = commands_left(work, files_left=True)
    assert not any(command.startswith("rsync") for command in away)
    told = [command for command in away if command.startswith("#")]
    assert f"what was written at {final} since it was in use would be missing" in told[0]
    assert f"{final}/ {aside}/" in told[2] and f"{final}/ {source}/" in told[4]
    first, *_, last = away
    assert (first, last) == ("docker container stop api", "docker container start api")
    assert away.index(told[-1]) < next(n for n, command in enumerate(away) if command.startswith("mv "))
    aside.rename(source)
    assert not any(command.startswith(("#", "rsync", "mv")) for command in commands_left(work, files_left=False))


def test_given_up_after_it_was_rolled_back(tmp_path: Path) -> None:
    migration = a_migration(Path("/srv/music"), Path("/mnt/music"))
    journal = Journal(tmp_path / "m1")
    journal.append("action", NOTED, kind=KIND, **migration.to_json())
    journal.append(OUTCOME, NOTED, outcome=CANCELLED)
    assert "nothing was changed" in summary(Record(journal, migration))
    journal.append(OUTCOME, NOTED, outcome=ROLLED_BACK)
    journal.append(OUTCOME, NOTED, outcome=CANCELLED)
    assert "after it was rolled back" in summary(Record(journal, migration))


def test_to_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "other").mkdir()
    source = Source(tmp_path / "music", "bind")
    for given in (tmp_path, tmp_path / "music", tmp_path / "other" / ".."):
        with pytest.raises(Refused, match="it is there already"):
            destination_of(source, given)
    assert destination_of(source, tmp_path / "other") == tmp_path / "other" / "music"
    assert destination_of(source, tmp_path / "new") == tmp_path / "new"
