"""A whole audit of a real engine through the program, checked against what the engine itself tells.

On both image stores: exit code and report, every fact of the inventory, unique and shared bytes against a
naive sum, disk usage, the second audit that reads no layer, and that the host is as it was before.
"""

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.hosts.connection import engine_addresses
from imgopt_pipeline.hosts.engine import EngineHost

from .daemons import Daemon
from .fleet import (
    MEMORY_BYTES,
    VOLUME_BYTES,
    WRITTEN_BYTES,
    StoredImage,
    make_fleet,
    remove_fleet,
    stored_images,
)
from .program import environment, imgopt, leftovers, rows
from .proxy import tcp_proxy

Row = dict[str, Any]


@dataclass(frozen=True)
class Audited:
    """A daemon with the fleet, audited twice."""

    daemon: Daemon
    home: Path
    bound: Path
    images: dict[str, StoredImage]
    first: "subprocess.CompletedProcess[str]"
    second: "subprocess.CompletedProcess[str]"
    before: list[str]
    after: list[str]
    events: list[Row]
    usage: Row

    @property
    def dangling(self) -> int:
        """How many images no tag names: the containerd store drops an image with its last tag."""
        return 1 if self.daemon.kind == "classic" else 0

    def rows(self, query: str) -> list[Row]:
        """Rows of the newest audit's warehouse."""
        return rows(self.home, query)

    def image(self, reference: str) -> StoredImage:
        """The naive account of an image."""
        return next(image for image in self.images.values() if reference in image.references)


@pytest.fixture(scope="module", params=["classic", "containerd"])
def audited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """The fleet on each daemon, audited twice by the program."""
    daemon: Daemon = request.getfixturevalue(request.param)
    home, bound = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("bound")
    remove_fleet(daemon)
    try:
        make_fleet(daemon, bound)
        images, before, usage = stored_images(daemon), state_of(daemon), usage_of(daemon)
        env, since = environment(home, daemon.url), time.time()
        first, second = imgopt(["audit"], env), imgopt(["audit"], env)
        events = daemon.docker("events", f"--since={since:.3f}", f"--until={time.time():.3f}", "--format={{json .}}")
        happened = [json.loads(line) for line in events.splitlines()]
        yield Audited(daemon, home, bound, images, first, second, before, state_of(daemon), happened, usage)
    finally:
        remove_fleet(daemon)


def test_both_audits_succeed_in_silence(audited: Audited) -> None:
    for run in (audited.first, audited.second):
        assert (run.returncode, run.stderr) == (0, "")


def test_report_says_what_was_found(audited: Audited) -> None:
    report = audited.first.stdout
    engine = (
        r"Docker \d+\.\d+\.\d+\S*, " + ("overlay2" if audited.daemon.kind == "classic" else "containerd") + " store"
    )
    layers = len({diff_id for image in audited.images.values() for diff_id in image.diff_ids})
    found = f"{len(audited.images)} images, 4 containers, {layers} layers"
    assert re.search(rf"^Host local  \d{{4}}-\d\d-\d\d \d\d:\d\d  {engine}  {found} \({layers} read in ", report, re.M)
    for name in ("app:1", "sibling:1", "annotated:1", "busybox:test"):
        assert re.search(rf"^{name}", report, re.M), name
    assert re.search(r"^app:1 \(\+2\) .* running *$", report, re.M)
    assert re.search(r"^annotated:1 .* unused *$", report, re.M)
    dangling = re.findall(r"^[0-9a-f]{12} .* stopped, dangling *$", report, re.M)
    assert len(dangling) == audited.dangling
    assert "over 2 GB" not in report
    for kind in ("images", "containers", "volumes", "build cache"):
        assert re.search(rf"^{kind} ", report, re.M), kind
    assert str(audited.home / "imgopt.duckdb") in report and "imgopt ui" in report


