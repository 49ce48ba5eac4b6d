"""The gate lets through what does as the old one did, and only that: busybox services that fail in each way.

Each service is a single container of its own name, watched from what was seen of a good one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from imgopt_pipeline.errors import HostUnreachable
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.services.finding import unit_of
from imgopt_pipeline.services.models import GateCheck, Unit, UnitName
from imgopt_pipeline.services.watching.baseline import Baseline, observe
from imgopt_pipeline.services.watching.gap import GapMeter
from imgopt_pipeline.services.watching.gate import Expected, GateResult, pass_gate
from imgopt_pipeline.services.watching.shadow import shadow_checks
from imgopt_pipeline.settings import BuildSettings, DeploymentSettings, ProbeSettings, Settings, TargetSettings

from .daemons import Daemon, private_daemon
from .deployed import free_port

IMAGE = "gate-base:1"
WEB = "mkdir -p /www; echo hello > /www/index.html; httpd -p 8080 -h /www; sleep 600"
QUICK = DeploymentSettings(soak_seconds=0.6, deadline_seconds=6, probe_times=2)
NO_TARGET = TargetSettings()


@pytest.fixture(scope="module")
def host(classic: Daemon) -> Iterator[EngineHost]:
    classic.import_busybox(IMAGE)
    with closing(EngineHost("local", [EngineAddress(classic.url, "test")])) as opened:
        yield opened


class Service:
    """A container that is made anew under one name. `more` goes before the image."""

    def __init__(self, daemon: Daemon, host: EngineHost, name: str) -> None:
        self.daemon, self.host, self.name = daemon, host, name

    def run(self, script: str, *more: str) -> None:
        self.remove()
        options = ["--name", self.name, "--init", "--stop-timeout", "1", "--expose", "8080", *more]
        self.daemon.docker("run", "-d", *options, IMAGE, "sh", "-c", script)

    def remove(self) -> None:
        subprocess.run(
            ["docker", "rm", "-f", "-v", self.name], check=False, capture_output=True, env=self.daemon.environment
        )

    def wait_for_restarts(self, number: int) -> None:
        """Wait until it has just been started again for the nth time, and has ended again."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.host.client.inspect_container(self.name)
            if found["RestartCount"] >= number and found["State"]["Restarting"]:
                return
            time.sleep(0.05)
        raise AssertionError(f"it was not started again {number} times")

    def find(self) -> Unit:
        return unit_of(self.host, UnitName(self.name))

    def observed(self, target: TargetSettings = NO_TARGET) -> Baseline:
        """What is seen of it once it is up, as a journal keeps it."""
        time.sleep(0.3)
        return Baseline.from_json(observe(self.host, self.find(), target, QUICK).to_json())

    def passed(
        self,
        before: Baseline,
        *,
        target: TargetSettings = NO_TARGET,
        settings: DeploymentSettings = QUICK,
        containers: int = 1,
        dependants: tuple[str, ...] = (),
    ) -> GateResult:
        expected = Expected(self.daemon.image_id(IMAGE), containers, True, dependants)
        return pass_gate(self.host, self.find, expected, before, target, settings)


@pytest.fixture
def service(classic: Daemon, host: EngineHost, request: pytest.FixtureRequest) -> Iterator[Service]:
    name = "gate-" + "".join(letter for letter in request.node.name.lower() if letter.isalnum())[-40:]
    made = Service(classic, host, name)
    yield made
    made.remove()


@pytest.fixture
def network(classic: Daemon, service: Service) -> Iterator[str]:
    """A network for the service; the daemon has no bridge of its own."""
    name = f"{service.name}-net"
    classic.docker("network", "create", name)
    yield name
    service.remove()
    classic.docker("network", "rm", name)


@pytest.fixture(scope="module")
def good(classic: Daemon, host: EngineHost) -> Iterator[Baseline]:
    """What is seen of a service that is well."""
    made = Service(classic, host, "gate-good")
    made.run(WEB)
    yield made.observed()
    made.remove()


def by_name(result: GateResult) -> dict[str, GateCheck]:
    found = {check.check: check for check in result.checks}
    assert len(found) == len(result.checks)
    return found


def outcomes(result: GateResult) -> dict[str, str]:
    return {check.check: check.outcome for check in result.checks}


