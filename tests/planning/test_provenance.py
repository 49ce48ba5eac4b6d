"""Where images come from is told by evidence, and a containerd store's own digests are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgopt_pipeline.planning.provenance import repository
from tests.planning.warehouse_made import BASE_LAYER, GB, Row, Server, item, pip_layer

LAYERS = [BASE_LAYER, pip_layer("pip", 0, 20 * GB)]
REAL = "sha256:" + "b" * 64


def planned(
    folder: Path, reference: str, *, store: str = "overlay2", container: Row | None = None, **image: object
) -> Row:
    server = Server(image_store=store)
    image_id = server.image(reference, LAYERS, **image)  # type: ignore[arg-type]
    server.container("c", image_id, reference, **(container or {}))
    return item(server.plan(folder), reference)


@pytest.mark.parametrize("store", ["overlay2", "containerd"])
@pytest.mark.parametrize("reference", ["app_web:latest", "app-web:latest", "App_web:1"])
def test_the_name_that_compose_gives_is_built_here(tmp_path: Path, store: str, reference: str) -> None:
    composed = {"compose_project": "app", "compose_service": "web"}
    row = planned(tmp_path, reference, store=store, container=composed, digests=[f"{reference}@SELF"])
    assert row["decision"] == "optimize"
    assert "service web of project app" in row["reason"]


def test_a_digest_equal_to_the_image_id_proves_nothing(tmp_path: Path) -> None:
    assert planned(tmp_path, "speech:1", store="containerd", digests=["speech@SELF"])["decision"] == "optimize"


def test_a_real_digest_is_a_third_party(tmp_path: Path) -> None:
    row = planned(tmp_path, "speech:1", digests=[f"speech@{REAL}"])
    assert row["decision"] == "needs a person"
    assert "repository digest speech@sha256:bbbbbbbbbbbb…" in row["reason"]


@pytest.mark.parametrize(
    "reference",
    [
        "acme/speech:1",
        "registry.local:5000/speech:1",
        "registry.example.org/acme/speech",
        "postgres:16",
        "docker.io/library/redis:7",
    ],
)
def test_names_of_others_are_third_party(tmp_path: Path, reference: str) -> None:
    row = planned(tmp_path, reference, store="containerd", digests=["x@SELF"])
    assert (row["decision"], row["complexity"], row["risk"], row["priority"], row["phase"]) == (
        "needs a person",
        "high",
        "high",
        "low",
        3,
    )
    assert "Third party" in row["reason"]


@pytest.mark.parametrize("reference", ["acme/speech:1", "docker.io/acme/speech:1"])
def test_where_pulls_leave_digests_a_users_name_without_one_tells_nothing(tmp_path: Path, reference: str) -> None:
    row = planned(tmp_path / "a", reference)
    assert (row["decision"], row["risk"], row["phase"]) == ("needs a person", "medium", 3)
    assert row["reason"].startswith(
        "Unknown: no repository digest says that it was pulled, though its name has a user."
    )
    source = {"org.opencontainers.image.source": "https://example.org/acme/speech"}
    assert "Third party: its label" in planned(tmp_path / "b", reference, labels=source)["reason"]


@pytest.mark.parametrize("reference", ["registry.local:5000/speech:1", "registry.example.org/acme/speech:1"])
def test_where_pulls_leave_digests_the_name_of_a_registry_still_tells(tmp_path: Path, reference: str) -> None:
    assert "Third party: the name registry." in planned(tmp_path, reference)["reason"]


@pytest.mark.parametrize("reference", ["speech:1", "localhost/acme/speech:1"])
def test_names_that_only_this_host_can_have_given_are_built_here(tmp_path: Path, reference: str) -> None:
    assert planned(tmp_path, reference)["decision"] == "optimize"


def test_labels_of_compose_tell_a_local_build_but_not_that_of_a_vendor(tmp_path: Path) -> None:
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    assert "labels say that compose built it" in planned(tmp_path / "a", "any:1", labels=labels)["reason"]
    vendor = planned(tmp_path / "b", "acme/web:1", labels=labels, digests=[f"acme/web@{REAL}"])
    assert vendor["decision"] == "needs a person"
    own = {"compose_project": "shop", "compose_service": "web"}
    pushed = planned(tmp_path / "c", "acme/web:1", labels=labels, digests=[f"acme/web@{REAL}"], container=own)
    assert pushed["decision"] == "optimize"


def test_a_vendors_label_counts_where_it_names_the_image(tmp_path: Path) -> None:
    source = "org.opencontainers.image.source"
    named = planned(tmp_path / "a", "speech:1", labels={source: "https://example.org/acme/Speech.git"})
    assert "third party: its label" in named["reason"].lower()
    inherited = planned(tmp_path / "b", "speech:1", labels={source: "https://example.org/astral/uv"})
    assert inherited["decision"] == "optimize"


def test_an_image_that_nothing_tells_of_is_left_to_a_person(tmp_path: Path) -> None:
    server = Server()
    image = server.image("", LAYERS)
    server.container("c", image, image)
    (row,) = server.plan(tmp_path)
    assert (row["decision"], row["phase"]) == ("needs a person", 3)
    assert "origin is unknown" in row["reason"]


def test_repositories() -> None:
    assert repository("docker.io/library/postgres:16@sha256:00") == "postgres"
    assert repository("registry.local:5000/a/b:1") == "registry.local:5000/a/b"
    assert repository("a/b") == "a/b"