def test_second_audit_reads_no_layer(audited: Audited) -> None:
    first, second = audited.rows("FROM audits ORDER BY finished_at")
    layers = {diff_id for image in audited.images.values() for diff_id in image.diff_ids}
    assert (first["status"], second["status"]) == ("complete", "complete")
    assert (first["layers"], second["layers"]) == (len(layers), len(layers))
    assert (first["layers_read"], second["layers_read"]) == (len(layers), 0)
    assert "(0 read in " in audited.second.stdout


def test_best_reader_was_used_for_every_layer(audited: Audited) -> None:
    best = {"classic": "API: tar-split", "containerd": "direct: snapshot walk"}[audited.daemon.kind]
    assert {row["reader"] for row in audited.rows("FROM layers")} == {best}


def test_images_have_all_their_names(audited: Audited) -> None:
    found = {row["image_id"]: row for row in audited.rows("FROM latest_images")}
    assert set(found) == set(audited.images)
    for image_id, image in audited.images.items():
        row = found[image_id]
        assert sorted(row["image_references"]) == sorted(image.references)
        assert sorted(row["digests"]) == sorted(image.digests)
        assert row["dangling"] == (not image.references)
        assert row["layer_count"] == len(image.diff_ids)
    assert sorted(found[audited.image("app:1").image_id]["image_references"]) == [
        "app:1",
        "app:latest",
        "registry.example.org:5000/team/app:1",
    ]
    assert sum(row["dangling"] for row in found.values()) == audited.dangling
    pulled = next(row for row in found.values() if row["name"].endswith("/pulled:1"))
    assert [re.sub(r":\d+", ":PORT", digest.partition("@")[0]) for digest in pulled["digests"]] == [
        "127.0.0.1:PORT/pulled"
    ]


def test_images_say_what_they_are(audited: Audited) -> None:
    found = {row["name"]: row for row in audited.rows("FROM latest_images")}
    app, sibling = found["app:1"], found["sibling:1"]
    assert app["labels"] == {"vendor": "acme"}
    assert (app["default_user"], app["has_healthcheck"], sibling["has_healthcheck"]) == ("1000", False, True)
    assert "TOKEN" in app["env_names"]
    assert {row["architecture"] for row in found.values()} == {"amd64"}
    steps = [row["created_by"] for row in audited.rows("FROM latest_layers WHERE name = 'app:1' ORDER BY position")]
    assert len(steps) == 3 and "COPY data /data" in steps[1] and "echo kept > /tmp/kept" in steps[2]


def test_no_secret_reaches_the_warehouse(audited: Audited) -> None:
    content = (audited.home / "imgopt.duckdb").read_bytes()
    stored = [
        str(row) for table in ("images", "image_layers", "container_inventory") for row in audited.rows(f"FROM {table}")
    ]
    for secret in ("very-secret-value", "another-secret"):
        assert secret.encode() not in content
        assert not [row for row in stored if secret in row]


def test_base_is_found_by_annotation_and_by_layers(audited: Audited) -> None:
    found = {
        row["name"]: (row["base_reference"], row["base_evidence"])
        for row in audited.rows("FROM latest_images WHERE NOT dangling")
    }
    assert found["annotated:1"] == ("acme/base:7", "annotation")
    assert found["app:1"] == ("busybox:test", "layer prefix")
    assert found["sibling:1"] == ("app:1", "layer prefix")
    assert found["busybox:test"] == (None, None)


def test_use_of_images(audited: Audited) -> None:
    found = {
        row["name"] if row["image_references"] else "dangling": (row["containers"], row["running_containers"])
        for row in audited.rows("FROM latest_images")
    }
    assert found["app:1"] == (1, 1)
    assert found["busybox:test"] == (2, 0)
    assert found.get("dangling") == ((1, 0) if audited.dangling else None)
    assert found["sibling:1"] == found["annotated:1"] == (0, 0)


