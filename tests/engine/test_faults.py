"""What goes wrong on a host while it is read is told, and the rest of the audit goes on.

A proxy before the engine's socket acts at a chosen request: an image is deleted, the engine killed, a request
refused. Asserted each time: the exit code, the problem that is stored and shown, no traceback, and nothing
half written or left behind.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import ROOT
from .daemons import Daemon, private_daemon
from .program import environment, imgopt, leftovers, rows
from .proxy import read_only, tcp_proxy, unix_proxy
from .specimens import archive_of, layer_of

KEPT, DOOMED = "kept:1", "doomed:1"


@pytest.fixture(params=["classic", "containerd"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """Each daemon with two images; a smaller third one serves helper containers."""
    found: Daemon = request.getfixturevalue(request.param)
    load_images(found)
    yield found
    found.docker("rmi", "--force", "tiny:1", KEPT, DOOMED)


class Once:
    """A gate that acts at the first request whose method and path hold all of `words`."""

    def __init__(self, *words: str, act: Callable[[], object]) -> None:
        self._words, self._act, self._lock = words, act, threading.Lock()
        self.done = False

    def __call__(self, method: str, path: str) -> int | None:
        with self._lock:
            if not self.done and all(word in f"{method} {path}" for word in self._words):
                self.done = True
                self._act()
        return None


@pytest.mark.parametrize("daemon", ["classic"], indirect=True)
def test_image_deleted_before_it_is_inspected(daemon: Daemon, tmp_path: Path) -> None:
    doomed = daemon.image_id(DOOMED)
    gate = Once("GET", f"/images/{doomed}/json", act=lambda: delete(daemon, DOOMED))
    with unix_proxy(daemon.socket, tmp_path / "proxy.sock", gate) as url:
        run = imgopt(["audit"], environment(tmp_path / "home", url))
    assert gate.done
    assert_partial(run, tmp_path / "home", "removed while it was being read")
    assert names_of(tmp_path / "home") == {KEPT, "tiny:1"}


def test_image_deleted_before_its_layers_are_read(daemon: Daemon, tmp_path: Path) -> None:
    gate = Once("GET", "/archive", act=lambda: delete(daemon, DOOMED))
    # Over TCP, where the files themselves are out of reach.
    with tcp_proxy(daemon.socket, gate) as url:
        run = imgopt(["audit"], environment(tmp_path / "home", url))
    assert gate.done
    assert_partial(run, tmp_path / "home", DOOMED)
    found = {row["name"]: row["live_bytes"] for row in rows(tmp_path / "home", "FROM latest_images")}
    assert found[DOOMED] is None and found[KEPT] is not None and found["tiny:1"] is not None


@pytest.mark.parametrize("daemon", ["classic"], indirect=True)
def test_image_deleted_before_it_is_inspected_by_name(daemon: Daemon, tmp_path: Path) -> None:
    gate = Once("GET", "/history", act=lambda: delete(daemon, DOOMED))
    with unix_proxy(daemon.socket, tmp_path / "proxy.sock", gate) as url:
        run = imgopt(["inspect", DOOMED], environment(tmp_path / "home", url))
    assert gate.done
    assert run.returncode == 3
    assert "removed while it was being read" in run.stderr and "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("GET", "/info"), "unreachable"),
        (("POST", "/containers/create"), "partial"),
        (("GET", "/archive"), "partial"),
        (("DELETE", "/containers/"), "partial"),
    ],
)
def test_engine_killed_in_the_middle_of_an_audit(tmp_path: Path, words: tuple[str, ...], status: str) -> None:
    with private_daemon("classic", ROOT) as daemon:
        load_images(daemon)
        gate = Once(*words, act=lambda: os.kill(daemon.pid, signal.SIGKILL))
        with unix_proxy(daemon.socket, tmp_path / "proxy.sock", gate) as url:
            run = imgopt(["audit"], environment(tmp_path / "home", url))
    assert gate.done
    assert "Traceback" not in run.stderr + run.stdout
    assert leftovers(tmp_path / "home") == []
    (audit,) = rows(tmp_path / "home", "FROM audits")
    assert audit["status"] == status
    assert run.returncode == (3 if status == "unreachable" else 0)
    if status != "complete":
        problems = rows(tmp_path / "home", "FROM latest_problems")
        assert {problem["kind"] for problem in problems} == {"host unreachable"}
        # A step that is under way loses the engine, the next ones find none.
        assert "the engine went away" in run.stdout or "no engine answers" in run.stdout


def test_engine_killed_under_inspect(tmp_path: Path) -> None:
    with private_daemon("classic", ROOT) as daemon:
        load_images(daemon)
        gate = Once("GET", "/archive", act=lambda: os.kill(daemon.pid, signal.SIGKILL))
        with unix_proxy(daemon.socket, tmp_path / "proxy.sock", gate) as url:
            run = imgopt(["inspect", KEPT], environment(tmp_path / "home", url))
    assert run.returncode == 3
    assert run.stderr.startswith("imgopt: ") and "the engine went away" in run.stderr
    assert "Traceback" not in run.stderr
    assert leftovers(tmp_path / "home") == []


def test_proxy_without_post_leaves_direct_reading_to_root(daemon: Daemon, tmp_path: Path) -> None:
    with unix_proxy(daemon.socket, tmp_path / "proxy.sock", read_only) as url:
        run = imgopt(["inspect", KEPT, "--json"], environment(tmp_path / "home", url))
    assert (run.returncode, run.stderr) == (0, "")
    document = json.loads(run.stdout)
    way = {"classic": "direct: tar-split", "containerd": "direct: snapshot walk"}[daemon.kind]
    assert {layer["reader"] for layer in document["layers"]} == {way}
    assert document["warnings"] == []


def test_proxy_without_post_leaves_save_to_remote_hosts(daemon: Daemon, tmp_path: Path) -> None:
    with tcp_proxy(daemon.socket, read_only) as url:
        env = environment(tmp_path / "home", url)
        run, shown = imgopt(["inspect", KEPT, "--json"], env), imgopt(["inspect", KEPT, "--no-cache"], env)
    assert (run.returncode, run.stderr) == (0, "")
    document = json.loads(run.stdout)
    assert {layer["reader"] for layer in document["layers"]} == {"docker save"}
    assert any("docker save" in warning and "temporary disk space" in warning for warning in document["warnings"])
    assert "temporary disk space" in " ".join(shown.stdout.split())


@pytest.mark.parametrize("daemon", ["containerd"], indirect=True)
def test_proxy_that_refuses_save_as_well_is_a_problem_per_layer(daemon: Daemon, tmp_path: Path) -> None:
    def gate(method: str, path: str) -> int | None:
        return 403 if method == "POST" or path.endswith("/get") else None

    with tcp_proxy(daemon.socket, gate) as url:
        run = imgopt(["audit"], environment(tmp_path / "home", url))
    assert_partial(run, tmp_path / "home", "does not save")
    assert names_of(tmp_path / "home") == {KEPT, DOOMED, "tiny:1"}


@pytest.mark.parametrize("daemon", ["classic"], indirect=True)
def test_proxy_that_hides_disk_usage_costs_only_that(daemon: Daemon, tmp_path: Path) -> None:
    daemon.docker("create", "--name=idle", KEPT, "true")
    try:
        with unix_proxy(
            daemon.socket, tmp_path / "proxy.sock", lambda _, path: 403 if "/system/df" in path else None
        ) as url:
            run = imgopt(["audit"], environment(tmp_path / "home", url))
    finally:
        daemon.docker("rm", "idle")
    assert_partial(run, tmp_path / "home", "what takes its disk")
    (container,) = rows(tmp_path / "home", "FROM latest_containers")
    assert (container["name"], container["writable_bytes"]) == ("idle", None)


@pytest.mark.parametrize("daemon", ["classic"], indirect=True)
def test_proxy_that_lets_nothing_through(daemon: Daemon, tmp_path: Path) -> None:
    with unix_proxy(daemon.socket, tmp_path / "proxy.sock", lambda *_: 403) as url:
        env = environment(tmp_path / "home", url)
        audit, inspect = imgopt(["audit"], env), imgopt(["inspect", KEPT], env)
    for run in (audit, inspect):
        assert run.returncode == 3
        assert "refuse" in run.stderr + run.stdout and "Traceback" not in run.stderr


def load_images(daemon: Daemon) -> None:
    """Three images without a layer in common."""
    daemon.docker("load", stdin=archive_of("tiny:1", [layer_of(("tiny", b""))]))
    for name in (KEPT, DOOMED):
        layers = [layer_of((name, name.encode() * 1000)), layer_of((f"{name}/more", b"more"))]
        daemon.docker("load", stdin=archive_of(name, layers))


def delete(daemon: Daemon, name: str) -> None:
    """Remove an image, whoever uses it."""
    daemon.docker("rmi", "--force", name)


def names_of(home: Path) -> set[str]:
    """The names of all images of the newest audit that these tests made."""
    made = {KEPT, DOOMED, "tiny:1"}
    return {row["name"] for row in rows(home, "FROM latest_images")} & made


def assert_partial(run: "subprocess.CompletedProcess[str]", home: Path, told: str) -> None:
    """An audit that could not read everything, says so, and stored the rest."""
    assert (run.returncode, run.stderr) == (0, "")
    report = " ".join(run.stdout.split())
    assert "incomplete, see below" in report and told in report
    (audit,) = rows(home, "FROM audits")
    problems = rows(home, "FROM latest_problems")
    assert audit["status"] == "partial" and audit["problems"] == len(problems) > 0
    assert any(told in f"{problem['subject']} {problem['message']}" for problem in problems), problems
    assert leftovers(home) == []
