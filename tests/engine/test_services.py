"""Units are found, refused, read and brought up on a real engine with real compose, and out of what a kill leaves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from imgopt_pipeline.builds.sources.compose_files import ComposeError
from imgopt_pipeline.errors import HostUnreachable
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.services.compose import config_hash_agrees, read_service, up
from imgopt_pipeline.services.dependants import depending, sharing
from imgopt_pipeline.services.finding import find_units, running_of, unit_of
from imgopt_pipeline.services.leftovers import settle_leftovers
from imgopt_pipeline.services.models import Refused, Running, ServiceName, SubjectNotFound, SwitchFailed, Unit
from imgopt_pipeline.services.override import files_in_force, override_path, with_service, without_service
from imgopt_pipeline.services.refusals import check_ours
from imgopt_pipeline.services.volumes import lost_volumes
from imgopt_pipeline.services.writable_layer import changes

from .daemons import Daemon, EngineError
from .proxy import unix_proxy

OLD, NEW = "services-app:1", "services-app:2"
SLEEP = {"image": OLD, "command": ["sleep", "1000"], "init": True}
#: Does not end when it is asked to, so that there is time between one step of compose and the next.
STUBBORN = {"image": OLD, "command": ["sleep", "1000"], "stop_grace_period": "1s"}
SECONDS = 60


class Project:
    """A compose project in a folder of its own, used as a person would."""

    def __init__(
        self, daemon: Daemon, folder: Path, services: Mapping[str, object], file: str = "compose.yaml"
    ) -> None:
        self.daemon, self.folder, self.file = daemon, folder, folder / file
        folder.mkdir(exist_ok=True)
        self.write(services)

    def write(self, services: Mapping[str, object]) -> None:
        self.file.write_text(yaml.safe_dump({"services": services}))

    def command(self, *arguments: str) -> list[str]:
        return ["docker", "compose", f"--project-directory={self.folder}", f"--file={self.file}", *arguments]

    def compose(self, *arguments: str, **variables: str) -> str:
        done = subprocess.run(
            self.command(*arguments),
            env=self.daemon.environment | variables,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise EngineError(done.stderr)
        return done.stdout


Make = Callable[..., Project]


@pytest.fixture(scope="module")
def host(classic: Daemon) -> Iterator[EngineHost]:
    classic.import_busybox(OLD)
    classic.build(f"FROM {OLD}\nLABEL version=2\nVOLUME /data\n", {}, NEW)
    try:
        classic.docker("compose", "version")
    except EngineError:
        pytest.skip("services: docker compose is not installed")
    with closing(EngineHost("local", [EngineAddress(classic.url, "test")])) as opened:
        yield opened
    made = {OLD, NEW, "services-moved:1", "faked:1", "live:1"} & set(tags(classic))
    classic.docker("rmi", "--force", *sorted(made))


@pytest.fixture
def make(classic: Daemon, host: EngineHost, tmp_path: Path) -> Iterator[Make]:
    """Makes projects, and takes everything off the engine at the end."""

    def made(name: str, services: Mapping[str, object], file: str = "compose.yaml") -> Project:
        return Project(classic, tmp_path / name, services, file)

    listings = {"": ["ps", "--all"], "network": ["network", "ls"], "volume": ["volume", "ls"]}
    before = {kind: set(classic.docker(*listing, "--quiet").split()) for kind, listing in listings.items()}
    yield made
    for kind, listing in listings.items():
        if left := set(classic.docker(*listing, "--quiet").split()) - before[kind]:
            classic.docker(*([kind, "rm"] if kind else ["rm", "--force", "--volumes"]), *left)


def tags(daemon: Daemon) -> list[str]:
    return daemon.docker("images", "--format={{.Repository}}:{{.Tag}}").split()


def service(host: EngineHost, name: str) -> tuple[Unit, ServiceName]:
    (unit,) = find_units(host, name).units
    assert unit.name.compose is not None
    return unit, unit.name.compose


def states(host: EngineHost, project: str) -> list[tuple[str, str, str]]:
    """Name, state and image of a project's containers."""
    listed = host.client.containers(all=True, filters={"label": f"com.docker.compose.project={project}"})
    images = {host.image(reference).image_id: reference for reference in (OLD, NEW)}
    return sorted((item["Names"][0][1:], item["State"], images[item["ImageID"]]) for item in listed)


