"""Commands name exactly what they are about, whatever characters the name has: asked of a real shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.commands import word, words
from tests.planning.warehouse_made import COPY, GB, Layer, Row, Server, item, pip_layer

NASTY = [
    "a b",
    "$(touch /tmp/x)",
    "it's",
    "'; rm -rf / #",
    "-rf",
    "ü\n\t\x1b[31m",
    "back\\slash",
    "`id`",
    '"q"',
    "~",
    "*",
]


def echoed(text: str) -> bytes:
    return subprocess.run(["bash", "-c", text], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}).stdout


@pytest.mark.parametrize("name", NASTY)
def test_a_shell_sees_the_original_name(name: str) -> None:
    assert echoed(f"printf %s {word(printable(name))}") == name.encode()


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name))
def test_a_shell_sees_the_original_bytes(name: bytes) -> None:
    assert echoed(f"printf %s {word(printable(name))}") == name


def test_names_are_no_options() -> None:
    assert words(["-rf", "a b"]) == "-- -rf 'a b'"
    assert words(["a", "b"]) == "a b"


def test_the_copy_of_a_directory_stops_without_a_destination(tmp_path: Path) -> None:
    server = Server()
    server.directory("/srv/my 'music'; id", {"audio": GB})
    (row,) = server.plan(tmp_path)
    program, _, rest = row["command"].partition(" ")
    assert program == "rsync"
    assert echoed(f"REMOTE=/mnt/nas; printf '%s|' {rest}") == (
        b"-aHAX|--partial|--|/srv/my 'music'; id/|/mnt/nas/my 'music'; id/|"
    )
    with pytest.raises(subprocess.CalledProcessError):
        echoed(f"printf '%s|' {rest}")


def test_hostile_references_are_removed_by_id(tmp_path: Path) -> None:
    server = Server()
    server.container("web", server.image("web:1", []))
    image = server.image("$(id):1", [Layer("x", COPY, GB)])
    assert item(server.plan(tmp_path), "$(id):1")["command"] == f"docker image rm {image}"


@pytest.mark.parametrize(
    ("project", "folder", "files", "expected"),
    [
        ("app", "/srv/app", ["docker-compose.yml"], "podman compose -f /srv/app/docker-compose.yml up -d web"),
        ("app", "/srv/app", ["/a b/c.yml", "d.yml"], "podman compose -f '/a b/c.yml' -f /srv/app/d.yml up -d web"),
        ("other", "/srv/app", ["/srv/app/c.yml"], "podman compose -f /srv/app/c.yml -p other up -d web"),
        ("app", "/srv/app", [], "podman compose --project-directory /srv/app up -d web"),
    ],
)
def test_builds_and_recreates_by_compose_where_imgopt_does_not(
    tmp_path: Path, project: str, folder: str, files: list[str], expected: str
) -> None:
    server = Server(engine_kind="podman", image_store="overlay")
    image = server.image(f"{project}-web:latest", [pip_layer("pip", 0, 4 * GB)])
    compose: Row = {"compose_project": project, "compose_working_dir": folder, "compose_config_files": files}
    server.container("web", image, compose_service="web", **compose)
    (row,) = server.plan(tmp_path)
    assert row["command"] == expected.replace("up -d", "build")
    keep, after = row["prerequisites"][0], row["prerequisites"][-1]
    assert keep.startswith("Keep a way back: podman image tag sha256:") and keep.endswith(f" {project}-web:before")
    assert after == (
        f"After: recreate it ({expected}) and try it; then remove the old image"
        f" (podman image rm {project}-web:before): only that frees the bytes."
    )


WEB: Row = {"compose_project": "shop", "compose_service": "web", "compose_working_dir": "/srv/shop"}
CRON: Row = WEB | {"compose_service": "cron"}


@pytest.mark.parametrize(
    ("containers", "labels", "unit"),
    [
        ({"web": {}}, {}, "web"),
        ({"shop-web-1": WEB}, {}, "shop/web"),
        ({"shop-web-1": WEB, "shop-web-2": WEB}, {}, "shop/web"),
        ({"shop-web-1": WEB, "shop-cron-1": CRON}, {}, "app:1"),
        ({"shop-web-1": WEB, "shop-web-1.imgopt-11aa22cc-old": WEB | {"compose_service": "x"}}, {}, "shop/web"),
        ({"shop-web-1": WEB}, {"com.docker.compose.service": "web"}, "shop/web"),
        ({"by-hand": WEB}, {"com.docker.compose.service": "web"}, "by-hand"),
    ],
)
def test_what_runs_is_deployed_by_imgopt(
    tmp_path: Path, containers: dict[str, Row], labels: dict[str, str], unit: str
) -> None:
    server = Server()
    image = server.image("app:1", [pip_layer("pip", 0, 4 * GB)], labels=labels)
    for name, more in containers.items():
        server.container(name, image, **more)
    (row,) = server.plan(tmp_path)
    assert row["command"] == "imgopt optimize --host big --level balanced app:1"
    assert f"(imgopt deploy --host big {unit})" in row["prerequisites"][-1]
    assert "docker image" not in " ".join(row["prerequisites"])


def test_where_nothing_runs_it_each_step_is_by_hand(tmp_path: Path) -> None:
    server = Server()
    image = server.image("app:1", [pip_layer("pip", 0, 4 * GB)])
    server.container("app.imgopt-11aa22cc-old", image)
    (row,) = server.plan(tmp_path)
    steps = row["prerequisites"]
    assert steps[0].startswith("Keep a way back: docker image tag sha256:")
    assert "(docker image tag app:1-optimized app:1)" in steps[-1]
    assert "(docker image rm app:before)" in steps[-1]


def test_builds_without_compose_and_with_podman(tmp_path: Path) -> None:
    server = Server(engine_kind="podman", image_store="overlay")
    server.container("web", server.image("localhost/web:1", [pip_layer("pip", 0, 4 * GB)]))
    (row,) = server.plan(tmp_path)
    assert row["command"] == "podman build --tag=localhost/web:1 ."
    assert "Run the command in the folder of its Dockerfile." in row["prerequisites"]
    assert row["prerequisites"][-1] == (
        "After: recreate its containers and try it; then remove the old image (podman image rm localhost/web:before):"
        " only that frees the bytes."
    )


def test_what_else_holds_the_old_image_is_told(tmp_path: Path) -> None:
    server = Server()
    layers = [pip_layer("pip", 0, 4 * GB)]
    image = server.image("app-web:latest", layers)
    server.tables["image_inventory"][0]["image_references"].append("app-web:1")
    compose: Row = {"compose_project": "app", "compose_working_dir": "/srv/app", "compose_config_files": ["c.yml"]}
    server.container("web", image, compose_service="web", **compose)
    server.container("job", image, compose_service="job", **compose)
    server.container("same", server.image("same:1", layers, variant="other command"))
    (row,) = server.plan(tmp_path)
    after = row["prerequisites"][-1]
    assert "(imgopt deploy --host big app-web:latest)" in after
    assert after.endswith(": only that frees the bytes. app-web:1 and same:1 hold them as well.")
