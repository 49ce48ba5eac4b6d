"""Data moved to another file system under a service that uses it, on a private engine with real containers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from imgopt_pipeline.errors import HostUnreachable, Interrupted
from imgopt_pipeline.journal.actions import named
from imgopt_pipeline.journal.clock import Clock, Moment, now
from imgopt_pipeline.journal.journal import Entry
from imgopt_pipeline.journal.locks import Busy
from imgopt_pipeline.migrations.migration import Options
from imgopt_pipeline.migrations.models import DestinationFull, MountGone, MoveFailed
from imgopt_pipeline.migrations.mount_checks import gone_mounts
from imgopt_pipeline.migrations.records import records
from imgopt_pipeline.migrations.targets import (
    approve_deletion,
    cancel_target,
    migrate_target,
    remove_due,
    resume_migrations,
    roll_back_target,
)
from imgopt_pipeline.services.models import Refused
from tests.fault_table import Record

from ..migrations.grounds import ext4, rclone, tmpfs
from .conftest import ROOT
from .cutting import KILLED, counted, entries_of, killed, kills, on_append
from .daemons import Daemon, EngineError, private_daemon, restarted_later
from .moved import Library, Made, library
from .optimizing_made import wait_for
from .program import PROGRAM, environment, imgopt, rows


@pytest.mark.parametrize("made", ["compose", "container", "volume"])
def test_moved_and_back(classic: Daemon, tmp_path: Path, made: Made, record_fault: Record) -> None:
    with library(classic, tmp_path, made=made) as one:
        row = _migrate(one)
        assert row["outcome"] == "verified", row["reason"]
        assert one.running_from() == [str(one.final)]
        assert one.page() == "here I am"
        assert (row["freed_bytes"], row["files"]) == (0, 15)
        assert row["pending_bytes"] == row["file_bytes"] > 0
        assert one.lost_to_the_service() == []
        one.inside("cd /data; echo changed > index.html; mkdir more; echo new > more/file; rm 'hard link'")
        back = _roll_back(one)
        assert back["outcome"] == "rolled back"
        assert one.running_from() == [str(one.source)]
        assert (one.page(), one.page("more/file")) == ("changed\n", "new\n")
        assert one.lost_to_the_service() == [b"index.html"], "what the service changed is as it left it"
        policies = {container["HostConfig"]["RestartPolicy"]["Name"] for container in one.containers()}
        assert policies == {"always"}
        record_fault(f"moved and back: {made}", back["outcome"], gap_seconds=row["gap_seconds"], files_lost=0)


def test_as_a_user_types_it(classic: Daemon, tmp_path: Path) -> None:
    """The commands, Dagster's runs and the warehouse, from the first look to the source that waits."""
    with library(classic, tmp_path) as one:
        env = environment(tmp_path / "home", classic.url)
        config = tmp_path / "home" / "imgopt.yaml"
        config.write_text(
            "deployments: {soak_seconds: 0.3, deadline_seconds: 10, probe_times: 1, stop_seconds: 1}\n"
            f"migrations: {{music: {{source: {one.source}, destination: {one.remote}}}}}\n"
        )
        looked = _said(["migrate-data", "music", "--dry-run"], env)
        assert "Nothing that runs is touched" in looked and f"mv --no-target-directory -- {one.source}" in looked
        assert f"RequiresMountsFor={one.remote}" in looked
        moved = json.loads(_said(["migrate-data", "music", "--yes", "--json"], env))
        assert moved["migrations"][0]["outcome"] == "verified"
        assert one.running_from() == [str(one.final)]
        assert "Freed 0 B, pending 201 kB: the source is kept as" in _said(["migrations", "music"], env)
        (row,) = rows(tmp_path / "home", "SELECT * FROM migrated_data")
        assert (row["pending_bytes"] > 0, row["freed_bytes"]) == (True, 0)
        assert "it is kept until" in _said(["migrate-data", "music", "--delete-source", "--yes"], env)
        again = imgopt(["migrate-data", "music", "--yes"], env)
        assert (again.returncode, f"it was moved to {one.final} already" in again.stderr) == (1, True)
        back = json.loads(_said(["migrate-data", "music", "--back", "--yes", "--json"], env))
        assert back["migrations"][0]["outcome"] == "rolled back"
        given_up = _said(["migrate-data", "music", "--cancel", "--yes"], env).splitlines()
        assert (len(given_up), given_up[-1]) == (
            2,
            "music: Given up after it was rolled back; the copy was removed, and everything runs as before.",
        )
        with dg.DagsterInstance.from_config(str(tmp_path / "home" / "dagster")) as instance:
            key = dg.AssetKey(["imgopt", "data_migrations"])
            newest = instance.get_latest_materialization_event(key)
            assert newest is not None and newest.asset_materialization is not None
            assert newest.asset_materialization.partition == f"local|{one.source}"
            assert newest.asset_materialization.metadata["outcome"].value == "rolled back"


