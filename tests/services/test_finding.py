"""What labels and a container's changes are taken for."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.services.labels import number_of, service_of
from imgopt_pipeline.services.models import ServiceName
from imgopt_pipeline.services.writable_layer import weighed

LABELS = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "2",
    "com.docker.compose.oneoff": "False",
    "com.docker.compose.project.working_dir": "/srv/shop",
    "com.docker.compose.project.config_files": "/srv/shop/a.yml,/etc/b.yml",
    "com.docker.compose.version": "2.26.1",
}


def test_labels_name_a_service_and_its_files() -> None:
    files = (Path("/srv/shop/a.yml"), Path("/etc/b.yml"))
    assert service_of(LABELS) == ServiceName("shop", "web", Path("/srv/shop"), files, "2.26.1")
    # Compose 1 names them relative to the folder.
    old = LABELS | {
        "com.docker.compose.project.config_files": "docker-compose.yml,../b.yml",
        "com.docker.compose.version": "1.29.2",
    }
    service = service_of(old)
    assert service is not None
    assert service.files == (Path("/srv/shop/docker-compose.yml"), Path("/srv/shop/../b.yml"))
    assert (service.compose_major, number_of(old)) == (1, 2)


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("oneoff", "True"),
        ("container-number", ""),  # an image that compose built has the labels but for this and the folder
        ("project.working_dir", "srv/shop"),
        ("project.working_dir", ""),
        ("project.config_files", "/srv/a\0b"),
        ("project", "-p"),
        ("service", "web;reboot"),
        ("service", "../web"),
    ],
)
def test_what_compose_never_writes_makes_no_service(label: str, value: str) -> None:
    assert service_of(LABELS | {f"com.docker.compose.{label}": value}) is None


@pytest.mark.parametrize("number", ["", "-1", "x", "٣", "9" * 4000])
def test_a_number_that_is_none_counts_as_none(number: str) -> None:
    assert number_of(LABELS | {"com.docker.compose.container-number": number}) == 0


def test_only_what_would_be_missed_counts() -> None:
    entries = [
        (0, "/var"), (0, "/var/log"), (1, "/var/log/app.log"), (0, "/var/tmp"), (1, "/var/tmp/upload"),
        (0, "/tmp"), (1, "/tmp/x"), (0, "/run"), (1, "/run/a.pid"), (0, "/etc"), (0, "/etc/hosts"),
        (0, "/etc/app.conf"),
        (1, "/app"), (1, "/app/__pycache__"), (1, "/app/__pycache__/a.cpython-311.pyc"), (2, "/app2"),
        (0, "/root"), (1, "/root/.bash_history"), (1, "/root/.cache"), (1, "/root/.cache/model.bin"),
        (1, "/data"), (1, "/srv"), (1, "/srv/mounted"), (1, "/srv/mounted/below"), (1, "/tmpfile"), (1, "/a\nb.pid"),
    ]  # fmt: skip

    kept, trivial = weighed(entries, {"/data", "/srv/mounted"})

    assert [path for _, path in kept] == [
        "/app2", "/etc/app.conf", "/root/.cache/model.bin", "/tmpfile", "/var/log/app.log", "/var/tmp/upload",
    ]  # fmt: skip
    assert trivial == 6


names = st.sampled_from(["a", "b", "tmp", "__pycache__", "c.pid"])
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.dictionaries(paths, st.sampled_from([0, 1, 2]), max_size=12), st.sets(paths, max_size=3))
def test_each_leaf_outside_mounts_is_counted_once(entries: dict[str, int], mounts: set[str]) -> None:
    kept, trivial = weighed([(kind, path) for path, kind in entries.items()], mounts)

    def inside(path: str, others: set[str]) -> bool:
        return any(PurePosixPath(path).is_relative_to(other) for other in others)

    def leads(path: str, others: set[str]) -> bool:
        return any(PurePosixPath(path) in PurePosixPath(other).parents for other in others)

    leaves = [path for path in entries if not leads(path, set(entries) | mounts) and not inside(path, mounts)]
    assert len(leaves) == len(kept) + trivial
    assert {path for _, path in kept} <= set(leaves)
