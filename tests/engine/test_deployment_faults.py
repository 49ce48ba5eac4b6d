"""Whatever goes wrong with a deployment: at the end the old or the new state runs and is verified."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.deployments.models import Options
from imgopt_pipeline.deployments.records import records
from imgopt_pipeline.deployments.targets import deploy_target, resume_deployments, roll_back_target
from imgopt_pipeline.errors import HostUnreachable
from imgopt_pipeline.journal.journal import Entry
from imgopt_pipeline.journal.locks import Busy
from imgopt_pipeline.journal.outcomes import RollbackFailed
from tests.fault_table import Record

from .conftest import ROOT
from .cutting import FORK, KILLED, counted, entries_of, killed, kills, on_append
from .daemons import Daemon, private_daemon, restarted_later
from .deployed import Shop, shop

HEALTHCHECK = "HEALTHCHECK --interval=300ms --timeout=1s --retries=1 --start-period=1s CMD"

CANDIDATES = {
    "exits at once": 'CMD ["sh", "-c", "exit 3"]',
    "flaps": 'CMD ["sh", "-c", "sleep 0.3; exit 1"]',
    "unhealthy after a while": f"{HEALTHCHECK} test ! -e /tmp/ill\n"
    'CMD ["sh", "-c", "(sleep 1; touch /tmp/ill) & exec httpd -f -p 8080 -h /www"]',
    "answers 500": r"RUN printf 'HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n' > /answer" + "\n"
    'CMD ["sh", "-c", "while true; do nc -l -p 8080 < /answer; done"]',
    "leaks memory to its limit": 'CMD ["sh", "-c", "httpd -p 8080 -h /www; tail /dev/zero"]',
    "starts only with a volume": 'CMD ["sh", "-c", "cat /data/needed && exec httpd -f -p 8080 -h /www"]',
}
MORE = {"flaps": "    restart: always\n", "leaks memory to its limit": "    mem_limit: 32m\n"}


@pytest.mark.parametrize("fault", CANDIDATES)
def test_a_candidate_that_does_not_do_is_taken_back(
    classic: Daemon, tmp_path: Path, fault: str, record_fault: Record
) -> None:
    with shop(classic, tmp_path, more=MORE.get(fault, ""), deployments=_gate(soak_seconds=3)) as made:
        made.start()
        made.candidate(recipe=CANDIDATES[fault])
        row = _deploy(made)
        assert (row["outcome"], made.page()) == ("rolled back", "old"), row
        assert made.leftovers() == []
        record_fault(f"candidate {fault}", row["outcome"], gap_seconds=row["gap_seconds"])


@pytest.mark.parametrize("lets_go", [True, False], ids=["for a while", "for good"])
def test_a_port_that_was_taken_meanwhile(classic: Daemon, tmp_path: Path, lets_go: bool, record_fault: Record) -> None:
    with shop(classic, tmp_path, compose=False) as made, socket.socket() as thief:
        made.start()
        made.candidate()

        def steal(entry: Entry) -> None:
            if entry.step != f"switch {made.name}":
                return
            if entry.event == "begun":
                threading.Thread(target=_listen_as_soon_as_possible, args=(thief, made.port)).start()
            elif entry.event == "failed" and lets_go:
                thief.close()

        with on_append(steal):
            if lets_go:
                row = _deploy(made)
            else:
                with pytest.raises(RollbackFailed) as failed:
                    _deploy(made)
                said = str(failed.value)
                assert "What stands where" in said and f"docker container start {made.name}" in said
                thief.close()
                for command in said.partition("By hand:")[2].partition("`imgopt")[0].strip().splitlines():
                    subprocess.run(["sh", "-c", command.strip()], env=classic.environment, check=False)
                assert made.page() == "old", "the commands that were printed may be pasted"
                row = _roll_back(made)
        assert (row["outcome"], made.page()) == ("rolled back", "old"), row
        assert made.leftovers() == []
        how = "rolled back" if lets_go else "rollback failed and told; rolled back once it was free"
        fault = f"port taken by another program {'for a while' if lets_go else 'for good'}"
        record_fault(fault, how, gap_seconds=row["gap_seconds"])


def _listen_as_soon_as_possible(thief: socket.socket, port: int) -> None:
    thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    while True:
        with suppress(OSError):
            thief.bind(("127.0.0.1", port))
            thief.listen()
            return


def test_compose_files_edited_after_the_plan(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with shop(classic, tmp_path) as made:
        made.start()
        made.candidate()

        def edit(entry: Entry) -> None:
            if entry.step == "snapshot" and entry.event == "done":
                made.file.write_text(made.file.read_text() + "    environment: {ADDED: later}\n")

        with on_append(edit):
            row = _deploy(made)
        assert (row["outcome"], made.page()) == ("rolled back", "old")
        assert "changed since the deployment was planned" in row["reason"]
        record_fault("compose file edited after the plan", row["outcome"], gap_seconds=row["gap_seconds"])


def test_compose_files_broken_after_the_switch(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with shop(classic, tmp_path) as made:
        made.start()
        made.candidate(recipe='CMD ["sh", "-c", "sleep 2; exit 3"]')

        def damage(entry: Entry) -> None:
            if entry.step == "gate" and entry.event == "begun":
                made.file.write_text("services: [")

        with on_append(damage):
            row = _deploy(made)
        assert (row["outcome"], made.page()) == ("rolled back", "old"), row
        assert made.file.read_text() == "services: [", "a person's file is never overwritten"
        assert made.leftovers() == []
        record_fault("compose file broken after the switch", row["outcome"], gap_seconds=row["gap_seconds"])


def test_the_name_is_moved_by_somebody_else_meanwhile(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with shop(classic, tmp_path) as made:
        made.start()
        old = classic.image_id(made.reference)
        made.candidate(recipe='CMD ["sh", "-c", "sleep 2; exit 3"]')
        theirs = made.image(f"{made.name}:theirs", "theirs, of another length")

        def move(entry: Entry) -> None:
            if entry.step == "gate" and entry.event == "begun":
                classic.docker("tag", theirs, made.reference)

        with on_append(move):
            row = _deploy(made)
        assert (row["outcome"], made.page()) == ("rolled back", "old"), row
        assert classic.image_id(made.reference) == theirs, "what somebody else did is not overwritten"
        assert [one["Image"] for one in made.containers()] == [old]
        record_fault("name moved by somebody else meanwhile", row["outcome"], gap_seconds=row["gap_seconds"])


def test_compose_files_edited_before_a_rollback(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with shop(classic, tmp_path) as made:
        made.start()
        made.candidate()
        assert _deploy(made)["outcome"] == "verified"
        made.file.write_text(made.file.read_text() + "    environment: {ADDED: later}\n")
        rows = roll_back_target(made.settings, "local", made.subject)
        assert rows["deployments"][0]["outcome"] == "rolled back"
        assert made.page() == "old"
        assert any("left as it is" in step["detail"] for step in rows["deployment_steps"])
        assert "ADDED" in made.file.read_text()
        record_fault("compose file edited before the rollback", "rolled back")


def test_the_candidate_is_deleted_before_a_rollback(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with shop(classic, tmp_path) as made:
        made.start()
        new = made.candidate()
        assert _deploy(made)["outcome"] == "verified"
        classic.docker("rm", "-f", made.containers()[0]["Id"])
        classic.docker("rmi", "-f", new)
        row = _roll_back(made)
        assert (row["outcome"], made.page()) == ("rolled back", "old")
        record_fault("candidate deleted before the rollback", row["outcome"])


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("compose", [True, False], ids=["compose", "container"])
def test_killed_at_every_entry_of_a_deployment(
    classic: Daemon, tmp_path: Path, compose: bool, record_fault: Record
) -> None:
    """At the end the old or the new state runs, verified, wherever the process was killed."""
    with shop(classic, tmp_path, compose=compose) as made:
        made.start()
        made.candidate()
        entries = entries_of(lambda: _deploy(made, "measured"))
        _roll_back(made)
        made.approve()
        outcomes: list[str] = []
        for number, moment in kills(entries):
            where = (entries[number - 1].step, entries[number - 1].event, moment)
            if not compose and not where[0].startswith(("make", "switch", "gate", "outcome")):
                continue  # as with a compose service
            _tidy(made)
            action = f"deployment-{moment}-{number}"
            assert killed(number, moment, partial(_deploy, made, action)) == KILLED, where
            outcome = _settled(made, action)
            outcomes.append(outcome)
            assert made.page() == ("newer" if outcome == "verified" else "old"), (where, outcome)
            assert made.leftovers() == [], where
            assert len([one for one in made.containers() if one["State"]["Running"]]) == 1
            if outcome == "verified":
                _roll_back(made)
            made.approve()
        assert {"rolled back", "verified"} <= set(outcomes)
        kind = "compose service" if compose else "single container"
        record_fault(f"kill -9 at {len(outcomes)} points of deploying a {kind}", counted(outcomes))


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("compose", [True, False], ids=["compose", "container"])
def test_killed_at_every_entry_of_a_rollback(
    classic: Daemon, tmp_path: Path, compose: bool, record_fault: Record
) -> None:
    with shop(classic, tmp_path, compose=compose) as made:
        made.start()
        made.candidate()
        assert _deploy(made, "measured")["outcome"] == "verified"
        entries = entries_of(lambda: _roll_back(made))
        outcomes: list[str] = []
        for number, moment in kills(entries):
            where = (entries[number - 1].step, entries[number - 1].event, moment)
            if not compose and where[0] != f"back: {made.name}":
                continue  # as with a compose service
            _tidy(made)
            action = f"deployment-{moment}-{number}"
            assert _deploy(made, action)["outcome"] == "verified"
            assert killed(number, moment, partial(_roll_back, made)) == KILLED, where
            outcome = _settled(made, action)
            outcomes.append(outcome)
            # Killed before anything of it was journaled, nothing of it was done.
            assert outcome == ("verified" if number == 1 and moment == "before" else "rolled back"), where
            assert made.page() == ("newer" if outcome == "verified" else "old"), where
            assert made.leftovers() == [], where
            if outcome == "verified":
                _roll_back(made)
            made.approve()
        kind = "compose service" if compose else "single container"
        record_fault(f"kill -9 at {len(outcomes)} points of rolling a {kind} back", counted(outcomes))


@pytest.mark.parametrize("phase", ["snapshot", "move tag", "switch", "gate"])
def test_the_engine_is_killed(tmp_path: Path, phase: str, record_fault: Record) -> None:
    with (
        private_daemon("classic", ROOT) as daemon,
        ExitStack() as kept,
        _always(daemon, tmp_path) as made,
    ):
        made.start()
        made.candidate()
        back: list[threading.Event] = []

        def cut(entry: Entry) -> None:
            if entry.step.startswith(phase) and entry.event == "begun" and not back:
                os.kill(daemon.pid, signal.SIGKILL)
                back.append(kept.enter_context(restarted_later(daemon)))

        with on_append(cut), suppress(HostUnreachable):
            _deploy(made)
        assert back[0].wait(60)
        outcome = _settled(made, "deployment-1")
        assert outcome in ("verified", "rolled back", "unchanged")
        assert made.page() == ("newer" if outcome == "verified" else "old")
        record_fault(f"engine killed and restarted at: {phase}", outcome)


def test_two_deployments_at_once(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with shop(classic, tmp_path) as made:
        made.start()
        made.candidate()
        said: list[str] = []

        def second(entry: Entry) -> None:
            if entry.step == "gate" and entry.event == "begun":
                with pytest.raises(Busy) as busy:
                    _deploy(made, "deployment-2")
                said.append(str(busy.value))

        with on_append(second):
            row = _deploy(made)
        assert row["outcome"] == "verified"
        assert "is at work on it" in said[0]
        record_fault("two deployments of one service at once", "the second is told to wait")


def test_a_rollback_that_fails_says_what_stands_where(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with shop(classic, tmp_path) as made:
        made.start()
        old = classic.image_id(made.reference)
        made.candidate()
        row = _deploy(made)
        classic.docker("rmi", "-f", old)
        with pytest.raises(RollbackFailed) as failed:
            _roll_back(made)
        said = str(failed.value)
        assert "the old image is not on the host any more" in said
        assert f"{made.reference} is the candidate" in said
        assert f"docker image tag {row['backup_reference']} {made.reference}" in said
        assert made.page() == "newer", "what runs was left alone"
        record_fault("rollback without the old image", "rollback failed, told with the commands that are left")


def test_the_disk_of_the_journal_is_full(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with shop(classic, tmp_path) as made:
        made.start()
        made.candidate()
        disk = made.settings.paths.actions
        disk.mkdir()
        os.system(f"mount -t tmpfs -o size=3m tmpfs {disk}")
        try:

            def fill(entry: Entry) -> None:
                if entry.step == "move tag" and entry.event == "done":
                    descriptor = os.open(disk / "filling", os.O_WRONLY | os.O_CREAT)
                    with pytest.raises(OSError, match="space"):
                        while True:
                            os.write(descriptor, b"\0" * 4096)
                    os.close(descriptor)

            with on_append(fill):
                row = _deploy(made)
            assert (row["outcome"], made.page()) == ("verified", "newer")
            record_fault(
                "disk of the journal full after the tag was moved", row["outcome"], gap_seconds=row["gap_seconds"]
            )
        finally:
            os.system(f"umount {disk}")


def test_interrupted_it_goes_back(classic: Daemon, tmp_path: Path, record_fault: Record) -> None:
    with shop(classic, tmp_path, deployments=_gate(soak_seconds=30)) as made:
        made.start()
        made.candidate()
        child = FORK.Process(target=_interruptible, args=(made,))
        child.start()
        deadline = time.monotonic() + 30
        while made.page() != "newer" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert child.pid is not None
        made.settings_given["deployments"] = _gate()
        os.kill(child.pid, signal.SIGINT)
        child.join(60)
        assert child.exitcode == 130
        assert made.page() == "old"
        assert _settled(made, "deployment-1") == "rolled back"
        record_fault("Ctrl-C in the middle of the soak", "rolled back")


def _always(daemon: Daemon, folder: Path) -> AbstractContextManager[Shop]:
    """A shop whose service starts again with its engine."""
    return shop(daemon, folder, more="    restart: always\n", deployments=_gate(soak_seconds=2, deadline_seconds=40))


def _interruptible(made: Shop) -> None:
    from imgopt_pipeline.errors import Interrupted
    from imgopt_pipeline.interrupts import raise_interrupts

    raise_interrupts()
    try:
        _deploy(made)
    except Interrupted:
        os._exit(130)


def _deploy(made: Shop, deployment_id: str = "deployment-1") -> dict[str, Any]:
    return deploy_target(made.settings, "local", made.subject, Options(), deployment_id)["deployments"][0]


def _roll_back(made: Shop) -> dict[str, Any]:
    return roll_back_target(made.settings, "local", made.subject)["deployments"][0]


def _gate(**given: float) -> dict[str, float]:
    return {"soak_seconds": 0.5, "deadline_seconds": 15, "probe_times": 2, "stop_seconds": 1} | given


def _tidy(made: Shop) -> None:
    """Containers set aside by the deployments before go, as housekeeping would have them."""
    for container in made.containers():
        if ".imgopt-" in container["Name"]:
            made.daemon.docker("rm", "-f", container["Id"])


def _settled(made: Shop, action: str) -> str:
    """What a deployment came to, once what was cut off is settled."""
    resume_deployments(made.settings, "local")
    found = [record for record in records(made.settings.paths.actions) if record.journal.action_id == action]
    return found[0].outcome if found else "nothing begun"