def test_archived_and_got_back(classic: Daemon, tmp_path: Path) -> None:
    with library(classic, tmp_path) as one:
        env = environment(tmp_path / "home", classic.url)
        old = one.source / "album 1" / "4.mp3"
        content = old.read_bytes()
        os.utime(old, (1_600_000_000, 1_600_000_000))
        archives = tmp_path / "archives"
        archives.mkdir()
        command = ["archive-files", str(one.source), "--unused-days", "100", "--to", str(archives), "--yes", "--json"]
        row = json.loads(_said(command, env))
        assert (row["files"], row["deleted"], old.exists()) == (1, 1, False)
        assert one.lost() == [b"album 1/4.mp3"]
        assert f"Back in {one.source}: 1 file of " in _said(["restore-files", row["archive"], "album 1/4.mp3"], env)
        assert old.read_bytes() == content
        assert one.lost() == []


def test_a_volume_by_its_name_in_compose(classic: Daemon, tmp_path: Path) -> None:
    classic.docker("volume", "create", "--label", "com.docker.compose.volume=frontdata", "a-shop_frontdata")
    try:
        env = environment(tmp_path / "home", classic.url)
        done = imgopt(["migrate-data", "frontdata", "--to", "/mnt", "--dry-run"], env)
        assert (done.returncode, "name it as the engine does, a-shop_frontdata." in done.stderr) == (3, True)
    finally:
        classic.docker("volume", "rm", "a-shop_frontdata")