def test_every_name_leads_to_the_whole_unit_and_only_a_clear_one_is_taken(host: EngineHost, make: Make) -> None:
    services = {"web": SLEEP | {"scale": 2}, "job": SLEEP | {"image": NEW}}
    shop = make("shop", services)
    shop.compose("up", "--detach")
    other = make("mall", {"web": SLEEP | {"image": NEW}})
    other.compose("up", "--detach")
    other.compose("run", "--detach", "--name=once", "web", "sleep", "1000")
    daemon = other.daemon
    daemon.docker("run", "--detach", "--name=alone", OLD, "sleep", "1000")
    daemon.docker("run", "--detach", "--name=kept.imgopt-1-old", OLD, "sleep", "1000")

    found = find_units(host, "shop/web")

    (unit,) = found.units
    assert [one.name for one in unit.containers] == ["shop-web-1", "shop-web-2"]
    assert found.image_id == host.image(OLD).image_id
    assert found.others == ("container alone",)
    assert unit.name.compose is not None
    assert (unit.name.compose.project, unit.name.compose.service) == ("shop", "web")
    assert (unit.name.compose.folder, unit.name.compose.files) == (shop.folder, (shop.file,))
    second = unit.containers[1].container_id
    for name in ("shop-web-2", second, second[:8]):
        assert find_units(host, name) == found
    assert find_units(host, "alone").units[0].name.words == "container alone"
    assert [each.name.words for each in find_units(host, OLD).units] == ["container alone", "service shop/web"]
    of_image = find_units(host, host.image(NEW).image_id[7:19])
    assert [each.name.name for each in of_image.units] == ["mall/web", "shop/job"]
    assert of_image.others == ("container once (one-off)",)
    assert unit_of(host, unit.name) == unit

    with pytest.raises(SubjectNotFound, match=r"mall/web \(service\), shop/web \(service\)"):
        find_units(host, "web")
    with pytest.raises(SubjectNotFound, match="docker compose run"):
        find_units(host, "once")
    with pytest.raises(SubjectNotFound, match="Did you mean shop/web"):
        find_units(host, "shop/wbe")
    for name in ("", "../info", "kept.imgopt-1-old", "a b\x1b["):
        with pytest.raises(SubjectNotFound, match="no service, container or image"):
            find_units(host, name)

    # The name of the image moved on; what was made from it is still meant, until something runs the new one.
    daemon.docker("tag", NEW, "services-moved:1")
    daemon.docker("run", "--detach", "--name=moved", "services-moved:1", "sleep", "1000")
    daemon.build(f"FROM {OLD}\nLABEL moved=1\n", {}, "services-moved:1")
    assert [each.name.name for each in find_units(host, "services-moved:1").units] == ["moved"]
    daemon.docker("rm", "--force", "moved")
    with pytest.raises(SubjectNotFound, match="no container runs that image"):
        find_units(host, "services-moved:1")
    assert running_of(host, "moved") is None


