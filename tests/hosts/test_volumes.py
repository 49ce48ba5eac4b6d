"""Volumes as an engine lists them: sizes that it does not know stay unknown, users are counted, names are safe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.directory_inventory import directory_rows, volume_rows
from imgopt_pipeline.hosts.engine_usage import volumes_from_df
from imgopt_pipeline.hosts.models import Volume
from tests.hosts.test_described import described

ID = "8c1f0d6a6b1c3f7f1f0f3a5a0de0c1b39b1f6a7e9c2d4e8f5a6b7c8d9e0f1a2b"


def test_sizes_and_users_are_the_engines() -> None:
    listed = [
        {"Name": "b", "Driver": "local", "Mountpoint": "/v/b", "UsageData": {"Size": 640, "RefCount": 2}},
        {"Name": "a", "Driver": "local", "Mountpoint": "/v/a", "UsageData": {"Size": 0, "RefCount": 0}},
    ]
    assert volumes_from_df(listed, None) == [
        Volume("a", "local", "/v/a", 0, 0, False),
        Volume("b", "local", "/v/b", 640, 2, False),
    ]


def test_what_the_engine_does_not_know_is_unknown_and_counted_from_the_containers() -> None:
    containers: list[dict[str, Any]] = [
        {"Mounts": [{"Type": "volume", "Name": "a"}, {"Type": "bind", "Name": "a"}]},
        {"Mounts": [{"Type": "volume", "Name": "a"}]},
        {"Mounts": None},
    ]
    unknown = {"Name": "a", "Driver": "local", "Mountpoint": "/v/a", "UsageData": {"Size": -1, "RefCount": -1}}
    assert volumes_from_df([unknown], containers) == [Volume("a", "local", "/v/a", None, 2, False)]
    assert volumes_from_df([{"Name": "a"}], []) == [Volume("a", "", "", None, 0, False)]


def test_a_volume_that_the_engine_named_is_anonymous() -> None:
    labelled = {"Name": "x", "Labels": {"com.docker.volume.anonymous": ""}}
    found = volumes_from_df([{"Name": ID}, labelled, {"Name": ID[:-1]}, {"Name": ID.upper()}], None)
    assert {volume.name: volume.anonymous for volume in found} == {
        ID: True,
        "x": True,
        ID[:-1]: False,
        ID.upper(): False,
    }


def test_broken_answers_are_passed_over_and_names_are_printable() -> None:
    assert volumes_from_df(None, None) == volumes_from_df("x", None) == volumes_from_df([None, 3, {}], None) == []
    (volume,) = volumes_from_df([{"Name": "a\x1b[31m\n", "UsageData": None, "Labels": None}], None)
    assert volume.name == "a\\x1b[31m\\x0a"


def test_rows_of_a_described_host_and_of_archives_alone(tmp_path: Path) -> None:
    data = tmp_path / "fleet/host/v/data/table.ibd"
    data.parent.mkdir(parents=True)
    data.write_bytes(bytes(300))
    host = described(tmp_path / "fleet")
    rows = {row["name"]: row for row in volume_rows(host, "audit")["volume_inventory"]}
    assert {name: (row["size_bytes"], row["containers"]) for name, row in rows.items()} == {
        "data": (300, 1),
        "old": (900, 0),
    }
    directories = {row["path"]: row for row in directory_rows(host, "audit")["data_directories"]}
    assert directories["/v/data"]["contents_bytes"] == [("database", 300)]
    assert (directories["/v/old"]["size_bytes"], directories["/v/old"]["complete"]) == (900, False)
    archives = ArchiveHost("archives", tmp_path / "empty")
    assert volume_rows(archives, "audit") == {"volume_inventory": []}
    assert directory_rows(archives, "audit")["data_directories"] == []