def test_interrupted_while_it_copies(classic: Daemon, tmp_path: Path) -> None:
    """Ctrl-C: the program says that the same command goes on, and that is so."""
    with library(classic, tmp_path) as one:
        env = environment(tmp_path / "home", classic.url)
        command = ["migrate-data", one.subject, "--to", str(one.remote), "--yes"]
        with subprocess.Popen(
            [PROGRAM, *command, "--limit", "20kB"],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            wait_for(lambda: any(one.remote.glob(".partial-*/*")), process)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "Copying: nothing that runs was touched. The same command goes on." in said
        assert (one.page(), one.running_from()) == ("here I am", [str(one.source)])
        assert "the copy was removed" in _said([*command[:2], "--cancel", "--yes"], env)
        assert list(one.remote.iterdir()) == []


def _said(arguments: list[str], env: dict[str, str]) -> str:
    done = imgopt(arguments, env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _migrate(one: Library, migration_id: str = "migration-1", **options: Any) -> dict[str, Any]:
    one.approve()
    given = Options(destination=one.remote, **options)
    return migrate_target(one.settings, "local", one.subject, given, migration_id)["migrations"][0]


def _roll_back(one: Library) -> dict[str, Any]:
    return roll_back_target(one.settings, "local", one.subject)["migrations"][0]


def test_to_a_remote_in_user_space(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    if not Path("/dev/fuse").exists() or shutil.which("rclone") is None:
        pytest.skip("rclone or /dev/fuse is missing: scripts/install-engine installs rclone")
    with rclone(tmp_path / "rclone") as remote, library(classic, tmp_path, remote=remote, odd=False) as one:
        row = _migrate(one)
        assert row["outcome"] == "verified", row["reason"]
        assert any("owners are not kept" in remark or "hard link" in remark for remark in row["remarks"])
        assert (one.page(), one.lost_to_the_service()) == ("here I am", [])
        one.inside("echo changed > /data/index.html")
        assert _roll_back(one)["outcome"] == "rolled back"
        assert (one.page(), one.lost_to_the_service()) == ("changed\n", [b"index.html"])
        record_fault("moved to an rclone mount and back", "rolled back", gap_seconds=row["gap_seconds"], files_lost=0)


@pytest.mark.parametrize("made", ["compose", "container"])
def test_killed_at_every_entry_of_a_migration(
    classic: Daemon, tmp_path: Path, made: Made, record_fault: Record
) -> None:
    """At the end the old or the new state runs, verified, wherever the process was killed, and no file is missing."""
    with library(classic, tmp_path, made=made) as one:
        outcomes: list[str] = []
        entries = entries_of(lambda: _migrate(one))
        _back_to_the_beginning(one)
        for number, moment in kills(entries):
            where = (entries[number - 1].step, entries[number - 1].event, moment)
            if made == "container" and not where[0].startswith(("quiesce", "switch", "gate", "outcome")):
                continue  # as with a compose service
            assert killed(number, moment, partial(_migrate, one, f"m-{moment}-{number}")) == KILLED, where
            resumed = resume_migrations(one.settings, "local")
            outcome = resumed[-1]["migrations"][0]["outcome"] if resumed else _outcome(one, "nothing begun")
            outcomes.append(outcome)
            assert one.lost() == [], (where, outcome)
            assert one.running_from() == [str(one.final if outcome == "verified" else one.source)], where
            assert one.lost_to_the_service() == [], (where, outcome)
            assert one.page() == "here I am"
            _back_to_the_beginning(one)
        expected = {"nothing begun", "open"} if made == "compose" else {"open"}
        assert expected | {"rolled back", "verified"} == set(outcomes)
        record_fault(
            f"kill -9 at {len(outcomes)} points of moving the data of a {made}", counted(outcomes), files_lost=0
        )


@pytest.mark.parametrize("made", ["compose", "container"])
def test_killed_at_every_entry_of_the_way_back(
    classic: Daemon, tmp_path: Path, made: Made, record_fault: Record
) -> None:
    """What the service wrote at the new place is there too, wherever the process was killed."""
    with library(classic, tmp_path, made=made) as one:
        outcomes: list[str] = []
        _migrate(one)
        entries = entries_of(lambda: _roll_back(one))
        for number, moment in kills(entries):
            where = (entries[number - 1].step, entries[number - 1].event, moment)
            if made == "container" and where[0] != f"back: {one.name}":
                continue  # as with a compose service
            if where[1:] == ("begun", "before") and number > 1:
                continue  # as before the end of the step before
            if _outcome(one, "") != "verified":
                assert _migrate(one)["outcome"] == "verified"
            one.inside(f"echo {moment}{number} > /data/written")
            assert killed(number, moment, partial(_roll_back, one)) == KILLED, where
            resumed = resume_migrations(one.settings, "local")
            outcomes.append(resumed[-1]["migrations"][0]["outcome"] if resumed else "nothing begun")
            assert one.running_from() == [str(one.source if resumed else one.final)], where
            assert one.page("written") == f"{moment}{number}\n", where
            assert one.lost_to_the_service() == [], where
        expected = {"nothing begun"} if made == "compose" else set()
        assert set(outcomes) == expected | {"rolled back"}
        record_fault(
            f"kill -9 at {len(outcomes)} points of putting the data of a {made} back", counted(outcomes), files_lost=0
        )


def _back_to_the_beginning(one: Library) -> None:
    """Everything as before the first migration."""
    found = named(list(records(one.settings.paths.actions)), one.subject)
    if found and found[-1].outcome == "verified":
        _roll_back(one)
        found = named(list(records(one.settings.paths.actions)), one.subject)
    if found and found[-1].outcome in ("open", "rolled back"):
        cancel_target(one.settings, "local", one.subject)
    assert one.running_from() == [str(one.source)]
    assert one.lost_to_the_service() == []
    assert list(one.remote.iterdir()) == []
    one.approve()


def _outcome(one: Library, otherwise: str) -> str:
    """How the newest migration stands, if it is not one that was put back before."""
    found = named(list(records(one.settings.paths.actions)), one.subject)
    return otherwise if not found or found[-1].outcome == "cancelled" else found[-1].outcome


@pytest.mark.parametrize("phase", ["copy", "quiesce", "switch", "gate"])
def test_the_engine_is_killed(tmp_path: Path, phase: str, record_fault: Record) -> None:
    watching = {"soak_seconds": 0.5, "deadline_seconds": 30, "probe_times": 1, "stop_seconds": 1}
    with (
        ExitStack() as kept,
        private_daemon("classic", ROOT) as daemon,
        library(daemon, tmp_path, deployments=watching) as one,
    ):
        back: list[threading.Event] = []

        def cut(entry: Entry) -> None:
            if entry.step.startswith(phase) and entry.event == "begun" and not back:
                os.kill(daemon.pid, signal.SIGKILL)
                back.append(kept.enter_context(restarted_later(daemon)))

        with on_append(cut), suppress(HostUnreachable):
            _migrate(one)
        assert back[0].wait(60)
        resume_migrations(one.settings, "local")
        outcome = _outcome(one, "")
        assert outcome in ("verified", "rolled back", "open")
        assert one.running_from() == [str(one.final if outcome == "verified" else one.source)]
        assert one.lost_to_the_service() == []
        if outcome != "verified":
            outcome += f", then {_migrate(one)['outcome']}"
        assert (one.page(), one.lost_to_the_service()) == ("here I am", [])
        record_fault(f"engine killed and restarted at: {phase} of a move", outcome, files_lost=0)


@pytest.mark.parametrize("when", ["copy", "delta", "gate"])
def test_the_destination_is_unmounted(classic: Daemon, tmp_path: Path, when: str, record_fault: Record) -> None:
    with ext4(tmp_path / "disk") as remote, library(classic, tmp_path, remote=remote) as one:

        def unmount_it(entry: Entry) -> None:
            if (entry.step, entry.event) == (when, "begun"):
                subprocess.run(["umount", "-l", remote], check=True)

        with on_append(unmount_it), suppress(MoveFailed):
            _migrate(one)
        outcome = _outcome(one, "")
        assert outcome in ("open", "rolled back")
        assert one.running_from() == [str(one.source)]
        assert (one.page(), one.lost_to_the_service()) == ("here I am", [])
        assert list(remote.iterdir()) == [], "nothing was written below the mount point"
        subprocess.run(["mount", "-o", "loop", tmp_path / "disk" / "disk", remote], check=True)
        assert _migrate(one)["outcome"] == "verified"
        assert (one.page(), one.lost_to_the_service()) == ("here I am", [])
        record_fault(f"destination unmounted at: {when}", f"{outcome}, then verified", files_lost=0)


def test_the_destination_is_full(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with tmpfs(tmp_path / "little", "1m") as remote, library(classic, tmp_path, remote=remote) as one:

        def fill(entry: Entry) -> None:
            if (entry.step, entry.event) == ("copy", "begun"):
                (remote / "filling").write_bytes(os.urandom(950_000))

        with on_append(fill), pytest.raises(DestinationFull):
            _migrate(one)
        assert (_outcome(one, ""), one.page(), one.lost_to_the_service()) == ("open", "here I am", [])
        (remote / "filling").unlink()
        assert _migrate(one)["outcome"] == "verified"
        assert one.lost_to_the_service() == []
        record_fault("destination full while copying", "open, then verified", files_lost=0)


def test_files_change_while_they_are_copied(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    writing = "(while date >> /data/log; do sleep 0.01; echo 1 > /data/now; rm -f /data/now; done)"
    busy = f"{writing} & exec httpd -f -p 8080 -h /data"
    with library(classic, tmp_path, command=busy) as one:
        row = _migrate(one)
        assert row["outcome"] == "verified", row["reason"]
        asides = list(tmp_path.glob("music.migrated-*"))
        assert len(asides) == 1
        logged = (asides[0] / "log").read_bytes()
        assert (one.final / "log").read_bytes().startswith(logged), "every line up to the stop came along"
        record_fault("written to while it is copied", row["outcome"], gap_seconds=row["gap_seconds"], files_lost=0)


def test_a_service_that_does_not_do_with_the_new_place(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    """It looks where its data lies, and answers 500 anywhere but on the first file system."""
    answer = r"printf 'HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n'"
    command = (
        "if grep -q ' /data tmpfs' /proc/mounts; then"
        f" {answer} > /answer; while true; do nc -l -p 8080 < /answer; done; fi; exec httpd -f -p 8080 -h /data"
    )
    with library(classic, tmp_path, command=command) as one:
        row = _migrate(one, discard_changes=True)
        assert row["outcome"] == "rolled back"
        assert (one.page(), one.running_from()) == ("here I am", [str(one.source)])
        assert one.lost_to_the_service() == []
        record_fault("answers 500 with the new place", row["outcome"], gap_seconds=row["gap_seconds"], files_lost=0)


def test_the_mount_goes_away_later(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    """Containers do not start into the folder below the mount point, and the audit says why."""
    with ext4(tmp_path / "disk") as remote, library(classic, tmp_path, remote=remote) as one:
        assert _migrate(one)["outcome"] == "verified"
        (container,) = [each for each in one.containers() if each["State"]["Running"]]
        classic.docker("stop", container["Id"])
        subprocess.run(["umount", remote], check=True)
        with pytest.raises(EngineError, match=r"bind source path does not exist|no such file"):
            classic.docker("start", container["Id"])
        with pytest.raises(EngineError):
            classic.docker("compose", "--project-directory", str(tmp_path), "up", "-d", "--force-recreate")
        assert list(remote.iterdir()) == []
        with pytest.raises(MountGone):
            roll_back_target(one.settings, "local", one.subject)
        (gone,) = gone_mounts(one.settings.paths.actions, "local")
        assert (gone.subject, str(remote) in gone.message) == (one.subject, True)
        subprocess.run(["mount", "-o", "loop", tmp_path / "disk" / "disk", remote], check=True)
        assert gone_mounts(one.settings.paths.actions, "local") == []
        classic.docker("compose", "--project-directory", str(tmp_path), "up", "-d")
        assert (_page(one), one.lost_to_the_service()) == ("here I am", [])
        record_fault("mount away when the service starts", "it does not start, and the audit says so", files_lost=0)


def test_a_process_of_the_host_is_at_work_there(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with library(classic, tmp_path) as one:
        with subprocess.Popen(["sleep", "60"], cwd=one.source / "album 1") as sleeper:
            with pytest.raises(Refused, match="work there"):
                _migrate(one)
            sleeper.kill()
        started: list[subprocess.Popen[bytes]] = []

        def come_in(entry: Entry) -> None:
            if (entry.step, entry.event) == ("quiesce", "begun"):
                started.append(subprocess.Popen(["sleep", "60"], cwd=one.source))

        with on_append(come_in):
            row = _migrate(one)
        started[0].kill()
        started[0].wait()
        assert row["outcome"] == "rolled back" and "work there" in row["reason"]
        assert (one.page(), one.lost_to_the_service()) == ("here I am", [])
        assert _migrate(one)["outcome"] == "verified", "what is copied is gone on with"
        record_fault("a process of the host works there", "refused", files_lost=0)


def test_two_at_once(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with library(classic, tmp_path) as one:
        said: list[str] = []

        def second(entry: Entry) -> None:
            if (entry.step, entry.event) == ("copy", "begun"):
                with pytest.raises(Busy) as busy:
                    _migrate(one, "migration-2")
                said.append(str(busy.value))

        with on_append(second):
            assert _migrate(one)["outcome"] == "verified"
        assert "is at work on it" in said[0]
        record_fault("two migrations of one directory at once", "the second is told to wait", files_lost=0)


def test_interrupted_while_it_is_watched(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with library(classic, tmp_path) as one:

        def interrupt(entry: Entry) -> None:
            if (entry.step, entry.event) == ("gate", "begun"):
                raise Interrupted

        with on_append(interrupt), pytest.raises(Interrupted):
            _migrate(one)
        assert _outcome(one, "") == "rolled back"
        assert (one.page(), one.lost_to_the_service()) == ("here I am", [])
        record_fault("Ctrl-C while the moved service is watched", "rolled back", files_lost=0)


@pytest.mark.parametrize("made", ["compose", "volume", "container"])
def test_the_source_goes_when_its_time_is_over_and_a_person_said_so(
    classic: Daemon, tmp_path: Path, made: Made, record_fault: Record
) -> None:
    with library(classic, tmp_path, made=made) as one:
        assert _migrate(one)["outcome"] == "verified"
        day = 86_400.0
        early, late = _in_the_future(6 * day), _in_the_future(8 * day)
        set_forward = _in_the_future(8 * day, boot_seconds=60)
        assert remove_due(one.settings, early) == []
        assert remove_due(one.settings, set_forward) == [], "a clock that was set forward makes nothing old"
        (removal,) = remove_due(one.settings, late)
        assert "--delete-source" in removal.left, "nobody said so"
        assert "it is kept until" in approve_deletion(one.settings, "local", one.subject, accept_changes=False).left
        one.inside("echo changed > /data/index.html")
        (removal,) = remove_due(one.settings, late)
        assert "index.html" in removal.left, "what differs is not deleted"
        assert one.lost() == []
        approve_deletion(one.settings, "local", one.subject, accept_changes=True)
        damaged = one.final / "album 1" / "4.mp3"
        content = damaged.read_bytes()
        damaged.write_bytes(b"\0" + content[1:])
        (removal,) = remove_due(one.settings, late)
        assert "4.mp3" in removal.left and "index.html" not in removal.left, "nobody accepted that"
        damaged.write_bytes(content)
        (removal,) = remove_due(one.settings, late)
        assert removal.left == ""
        (record,) = records(one.settings.paths.actions)
        assert record.removed is not None
        assert not record.migration.source.exists()
        assert list(tmp_path.glob("music*")) == []
        assert [name for name in (each["Name"] for each in one.containers()) if ".imgopt-" in name] == []
        assert one.lost_to_the_service() == [b"index.html"]
        with pytest.raises(Refused, match="not kept any more"):
            _roll_back(one)
        record_fault(f"retention of a moved {made}, the clock set forward", "deleted after 7 true days", files_lost=0)


def _page(one: Library) -> str:
    """What it answers, once it does."""
    deadline = time.monotonic() + 5
    while not (answer := one.page()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def _in_the_future(wall_seconds: float, boot_seconds: float | None = None) -> Clock:
    def clock() -> Moment:
        moment = now()
        later = wall_seconds if boot_seconds is None else boot_seconds
        return Moment(moment.wall_seconds + wall_seconds, moment.boot_id, moment.boot_seconds + later)

    return clock
