"""Ctrl-C, SIGTERM and even SIGKILL leave nothing behind on the host, or only what the next run removes.

A proxy holds the program at a chosen request while the signal is sent; a few moments are random as well.
Asserted each time: the exit code, no helper container, no temporary file, and a warehouse as it was.
"""

import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import HELPER_LABEL, SWEEP_AGE_SECONDS, sweep_helpers

from .daemons import Daemon
from .program import PROGRAM, environment, imgopt, leftovers, rows
from .proxy import unix_proxy
from .specimens import archive_of, layer_of

IMAGE = "interrupted:1"
#: Requests at which the program is held: the helper is about to be made, is read from, is being removed.
MOMENTS = {"create": "POST /containers/create", "read": "GET /containers/*/archive", "remove": "DELETE /containers/"}
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def engine(classic: Daemon) -> Iterator[Daemon]:
    """A daemon with an image of several layers, and no helper containers before and after."""
    classic.docker("load", stdin=archive_of(IMAGE, [layer_of((f"file{number}", b"content")) for number in range(20)]))
    remove_helpers(classic)
    yield classic
    remove_helpers(classic)
    classic.docker("rmi", IMAGE)


@pytest.mark.parametrize(
    ("command", "moment", "number"),
    [
        *(("inspect", moment, number) for moment in MOMENTS for number in SIGNALS),
        ("audit", "create", signal.SIGINT),
        ("audit", "read", signal.SIGTERM),
        ("audit", "remove", signal.SIGINT),
    ],
)
def test_interrupted_at_a_request(
    engine: Daemon, tmp_path: Path, command: str, moment: str, number: signal.Signals
) -> None:
    arguments = [command, IMAGE] if command == "inspect" else [command]
    with started(engine, tmp_path, arguments, held_at=MOMENTS[moment]) as (process, reached):
        assert reached.wait(60)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "imgopt: interrupted; nothing is left behind.\n"
    assert_clean(engine, tmp_path)


@pytest.mark.parametrize("seed", range(4))
def test_interrupted_at_a_random_moment(engine: Daemon, tmp_path: Path, seed: int) -> None:
    moment = random.Random(seed)
    command = [["inspect", IMAGE, "--no-cache"], ["audit"]][seed % 2]
    with started(engine, tmp_path, command) as (process, _):
        time.sleep(moment.uniform(0.1, 0.6 if command[0] == "inspect" else 3.0))
        process.send_signal(moment.choice(SIGNALS))
        _, said = process.communicate(timeout=60)
    # Before Python has started up, a signal ends it by itself.
    assert process.returncode in (0, 130, -signal.SIGINT, -signal.SIGTERM), said
    assert_clean(engine, tmp_path)


def test_interrupted_twice(engine: Daemon, tmp_path: Path) -> None:
    with started(engine, tmp_path, ["inspect", IMAGE], held_at=MOMENTS["create"]) as (process, reached):
        assert reached.wait(60)
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert_clean(engine, tmp_path)