def test_what_others_manage_is_refused_with_the_reason(host: EngineHost, classic: Daemon, make: Make) -> None:
    project = make("fine", {"web": SLEEP})
    project.compose("up", "--detach")
    labels = {
        "swarmed": ("--label=com.docker.swarm.service.name=web", "Docker Swarm manages it"),
        "pod": ("--label=io.kubernetes.pod.name=web", "Kubernetes manages it"),
        "passing": ("--rm", "started with --rm"),
    }
    for name, (option, _) in labels.items():
        classic.docker("run", "--detach", f"--name={name}", option, OLD, "sleep", "1000")
    # Labels of compose that came with the image.
    told = host.client.inspect_container("fine-web-1")["Config"]["Labels"]
    classic.build(f"FROM {OLD}\n" + "".join(f'LABEL {key}="{value}"\n' for key, value in told.items()), {}, "faked:1")
    classic.docker("run", "--detach", "--name=faked", "faked:1", "sleep", "1000")

    for name, (_, reason) in labels.items():
        with pytest.raises(Refused, match=reason):
            check_ours(host, find_units(host, name).units[0])
    with pytest.raises(Refused, match="labels of container faked are its image's"):
        check_ours(host, find_units(host, "faked").units[0])

    classic.docker("rm", "--force", "faked")
    unit, _ = service(host, "web")
    check_ours(host, unit)
    (project.folder / "other.env").touch()
    project.compose(f"--env-file={project.folder}/other.env", "up", "--detach", "--force-recreate")
    brought_up, named = service(host, "web")
    check_ours(host, brought_up)
    assert named.environment_files == (project.folder / "other.env",)
    (project.folder / "other.env").unlink()
    with pytest.raises(Refused, match=r"other\.env is not there"):
        check_ours(host, brought_up)
    (project.folder / "other.env").touch()
    project.file.unlink()
    with pytest.raises(Refused, match=r"compose\.yaml is not there"):
        check_ours(host, unit)


def test_whether_more_than_the_image_would_change_is_known(host: EngineHost, make: Make) -> None:
    web = SLEEP | {
        "environment": {"A": "${A:-none}", "P": "$$x", "E": "${FROM_FILE}"},
        "env_file": "web.env",
        "depends_on": ["db"],
        "profiles": ["extra"],
        "scale": 2,
    }
    side = SLEEP | {"network_mode": "service:web", "depends_on": ["web"], "profiles": ["extra"]}
    services = {"web": web, "db": SLEEP, "side": side}
    project = make("hashed", services)
    (project.folder / "web.env").write_text("SECRET=$ecret\n")
    (project.folder / ".env").write_text("FROM_FILE=1\n")
    project.compose("--profile=extra", "up", "--detach")

    def agrees(name: str) -> bool | None:
        unit, compose = service(host, name)
        return config_hash_agrees(host, unit, read_service(host, compose))

    assert [agrees(name) for name in ("web", "db", "side")] == [True, True, True]
    unit, name = service(host, "web")
    reading = read_service(host, name)
    digests = reading.file_digests
    assert [Path(path).name for path in digests] == ["compose.yaml", ".env", "web.env"]
    assert "ecret" not in repr(reading)

    project.write(services | {"web": web | {"command": ["sleep", "2000"]}})
    edited = read_service(host, name)
    assert agrees("web") is False
    assert edited.digest != reading.digest
    project.write(services | {"web": web | {"image": NEW}})
    assert agrees("web") is True
    assert read_service(host, name).digest == reading.digest
    project.write(services)
    (project.folder / "web.env").write_text("SECRET=other\n")
    assert agrees("web") is False
    (project.folder / "web.env").write_text("SECRET=$ecret\n")
    assert agrees("web") is True
    (project.folder / ".env").write_text("FROM_FILE=2\n")
    assert agrees("web") is False
    (project.folder / ".env").write_text("FROM_FILE=1\n")

    # A variable of the shell that is gone by now.
    project.compose("--profile=extra", "up", "--detach", A="shell")
    assert agrees("web") is False
    # What we bring up ourselves agrees afterwards, though compose then leaves out what it depends on.
    up(host, name, replicas=1, log=project.folder / "log", recreate=True, time_limit_seconds=SECONDS)
    assert agrees("web") is True
    unit, _ = service(host, "web")
    assert len(unit.containers) == 1
    assert config_hash_agrees(host, unit, reading) is True
    other_version = {"com.docker.compose.version": "2.99.0"}
    config = {"Config": {"Labels": unit.containers[0].inspected["Config"]["Labels"] | other_version}}
    inspected = {**unit.containers[0].inspected, **config}
    unsure = replace(unit, containers=(replace(unit.containers[0], inspected=inspected),))
    assert config_hash_agrees(host, unsure, reading) is None

    project.file.write_text("services: {web: {image: [}")
    with pytest.raises(ComposeError, match="compose refuses its files"):
        read_service(host, name)


