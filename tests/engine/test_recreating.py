"""A single container is made again on a real engine with every option, takes the place of the old one, and goes back.

A request that changes something is cut off at each place in turn: from there it goes on, or back, as after a crash.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from imgopt_pipeline.errors import HostUnreachable
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.services.changing import settle_stop
from imgopt_pipeline.services.creation import Creation, creation_of
from imgopt_pipeline.services.models import Refused, SwitchFailed
from imgopt_pipeline.services.recreating import (
    aside_name,
    beside_name,
    create_beside,
    finish_taking_over,
    put_back,
    remove_aside,
    take_over,
)
from tests.services.test_creation import EVERY_OPTION

from .cutting import FORK
from .daemons import Daemon, busybox_tar
from .optimizing_made import inventory

OLD, NEW = "recreating:old", "recreating:new"
NAME, ACTION = "recreated", "20260101-action"
ASIDE, BESIDE = aside_name(NAME, ACTION), beside_name(NAME, ACTION)
FRONT, BACK = "recreating-front", "recreating-back"
NETWORK = "10.251.83"
NEVER: Mapping[str, Any] = {"Name": "no", "MaximumRetryCount": 0}
STOPS = 'trap "echo stopped >> /data/log; exit 0" USR1; while :; do sleep 0.05; done'

#: Refused, of another system, or as the machine and its storage have it: that they are handed on the pure part tests.
NOT_HERE = {"AutoRemove", "Links", "StorageOpt", "Cgroup", "CpuRealtimePeriod", "CpuRealtimeRuntime", "OfTheFuture"}
NOT_HERE |= {"KernelMemory", "KernelMemoryTCP", "CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth"}
#: Made here, but the machine may leave them out.
AS_IT_MAY = {"MemorySwappiness", "OomKillDisable", "BlkioWeight", "BlkioWeightDevice"}
#: What excludes one of the others, or cannot be started here.
ONLY_MADE = {"PidMode", "Privileged", "PublishAllPorts", "UsernsMode", "CpuPeriod", "CpuQuota", "DeviceRequests"}
ONLY_MADE |= {"BlkioWeight", "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps"}
ONLY_MADE |= {"BlkioDeviceWriteIOps", "CgroupnsMode", "UTSMode"}
IN_USE = {name: EVERY_OPTION[name] for name in EVERY_OPTION.keys() - ONLY_MADE - NOT_HERE}
IN_USE["CgroupnsMode"] = "host"
MADE = {name: EVERY_OPTION[name] for name in ONLY_MADE} | {"NetworkMode": "host", "IpcMode": "host"}


@pytest.fixture(scope="module")
def host(classic: Daemon) -> Iterator[EngineHost]:
    """The engine with two images, which differ in all that an image may say."""
    of_old = ["ENV A=old B=old", "LABEL from=old old=1", "EXPOSE 8080 8081", "VOLUME /data", "WORKDIR /bin"]
    of_new = ["ENV A=new C=new", "LABEL from=new new=1", "EXPOSE 8082", "VOLUME /more", "WORKDIR /tmp"]
    of_old += ["HEALTHCHECK --interval=1h CMD true", 'CMD ["sleep", "1000"]', "USER 0", "STOPSIGNAL SIGINT"]
    of_new += ["HEALTHCHECK --interval=2h CMD false", 'CMD ["sleep", "2000"]', "STOPSIGNAL SIGKILL"]
    for tag, changes in ((OLD, of_old), (NEW, of_new)):
        classic.docker("import", *(f"--change={change}" for change in changes), "-", tag, stdin=busybox_tar())
    with closing(engine_host(classic)) as opened:
        yield opened
    classic.docker("rmi", OLD, NEW)


@pytest.fixture(autouse=True)
def nothing_left(classic: Daemon, host: EngineHost) -> Iterator[None]:
    """Whatever a test makes is gone afterwards; it removes by itself what it made besides containers of this name."""
    before = inventory(classic)
    yield
    remove_all(classic)
    assert inventory(classic) == before


@pytest.fixture
def networks(classic: Daemon, host: EngineHost) -> Iterator[None]:
    """Two networks, one with a range of its own, so that an address can be asked for."""
    classic.docker("network", "create", f"--subnet={NETWORK}.0/24", FRONT)
    classic.docker("network", "create", BACK)
    yield
    remove_all(classic)
    classic.docker("network", "rm", FRONT, BACK)


def test_on_the_same_image_nothing_differs(classic: Daemon, host: EngineHost, networks: None, tmp_path: Path) -> None:
    port = free_port()
    extra = {
        "Binds": [f"{tmp_path}:/bound:ro,private", "recreating-named:/named"],
        "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]},
        "NetworkMode": FRONT,
        "VolumesFrom": [f"{NAME}-data:ro"],
    }
    ask = {
        "Image": OLD,
        "Env": ["A=mine", "SECRET=1"],
        "Labels": {"from": "me"},
        "ExposedPorts": {"8080/tcp": {}},
        "Volumes": {"/anonymous": {}},
        "User": "0:0",
        "Tty": True,
        "OpenStdin": True,
        "Domainname": "example.org",
        "Hostname": "shop",
        "StopSignal": "SIGUSR2",
        "StopTimeout": 0,
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**12, "Retries": 2},
        "NetworkingConfig": {
            "EndpointsConfig": {
                FRONT: {
                    "Aliases": ["web"],
                    "IPAMConfig": {"IPv4Address": f"{NETWORK}.77", "LinkLocalIPs": ["169.254.8.8"]},
                    "MacAddress": "02:42:ac:11:00:99",
                    "Links": [f"{NAME}-data:store"],
                    "DriverOpts": {"com.example.note": "x"},
                },
                BACK: {"Aliases": ["inner"]},
            }
        },
    }
    plain = {"Image": OLD, "HostConfig": {"NetworkMode": "none"}}
    make(host, f"{NAME}-data", {**plain, "Volumes": {"/theirs": {}}, "HostConfig": {"NetworkMode": BACK}}, start=True)
    defaults = host.client.inspect_container(make(host, f"{NAME}-plain", plain))["HostConfig"]
    changed: set[str] = set()
    for options, start in ((IN_USE | extra, True), (MADE, False)):
        body = ask if start else {"Image": OLD, "Domainname": "example.org"}
        old_id = make(host, NAME, {**body, "HostConfig": options}, start=start)
        old = host.client.inspect_container(old_id)
        changed |= {name for name, value in old["HostConfig"].items() if value != defaults.get(name)}

        new_id = switch(host, old_id, OLD)

        new = host.client.inspect_container(new_id)
        assert lasting(new) == lasting(old)
        assert host.client.inspect_container(ASIDE)["HostConfig"]["RestartPolicy"]["Name"] == "no"
        for name in (NAME, ASIDE):
            classic.docker("rm", "--force", "--volumes", name)
    classic.docker("volume", "rm", "recreating-named")
    assert defaults.keys() - changed <= NOT_HERE | AS_IT_MAY
    assert (IN_USE.keys() | MADE.keys()) - changed <= AS_IT_MAY


def test_on_another_image_only_the_users_options_stay(classic: Daemon, host: EngineHost) -> None:
    ask = {
        "Image": OLD,
        "Env": ["A=mine"],
        "Labels": {"mine": "1"},
        "Cmd": ["sh", "-c", STOPS],
        "StopSignal": "SIGUSR1",
        "HostConfig": {"NetworkMode": "none"},
    }
    old_id = make(host, NAME, ask, start=True)
    classic.docker("exec", NAME, "sh", "-c", "echo kept > /data/file")
    volumes = classic.docker("volume", "ls", "--quiet")

    new_id = switch(host, old_id, NEW, stop_seconds=5)

    config = host.client.inspect_container(new_id)["Config"]
    assert sorted(config["Env"]) == ["A=mine", "C=new"]
    assert config["Labels"] == {"mine": "1", "from": "new", "new": "1"}
    assert (config["WorkingDir"], config["Healthcheck"]["Test"]) == ("/tmp", ["CMD-SHELL", "false"])
    assert (config["Cmd"], config["StopSignal"]) == (ask["Cmd"], "SIGUSR1")
    assert (config["ExposedPorts"], config["Volumes"]) == ({"8082/tcp": {}}, {"/more": {}})
    assert classic.docker("exec", NAME, "cat", "/data/file", "/data/log") == "kept\nstopped"

    go_back(host, old_id, new_id, stop_seconds=5)
    assert classic.docker("exec", NAME, "cat", "/data/file", "/data/log") == "kept\nstopped\nstopped"
    assert classic.docker("volume", "ls", "--quiet") == volumes


def test_from_wherever_it_is_cut_off_it_goes_on_or_back(classic: Daemon, host: EngineHost) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 3}
    old_id = make(
        host, NAME, {"Image": OLD, "HostConfig": {"NetworkMode": "none", "RestartPolicy": policy}}, start=True
    )
    before = state(classic)
    assert before == {NAME: (old_id, "running", "on-failure")}
    cuts = 0
    while True:
        with cut_off(host, cuts) as cut:
            new_id = switch(host, old_id, NEW)
        if not cut():
            break
        # Until it is noted that the new one was made, it is known by its name alone.
        go_back(host, old_id, None if cuts < 2 else new_of(host), policy=policy)
        assert state(classic) == before
        with cut_off(host, cuts):
            switch(host, old_id, NEW)
        new_id = switch(host, old_id, NEW)
        assert state(classic) == {NAME: (new_id, "running", "on-failure"), ASIDE: (old_id, "exited", "no")}
        with cut_off(host, cuts):
            go_back(host, old_id, new_id, policy=policy)
        go_back(host, old_id, new_id, policy=policy)
        assert state(classic) == before
        cuts += 1
    assert cuts == 6  # create, update, stop, rename, rename, start
    go_back(host, old_id, new_id, policy=policy)
    with cut_off(host, 0) as cut:
        go_back(host, old_id, new_id, policy=policy)
    assert not cut() and state(classic) == before


def test_a_stop_that_outlives_its_client_is_waited_for_on_the_way_back(classic: Daemon, host: EngineHost) -> None:
    policy = {"Name": "always", "MaximumRetryCount": 0}
    options = {"NetworkMode": "none", "RestartPolicy": policy}
    # It does not end when it is asked to.
    old_id = make(host, NAME, {"Image": OLD, "HostConfig": options}, start=True)
    creation = creation_of(host.client.inspect_container(old_id), image_config(host, OLD), image=NEW)
    new_id = create_beside(host, creation, BESIDE)
    process = FORK.Process(target=_take_over_alone, args=(classic, old_id, new_id, 2))
    process.start()
    while state(classic)[NAME][2] != "no":
        time.sleep(0.05)
    time.sleep(0.3)
    process.kill()
    process.join()
    assert state(classic)[NAME] == (old_id, "running", "no")

    go_back(host, old_id, new_id, policy=policy, stop_seconds=2)

    time.sleep(2)
    assert state(classic) == {NAME: (old_id, "running", "always")}


def test_one_that_was_left_alone_is_not_stopped_on_the_way_back(classic: Daemon, host: EngineHost) -> None:
    policy = {"Name": "always", "MaximumRetryCount": 0}
    options = {"NetworkMode": "none", "RestartPolicy": policy}
    old_id = make(host, NAME, {"Image": OLD, "HostConfig": options}, start=True)
    since = host.client.inspect_container(old_id)["State"]["StartedAt"]
    go_back(host, old_id, None, policy=policy)
    assert host.client.inspect_container(old_id)["State"]["StartedAt"] == since
    host.client.update_container(old_id, restart_policy=NEVER)
    go_back(host, old_id, None, stop_begun=False)
    assert host.client.inspect_container(old_id)["State"]["StartedAt"] == since
    go_back(host, old_id, None)
    assert host.client.inspect_container(old_id)["State"]["StartedAt"] != since
    settle_stop(host, NAME, 0)
    settle_stop(host, NAME, 0)
    settle_stop(host, ASIDE, 0)
    assert state(classic) == {NAME: (old_id, "exited", "no")}


def test_one_that_did_not_run_is_not_started(classic: Daemon, host: EngineHost) -> None:
    old_id = make(host, NAME, {"Image": OLD, "HostConfig": {"NetworkMode": "none"}})
    creation = creation_of(host.client.inspect_container(old_id), image_config(host, OLD), image=NEW)
    new_id = create_beside(host, creation, BESIDE)
    take_over(host, old_id, new_id, name=NAME, aside=ASIDE, was_running=False)
    assert state(classic) == {NAME: (new_id, "created", "no"), ASIDE: (old_id, "created", "no")}
    go_back(host, old_id, new_id, was_running=False)
    assert state(classic) == {NAME: (old_id, "created", "no")}


def test_a_port_that_is_taken_leaves_the_way_back(classic: Daemon, host: EngineHost, networks: None) -> None:
    old_id = make(host, NAME, {"Image": OLD, "HostConfig": {"NetworkMode": FRONT}}, start=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        published = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
        with pytest.raises(SwitchFailed, match=r"Something else has taken the port") as raised:
            switch(host, old_id, NEW, published)
    assert f"Now {ASIDE} ({old_id[:12]}) is exited; {NAME} (" in raised.value.hint
    go_back(host, old_id, new_of(host))
    assert state(classic) == {NAME: (old_id, "running", "no")}


def test_what_is_missing_is_told(classic: Daemon, host: EngineHost) -> None:
    old_id = make(host, NAME, {"Image": OLD, "HostConfig": {"NetworkMode": "none"}}, start=True)
    seen, config = host.client.inspect_container(old_id), image_config(host, OLD)
    with pytest.raises(SwitchFailed, match="Pull or build the image"):
        create_beside(host, creation_of(seen, config, image="recreating:gone"), BESIDE)
    with pytest.raises(SwitchFailed, match="Make the folder"):
        gone = {"/data": str(classic.home / "gone")}
        create_beside(host, creation_of(seen, config, image=NEW, mounts=gone), BESIDE)
    assert not (classic.home / "gone").exists()
    lost = {**seen, "HostConfig": seen["HostConfig"] | {"NetworkMode": "recreating-gone"}}
    lost["NetworkSettings"] = {"Networks": {"recreating-gone": {}}}
    with pytest.raises(SwitchFailed, match="network recreating-gone not found"):
        create_beside(host, creation_of(lost, config, image=NEW), BESIDE)
    go_back(host, old_id, None)
    assert state(classic) == {NAME: (old_id, "running", "no")}


def test_a_name_that_somebody_takes_meanwhile_is_not_taken_from_them(classic: Daemon, host: EngineHost) -> None:
    old_id = make(host, NAME, {"Image": OLD, "HostConfig": {"NetworkMode": "none"}}, start=True)
    with cut_off(host, 3):  # before the new one has its name, for the old one had the restart policy it gets
        switch(host, old_id, NEW)
    stranger = make(host, NAME, {"Image": OLD, "HostConfig": {"NetworkMode": "none"}})
    with pytest.raises(SwitchFailed, match="Rename or remove the container that has the name"):
        switch(host, old_id, NEW)
    new_id = new_of(host)
    with pytest.raises(SwitchFailed, match=rf"Now {ASIDE}"):
        go_back(host, old_id, new_id)
    assert state(classic) == {NAME: (stranger, "created", "no"), ASIDE: (old_id, "exited", "no")}
    classic.docker("rm", "--volumes", stranger)
    go_back(host, old_id, new_id)
    assert state(classic) == {NAME: (old_id, "running", "no")}


def test_without_the_old_container_the_new_one_is_left(classic: Daemon, host: EngineHost) -> None:
    old_id = make(host, NAME, {"Image": OLD, "HostConfig": {"NetworkMode": "none"}}, start=True)
    new_id = switch(host, old_id, NEW)
    volume = host.client.inspect_container(old_id)["Mounts"][0]["Name"]
    classic.docker("rm", ASIDE)
    with pytest.raises(SwitchFailed, match="is gone"):
        go_back(host, old_id, new_id)
    classic.docker("rename", NAME, BESIDE)
    classic.docker("stop", "--time=0", BESIDE)
    for _ in range(2):
        finish_taking_over(host, new_id, name=NAME, start=True)
    assert state(classic) == {NAME: (new_id, "running", "no")}
    remove_with(classic, new_id, volume)


def test_the_old_container_is_removed_but_not_its_volumes(classic: Daemon, host: EngineHost) -> None:
    old_id = make(host, NAME, {"Image": OLD, "HostConfig": {"NetworkMode": "none"}}, start=True)
    with pytest.raises(Refused, match="in use again"):
        remove_aside(host, old_id)
    new_id = switch(host, old_id, NEW)
    volume = host.client.inspect_container(old_id)["Mounts"][0]["Name"]
    assert [remove_aside(host, old_id), remove_aside(host, old_id)] == [True, False]
    assert state(classic) == {NAME: (new_id, "running", "no")}
    remove_with(classic, new_id, volume)


def test_an_engine_that_takes_one_network_at_once_is_given_the_others_after(
    classic: Daemon, host: EngineHost, networks: None
) -> None:
    with closing(engine_host(classic)) as older:
        older.client._version = "1.43"
        classic.docker("create", f"--name={NAME}", f"--network={FRONT}", "--network-alias=web", OLD)
        classic.docker("network", "connect", "--alias=inner", "--link=db:store", BACK, NAME)
        old_id = older.client.inspect_container(NAME)["Id"]
        creation = creation_of(older.client.inspect_container(old_id), image_config(host, OLD), image=NEW)
        with cut_off(older, 1):
            create_beside(older, creation, BESIDE)
        new_id = create_beside(older, creation, BESIDE)
    there = host.client.inspect_container(new_id)["NetworkSettings"]["Networks"]
    assert {name: (endpoint["Aliases"], endpoint["Links"]) for name, endpoint in there.items()} == {
        FRONT: (["web"], None),
        BACK: (["inner"], ["db:store"]),
    }


def remove_all(daemon: Daemon) -> None:
    """Remove the containers, newest first: the volumes of the old ones are then in use no more."""
    for container_id in daemon.docker("ps", "--all", "--quiet", f"--filter=name={NAME}").split():
        daemon.docker("rm", "--force", "--volumes", container_id)


def remove_with(daemon: Daemon, container_id: str, volume: str) -> None:
    daemon.docker("rm", "--force", "--volumes", container_id)
    daemon.docker("volume", "rm", volume)


def engine_host(daemon: Daemon) -> EngineHost:
    return EngineHost("local", [EngineAddress(daemon.url, "test")])


def image_config(host: EngineHost, image: str) -> Mapping[str, Any]:
    return host.client.inspect_image(image)["Config"]  # type: ignore[no-any-return]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def make(host: EngineHost, name: str, body: Mapping[str, Any], *, start: bool = False) -> str:
    container_id: str = host.client.create_container_from_config(dict(body), name)["Id"]
    if start:
        host.client.start(container_id)
    return container_id


def switch(
    host: EngineHost, old_id: str, image: str, published: Mapping[str, Any] | None = None, *, stop_seconds: int = 0
) -> str:
    """Make the new container and have it take the place of the old one; its ID."""
    seen = host.client.inspect_container(old_id)
    creation = creation_of(seen, image_config(host, OLD), image=image)
    if published:
        options = creation.body["HostConfig"] | {"PortBindings": published}
        exposed: dict[str, Any] = {port: {} for port in published}
        creation = replace(creation, body={**creation.body, "HostConfig": options, "ExposedPorts": exposed})
    return take_over_with(host, old_id, creation, stop_seconds=stop_seconds)


def take_over_with(host: EngineHost, old_id: str, creation: Creation, *, stop_seconds: int = 0) -> str:
    ran = host.client.inspect_container(old_id)["State"]["Status"] != "created"
    new_id = new_of(host) or create_beside(host, creation, BESIDE)
    take_over(host, old_id, new_id, name=NAME, aside=ASIDE, was_running=ran, stop_seconds=stop_seconds)
    return new_id


def _take_over_alone(daemon: Daemon, old_id: str, new_id: str, stop_seconds: int) -> None:
    """In a process of its own, which is killed meanwhile."""
    with closing(engine_host(daemon)) as host:
        take_over(host, old_id, new_id, name=NAME, aside=ASIDE, was_running=True, stop_seconds=stop_seconds)


def new_of(host: EngineHost) -> str | None:
    """The new container, as a journal knows it: here it is told by its image's label."""
    found = host.client.containers(all=True, filters={"label": "new=1"})
    return next((str(container["Id"]) for container in found), None)


