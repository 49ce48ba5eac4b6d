"""The override file: where it goes, what it says, and that nobody's own file is touched."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.services.models import Refused, ServiceName
from imgopt_pipeline.services.override import digest, files_in_force, override_path, with_service, without_service

BIND = {"type": "bind", "source": "/mnt/far/music", "target": "/music"}
OTHER = {"type": "bind", "source": "/mnt/far/films", "target": "/films", "read_only": True}


def named(folder: Path, *files: str) -> ServiceName:
    for file in files:
        (folder / file).touch()
    return ServiceName("shop", "web", folder, tuple(folder / file for file in files), "2.26.1")


@pytest.mark.parametrize(
    ("file", "override"),
    [
        ("compose.yaml", "compose.override.yaml"),
        ("compose.yml", "compose.override.yml"),
        ("docker-compose.yml", "docker-compose.override.yml"),
        ("docker-compose.yaml", "docker-compose.override.yaml"),
    ],
)
def test_a_project_of_the_default_file_gets_the_override_that_compose_loads(
    tmp_path: Path, file: str, override: str
) -> None:
    name = named(tmp_path, file)
    place = override_path(name)

    assert (place.path, place.automatic, place.words) == (tmp_path / override, True, "")
    with_service(place.path, "web", {"image": "app:2"})
    assert override_path(name) == place
    assert files_in_force(name) == (tmp_path / file, tmp_path / override)


def test_any_other_project_gets_a_file_of_its_own_and_is_told_what_to_pass(tmp_path: Path) -> None:
    apart = tmp_path / "compose.imgopt.shop.yaml"
    several = named(tmp_path, "base.yml", "prod.yml")

    place = override_path(several)

    assert (place.path, place.automatic) == (apart, False)
    assert f"-f {tmp_path}/base.yml -f {tmp_path}/prod.yml -f {apart}" in place.words
    assert files_in_force(several) == several.files
    with_service(apart, "web", {"image": "app:2"})
    assert files_in_force(several) == (*several.files, apart)
    assert override_path(ServiceName("shop", "web", tmp_path, (*several.files, apart), "2.26.1")) == place
    without_service(apart, "web", ["image"])
    assert files_in_force(ServiceName("shop", "web", tmp_path, (*several.files, apart), "2.26.1")) == several.files


@pytest.mark.parametrize("taken", ["compose.override.yml", "docker-compose.override.yaml"])
def test_an_override_of_the_user_is_left_alone(tmp_path: Path, taken: str) -> None:
    name = named(tmp_path, "compose.yml")
    (tmp_path / taken).write_text("services: {}\n")

    assert not override_path(name).automatic
    with pytest.raises(Refused, match="not ours"):
        with_service(tmp_path / taken, "web", {"image": "app:2"})
    with pytest.raises(Refused, match="not ours"):
        without_service(tmp_path / taken, "web", ["image"])
    assert (tmp_path / taken).read_text() == "services: {}\n"


def test_where_the_env_file_names_the_files_compose_loads_no_other(tmp_path: Path) -> None:
    name = named(tmp_path, "compose.yaml")
    (tmp_path / ".env").write_text("A=1\nCOMPOSE_FILE=compose.yaml\n")

    assert not override_path(name).automatic


def test_what_is_said_of_other_services_stays_and_the_last_takes_the_file_with_it(tmp_path: Path) -> None:
    path = tmp_path / "compose.override.yaml"
    with_service(path, "web", {"image": "app:2"})
    with_service(path, "web", {"volumes": [BIND]})
    with_service(path, "web", {"volumes": [OTHER]})
    with_service(path, "job", {"image": "job:2"})
    first = digest(path)
    with_service(path, "job", {"image": "job:2"})

    assert digest(path) == first
    said = yaml.safe_load(path.read_text())["services"]
    assert said["job"] == {"image": "job:2"}
    assert said["web"]["image"] == "app:2"
    careful = {"create_host_path": False}
    assert said["web"]["volumes"] == [BIND | {"bind": careful}, OTHER | {"bind": careful}]
    assert path.read_text().startswith("# Written by imgopt; ")
    assert path.stat().st_mode & 0o777 == 0o644

    without_service(path, "web", ["/music"])
    assert [one["target"] for one in yaml.safe_load(path.read_text())["services"]["web"]["volumes"]] == ["/films"]
    without_service(path, "web", ["image", "volumes"])
    without_service(path, "web", ["image"])
    assert yaml.safe_load(path.read_text())["services"] == {"job": {"image": "job:2"}}
    without_service(path, "job", ["image"])
    assert list(tmp_path.iterdir()) == []
    without_service(path, "job", ["image"])
    assert digest(path) is None


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text + "  job: {image: mine}\n",
        lambda text: text.replace("app:2", "app:3"),
        lambda text: text.partition("\n")[0] + "\n",
        lambda text: text.replace("# sha256: ", "# sha256: 0"),
    ],
)
def test_what_was_edited_since_is_not_written_over(tmp_path: Path, edit: Callable[[str], str]) -> None:
    path = tmp_path / "compose.override.yaml"
    with_service(path, "web", {"image": "app:2"})
    path.write_text(edit(path.read_text()))
    edited = path.read_bytes()

    with pytest.raises(Refused, match="edited"):
        with_service(path, "web", {"image": "app:4"})
    with pytest.raises(Refused, match="edited"):
        without_service(path, "web", ["image"])
    assert path.read_bytes() == edited


def test_compose_1_gets_no_word_that_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "docker-compose.override.yml"
    with_service(path, "web", {"volumes": [BIND]}, compose_major=1)

    assert yaml.safe_load(path.read_text())["services"]["web"]["volumes"] == [BIND]


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "compose.override.yaml"
    threads = [
        threading.Thread(target=with_service, args=(path, f"s{number}", {"image": "app:2"})) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(yaml.safe_load(path.read_text())["services"]) == 8


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_whose_folder_it_is_owns_the_file(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with_service(tmp_path / "compose.override.yaml", "web", {"image": "app:2"})

    assert (tmp_path / "compose.override.yaml").stat().st_uid == 12345


changes = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["web", "job"]), st.sampled_from(["image", "/a", "/b"])), max_size=12
)


@given(changes)
def test_it_says_what_was_said_and_not_taken_back(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[bool, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("override") / "compose.override.yaml"
    expected: set[tuple[str, str]] = set()
    for said, service, key in changes:
        if said:
            volume = {"type": "volume", "source": "v", "target": key}
            with_service(path, service, {"image": "app:2"} if key == "image" else {"volumes": [volume]})
            expected.add((service, key))
        else:
            without_service(path, service, [key])
            expected.discard((service, key))

    services = yaml.safe_load(path.read_text())["services"] if path.exists() else {}
    found = {(service, "image") for service, say in services.items() if "image" in say}
    found |= {(service, one["target"]) for service, say in services.items() for one in say.get("volumes", ())}
    assert found == expected
    assert path.exists() == bool(expected)


def test_links_planted_in_a_project_lead_nowhere(tmp_path: Path) -> None:
    """Whoever owns a project's folder must not get at what only we may write."""
    project, path, victim = tmp_path / "project", tmp_path / "project" / "compose.override.yaml", tmp_path / "victim"
    project.mkdir()
    victim.write_text("theirs")
    victim.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(project, 4321, 4322)
    (project / ".compose.override.yaml.part").symlink_to(victim)
    with_service(path, "web", {"image": "app:2"})
    assert (victim.read_text(), victim.stat().st_mode & 0o777, victim.stat().st_uid) == ("theirs", 0o600, os.geteuid())

    # A link to a file that says what is to be written anyway.
    path.rename(tmp_path / "same")
    (tmp_path / "same").chmod(0o600)
    if os.geteuid() == 0:
        os.chown(tmp_path / "same", 0, 0)
    path.symlink_to(tmp_path / "same")
    with_service(path, "web", {"image": "app:2"})
    found, same = path.lstat(), (tmp_path / "same").stat()
    assert (found.st_mode, found.st_uid) == (stat.S_IFREG | 0o644, project.stat().st_uid)
    assert (same.st_mode & 0o777, same.st_uid) == (0o600, os.geteuid())