def test_an_override_changes_the_image_and_a_directory_and_is_taken_back(host: EngineHost, make: Make) -> None:
    project = make("over", {"web": SLEEP | {"volumes": ["./data:/data", "./kept:/kept:ro"]}}, "docker-compose.yml")
    project.compose("up", "--detach")
    _, name = service(host, "over/web")
    moved = project.folder / "moved"
    place = override_path(name)
    assert (place.path, place.automatic) == (project.folder / "docker-compose.override.yml", True)
    log = project.folder / "log"

    with_service(place.path, "web", {"image": NEW})
    with_service(place.path, "web", {"volumes": [{"type": "bind", "source": str(moved), "target": "/data"}]})

    config = read_service(host, name).config
    assert config["image"] == NEW
    assert [(volume["source"], volume["target"]) for volume in config["volumes"]] == [
        (str(moved), "/data"),
        (str(project.folder / "kept"), "/kept"),
    ]
    # With the mount away the container does not start, rather than write below it.
    with pytest.raises(SwitchFailed, match="bind source path does not exist"):
        up(host, name, replicas=1, log=log, recreate=False, time_limit_seconds=SECONDS)
    assert not moved.exists()
    moved.mkdir()
    up(host, name, replicas=1, log=log, recreate=False, time_limit_seconds=SECONDS)
    unit, name = service(host, "over/web")
    assert states(host, "over") == [("over-web-1", "running", NEW)]
    assert {mount["Destination"]: mount["Source"] for mount in unit.containers[0].inspected["Mounts"]} == {
        "/data": str(moved),
        "/kept": str(project.folder / "kept"),
    }
    assert name.files == (project.file, place.path)
    assert override_path(name) == place

    # Compose loads it by itself: nothing changes for whoever brings it up as ever.
    before = unit.containers[0].container_id
    subprocess.run(
        ["docker", "compose", "up", "--detach"],
        cwd=project.folder,
        env=project.daemon.environment,
        check=True,
        capture_output=True,
    )
    assert service(host, "over/web")[0].containers[0].container_id == before

    without_service(place.path, "web", ("image", "/data"))
    assert not place.path.exists()
    assert files_in_force(name) == (project.file,)
    up(host, name, replicas=1, log=log, recreate=True, time_limit_seconds=SECONDS)
    assert states(host, "over") == [("over-web-1", "running", OLD)]
    assert service(host, "over/web")[1].files == (project.file,)


def test_what_hangs_on_a_service_is_told(host: EngineHost, make: Make) -> None:
    project = make(
        "tied",
        {
            "web": SLEEP | {"ipc": "shareable"},
            "side": SLEEP | {"network_mode": "service:web"},
            "ipc": SLEEP | {"ipc": "service:web"},
            "needs": SLEEP | {"depends_on": ["web"]},
            "free": SLEEP,
        },
    )
    project.compose("up", "--detach")
    options = ["--volumes-from=tied-side-1:ro", "--network=container:tied-side-1"]
    project.daemon.docker("run", "--detach", "--name=outside", *options, OLD, "sleep", "1000")
    unit, _ = service(host, "tied/web")

    assert [name.name for name in sharing(host, unit)][:2] in (["tied/ipc", "tied/side"], ["tied/side", "tied/ipc"])
    assert [name.name for name in sharing(host, unit)][2:] == ["outside"]
    assert depending(host, unit) == ("service tied/ipc", "service tied/needs", "service tied/side")
    assert sharing(host, service(host, "tied/free")[0]) == ()
    assert sharing(host, service(host, "tied/side")[0])[0].name == "outside"