def test_interrupted_audit_leaves_the_warehouse_as_it_was(engine: Daemon, tmp_path: Path) -> None:
    assert imgopt(["audit"], environment(tmp_path / "home", engine.url)).returncode == 0
    before = rows(tmp_path / "home", "FROM audits"), rows(tmp_path / "home", "FROM latest_images ORDER BY image_id")
    with started(engine, tmp_path, ["audit"], held_at="GET /system/df") as (process, reached):
        assert reached.wait(60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    after = rows(tmp_path / "home", "FROM audits"), rows(tmp_path / "home", "FROM latest_images ORDER BY image_id")
    assert after == before
    assert imgopt(["audit"], environment(tmp_path / "home", engine.url)).returncode == 0
    assert len(rows(tmp_path / "home", "FROM audits")) == 2


def test_helper_of_a_killed_run_is_removed_once_it_is_old(engine: Daemon, tmp_path: Path) -> None:
    with started(engine, tmp_path, ["inspect", IMAGE], held_at=MOMENTS["read"]) as (process, reached):
        assert reached.wait(60)
        process.kill()
        process.wait()
    (helper,) = helpers_of(engine)
    stamp = int(engine.docker("inspect", f'--format={{{{index .Config.Labels "{HELPER_LABEL}"}}}}', helper))
    assert abs(time.time() - stamp) < 60
    host = EngineHost("test", [EngineAddress(engine.url, "test")])
    try:
        assert sweep_helpers(host.client) == 0 and helpers_of(engine) == [helper]
        assert sweep_helpers(host.client, age_seconds=-1) == 1 and helpers_of(engine) == []
    finally:
        host.close()
    # What the killed process had begun is no hindrance.
    assert imgopt(["inspect", IMAGE], environment(tmp_path / "home", engine.url)).returncode == 0


@pytest.mark.parametrize("command", [["inspect", IMAGE], ["audit"]], ids=["inspect", "audit"])
def test_only_helpers_that_are_old_and_never_ran_are_removed(
    engine: Daemon, tmp_path: Path, command: list[str]
) -> None:
    now = int(time.time())
    old, fresh = now - SWEEP_AGE_SECONDS - 5, now - SWEEP_AGE_SECONDS + 300
    create = ["create", "--network=none"]
    engine.import_busybox("busybox:test")
    stale = engine.docker(*create, f"--label={HELPER_LABEL}={old}", IMAGE, "x")
    kept = [
        engine.docker(*create, f"--label={HELPER_LABEL}={fresh}", IMAGE, "x"),
        engine.docker(*create, f"--label={HELPER_LABEL}=no time", IMAGE, "x"),
        engine.docker(*create, f"--label={HELPER_LABEL}=¹²", IMAGE, "x"),
        engine.docker(*create, f"--label={HELPER_LABEL}={'9' * 5000}", IMAGE, "x"),
        engine.docker(
            "run", "--detach", "--network=none", f"--label={HELPER_LABEL}={old}", "busybox:test", "sleep", "60"
        ),
        engine.docker(*create, "--label=another=label", IMAGE, "x"),
    ]
    try:
        assert imgopt(command, environment(tmp_path / "home", engine.url)).returncode == 0
        left = engine.docker("ps", "--all", "--quiet", "--no-trunc").split()
        assert stale not in left and set(kept) <= set(left)
        if command == ["audit"]:
            listed = rows(tmp_path / "home", "SELECT container_id FROM latest_containers")
            assert {row["container_id"] for row in listed} & {stale, *kept} == {kept[-1]}
    finally:
        engine.docker("rm", "--force", *kept)


@contextmanager
def started(
    engine: Daemon, folder: Path, command: list[str], *, held_at: str | None = None
) -> "Iterator[tuple[subprocess.Popen[str], threading.Event]]":
    """The program under way. At its first request of that kind it is held for a moment and the event is set."""
    reached = threading.Event()

    def gate(method: str, path: str) -> None:
        words = (held_at or "nothing").split("*")
        if not reached.is_set() and all(word in f"{method} {unversioned(path)}" for word in words):
            reached.set()
            time.sleep(0.3)

    temporary = folder / "temporary"
    temporary.mkdir()
    with unix_proxy(engine.socket, folder / "proxy.sock", gate) as url:
        env = environment(folder / "home", url, TMPDIR=str(temporary))
        process = subprocess.Popen(
            [str(PROGRAM), *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            yield process, reached
        finally:
            process.kill()
            process.wait()


def unversioned(path: str) -> str:
    """A path without the version of the API."""
    return "/" + path.split("/", 2)[2] if path.startswith("/v1.") else path


def helpers_of(engine: Daemon) -> list[str]:
    """IDs of helper containers."""
    return engine.docker("ps", "--all", "--quiet", "--no-trunc", f"--filter=label={HELPER_LABEL}").split()


def remove_helpers(engine: Daemon) -> None:
    """Remove all helper containers."""
    if found := helpers_of(engine):
        engine.docker("rm", "--force", *found)


def assert_clean(engine: Daemon, folder: Path) -> None:
    """Nothing is left on the host, in the state folder or in the folder for temporary files."""
    assert helpers_of(engine) == []
    assert leftovers(folder / "home") == []
    assert [path.name for path in (folder / "temporary").iterdir()] == []
