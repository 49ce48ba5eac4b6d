"""Hosts at the edge: nothing on them, unreadable images, broken GPUs, volumes, logs, very many images."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from imgopt_pipeline.planning.plan import plan_rows
from imgopt_pipeline.warehouse.store import publish, replace_rows, snapshot
from tests.planning.warehouse_made import AUDIT, BASE_LAYER, COPY, GB, HOST, MB, Layer, Server, item, pip_layer
from tests.warehouse.migrations_made import migration_row

PIP_LAYER = pip_layer("pip", 2 * GB, 4 * GB)


def test_a_host_with_nothing_has_an_empty_plan(tmp_path: Path) -> None:
    assert Server().plan(tmp_path) == []


def test_an_audit_that_is_not_there_has_an_empty_plan(tmp_path: Path) -> None:
    with snapshot(Server().publish(tmp_path)) as connection:
        assert plan_rows(connection, HOST, "no such audit") == []


def test_an_image_that_could_not_be_read_says_so(tmp_path: Path) -> None:
    server = Server()
    server.container("app", server.image("app:1", [Layer("broken", "COPY", None)], analysed=False))
    server.add(
        "audit_problems",
        asset="layer_analysis",
        subject="app:1",
        kind="unreadable layer",
        message="the tar ends early.",
        hint="",
    )
    (row,) = server.plan(tmp_path)
    assert (row["decision"], row["likely_bytes"], row["priority"], row["phase"]) == ("needs a person", 0, "none", None)
    assert "could not be read (the tar ends early)" in row["reason"]


def test_an_image_without_layers_is_accepted(tmp_path: Path) -> None:
    server = Server()
    server.container("empty", server.image("empty:1", []))
    (row,) = server.plan(tmp_path)
    assert (row["decision"], row["size_bytes"]) == ("accept", 0)


def test_an_image_that_needs_a_gpu_and_has_none_is_for_a_person(tmp_path: Path) -> None:
    server = Server()
    server.container("app", server.image("app:1", [BASE_LAYER, PIP_LAYER], verdict="broken", build="cuda"))
    (row,) = server.plan(tmp_path)
    assert row["decision"] == "needs a person"
    assert "R1" not in row["techniques"]
    assert "cannot work as it is" in row["reason"]


@pytest.mark.parametrize("verdict", ["granted", "used", "required", "unknown", "broken"])
def test_gpu_code_goes_on_a_denied_verdict_only(tmp_path: Path, verdict: str) -> None:
    server = Server()
    server.container("app", server.image("app:1", [BASE_LAYER, PIP_LAYER], verdict=verdict, build="cuda"))
    (row,) = server.plan(tmp_path)
    assert "R1" not in row["techniques"]
    assert row["high_bytes"] < 2 * GB


def test_an_image_with_several_containers_is_planned_once(tmp_path: Path) -> None:
    server = Server()
    image = server.image("app:1", [BASE_LAYER, PIP_LAYER], verdict="denied", build="cuda")
    for number in range(3):
        server.container(f"app-{number}", image, running=number == 0, state="running" if number == 0 else "exited")
    (row,) = server.plan(tmp_path)
    assert "3 containers of it, 1 running" in row["reason"]


def test_volumes_build_cache_and_logs(tmp_path: Path) -> None:
    server = Server()
    server.container("app", server.image("app:1", [BASE_LAYER]), log_bytes=700 * MB)
    server.container("quiet", server.image("app:2", [BASE_LAYER], variant="2"), log_bytes=5 * MB)
    volume = {"driver": "local", "mountpoint": "/v", "anonymous": False}
    server.add("volume_inventory", name="old data", size_bytes=2 * GB, containers=0, **volume)
    server.add("volume_inventory", name="used", size_bytes=GB, containers=1, **volume)
    server.add("volume_inventory", name="unsized", size_bytes=None, containers=0, **volume)
    server.add("disk_usage", kind="build cache", items=9, active_items=0, size_bytes=3 * GB, reclaimable_bytes=1 * GB)
    server.finding("unused-volumes", None, "volume", "old data")
    server.finding("old-build-cache", None, "host", HOST)
    plan = server.plan(tmp_path)
    cache, data, log = item(plan, "build cache"), item(plan, "old data"), item(plan, "app")
    assert (cache["decision"], cache["likely_bytes"], cache["command"]) == (
        "optimize",
        GB,
        "imgopt clean --host big --build-cache",
    )
    assert (data["decision"], data["likely_bytes"]) == ("needs a person", 2 * GB)
    assert data["command"] == "imgopt clean --host big --volume='old data'"
    assert (data["rules"], cache["rules"]) == (["unused-volumes"], ["old-build-cache"])
    assert (log["subject_kind"], log["likely_bytes"]) == ("container", 700 * MB)
    assert "'{{.LogPath}}' app |" in log["command"]
    assert log["action"] == "limit its log and empty it"


def test_directories_inside_others_count_once(tmp_path: Path) -> None:
    server = Server()
    server.directory("/srv/app", {"audio": 3 * GB, "node_modules": GB}, kind="project", compose_project="app")
    server.directory("/srv/app/music", {"audio": 2500 * MB}, containers=["app"], running=True)
    server.directory("/srv/application", {"video": GB})
    plan = server.plan(tmp_path)
    rows = [(row["subject"], row["action"], row["likely_bytes"], row["size_bytes"]) for row in plan]
    assert sorted(rows) == [
        ("/srv/app", "move its audio to a remote mount", 500 * MB, 1500 * MB),
        ("/srv/app", "remove node_modules", GB, 1500 * MB),
        ("/srv/app/music", "move to a remote mount", 2500 * MB, 2500 * MB),
        ("/srv/application", "move to a remote mount", GB, GB),
    ]
    assert "docker stop app" in item(plan, "/srv/app/music")["prerequisites"][1]


@pytest.mark.parametrize("outcome", ["verified", "rolled back"])
def test_data_that_was_moved_is_where_it_is_meant_to_be(tmp_path: Path, outcome: str) -> None:
    server = Server()
    server.directory("/mnt/remote/music", {"audio": 3 * GB})
    database = server.publish(tmp_path)
    moved = migration_row("m1", host=HOST, outcome=outcome)
    publish(database, lambda connection: replace_rows(connection, {"migrations": [moved]}))
    with snapshot(database) as connection:
        planned = [row["subject"] for row in plan_rows(connection, HOST, AUDIT)]
    assert planned == ([] if outcome == "verified" else ["/mnt/remote/music"])


def test_directories_that_stay(tmp_path: Path) -> None:
    server = Server()
    server.directory("/mnt/nas/music", {"audio": 9 * GB}, remote=True, filesystem="nfs4")
    server.directory("/srv/postgres", {"database": 5 * GB})
    server.directory("/var/lib/docker/volumes/m/_data", {"models": 4 * GB}, kind="volume", volume="m")
    server.directory("/srv/code", {"source": 2 * GB})
    server.directory("/srv/small", {"audio": 50 * MB})
    server.directory("/root/secret", {}, size_bytes=None)
    server.directory("/mnt/nas/films", {}, size_bytes=None, remote=True, filesystem="nfs4")
    plan = server.plan(tmp_path)
    assert {(row["subject"], row["decision"], row["action"], row["likely_bytes"], row["phase"]) for row in plan} == {
        ("/srv/postgres", "avoid", "do not move it", 0, None),
        ("/var/lib/docker/volumes/m/_data", "accept", "leave it as it is", 0, None),
        ("/srv/code", "accept", "leave it as it is", 0, None),
        ("/root/secret", "accept", "it could not be read from here", 0, None),
        ("/mnt/nas/films", "accept", "it is remote already", 0, None),
    }


@pytest.mark.parametrize(
    ("path", "engine", "command"),
    [
        ("/srv/app/node_modules", "docker", "imgopt clean --host big --directory=/srv/app/node_modules"),
        ("/srv/app/node_modules", "podman", "rm -rf -- /srv/app/node_modules"),
        ("/srv/app/dist", "docker", "rm -rf -- /srv/app/dist"),
        ("/srv/app/.venv", "docker", "rm -rf -- /srv/app/.venv"),
    ],
)
def test_where_no_process_can_be_seen_a_person_looks(tmp_path: Path, path: str, engine: str, command: str) -> None:
    server = Server(engine_kind=engine)
    contents = "node_modules" if path.endswith("node_modules") else "build output"
    server.directory(path, {contents: GB}, kind="project", in_use_by=None)
    (row,) = server.plan(tmp_path)
    assert (row["decision"], row["command"]) == ("needs a person", command)
    assert row["prerequisites"][0] == "See that no process runs there."


def test_a_thousand_images_are_planned_in_a_second(tmp_path: Path) -> None:
    server = Server()
    claims = {f"R{number}:{level}": 3 * MB for number in (3, 4, 5, 6, 9, 15) for level in ("low", "likely", "high")}
    for number in range(1000):
        layers = [BASE_LAYER, *(Layer(f"{number} {n}", COPY, 100 * MB, claims if n == 2 else {}) for n in range(4))]
        image = server.image(f"app-{number}:1", layers)
        if number % 2:
            server.container(f"c{number}", image)
    database = server.publish(tmp_path)
    with snapshot(database) as connection:
        began = time.perf_counter()
        rows = plan_rows(connection, HOST, AUDIT)
        seconds = time.perf_counter() - began
    assert len(rows) == 501
    assert seconds < 1
