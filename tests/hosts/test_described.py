"""A described host answers like an engine, and says clearly what of a broken description it cannot read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.errors import UnreadableArchive
from imgopt_pipeline.hosts.described import DescribedHost, is_described
from imgopt_pipeline.hosts.engine_containers import container_from_inspect
from imgopt_pipeline.hosts.models import DiskUsage, Mount
from tests.small_archive import write_archive

DESCRIPTION: dict[str, Any] = {
    "format": 1,
    "engine": {"kind": "docker", "version": "28.5.2", "store": "overlay2"},
    "containers": [
        {
            "inspect": {
                "Id": "c1",
                "Name": "/app_1",
                "State": {"Status": "running", "Running": True, "StartedAt": "2026-01-02T03:04:05Z"},
                "HostConfig": {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]},
                "Config": {"Image": "acme/app:1", "Env": ["TOKEN=do-not-store"], "Labels": {}},
                "Mounts": [{"Type": "volume", "Name": "data", "Source": "/v/data", "Destination": "/data", "RW": True}],
            },
            "writable_bytes": 70,
            "log_bytes": 5_000,
        }
    ],
    "volumes": [
        {"name": "data", "driver": "local", "mountpoint": "/v/data", "size_bytes": 300, "anonymous": False},
        {"name": "old", "driver": "local", "mountpoint": "/v/old", "size_bytes": 900, "anonymous": True},
    ],
    "build_cache": {"items": 3, "active_items": 1, "size_bytes": 1_000, "reclaimable_bytes": 800},
    "gpu": {"devices": ["/dev/nvidia0"], "driver_version": "550.54", "runtimes": ["runc"], "default_runtime": "runc"},
    "processes": [{"pid": 7, "command": "node", "folder": "/srv/app", "open": ["/srv/app/x"]}],
    "filesystems": [{"path": "/mnt/nas", "type": "nfs4"}],
}


def described(folder: Path, **changes: Any) -> DescribedHost:
    """A host with one image that a container uses and one that none does, sharing a layer."""
    shared = {"usr/lib/x": b"x" * 1_000}
    used = write_archive(folder / "app.tar", "acme/app:1", [shared, {"app/y": b"y" * 200}])
    unused = write_archive(folder / "old.tar", "acme/old:1", [shared, {"app/z": b"z" * 50}])
    document = json.loads(json.dumps(DESCRIPTION))
    document["images"] = {
        used: {"digests": ["acme/app@sha256:1"], "layer_bytes": [1_000, 200]},
        unused: {"layer_bytes": [1_000, 50]},
    }
    document["containers"][0]["inspect"]["Image"] = used
    (folder / "host.json").write_text(json.dumps(document | changes))
    return DescribedHost("demo", folder)


def test_it_answers_like_an_engine(tmp_path: Path) -> None:
    host = described(tmp_path)

    assert is_described(tmp_path)
    facts = host.facts()
    assert (facts.kind, facts.version, facts.store) == ("docker", "28.5.2", "overlay2")
    images = {image.name: image for image in host.images()}
    assert images["acme/app:1"].digests == ("acme/app@sha256:1",)
    assert images["acme/app:1"].size_bytes == 1_200
    assert host.image("acme/app:1") == images["acme/app:1"]
    assert len(host.blobs(images["acme/app:1"])) == 2
    (container,) = host.containers()
    assert container.image_id == images["acme/app:1"].image_id
    assert container.mounts == (Mount("volume", "/v/data", "/data", "data", True),)
    assert (container.writable_bytes, container.log_bytes) == (70, 5_000)
    assert "do-not-store" not in repr(container)
    gpu = host.gpus()
    assert (gpu.known, gpu.devices, gpu.driver_version) == (True, ("/dev/nvidia0",), "550.54")
    assert host.disk_usage() == [
        DiskUsage("images", 2, 1, 1_250, 50),
        DiskUsage("containers", 1, 1, 70, 0),
        DiskUsage("volumes", 2, 1, 1_200, 900),
        DiskUsage("build cache", 3, 1, 1_000, 800),
    ]
    (process,) = host.processes()
    assert (process.command, process.working_directory, process.open_paths) == ("node", "/srv/app", ("/srv/app/x",))
    assert host.filesystems() == {"/mnt/nas": "nfs4"}
    assert host.directory_root == tmp_path / "host"
    assert host.problems() == []


def test_little_is_needed(tmp_path: Path) -> None:
    host = described(tmp_path)
    (tmp_path / "host.json").write_text('{"format": 1}')

    assert len(host.images()) == 2
    assert host.containers() == []
    assert host.volumes() == []
    assert host.gpus().devices == ()
    assert [usage.size_bytes for usage in host.disk_usage()] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is no JSON"),
        (b"[" * 5_000, "it is no JSON"),
        (b"[]", "the document is not a mapping"),
        (b"{}", "its `format` is not 1"),
        (b'{"format": 2}', "its `format` is not 1"),
        (b'{"format": true}', "`format` of the document is not a number"),
        (b" " * 16_000_001, "it takes more than 16,000,000 bytes"),
    ],
)
def test_a_broken_document(tmp_path: Path, content: bytes, told: str) -> None:
    host = described(tmp_path)
    (tmp_path / "host.json").write_bytes(content)

    with pytest.raises(UnreadableArchive) as caught:
        host.containers()

    assert told in caught.value.message
    assert caught.value.subject.endswith("host.json")


@pytest.mark.parametrize(
    ("changes", "ask", "told"),
    [
        ({"containers": {}}, "containers", "`containers` of the document is not a list"),
        ({"containers": ["x"]}, "containers", "containers 1 is not a mapping"),
        ({"volumes": [{"name": 3}]}, "volumes", "`name` of volumes 1 is not a text"),
        ({"volumes": [{"size_bytes": -1}]}, "volumes", "`size_bytes` of volumes 1 is not a number"),
        ({"volumes": [{"size_bytes": 1e9}]}, "volumes", "`size_bytes` of volumes 1 is not a number"),
        (
            {"volumes": [{"size_bytes": 10**15 + 1}]},
            "volumes",
            "`size_bytes` of volumes 1 is not a number from 0 to 1,000",
        ),
        ({"processes": [{"pid": 10**18}]}, "processes", "`pid` of processes 1 is not a number from 0 to 1,000,000,000"),
        ({"build_cache": {"items": 10**18}}, "disk_usage", "`items` of the document → build_cache is not a number"),
        ({"gpu": {"devices": [1]}}, "gpus", "`devices` of the document → gpu is not a list of texts"),
        ({"gpu": []}, "gpus", "the document → gpu is not a mapping"),
        ({"engine": {"version": []}}, "facts", "`version` of the document → engine is not a text"),
        ({"images": 3}, "images", "the document → images is not a mapping"),
        ({"processes": [{"open": "x"}]}, "processes", "`open` of processes 1 is not a list"),
    ],
)
def test_a_broken_part(tmp_path: Path, changes: dict[str, Any], ask: str, told: str) -> None:
    with pytest.raises(UnreadableArchive) as caught:
        getattr(described(tmp_path, **changes), ask)()

    assert told in caught.value.message


@pytest.mark.parametrize(
    "broken",
    [
        {"inspect": {}},
        {"inspect": {"Id": "x", "State": "running"}},
        {"inspect": {"Id": "x", "Mounts": [3]}},
        {"inspect": []},
        {"inspect": {"Id": "x"}, "log_bytes": "many"},
    ],
)
def test_one_broken_container_is_a_problem_and_the_others_are_read(tmp_path: Path, broken: dict[str, Any]) -> None:
    host = described(tmp_path, containers=[broken, *DESCRIPTION["containers"]])

    assert [container.name for container in host.containers()] == ["app_1"]
    (problem,) = host.problems()
    assert problem.kind == "unreadable archive"
    assert "host.json" in problem.subject
    host.containers()
    assert len(host.problems()) == 1


def test_what_stands_there_twice_counts_once_and_is_named(tmp_path: Path) -> None:
    volumes = [{"name": "data", "size_bytes": 300}, {"name": "data", "size_bytes": 7}]
    host = described(tmp_path, containers=DESCRIPTION["containers"] * 2, volumes=volumes)

    assert [container.name for container in host.containers()] == ["app_1"]
    assert [(volume.name, volume.size_bytes) for volume in host.volumes()] == [("data", 300)]
    assert host.disk_usage()[2] == DiskUsage("volumes", 1, 1, 300, 0)
    assert [(problem.subject.partition(" in ")[0], problem.message) for problem in host.problems()] == [
        ("containers 2", "it is malformed (the container ID c1 stands there before; the first counts)."),
        ("volumes 2", "it is malformed (the volume data stands there before; the first counts)."),
    ]


def test_sums_stay_within_what_the_warehouse_holds(tmp_path: Path) -> None:
    host = described(tmp_path, volumes=[{"name": f"v{number}", "size_bytes": 10**15} for number in range(10_000)])
    assert host.disk_usage()[2] == DiskUsage("volumes", 10_000, 0, 2**63 - 1, 2**63 - 1)


@pytest.mark.parametrize("number", [2**63, 10**30, -1, True, "5", 1.5])
def test_numbers_of_containers_that_the_warehouse_does_not_hold(number: Any) -> None:
    container = container_from_inspect(
        {"Id": "x", "RestartCount": number, "HostConfig": {"Memory": number}}, None, None
    )

    assert (container.restart_count, container.memory_limit_bytes) == (0, None)


def test_odd_names_are_escaped(tmp_path: Path) -> None:
    host = described(tmp_path, volumes=[{"name": "a\x1b[31m", "mountpoint": "/v"}])

    assert host.volumes()[0].name == "a\\x1b[31m"


def test_a_folder_without_description(tmp_path: Path) -> None:
    assert not is_described(tmp_path)
    with pytest.raises(UnreadableArchive, match=r"it holds no host\.json"):
        DescribedHost("demo", tmp_path).containers()