def test_one_that_does_the_same_passes(service: Service, good: Baseline) -> None:
    assert (good.health, good.running, good.restarting) == ("none", 1, False)
    assert [told.words for told in good.answers] == ["port 8080 / answers 200 text/html"]
    service.run(WEB)
    time.sleep(0.2)  # httpd needs a moment to open its port; only the gate's own time is measured

    result = service.passed(good)

    assert result.passed, result
    assert set(outcomes(result).values()) == {"passed"}, result
    assert {"containers", "running", "restarts", "probes", "log", "memory"} == {*outcomes(result)}
    assert result.seconds < QUICK.soak_seconds + 2


@pytest.mark.parametrize(
    ("script", "options", "failed", "words", "fast"),
    [
        (
            "echo no such library >&2; exit 3",
            ("--tty",),
            "running",
            "exited with code 3.",
            True,
        ),
        ("exit 1", ("--restart", "always"), "restarts", "was restarted", True),
        (WEB.replace("sleep 600", "sleep 1.5; exit 5"), (), "running", "exited with code 5", True),
        (WEB.replace("8080", "8081"), (), "probes", "port 8080 / takes no connection", False),
        (
            f"i=0; while [ $i -lt 40 ]; do echo ERROR: cannot password=hunter2 $i >&2; i=$((i+1)); done; {WEB}",
            (),
            "log",
            "40 errors",
            False,
        ),
        (
            f"(sleep 1; x=$(head -c 60000000 /dev/zero | tr '\\0' x)) & {WEB}",
            ("--memory", "32m", "--memory-swap", "32m"),
            "memory",
            "for want of memory",
            False,
        ),
    ],
    ids=["exits", "flaps", "exits later", "other port", "errors", "leaks"],
)
def test_one_that_does_not_fails(
    service: Service, good: Baseline, script: str, options: tuple[str, ...], failed: str, words: str, fast: bool
) -> None:
    service.run(script, *options)
    soak_seconds = 0.6 if failed in ("log", "probes") else 2.5
    settings = QUICK.model_copy(update={"soak_seconds": soak_seconds, "deadline_seconds": 60 if fast else 1.5})

    result = service.passed(good, settings=settings)

    check = by_name(result)[failed]
    assert not result.passed
    assert (check.outcome, words in check.detail) == ("failed", True), result
    assert "hunter2" not in str(result)
    if fast:
        assert result.seconds < 5


def test_another_answer_fails(service: Service, good: Baseline) -> None:
    answer = "HTTP/1.1 500 Broken\\r\\nContent-Type: text/html\\r\\nContent-Length: 2\\r\\n\\r\\nno"
    service.run(f"while :; do printf '{answer}' | nc -l -p 8080 >/dev/null; done")

    check = by_name(service.passed(good, settings=QUICK.model_copy(update={"deadline_seconds": 1})))["probes"]

    assert (check.outcome, check.old) == ("failed", "port 8080 / answers 200 text/html")
    assert "answers 500" in check.detail, check


def test_one_that_answers_now_and_then_fails_while_it_is_left_alone(service: Service, good: Baseline) -> None:
    turns = "while :; do sleep 2; mv /www/index.html /www/off; sleep 3; mv /www/off /www/index.html; done"
    service.run(f"({turns}) & {WEB}")
    settings = QUICK.model_copy(update={"soak_seconds": 6.5})  # by the end it answers again

    result = service.passed(good, settings=settings)

    check = by_name(result)["probes"]
    assert (result.passed, check.outcome) == (False, "failed"), result
    assert "while it was left alone, 2 of" in check.detail and "answers 404" in check.detail, check
    assert result.seconds < 5


