"""What may be under way when a migration is cut off, and what a service may have done: the way back from there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.journal.journal import Entry
from imgopt_pipeline.journal.outcomes import RollbackFailed
from imgopt_pipeline.migrations import content
from imgopt_pipeline.migrations.migration import Options
from imgopt_pipeline.migrations.models import MountGone
from imgopt_pipeline.migrations.targets import migrate_target, resume_migrations, roll_back_target
from tests.fault_table import Record

from ..migrations.grounds import contents, ext4
from .cutting import FORK, KILLED, on_append
from .daemons import Daemon
from .moved import Library, Made, library

_STOP_SECONDS = 3


@pytest.mark.parametrize("made", ["compose", "container"])
def test_killed_while_the_engine_stops_it(classic: Daemon, tmp_path: Path, made: Made, record_fault: Record) -> None:
    """The engine goes on with a stop whose client is gone: what is put back must run after that, too."""
    watching = {"soak_seconds": 0.3, "deadline_seconds": 10, "probe_times": 1, "stop_seconds": _STOP_SECONDS}
    with library(classic, tmp_path, made=made, stop_signal="TERM", deployments=watching) as one:  # ignored as PID 1
        process = FORK.Process(target=_killed_in_a_second, args=(one,))
        process.start()
        process.join(60)
        asked = time.monotonic()
        assert process.exitcode == KILLED
        resumed = resume_migrations(one.settings, "local")
        assert resumed[-1]["migrations"][0]["outcome"] == "rolled back"
        time.sleep(max(0.0, asked + _STOP_SECONDS + 1 - time.monotonic()))
        assert (one.page(), one.running_from()) == ("here I am", [str(one.source)])
        assert {each["HostConfig"]["RestartPolicy"]["Name"] for each in one.containers()} == {"always"}
        assert one.lost_to_the_service() == []
        record_fault(f"kill -9 while the engine stops a {made} that ignores it", "rolled back", files_lost=0)


def test_killed_inside_a_file_and_the_mount_is_away(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    """Nothing runs on a mixture of old and new, and no file is half, until the mount is there again."""
    with ext4(tmp_path / "disk") as remote, library(classic, tmp_path, remote=remote) as one:
        big = one.source / "big.db"
        big.write_bytes(os.urandom(5_000_000))
        one.before = contents(one.source)
        assert _migrate(one)["outcome"] == "verified"
        one.inside("printf CHANGED | dd of=/data/big.db conv=notrunc bs=1 2>/dev/null; echo changed > /data/index.html")
        final = contents(one.final)
        process = FORK.Process(target=_killed_in_a_file, args=(one,))
        process.start()
        process.join(60)
        assert process.exitcode == KILLED
        subprocess.run(["umount", "-l", remote], check=True)
        with pytest.raises(RollbackFailed, match="the rest is needed too") as failed:
            resume_migrations(one.settings, "local")
        assert "Or go on without" not in str(failed.value)
        with pytest.raises(MountGone):
            roll_back_target(one.settings, "local", one.subject)
        assert one.running_from() == []
        (aside,) = tmp_path.glob("music.migrated-*")
        now = contents(aside)
        assert [path for path, what in one.before.items() if now[path] not in (what, final[path])] == []
        subprocess.run(["mount", "-o", "loop", tmp_path / "disk" / "disk", remote], check=True)
        assert roll_back_target(one.settings, "local", one.subject)["migrations"][0]["outcome"] == "rolled back"
        assert (one.page(), one.running_from()) == ("changed\n", [str(one.source)])
        assert contents(one.source) == final
        record_fault(
            "kill -9 inside a file that is brought back, then unmounted", "refused, then rolled back", files_lost=0
        )


def test_a_link_in_place_of_a_folder(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with library(classic, tmp_path) as one:
        assert _migrate(one)["outcome"] == "verified"
        one.inside("cd /data; rm -r 'album 1'; ln -s /tmp 'album 1'; rm link; mkdir link; rm -r 'album 2'")
        back = roll_back_target(one.settings, "local", one.subject)
        assert back["migrations"][0]["outcome"] == "rolled back"
        now, kept = contents(one.source), f".original-{back['migrations'][0]['migration_id']}".encode()
        assert now[b"album 1"] == ("link", b"/tmp") and now[b"link"][0] == "folder"
        moved = {b"album 1": b"album 1" + kept, b"link": b"link" + kept}
        for path, what in one.before.items():
            top, *rest = path.split(b"/")
            assert now[b"/".join([moved.get(top, top), *rest])] == what, path
        said = [row["detail"] for row in back["migration_steps"] if row["step"] == "back: files" and row["detail"]]
        assert f"album 1{kept.decode()}, link{kept.decode()}" in said[-1]
        record_fault("the service put a link in a folder's place", "rolled back, the folder kept", files_lost=0)


def _migrate(one: Library) -> dict[str, Any]:
    one.approve()
    return migrate_target(one.settings, "local", one.subject, Options(destination=one.remote), "migration-1")[
        "migrations"
    ][0]


def _killed_in_a_second(one: Library) -> None:
    """It kills itself a second after it began to stop the service."""

    def react(entry: Entry) -> None:
        if (entry.step, entry.event) == ("quiesce", "begun"):
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, 1)

    with on_append(react):
        _migrate(one)


def _killed_in_a_file(one: Library) -> None:
    """It kills itself after the second megabyte of the one large file."""
    write_all = content._write_all

    def killing(descriptor: int, chunk: memoryview, offset: int) -> None:
        write_all(descriptor, chunk, offset)
        if offset:
            os.kill(os.getpid(), signal.SIGKILL)

    content._write_all = killing
    roll_back_target(one.settings, "local", one.subject)