def go_back(
    host: EngineHost,
    old_id: str,
    new_id: str | None,
    *,
    was_running: bool = True,
    policy: Mapping[str, Any] = NEVER,
    stop_seconds: int = 0,
    stop_begun: bool = True,
) -> None:
    put_back(
        host,
        old_id=old_id,
        new_id=new_id,
        name=NAME,
        beside=BESIDE,
        restart_policy=policy,
        was_running=was_running,
        stop_seconds=stop_seconds,
        stop_begun=stop_begun,
    )


def state(daemon: Daemon) -> dict[str, tuple[str, str, str]]:
    """ID, state and restart policy of the containers of this name and those beside it."""
    found = daemon.docker("ps", "--all", "--quiet", "--no-trunc", f"--filter=name={NAME}").split()
    words = "{{.Name}} {{.Id}} {{.State.Status}} {{.HostConfig.RestartPolicy.Name}}"
    rows = [line[1:].split() for line in daemon.docker("inspect", f"--format={words}", *found).splitlines()]
    return {name: (container_id, status, policy) for name, container_id, status, policy in rows}


@contextmanager
def cut_off(host: EngineHost, changes: int) -> Iterator[Callable[[], bool]]:
    """Let so many changing requests through and lose the engine at the next; whether it came to that."""
    sent, was_cut = [0], [False]
    usual = host.client.request

    def request(method: str, *args: Any, **options: Any) -> Any:
        if method != "GET":
            if sent[0] == changes:
                was_cut[0] = True
                raise requests.ConnectionError("cut off")
            sent[0] += 1
        return usual(method, *args, **options)

    host.client.request = request
    try:
        yield lambda: was_cut[0]
    except HostUnreachable:
        assert was_cut[0]
    finally:
        del host.client.request


def lasting(seen: Mapping[str, Any]) -> dict[str, Any]:
    """An inspection without IDs, times and the names of state files, and without how its volumes are given."""
    passing = {"Id", "Created", "State", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "GraphDriver"}
    passing |= {"NetworkSettings", "ExecIDs", "SizeRw", "SizeRootFs"}
    kept: dict[str, Any] = {name: value for name, value in seen.items() if name not in passing}
    kept["HostConfig"] = {name: value for name, value in seen["HostConfig"].items() if name != "Mounts"}
    kept["Mounts"] = sorted(
        ({name: value for name, value in mount.items() if name != "Mode"} for mount in seen["Mounts"]),
        key=lambda mount: str(mount["Destination"]),
    )
    if kept["Config"]["Hostname"] == seen["Id"][:12]:
        kept["Config"] = {**kept["Config"], "Hostname": None}
    asked = ("IPAMConfig", "Links", "Aliases", "MacAddress", "DriverOpts", "NetworkID", "IPAddress")
    endpoints = seen["NetworkSettings"]["Networks"]
    kept["networks"] = {name: {word: endpoint[word] for word in asked} for name, endpoint in endpoints.items()}
    return kept | {"ports": seen["NetworkSettings"]["Ports"], "running": seen["State"]["Running"]}