def test_what_a_recreate_would_lose_is_known_beforehand(host: EngineHost, make: Make) -> None:
    services = {"web": SLEEP | {"image": NEW, "volumes": ["/named", "./bound:/bound"], "tmpfs": "/scratch"}}
    project = make("loser", services)
    project.compose("up", "--detach")
    script = """echo 1 >/data/a; echo 1 >/named/a; echo 1 >/bound/a; echo 1 >/scratch/a; echo 1 >/tmp/a
        mkdir -p /srv/deep/__pycache__ /var/log /run; echo 1 >/srv/deep/__pycache__/a.pyc; echo 1 >/run/a.pid"""
    project.daemon.docker("exec", "loser-web-1", "sh", "-c", script)
    unit, name = service(host, "loser/web")
    reading = read_service(host, name)

    nothing = changes(host, unit.containers[0])
    assert (nothing.kept_count, nothing.trivial) == (1, 4)  # /var/log, which is new and empty
    project.daemon.docker(
        "exec", "loser-web-1", "sh", "-c", r"printf x >'/srv/deep/a\b'; rm /bin/vi /bin/ed; echo 1 >/bin/ed"
    )
    layer = changes(host, unit.containers[0])
    assert layer.kept == ("C /bin/ed", "D /bin/vi", r"A /srv/deep/a\\b", "A /var/log")
    assert layer.complete
    assert layer.size_bytes is not None and layer.size_bytes > 0

    assert lost_volumes(unit, {"Volumes": {"/data/": {}}}, reading) == ()
    assert lost_volumes(unit, {"Volumes": {"/data/": {}}}, None) == ("/named",)
    assert lost_volumes(unit, {}, reading) == ("/data",)

    log = project.folder / "log"
    up(host, name, replicas=1, log=log, recreate=True, time_limit_seconds=SECONDS)
    assert project.daemon.docker("exec", "loser-web-1", "cat", "/data/a", "/named/a") == "1\n1"
    project.write({"web": services["web"] | {"image": OLD}})
    up(host, name, replicas=1, log=log, recreate=True, time_limit_seconds=SECONDS)
    assert project.daemon.docker("exec", "loser-web-1", "sh", "-c", "ls /named /data || true") == "/named:\na"


def test_up_comes_through_whatever_a_killed_compose_left(
    host: EngineHost, classic: Daemon, make: Make, tmp_path: Path
) -> None:
    project = make("killed", {"web": STUBBORN | {"image": "live:1", "volumes": ["/kept"]}})
    log = project.folder / "log"

    def killed_when(reached: Callable[[list[tuple[str, str]]], bool], image: str) -> None:
        """Compose, killed as soon as names and states of the containers are so; a moment may be missed, and tried
        for again."""
        classic.docker("tag", image, "live:1")
        command = project.command("up", "--detach", "--force-recreate", "--scale=web=2")
        for _ in range(5):
            process = subprocess.Popen(
                command, env=classic.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
            )
            while process.poll() is None:
                if reached([(name, state) for name, state, _ in states(host, "killed")]):
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return
                time.sleep(0.005)
        pytest.fail("compose is through before it can be killed")

    def temporary(listed: list[tuple[str, str]]) -> list[str]:
        return [name for name, _ in listed if not name.startswith("killed-web-")]

    def stopped(listed: list[tuple[str, str]]) -> list[str]:
        return [name for name, state in listed if name.startswith("killed-web-") and state != "running"]

    classic.docker("tag", OLD, "live:1")
    project.compose("up", "--detach", "--scale=web=2")
    for number in (1, 2):
        classic.docker("exec", f"killed-web-{number}", "sh", "-c", f"echo {number} >/kept/mine")
    _, name = service(host, "killed/web")
    moments: list[Callable[[list[tuple[str, str]]], bool]] = [
        lambda listed: len(temporary(listed)) == 1,
        lambda listed: len(temporary(listed)) == 2 and not stopped(listed),
        lambda listed: bool(temporary(listed) and stopped(listed)),
        lambda listed: len(listed) == 2 and "created" in [state for _, state in listed],
    ]
    for number, reached in enumerate(moments):
        wanted = (NEW, OLD)[number % 2]
        killed_when(reached, wanted)
        classic.docker("tag", wanted, "live:1")

        up(host, name, replicas=2, log=log, recreate=False, time_limit_seconds=SECONDS)

        assert states(host, "killed") == [("killed-web-1", "running", wanted), ("killed-web-2", "running", wanted)]
        kept = [classic.docker("exec", f"killed-web-{number}", "cat", "/kept/mine") for number in (1, 2)]
        assert kept == ["1", "2"]

    # Compose itself, run again by a person after such a kill, may take the second for a replica of its own.
    old = unit_of(host, service(host, "killed/web")[0].name).containers[0]
    classic.docker("rename", "killed-web-1", f"{old.container_id[:12]}_killed-web-1")
    settle_leftovers(host, name)
    assert [item[0] for item in states(host, "killed")] == ["killed-web-1", "killed-web-2"]