def test_health_counts_from_the_beginning_to_the_end(service: Service) -> None:
    health = ("--health-cmd", "test -e /ok", "--health-interval", "300ms", "--health-retries", "1")
    service.run(f"touch /ok; {WEB}", *health)
    time.sleep(0.6)
    before = service.observed()
    assert before.health == "healthy"

    service.run(f"(sleep 0.8; touch /ok) & sleep 0.5; {WEB}", *health)
    result = service.passed(before)
    assert (result.passed, by_name(result)["health"].new) == (True, "healthy"), result
    assert result.seconds > 0.6 + QUICK.soak_seconds

    service.run(f"touch /ok; (sleep 1.2; rm /ok) & {WEB}", *health)
    result = service.passed(before, settings=QUICK.model_copy(update={"soak_seconds": 20}))
    assert by_name(result)["health"].detail == "Its HEALTHCHECK says unhealthy; the old one was healthy."
    assert (result.passed, result.seconds < 6) == (False, True), result

    service.run(WEB, *health[:2], "--health-interval", "60s")
    result = service.passed(before, settings=QUICK.model_copy(update={"deadline_seconds": 1}))
    assert (result.passed, by_name(result)["health"].new) == (False, "starting"), result


def test_one_that_was_not_well_is_held_to_no_more(service: Service) -> None:
    health = ("--health-cmd", "false", "--health-interval", "200ms", "--health-retries", "1")
    service.run("exec sleep 600", *health)
    time.sleep(0.6)
    before = service.observed()
    assert (before.health, before.answers) == ("unhealthy", ())
    result = service.passed(before)
    assert (result.passed, outcomes(result)["health"], outcomes(result)["probes"]) == (True, "unverified", "unverified")

    service.run("exit 1", "--restart", "always")
    service.wait_for_restarts(6)  # from then on the engine waits for seconds before the next
    before = service.observed()
    assert before.restarting
    result = service.passed(before)
    assert (result.passed, outcomes(result)["running"]) == (True, "unverified"), result
    service.run(WEB)
    assert service.passed(before).passed


def test_fewer_containers_another_image_and_a_dependant_that_fell(service: Service, good: Baseline) -> None:
    service.run(WEB)
    assert "There should be 2 containers." in by_name(service.passed(good, containers=2))["containers"].detail

    other = Expected("sha256:" + "0" * 64, 1, True)
    result = pass_gate(service.host, service.find, other, good, NO_TARGET, QUICK)
    assert by_name(result)["containers"].detail == "It should run image 000000000000."

    result = service.passed(good, dependants=("gate-good", "gate-never-was"))
    assert by_name(result)["dependants"].detail == "gate-never-was is gone."


def test_probes_of_the_settings_and_their_commands(service: Service) -> None:
    asked = (
        ProbeSettings(path="/index.html?key=hunter2", body="hello"),
        ProbeSettings(command="test -e /www"),
        ProbeSettings(port=8080),
    )
    target = TargetSettings(probes=asked)
    service.run(WEB)
    before = service.observed(target)
    assert "hunter2" not in str(before.to_json())
    assert [told.words for told in before.answers] == [
        "port 8080 /index.html answers 200 text/html",
        "command 2 exits with code 0",
        "port 8080 is open",
    ]
    assert service.passed(before, target=target).passed

    service.run(WEB.replace("hello", "bye").replace("/www", "/web"))
    check = by_name(service.passed(before, target=target, settings=QUICK.model_copy(update={"deadline_seconds": 1})))
    assert "another body" in check["probes"].detail and "command 2 exits with code 1" in check["probes"].detail, check


def test_services_on_the_host_network_and_on_one_address(service: Service, network: str) -> None:
    port = 20_000 + os.getpid() % 10_000  # below those that the system gives away
    service.run(WEB.replace("8080", f"127.0.0.1:{port}"), "--network", "host")
    before = service.observed()
    assert [told.name for told in before.answers] == [f"port {port} /"]
    assert outcomes(service.passed(before))["probes"] == "passed"

    service.run(WEB.replace("-p 8080", "-p $(hostname -i):8080"), "--network", network)
    before = service.observed()
    assert [told.words for told in before.answers] == ["port 8080 / answers 200 text/html"]
    with as_if_not_root():
        assert observe(service.host, service.find(), NO_TARGET, QUICK).answers == before.answers


