"""Bytes count for the plan only where they would really go: layers that others hold, equal contents, unused images."""

from __future__ import annotations

from pathlib import Path

from tests.planning.warehouse_made import (
    APT_LAYER,
    BASE_LAYER,
    COPY,
    GB,
    MB,
    Layer,
    Server,
    item,
    pip_layer,
)

PIP_LAYER = pip_layer("pip", 2 * GB, 2 * GB)
OWN = Layer("own", COPY, 400 * MB, {"R10:low": 300 * MB})


def test_a_layer_that_another_image_holds_frees_nothing(tmp_path: Path) -> None:
    server = Server()
    server.container("one", server.image("one:1", [BASE_LAYER, PIP_LAYER, OWN], verdict="denied", build="cuda"))
    server.container("two", server.image("two:1", [BASE_LAYER, PIP_LAYER, Layer("x", COPY, 5)], verdict="denied"))
    plan = server.plan(tmp_path)
    assert item(plan, "one:1")["likely_bytes"] == 300 * MB
    assert "2.2 GB more lie in layers that it shares with two:1," in item(plan, "one:1")["reason"]
    assert (item(plan, "two:1")["decision"], item(plan, "two:1")["high_bytes"]) == ("accept", 0)


def test_what_an_earlier_build_left_holds_nothing_back(tmp_path: Path) -> None:
    server = Server()
    for reference, own in (("web:1", "now"), ("", "before")):
        image = server.image(reference, [PIP_LAYER, Layer(own, COPY, MB)], verdict="denied", build="cuda")
        if reference:
            server.container("web", image)
    plan = server.plan(tmp_path)
    (dangling,) = [row for row in plan if row["action"] == "remove a dangling image"]
    assert dangling["likely_bytes"] == MB
    assert item(plan, "web:1")["likely_bytes"] == 2200 * MB
    assert any(f"Remove {dangling['subject']}" in step for step in item(plan, "web:1")["prerequisites"])


def test_images_of_equal_content_are_one_item(tmp_path: Path) -> None:
    server = Server()
    layers = [BASE_LAYER, PIP_LAYER]
    server.container("api", server.image("api:1", layers, verdict="denied", build="cuda"))
    server.container("job", server.image("job:1", layers, verdict="denied", build="cuda", variant="other command"))
    (row,) = server.plan(tmp_path)
    assert (row["subject"], row["likely_bytes"]) == ("api:1", 2200 * MB)
    assert "Of the same content: job:1." in row["reason"]
    assert "2 containers of it, 2 running" in row["reason"]


def test_equal_content_keeps_cuda_where_one_of_them_has_a_gpu(tmp_path: Path) -> None:
    server = Server(has_gpu=True)
    server.container("api", server.image("api:1", [PIP_LAYER], verdict="denied", build="cuda"))
    server.container("job", server.image("job:1", [PIP_LAYER], verdict="granted", build="cuda", variant="gpu"))
    (row,) = server.plan(tmp_path)
    assert "R1" not in row["techniques"]


def test_an_unused_image_is_removed_and_not_optimized_as_well(tmp_path: Path) -> None:
    server = Server()
    server.container("web", server.image("web:1", [BASE_LAYER]))
    server.image("trial:1", [BASE_LAYER, PIP_LAYER], verdict="denied", build="cuda")
    plan = server.plan(tmp_path)
    row = item(plan, "trial:1")
    assert (row["decision"], row["action"]) == ("needs a person", "remove an unused local image")
    assert (row["risk"], row["phase"]) == ("medium", 1)
    assert row["likely_bytes"] == 4 * GB  # the base stays: web:1 holds it
    assert row["command"] == "docker image rm trial:1"


def test_unused_dangling_and_old_images_are_a_few_items(tmp_path: Path) -> None:
    server = Server()
    server.container("web", server.image("web:3", [BASE_LAYER, Layer("web 3", COPY, MB)]))
    for version in (1, 2):
        server.image(f"web:{version}", [BASE_LAYER, Layer(f"web {version}", COPY, 100 * MB)], age_days=9)
    server.image("tiny:1", [Layer("tiny", COPY, 10_000)], digests=["tiny@sha256:" + "b" * 64])
    for n in "12":
        layers = [Layer(f"db {n}", COPY, 300 * MB)]
        server.image(f"db:{n}", layers, digests=[f"db@sha256:{n * 64}"], age_days=int(n))
    trials = [server.image("", [BASE_LAYER, Layer(f"trial {n}", COPY, 200 * MB)]) for n in range(3)]
    server.image("tool:1", [Layer("tool", COPY, 50 * MB)])
    server.image("python:3.11-slim", [BASE_LAYER], digests=["python@sha256:" + "a" * 64])
    server.finding("dangling_images", None, "image", "x", image_id=trials[0])
    plan = server.plan(tmp_path)
    old, dangling, unused = item(plan, "2 old local builds"), item(plan, "3 dangling images"), item(plan, "tool:1")
    assert [item(plan, f"db:{n}")["action"] for n in (1, 2)] == ["remove an unused image", "remove an old version"]
    assert [item(plan, f"db:{n}")["decision"] for n in (1, 2)] == ["optimize", "optimize"]
    assert (old["decision"], unused["decision"]) == ("needs a person", "needs a person")
    assert "tiny:1" not in [row["subject"] for row in plan if row["phase"]], "ten kilobytes are no item"
    assert (old["likely_bytes"], dangling["likely_bytes"], unused["likely_bytes"]) == (200 * MB, 600 * MB, 50 * MB)
    assert old["command"] == "docker image rm web:1 web:2"
    assert dangling["command"] == "imgopt clean --host big --images"
    assert dangling["rules"] == ["dangling_images"]
    # Nothing goes with the base: the images made from it hold it.
    assert item(plan, "python:3.11-slim")["decision"] == "accept"


def test_a_newer_image_that_nothing_uses_yet_is_no_old_version(tmp_path: Path) -> None:
    server = Server()
    server.container("web", server.image("web:1", [Layer("web 1", COPY, 100 * MB)], age_days=9))
    server.image("web:2", [Layer("web 2", COPY, 100 * MB)])
    row = item(server.plan(tmp_path), "web:2")
    assert row["reason"].startswith("No container uses")


def test_unused_images_of_equal_content_go_together(tmp_path: Path) -> None:
    server = Server()
    server.container("web", server.image("web:1", [BASE_LAYER]))
    for name in ("a:1", "b:1"):
        server.image(name, [Layer("same", COPY, 500 * MB)], variant=name)
    row = item(server.plan(tmp_path), "2 unused local images")
    assert row["likely_bytes"] == 500 * MB
    assert row["command"] == "docker image rm a:1 b:1"


def test_a_dangling_image_with_a_container_stays(tmp_path: Path) -> None:
    server = Server()
    image = server.image("", [BASE_LAYER, APT_LAYER, PIP_LAYER], verdict="denied", build="cuda")
    server.container("old", image, "app_web", compose_project="app", compose_service="web", running=False)
    (row,) = server.plan(tmp_path)
    assert (row["decision"], row["image_id"]) == ("optimize", image)
    assert "1 container of it, 0 running" in row["reason"]
    assert "rm" not in row["command"].split()


def test_an_archive_folder_shows_no_use_and_loses_nothing(tmp_path: Path) -> None:
    server = Server(engine_kind="archives", image_store="archives")
    server.image("web:1", [BASE_LAYER, PIP_LAYER], age_days=3)
    server.image("web:2", [BASE_LAYER, Layer("web 2", COPY, 100 * MB)])
    server.image("", [Layer("x", COPY, 100 * MB)])
    plan = server.plan(tmp_path)
    assert len(plan) == 3
    assert not any("image rm" in row["command"] for row in plan)
    assert all("Whether containers use it is not known." in row["reason"] for row in plan)


def test_an_engine_without_containers_may_keep_its_images_on_purpose(tmp_path: Path) -> None:
    server = Server()
    server.image("tool:1", [BASE_LAYER, PIP_LAYER], verdict="denied", build="cuda")
    dangling = server.image("", [Layer("x", COPY, 100 * MB)])
    plan = server.plan(tmp_path)
    assert item(plan, "tool:1")["action"].startswith("rebuild with CPU-only")
    assert item(plan, dangling[7:19])["command"] == "imgopt clean --host big --images"