def test_a_compose_that_fails_or_hangs_is_told_and_gone(host: EngineHost, make: Make) -> None:
    project = make("fails", {"web": STUBBORN | {"command": ["no-such-command-token=hunter2"]}})
    name = ServiceName("fails", "web", project.folder, (project.file,), "2.26.1")
    log = project.folder / "log"

    with pytest.raises(SwitchFailed, match="exit status") as failed:
        up(host, name, replicas=1, log=log, recreate=False, time_limit_seconds=SECONDS)

    assert "no-such-command" in str(failed.value)
    assert "hunter2" not in log.read_text() + str(failed.value)
    project.write({"web": STUBBORN})
    up(host, name, replicas=1, log=log, recreate=False, start=False, time_limit_seconds=SECONDS)
    assert states(host, "fails") == [("fails-web-1", "created", OLD)]
    up(host, name, replicas=1, log=log, recreate=False, time_limit_seconds=SECONDS)
    project.write({"web": STUBBORN | {"stop_grace_period": "30s", "environment": ["A=1"]}})
    up(host, name, replicas=1, log=log, recreate=True, time_limit_seconds=SECONDS)
    started = time.monotonic()
    with pytest.raises(SwitchFailed, match="did not end in time"):
        up(host, name, replicas=1, log=log, recreate=True, time_limit_seconds=1)
    assert time.monotonic() - started < 10
    project.write({"web": STUBBORN})
    host.client.kill("fails-web-1")
    up(host, name, replicas=1, log=log, recreate=True, time_limit_seconds=SECONDS)
    assert states(host, "fails") == [("fails-web-1", "running", OLD)]

    made_by_one = replace(name, compose_version="1.29.2")
    with pytest.raises(Refused, match=r"compose 1\.29\.2, which is not installed"):
        read_service(host, made_by_one)


def test_a_compose_that_is_killed_is_run_again_and_an_engine_that_goes_away_is_told(
    host: EngineHost, classic: Daemon, make: Make, tmp_path: Path
) -> None:
    project = make("cut", {"web": STUBBORN})
    project.compose("up", "--detach")
    _, name = service(host, "cut/web")
    engine, dead = tmp_path / "engine.sock", tmp_path / "dead.sock"
    engine.symlink_to(classic.socket)
    with socket.socket(socket.AF_UNIX) as once:
        once.bind(os.fspath(dead))
    stops = 0

    def gate(method: str, path: str) -> int | None:
        """When compose stops the old container it is killed the first time; the third time the engine goes."""
        nonlocal stops
        if "/stop" not in path:
            return None
        stops += 1
        if stops == 1:
            for process in psutil.Process().children(recursive=True):
                if "--project-name=cut" in process.cmdline():
                    process.kill()
        elif stops == 3:
            engine.unlink()
            engine.symlink_to(dead)
        return None

    def bring_up() -> Running:
        up(proxied, name, replicas=1, log=project.folder / "log", recreate=True, time_limit_seconds=SECONDS)
        (container,) = unit_of(host, service(host, "cut/web")[0].name).containers
        assert (container.name, container.running) == ("cut-web-1", True)
        return container

    (before,) = unit_of(host, service(host, "cut/web")[0].name).containers
    with (
        unix_proxy(engine, tmp_path / "proxy.sock", gate) as url,
        closing(EngineHost("local", [EngineAddress(url, "test")])) as proxied,
    ):
        assert (bring_up().container_id != before.container_id, stops) == (True, 2)
        with pytest.raises(HostUnreachable):
            bring_up()


def test_an_engine_that_is_gone_is_said_to_be(host: EngineHost, tmp_path: Path) -> None:
    gone = object.__new__(EngineHost)
    gone.client = host.client.__class__(base_url=f"unix://{tmp_path}/none.sock", version="1.44")
    with pytest.raises(HostUnreachable):
        find_units(gone, "web")