def test_containers(audited: Audited) -> None:
    found = {row["name"]: row for row in audited.rows("FROM latest_containers")}
    assert set(found) == {"web", "done", "retry", "on-dangling"}
    web, done, retry = found["web"], found["done"], found["retry"]
    assert [(row["state"], row["running"]) for row in (web, done, retry)] == [
        ("running", True),
        ("exited", False),
        ("created", False),
    ]
    assert [row["restart_policy"] for row in (web, done, retry)] == ["unless-stopped", "no", "on-failure"]
    assert (web["memory_limit_bytes"], done["memory_limit_bytes"]) == (MEMORY_BYTES, None)
    assert (web["image_reference"], web["image_id"]) == ("app:1", audited.image("app:1").image_id)
    assert web["started_at"] > web["created_at"] and retry["started_at"] is None
    assert (web["log_driver"], retry["log_driver"]) == ("json-file", "none")
    told = {item["Id"]: item.get("SizeRw", 0) for item in audited.usage["Containers"]}
    assert {row["container_id"]: row["writable_bytes"] for row in found.values()} == told
    assert WRITTEN_BYTES <= web["writable_bytes"] < 2 * WRITTEN_BYTES


def test_compose_project(audited: Audited) -> None:
    found = {row["name"]: row for row in audited.rows("FROM latest_containers")}
    web = found["web"]
    assert (web["compose_project"], web["compose_service"]) == ("shop", "web")
    assert web["compose_working_dir"] == "/srv/shop"
    assert web["compose_config_files"] == ["/srv/shop/compose.yaml", "/srv/shop/override.yaml"]
    assert (found["done"]["compose_project"], found["done"]["compose_config_files"]) == (None, [])


def test_log_bytes_are_those_of_all_log_files(audited: Audited) -> None:
    path = Path(audited.daemon.docker("inspect", "--format={{.LogPath}}", "web"))
    files = list(path.parent.glob(f"{path.name}*"))
    assert len(files) == 3, "the log was to be rotated"
    (web,) = audited.rows("FROM latest_containers WHERE name = 'web'")
    assert web["log_bytes"] == sum(file.stat().st_size for file in files) > 4_000


def test_log_bytes_of_an_engine_whose_disk_is_out_of_sight(audited: Audited) -> None:
    (web,) = audited.rows("FROM latest_containers WHERE name = 'web'")
    with tcp_proxy(audited.daemon.socket, lambda method, path: None) as url:
        host = EngineHost("remote", engine_addresses(url))
        try:
            found = {container.name: container.log_bytes for container in host.containers()}
        finally:
            host.close()
    assert found["web"] == web["log_bytes"]
    assert audited.daemon.docker("ps", "--all", "--quiet", "--filter=label=imgopt.helper") == ""


def test_mounts(audited: Audited) -> None:
    found = audited.rows(
        "SELECT m.* FROM container_mounts AS m JOIN latest_containers AS c USING (audit_id, container_id)"
        " WHERE c.name = 'web'"
    )
    source = audited.daemon.docker("volume", "inspect", "--format={{.Mountpoint}}", "used")
    assert {(row["kind"], row["source"], row["destination"], row["volume"], row["writable"]) for row in found} == {
        ("volume", source, "/volume", "used", True),
        ("bind", str(audited.bound), "/bound", None, False),
        ("tmpfs", "", "/scratch", None, True),
    }


def test_unique_and_shared_bytes_are_those_of_a_naive_sum(audited: Audited) -> None:
    holders = Counter(chain for image in audited.images.values() for chain in chains_of(image))
    found = {row["image_id"]: row for row in audited.rows("FROM latest_images")}
    for image in audited.images.values():
        sizes = dict(zip(chains_of(image), image.file_bytes, strict=True))
        unique = sum(size for chain, size in sizes.items() if holders[chain] == 1)
        row = found[image.image_id]
        assert (row["unique_bytes"], row["shared_bytes"]) == (unique, sum(image.file_bytes) - unique), image
        assert row["size_bytes"] == sum(image.file_bytes)
    assert any(row["unique_bytes"] and row["shared_bytes"] for row in found.values())


