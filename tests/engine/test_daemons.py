"""The private daemons themselves: the right store, a working build, and nothing left behind."""

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from .conftest import ROOT
from .daemons import PREFIX, Daemon, Kind, busybox_tar, mounts_below, private_daemon, processes_below

DOCKERFILE = """
FROM busybox:test
RUN echo built > /made
COPY note /deep/note
"""


@pytest.fixture(params=["classic", "containerd"])
def daemon(request: pytest.FixtureRequest) -> Daemon:
    """Each of the two daemons in turn."""
    found: Daemon = request.getfixturevalue(request.param)
    return found


def test_classic_store_is_overlay2(classic: Daemon) -> None:
    assert classic.docker("info", "--format", "{{.Driver}}") == "overlay2"


def test_containerd_store_is_a_snapshotter(containerd: Daemon) -> None:
    told = containerd.docker("info", "--format", "{{.Driver}} {{.DriverStatus}}")
    assert told == "overlayfs [[driver-type io.containerd.snapshotter.v1]]"


def test_builds_and_runs_an_image(daemon: Daemon) -> None:
    base = daemon.import_busybox("busybox:test")
    built = daemon.build(DOCKERFILE, {"note": b"from the context\n"}, "built:test")
    assert built.startswith("sha256:") and built != base
    said = daemon.docker("run", "--rm", "--network=none", "built:test", "cat", "/made", "/deep/note")
    assert said == "built\nfrom the context"


def test_busybox_layer_is_the_same_each_time() -> None:
    assert busybox_tar() == busybox_tar()


def test_is_private(daemon: Daemon) -> None:
    assert daemon.socket.parent.parent == ROOT
    assert daemon.docker("info", "--format", "{{.DockerRootDir}}") == str(daemon.data_root)


@pytest.mark.parametrize("kind", ["classic", "containerd"])
def test_leaves_nothing_behind_when_interrupted(kind: Kind) -> None:
    before = _own_socket()
    with pytest.raises(KeyboardInterrupt), private_daemon(kind, ROOT) as daemon:
        daemon.import_busybox("busybox:test")
        daemon.docker("run", "--detach", "--network=none", "busybox:test", "sleep", "600")
        assert processes_below(daemon.home) and mounts_below(daemon.home)
        raise KeyboardInterrupt
    _assert_gone(daemon.home)
    assert _own_socket() == before


def test_killed_test_run_takes_its_daemon_along() -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    run = spawn.Process(target=_hold_a_daemon, args=(theirs,))
    run.start()
    home = Path(ours.recv())
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    deadline = time.monotonic() + 20
    while processes_below(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not processes_below(home)
    with private_daemon("classic", ROOT):
        _assert_gone(home)


def _hold_a_daemon(told: Connection) -> None:
    with private_daemon("classic", ROOT) as daemon:
        told.send(str(daemon.home))
        signal.pause()


def _assert_gone(home: Path) -> None:
    assert home.name.startswith(PREFIX)
    assert not home.exists()
    assert not processes_below(home)
    assert not mounts_below(home)


def _own_socket() -> os.stat_result | None:
    """The machine's own engine's socket, which no private daemon may touch."""
    try:
        return Path("/var/run/docker.sock").stat()
    except FileNotFoundError:
        return None
