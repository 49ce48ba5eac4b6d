"""A container is made again as it was: nothing of the user's is lost, and nothing of the old image's is kept."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imgopt_pipeline.services.creation import Creation, creation_of
from imgopt_pipeline.services.models import Refused

OLD_ID, NEW_ID = "0ld" + "a" * 61, "f00" + "b" * 61
IMAGE = "app:2"
#: Every field of HostConfig that engines up to API 1.45 know, with another value than its default.
EVERY_OPTION: dict[str, Any] = {
    "Binds": ["/srv/app:/app:ro,rslave", "named:/named"],
    "ContainerIDFile": "/run/app.cid",
    "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}},
    "NetworkMode": "front",
    "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "53/udp": [{"HostPort": ""}]},
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4},
    "AutoRemove": False,
    "VolumeDriver": "local",
    "VolumesFrom": ["data:ro"],
    "ConsoleSize": [40, 120],
    "Annotations": {"org.example.owner": "team"},
    "CapAdd": ["NET_ADMIN"],
    "CapDrop": ["MKNOD"],
    "CgroupnsMode": "private",
    "Dns": ["10.0.0.53"],
    "DnsOptions": ["ndots:2"],
    "DnsSearch": ["example.org"],
    "ExtraHosts": ["db:10.0.0.5"],
    "GroupAdd": ["44"],
    "IpcMode": "shareable",
    "Cgroup": "other",
    "Links": ["db:database"],
    "OomScoreAdj": 100,
    "PidMode": "host",
    "Privileged": True,
    "PublishAllPorts": True,
    "ReadonlyRootfs": True,
    "SecurityOpt": ["no-new-privileges"],
    "StorageOpt": {"size": "10G"},
    "Tmpfs": {"/run": "size=1m"},
    "UTSMode": "host",
    "UsernsMode": "host",
    "ShmSize": 33_554_432,
    "Sysctls": {"net.ipv4.ip_forward": "1"},
    "Runtime": "io.containerd.runc.v2",
    "Isolation": "default",
    "CpuShares": 512,
    "Memory": 134_217_728,
    "NanoCpus": 500_000_000,
    "CgroupParent": "/imgopt-tests",
    "BlkioWeight": 300,
    "BlkioWeightDevice": [{"Path": "/dev/vda", "Weight": 200}],
    "BlkioDeviceReadBps": [{"Path": "/dev/vda", "Rate": 1_048_576}],
    "BlkioDeviceWriteBps": [{"Path": "/dev/vda", "Rate": 1_048_576}],
    "BlkioDeviceReadIOps": [{"Path": "/dev/vda", "Rate": 1000}],
    "BlkioDeviceWriteIOps": [{"Path": "/dev/vda", "Rate": 1000}],
    "CpuPeriod": 50_000,
    "CpuQuota": 25_000,
    "CpuRealtimePeriod": 1_000_000,
    "CpuRealtimeRuntime": 950_000,
    "CpusetCpus": "0",
    "CpusetMems": "0",
    "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"}],
    "DeviceCgroupRules": ["c 1:3 r"],
    "DeviceRequests": [
        {"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}},
        {"Driver": "nvidia", "Count": 0, "DeviceIDs": ["GPU-1"], "Capabilities": [["gpu", "utility"]], "Options": {}},
    ],
    "KernelMemory": 67_108_864,
    "KernelMemoryTCP": 67_108_864,
    "MemoryReservation": 67_108_864,
    "MemorySwap": 268_435_456,
    "MemorySwappiness": 10,
    "OomKillDisable": True,
    "PidsLimit": 64,
    "Ulimits": [{"Name": "nofile", "Hard": 2048, "Soft": 1024}],
    "CpuCount": 1,
    "CpuPercent": 50,
    "IOMaximumIOps": 100,
    "IOMaximumBandwidth": 1_000_000,
    "Mounts": [{"Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": {"SizeBytes": 1_048_576}}],
    "MaskedPaths": ["/proc/kcore"],
    "ReadonlyPaths": ["/proc/sys"],
    "Init": True,
    "OfTheFuture": {"Not": ["known", "yet"]},
}


def engine(body: Mapping[str, Any], image: Mapping[str, Any], container_id: str = OLD_ID) -> dict[str, Any]:
    """What an engine says of a container that it made of a request, field by field as its `merge` does it."""
    config = {name: value for name, value in body.items() if name not in ("HostConfig", "NetworkingConfig")}
    host = dict(body["HostConfig"])
    config["Hostname"] = config.get("Hostname") or container_id[:12]
    for name in ("User", "WorkingDir", "StopSignal"):
        config[name] = config.get(name) or image.get(name) or ""
    for name in ("ExposedPorts", "Labels", "Volumes"):
        config[name] = {**(image.get(name) or {}), **(config.get(name) or {})}
    env = list(config.get("Env") or [])
    names = {entry.partition("=")[0] for entry in env}
    config["Env"] = env + [entry for entry in image.get("Env") or [] if entry.partition("=")[0] not in names]
    if not config.get("Entrypoint"):
        config["Cmd"] = config.get("Cmd") or image.get("Cmd")
        config["Entrypoint"] = image.get("Entrypoint")
    if config["Entrypoint"] == [""]:
        config["Entrypoint"] = None
    if image.get("Healthcheck") or config.get("Healthcheck"):
        config["Healthcheck"] = {**(image.get("Healthcheck") or {}), **(config.get("Healthcheck") or {})}
    mounts = [
        {"Type": "volume", "Name": mount["Source"], "Destination": mount["Target"], "RW": True}
        for mount in host.get("Mounts") or []
        if mount["Type"] == "volume"
    ]
    taken = {mount["Destination"] for mount in mounts} | {bind.split(":")[1] for bind in host.get("Binds") or []}
    for place in config["Volumes"].keys() - taken:
        mounts.append({"Type": "volume", "Name": f"volume-{next(numbers)}", "Destination": place, "RW": True})
    networks = {
        name: {**endpoint, "NetworkID": f"id-of-{name}", "IPAddress": "10.1.2.255"}
        | {"MacAddress": endpoint.get("MacAddress") or "02:42:0a:01:02:ff"}
        for name, endpoint in body["NetworkingConfig"]["EndpointsConfig"].items()
    }
    return {
        "Id": container_id,
        "Name": "/app",
        "Config": config,
        "HostConfig": host,
        "Mounts": mounts,
        "NetworkSettings": {"Networks": networks},
    }


numbers = itertools.count()


def words(by: str) -> st.SearchStrategy[list[str] | None]:
    return st.none() | st.lists(st.sampled_from([f"{by}1", f"{by}2"]), min_size=1, max_size=2)


def configurations(by: str) -> st.SearchStrategy[dict[str, Any]]:
    """What `by`, an image or the user, may give: of the same names, but by its own values."""
    name, value = st.sampled_from(["A", "B", "C"]), st.sampled_from([f"{by}1", f"{by}2"])
    own_places: st.SearchStrategy[dict[str, dict[str, str]]] = st.dictionaries(
        st.sampled_from([f"/{by}1", f"/{by}2", f"/{by}3"]), st.builds(dict), max_size=3
    )
    return st.fixed_dictionaries(
        {
            "User": st.just("") | value,
            "WorkingDir": st.just("") | value,
            "StopSignal": st.just("") | value,
            "Labels": st.dictionaries(name, value),
            "ExposedPorts": own_places,
            "Volumes": own_places,
            "Env": st.dictionaries(name, value).map(lambda table: [f"{key}={text}" for key, text in table.items()]),
            "Cmd": words(by),
            "Entrypoint": words(by),
            "Healthcheck": st.none() | st.dictionaries(st.sampled_from(["Test", "Interval", "Retries"]), value),
        }
    )


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """What a user asks of an engine."""
    body = draw(configurations("user"))
    if draw(st.booleans()):
        body["Entrypoint"] = [""]
    if draw(st.booleans()):
        body["Hostname"] = "shop"
    endpoint = st.fixed_dictionaries(
        {"Aliases": st.just(["web"]) | st.none(), "MacAddress": st.sampled_from(["", "02:42:ac:11:00:02"])}
    )
    networks = draw(st.dictionaries(st.sampled_from(["front", "back"]), endpoint, min_size=1))
    body["NetworkingConfig"] = {"EndpointsConfig": networks}
    binds = draw(st.just([]) | st.just(["/srv:/user1"]))
    body["HostConfig"] = {"NetworkMode": next(iter(networks)), "Binds": binds or None, "Tty": True}
    return body


def without_ids(seen: Mapping[str, Any]) -> dict[str, Any]:
    """An inspection as two containers of the same options have it: volumes may be given by name, commands be empty."""
    config = {name: value for name, value in seen["Config"].items() if value and value != seen["Id"][:12]}
    volumes = sorted((mount["Destination"], mount["Name"]) for mount in seen["Mounts"])
    return {"config": config, "host": seen["HostConfig"] | {"Mounts": None}, "volumes": volumes} | {
        "networks": seen["NetworkSettings"]["Networks"]
    }


def starts(body: Mapping[str, Any], image: Mapping[str, Any]) -> bool:
    """Whether there is a command at all, without which an engine makes no container."""
    config = engine(body, image)["Config"]
    return bool(config["Entrypoint"] or config["Cmd"])


@settings(max_examples=60)
@given(requests(), configurations("old"))
def test_on_the_same_image_it_is_the_same_container(body: dict[str, Any], image: dict[str, Any]) -> None:
    assume(starts(body, image))
    seen = engine(body, image)
    creation = creation_of(seen, image, image="app:1")
    again = engine(creation.body, image, NEW_ID)
    assert without_ids(again) == without_ids(seen | {"Config": seen["Config"] | {"Image": "app:1"}})
    assert creation_of(again, image, image="app:1") == creation


@settings(max_examples=60)
@given(requests(), configurations("old"), configurations("new"))
def test_on_another_image_it_is_what_the_user_would_have_got(
    body: dict[str, Any], old: dict[str, Any], new: dict[str, Any]
) -> None:
    # Taking an entrypoint away that is not there leaves no trace.
    assume(starts(body, old) and starts(body, new) and (body["Entrypoint"] != [""] or old["Entrypoint"]))
    seen = engine(body, old)
    made = engine(creation_of(seen, old, image=IMAGE).body, new, NEW_ID)
    wished = engine(body | {"Image": IMAGE}, new, NEW_ID)
    assert without_ids(made)["config"] == without_ids(wished)["config"]
    assert {mount["Name"] for mount in seen["Mounts"]} <= {mount["Name"] for mount in made["Mounts"]}


def inspected(
    host: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    networks: Mapping[str, Any] | None = None,
    mounts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    return {
        "Id": OLD_ID,
        "Name": "/app",
        "Config": {"Hostname": OLD_ID[:12], "Env": None, "Cmd": ["serve"], "Image": "app:1", **(config or {})},
        "HostConfig": {"NetworkMode": "front", **(host or {})},
        "Mounts": list(mounts),
        "NetworkSettings": {"Networks": {"front": {}} if networks is None else networks},
    }


def made(seen: Mapping[str, Any], image: Mapping[str, Any] | None = None, **options: Any) -> Creation:
    return creation_of(seen, image or {}, image=IMAGE, **options)


def test_every_option_is_handed_on() -> None:
    assert made(inspected(EVERY_OPTION)).body["HostConfig"] == EVERY_OPTION


def test_every_field_of_the_configuration_that_no_image_gives_is_handed_on() -> None:
    config = {"Tty": True, "OpenStdin": True, "Domainname": "example.org", "StopTimeout": 30, "Shell": ["/bin/ash"]}
    body = made(inspected(config={**config, "OfTheFuture": 1}), {"Tty": True}).body
    assert {name: body[name] for name in (*config, "OfTheFuture")} == {**config, "OfTheFuture": 1}
    assert body["Image"] == IMAGE and "Hostname" not in body


def test_a_health_check_is_left_to_the_image_but_for_what_the_user_changed() -> None:
    image = {"Healthcheck": {"Test": ["CMD", "old"], "Interval": 5}}
    changed = {"Healthcheck": {"Test": ["CMD", "old"], "Interval": 9}}
    assert made(inspected(config=changed), image).body["Healthcheck"] == {"Interval": 9}
    off = {"Healthcheck": {"Test": ["NONE"], "Interval": 5}}
    assert made(inspected(config=off), image).body["Healthcheck"] == {"Test": ["NONE"]}


@pytest.mark.parametrize(
    ("given_words", "of_image", "kept"),
    [
        (("e", "c"), ("e", "c"), {}),
        (("e", "mine"), ("e", "c"), {"Cmd": ["mine"]}),
        (("mine", "c"), ("e", "c"), {"Entrypoint": ["mine"], "Cmd": ["c"]}),
        (("e", ""), ("e", "c"), {"Entrypoint": ["e"], "Cmd": []}),
        (("", "mine"), ("e", "c"), {"Entrypoint": [""], "Cmd": ["mine"]}),
        (("", "c"), ("e", "c"), {"Entrypoint": [""], "Cmd": ["c"]}),
        (("", "mine"), ("", "c"), {"Cmd": ["mine"]}),
        (("mine", ""), ("", ""), {"Entrypoint": ["mine"], "Cmd": []}),
    ],
)
def test_entrypoint_and_command(
    given_words: tuple[str, str], of_image: tuple[str, str], kept: Mapping[str, list[str]]
) -> None:
    config, image = (
        {name: [word] if word else None for name, word in zip(("Entrypoint", "Cmd"), pair, strict=True)}
        for pair in (given_words, of_image)
    )
    body = made(inspected(config=config), image).body
    assert {name: body[name] for name in ("Entrypoint", "Cmd") if name in body} == kept


def test_a_published_port_stays_exposed() -> None:
    exposed: dict[str, Any] = {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}}}
    host = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    assert made(inspected(host, exposed), exposed).body["ExposedPorts"] == {"80/tcp": {}}


def test_one_that_removes_itself_is_refused() -> None:
    with pytest.raises(Refused, match="--rm"):
        made(inspected({"AutoRemove": True}))


def test_what_joins_another_container_joins_its_successor() -> None:
    other, other_new = "c" * 64, "d" * 64
    host = {
        "NetworkMode": f"container:{other}",
        "IpcMode": f"container:{other[:12]}",
        "PidMode": "container:not-this",
        "VolumesFrom": [f"{other}:ro", other[:12], "data"],
    }
    config = {"Hostname": "of-the-other", "Domainname": "example.org", "ExposedPorts": {"80/tcp": {}}}
    body = made(inspected(host, config, networks={}), joined={other: other_new}).body
    assert body["HostConfig"] == {
        "NetworkMode": f"container:{other_new}",
        "IpcMode": f"container:{other_new}",
        "PidMode": "container:not-this",
        "VolumesFrom": [f"{other_new}:ro", other_new, "data"],
        "Binds": None,
        "Mounts": [],
    }
    assert not body.keys() & {"Hostname", "Domainname", "ExposedPorts"}


def test_volumes_without_a_name_are_mounted_by_it() -> None:
    volumes = [
        {"Type": "volume", "Name": name, "Destination": place, "RW": writable}
        for name, place, writable in (("v1", "/declared", True), ("v2", "/short", True), ("v3", "/spec", False))
    ]
    host = {"Binds": ["/short", "named:/named"], "Mounts": [{"Type": "volume", "Target": "/spec/", "ReadOnly": True}]}
    mounted = [*volumes, {"Type": "volume", "Name": "named", "Destination": "/named", "RW": True}]
    made_host = made(inspected(host, {"Volumes": {"/declared": {}}}, mounts=mounted)).body["HostConfig"]
    no_copy = {"VolumeOptions": {"NoCopy": True}}
    assert made_host["Binds"] == ["named:/named"]
    assert made_host["Mounts"] == [
        {"Type": "volume", "Source": "v3", "Target": "/spec/", "ReadOnly": True, **no_copy},
        {"Type": "volume", "Source": "v1", "Target": "/declared", **no_copy},
        {"Type": "volume", "Source": "v2", "Target": "/short", **no_copy},
    ]


def test_volumes_of_another_container_still_come_from_it() -> None:
    mounts = [{"Type": "volume", "Name": name, "Destination": f"/{name}", "RW": True} for name in ("theirs", "own")]
    host = made(inspected({"VolumesFrom": ["data"]}, {"Volumes": {"/own": {}}}, mounts=mounts)).body["HostConfig"]
    assert [mount["Source"] for mount in host["Mounts"]] == ["own"]


def test_what_was_moved_is_bound_from_its_new_place() -> None:
    host = {
        "Binds": ["/old/a:/a/:ro,Z,rslave,cached", "named:/b", "/old/kept:/kept"],
        "Mounts": [
            {
                "Type": "bind",
                "Source": "/old/c",
                "Target": "/c",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "shared", "CreateMountpoint": True},
            },
            {"Type": "volume", "Source": "named", "Target": "/d", "VolumeOptions": {"NoCopy": True}},
        ],
    }
    anonymous = {"Type": "volume", "Name": "v1", "Destination": "/e", "RW": True}
    new = {f"/{letter}": f"/new/{letter}" for letter in "abcdef"}
    made_host = made(inspected(host, mounts=[anonymous]), mounts=new).body["HostConfig"]
    assert made_host["Binds"] == ["/old/kept:/kept"]
    by_place = {mount["Target"]: mount for mount in made_host["Mounts"]}
    assert {place: mount["Source"] for place, mount in by_place.items()} == new
    assert {mount["Type"] for mount in made_host["Mounts"]} == {"bind"}
    assert by_place["/a"]["ReadOnly"] and by_place["/a"]["Consistency"] == "cached"
    assert by_place["/a"]["BindOptions"] == {"Propagation": "rslave"}
    assert by_place["/c"]["ReadOnly"] and by_place["/c"]["BindOptions"] == {"Propagation": "shared"}
    assert by_place["/d"] == {"Type": "bind", "Source": "/new/d", "Target": "/d"}


def test_networks_keep_what_was_asked_for_and_nothing_of_their_state() -> None:
    asked = {
        "IPAMConfig": {"IPv4Address": "10.1.0.7"},
        "Links": ["db:database"],
        "Aliases": ["web"],
        "DriverOpts": {"a": "b"},
        "GwPriority": 3,
        "MacAddress": "02:42:ac:11:00:99",
    }
    state = {"NetworkID": "n", "EndpointID": "e", "IPAddress": "10.1.0.7", "DNSNames": ["app"], "Gateway": "10.1.0.1"}
    made_address = {"MacAddress": "02:42:0a:01:00:07", "IPAddress": "10.1.0.7", "Aliases": [OLD_ID[:12], "x"]}
    endpoints = made(inspected(networks={"front": asked | state, "back": made_address})).endpoints
    assert endpoints == {"front": asked, "back": {"Aliases": ["x"]}}


@pytest.mark.parametrize(
    ("mode", "networks", "expected"),
    [
        ("default", {"bridge": {}}, "default"),
        ("bridge", {"front": {}}, "front"),
        ("front", {"back": {}}, "back"),
        ("front", {}, "none"),
        ("4f5e", {"back": {}, "front": {"NetworkID": "4f5e6d"}}, "front"),
        ("host", {"host": {}}, "host"),
        ("none", {"none": {}}, "none"),
    ],
)
def test_it_is_made_in_a_network_that_it_is_in(mode: str, networks: Mapping[str, Any], expected: str) -> None:
    creation = made(inspected({"NetworkMode": mode}, networks=networks))
    assert creation.body["HostConfig"]["NetworkMode"] == expected
    assert creation.endpoints.keys() == networks.keys() - {"host", "none"}


def test_links_are_told_as_they_were_given() -> None:
    assert made(inspected({"Links": ["/db:/app/database"]})).body["HostConfig"]["Links"] == ["db:database"]


def test_values_of_variables_are_not_shown() -> None:
    assert "hunter2" not in repr(made(inspected(config={"Env": ["PASSWORD=hunter2"]})))