@contextmanager
def as_if_not_root() -> Iterator[None]:
    """Let the package believe that it may not enter the networks of containers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 1000)
        yield


def test_the_gap_is_what_clients_see(host: EngineHost, service: Service, network: str) -> None:
    publish = ("--network", network, "-p", f"127.0.0.1:{free_port()}:8080")
    service.run(WEB, *publish)
    before = service.observed()
    for ways, words in ((publish, "by the port that it publishes"), ((), "from its own network")):
        service.run(WEB, *ways)
        time.sleep(0.3)
        with GapMeter(host, [UnitName(service.name)], {service.name: before}) as gap:
            time.sleep(0.3)
            assert gap.seconds == 0
            service.remove()
            time.sleep(0.5)
            service.run(WEB, *ways)
            time.sleep(0.5)
        assert gap.seconds is not None and 0.5 < gap.seconds < 4, gap.detail
        assert words in gap.detail

    service.run("exec sleep 600")
    idle = service.observed()
    with GapMeter(host, [UnitName(service.name)], {service.name: idle}) as gap:
        service.remove()
        time.sleep(0.5)
    assert gap.seconds is not None and 0.3 < gap.seconds < 3
    assert gap.detail.startswith("whether a container of it runs")
    with GapMeter(host, [UnitName(service.name)], {service.name: before}) as gap:
        pass
    assert (gap.seconds, gap.detail) == (None, "It did not answer before it was switched.")
    assert not [thread for thread in threading.enumerate() if thread.name == "gap"]


def test_the_shadow_check_asks_both_the_same(
    classic: Daemon, host: EngineHost, service: Service, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, builds=BuildSettings(start_seconds=5, check_memory_bytes=200_000_000))
    target = TargetSettings(shadow=("/index.html", "/missing"))
    text = f'FROM {IMAGE}\nEXPOSE 8080\nCOPY page /www/index.html\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n'
    old = classic.build(text, {"page": b"hello"}, f"{service.name}:old")
    new = classic.build(f"{text}LABEL new=1\n", {"page": b"hello"}, f"{service.name}:new")
    broken = classic.build(text.replace("index.html", "other.html"), {"page": b"hello"}, f"{service.name}:broken")
    classic.docker("run", "-d", "--init", "--name", service.name, old)
    time.sleep(0.3)

    (same,) = shadow_checks(host, service.find(), new, target, settings)
    assert (same.outcome, same.old) == ("passed", same.new), same
    (other,) = shadow_checks(host, service.find(), broken, target, settings)
    assert (other.outcome, "/index.html answers 404" in other.detail) == ("failed", True), other
    service.remove()
    classic.docker("rmi", *(f"{service.name}:{tag}" for tag in ("old", "new", "broken")))


def test_an_engine_that_is_killed_is_waited_for(tmp_path: Path) -> None:
    with private_daemon("classic", Path("/var/tmp")) as daemon:
        daemon.import_busybox(IMAGE)
        with closing(EngineHost("local", [EngineAddress(daemon.url, "test")])) as host:
            service = Service(daemon, host, "gate-killed")
            service.run(WEB, "--restart", "always")
            before = service.observed()
            soak = QUICK.model_copy(update={"soak_seconds": 2, "deadline_seconds": 20})

            def kill_and_restart() -> None:
                time.sleep(1)
                command = Path(f"/proc/{daemon.pid}/cmdline").read_text().split("\0")[:-1]
                os.kill(daemon.pid, signal.SIGKILL)
                time.sleep(1)
                (daemon.home / "pid").unlink()
                # Its containerd went with it; where nobody has noted its end yet, the next would wait ten seconds.
                (daemon.exec_root / "containerd" / "containerd.pid").unlink(missing_ok=True)
                started.append(
                    subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)
                )

            started: list[subprocess.Popen[bytes]] = []
            killer = threading.Thread(target=kill_and_restart)
            killer.start()
            try:
                expected = Expected(daemon.image_id(IMAGE), 1, True)
                result = pass_gate(host, service.find, expected, before, NO_TARGET, soak)
                killer.join()
                assert result.passed, result
                assert "The engine was away for" in by_name(result)["running"].detail
                assert 3 < result.seconds < 15, result.seconds

                started[0].kill()
                started[0].wait()
                began = time.monotonic()
                with pytest.raises(HostUnreachable):
                    short = QUICK.model_copy(update={"deadline_seconds": 1})
                    pass_gate(host, service.find, expected, before, NO_TARGET, short)
                assert time.monotonic() - began < 4
            finally:
                killer.join()
                for process in started:
                    process.kill()
                    process.wait()