def test_disk_usage(audited: Audited) -> None:
    found = {row["kind"]: row for row in audited.rows("FROM latest_disk_usage")}
    used = {row["image_id"] for row in audited.rows("FROM latest_containers")}
    stored = {
        chain: size
        for image in audited.images.values()
        for chain, size in zip(chains_of(image), image.file_bytes, strict=True)
    }
    held = {chain for image in audited.images.values() if image.image_id in used for chain in chains_of(image)}
    images, volumes, containers = found["images"], found["volumes"], found["containers"]
    assert (images["items"], images["active_items"]) == (len(audited.images), 2 + audited.dangling)
    assert images["size_bytes"] == sum(stored.values())
    assert images["reclaimable_bytes"] == sum(size for chain, size in stored.items() if chain not in held)
    assert (volumes["items"], volumes["active_items"], volumes["reclaimable_bytes"]) == (2, 1, 0)
    assert volumes["size_bytes"] == VOLUME_BYTES
    assert (containers["items"], containers["active_items"]) == (4, 1)
    assert containers["size_bytes"] == sum(item.get("SizeRw", 0) for item in audited.usage["Containers"])
    cache = [item for item in audited.usage["BuildCache"] if not item["Shared"]]
    assert found["build cache"]["size_bytes"] == sum(item["Size"] for item in cache)
    assert found["build cache"]["items"] == len(audited.usage["BuildCache"]) > 0


def test_nothing_on_the_host_changed(audited: Audited) -> None:
    assert audited.after == audited.before
    assert audited.daemon.docker("ps", "--all", "--quiet", "--filter=label=imgopt.helper") == ""


def test_all_that_happened_on_the_host_were_helpers_that_never_ran(audited: Audited) -> None:
    assert {event["Type"] for event in audited.events} <= {"container"}
    assert all("imgopt.helper" in event["Actor"]["Attributes"] for event in audited.events)
    actions = Counter(event["Action"] for event in audited.events)
    assert set(actions) <= {"create", "archive-path", "destroy"}
    assert actions["create"] == actions["destroy"] == (1 if audited.daemon.kind == "classic" else 0)


def test_no_file_is_left_beside_the_results(audited: Audited) -> None:
    assert leftovers(audited.home) == []


def test_other_commands_read_what_the_audit_stored(audited: Audited) -> None:
    env = environment(audited.home, "unix:///nowhere.sock")
    listed = imgopt(["images", "--json"], env)
    assert listed.returncode == 0
    assert {row["image_id"] for row in json.loads(listed.stdout)} == set(audited.images)
    shown = imgopt(["image", "sibling:1", "--json"], env)
    assert shown.returncode == 0 and len(json.loads(shown.stdout)["layers"]) == 4


def chains_of(image: StoredImage) -> list[tuple[str, ...]]:
    """What identifies each stored layer: its diff ID and all those below it."""
    return [image.diff_ids[: count + 1] for count in range(len(image.diff_ids))]


def state_of(daemon: Daemon) -> list[str]:
    """Everything on the host that could change."""
    told = [
        daemon.docker("images", "--all", "--no-trunc", "--digests", "--format={{.ID}} {{.Repository}}:{{.Tag}}"),
        daemon.docker("ps", "--all", "--no-trunc", "--format={{.ID}} {{.Names}} {{.State}} {{.Image}}"),
        daemon.docker("volume", "ls", "--quiet"),
        daemon.docker("network", "ls", "--quiet"),
    ]
    return sorted("\n".join(told).splitlines())


def usage_of(daemon: Daemon) -> Row:
    """The engine's own account of its disk."""
    command = ["curl", "--silent", "--fail", "--unix-socket", str(daemon.socket), "http://engine/system/df"]
    answer: Row = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer
