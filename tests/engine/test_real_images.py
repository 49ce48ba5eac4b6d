"""What images built by real package managers hold is found to the byte, the same through every way to read them.

Three images are built on a private daemon: a Python application with its compiler, caches and late deletions, a
Node application with its development packages, and a PyTorch for CPUs. What `examine_image` says of each is
compared with what dpkg, apt, pip, npm and the file system say inside a container of it (`inside.py`), and
with itself on the other image store and in a saved archive.
"""

import json
import re
import tarfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.examining import Examination, examine_image
from imgopt_pipeline.gpu.verdict import check_container
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost

from .daemons import Daemon
from .real_images import DELETED_BYTES, build_compiled, build_node, build_torch, make_base

Rows = list[dict[str, Any]]

PROJECT = "/srv/app"
_INSIDE = Path(__file__).with_name("inside.py")
#: Archives of our own making need no hashing.
_VERIFY_BYTES = 0
#: What of compilers and headers stands in other sections.
_PARTS_OF_COMPILERS = re.compile(r"cpp(-\d+)?|lib(cc1-0|hwasan0|[alt]san\d+|ubsan\d+)|.*-dev")


@dataclass(frozen=True)
class Specimen:
    """An image on a daemon, what stands in it by its own tools, and what we make of it."""

    tag: str
    daemon: Daemon
    account: dict[str, Any]
    examined: Examination

    def packages(self, ecosystem: str) -> Rows:
        return [row for row in self.examined.contents.packages if row["ecosystem"] == ecosystem]

    def owned(self, owner: str) -> tuple[int, int]:
        """Bytes and files of an owner by the account."""
        size_bytes, files = self.account["owned"].get(owner, (0, 0))
        return size_bytes, files

    def folders(self, *names: str) -> int:
        """Bytes in these folders by the account."""
        return sum(self.account["folders"][name] for name in names)

    def claimed(self, *techniques: str, dead: bool = False, position: int | None = None) -> int:
        """Bytes that any of these techniques claims, however sure."""
        return sum(
            row["size_bytes"]
            for row in self.examined.contents.removable
            if row["dead"] == dead
            and position in (None, row["position"])
            and any(claim.partition(":")[0] in techniques for claim in row["claims"])
        )

    def filled(self, category: str) -> int:
        return sum(row["size_bytes"] for row in self.examined.contents.space if row["category"] == category)


@pytest.fixture(scope="module")
def base(classic: Daemon) -> Daemon:
    """The daemon that has the base of the images."""
    make_base(classic)
    return classic


@pytest.fixture(scope="module")
def compiled(base: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return specimen_of(base, build_compiled, "real-compiled:test", "", tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="module")
def node(base: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return specimen_of(base, build_node, "real-node:test", PROJECT, tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def torch(base: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return specimen_of(base, build_torch, "real-torch:test", "", tmp_path_factory.mktemp("torch"))


@pytest.fixture(params=["compiled", "node", "torch"])
def specimen(request: pytest.FixtureRequest) -> Specimen:
    """Each of the images in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Specimen)
    return found


def test_every_byte_is_in_one_package_and_one_category(specimen: Specimen) -> None:
    contents = specimen.examined.contents
    assert contents.warnings == ()
    for rows in (contents.packages, contents.space):
        assert sum(row["size_bytes"] for row in rows) == specimen.account["live_bytes"]
        assert sum(row["files"] for row in rows) == specimen.account["live_files"]
    assert specimen.examined.analysis.merged.live_bytes == specimen.account["live_bytes"]
    assert [size_of(row) for row in specimen.packages("none")] == [specimen.owned("none")]


def test_debian_packages_are_those_of_dpkg(specimen: Specimen) -> None:
    facts = ("version", "section", "installed_bytes", "requested")
    expected = {
        name: (*(said[fact] for fact in facts), *specimen.owned(f"debian {name}"))
        for name, said in specimen.account["debian"].items()
    }
    found = {row["name"]: (*(row[fact] for fact in facts), *size_of(row)) for row in specimen.packages("debian")}
    assert found == expected
    assert len(found) > 100


def test_python_packages_are_those_of_pip(specimen: Specimen) -> None:
    listed = {(plain(name), version) for name, version in specimen.account["pip_list"].items()}
    assert {(plain(row["name"]), row["version"]) for row in specimen.packages("python")} == listed
    recorded = {tuple(owner.split(" ")[1:]): specimen.owned(owner) for owner in specimen.account["with_record"]}
    found = {(row["name"], row["version"]): size_of(row) for row in specimen.packages("python")}
    assert {key: found[key] for key in recorded} == recorded
    # What Debian brought along, dpkg lists itself.
    assert {size_of(row) for row in specimen.packages("python") if (row["name"], row["version"]) not in recorded} == {
        (0, 0)
    }


def test_node_packages_are_those_of_npm(node: Specimen) -> None:
    expected = {
        folder: (said["name"], said["version"], said["development"], *node.owned(f"node {folder}"))
        for folder, said in node.account["node"].items()
    }
    found = {
        f"/{row['location']}": (row["name"], row["version"], row["development"], *size_of(row))
        for row in node.packages("node")
        if f"/{row['location']}".startswith(PROJECT)
    }
    assert found == expected
    assert {row[2] for row in found.values()} == {True, False}


def test_packages_that_came_only_through_recommends_are_those_apt_would_let_go(compiled: Specimen) -> None:
    names = {row["name"] for row in compiled.packages("debian") if row["only_recommended"]}
    assert names == set(compiled.account["only_recommended"])
    assert len(names) > 5
    assert compiled.claimed("R4") == sum(compiled.owned(f"debian {name}")[0] for name in names)


def test_lists_and_caches_left_in(compiled: Specimen, node: Specimen) -> None:
    assert compiled.claimed("R5") == compiled.folders("var/lib/apt/lists", "var/cache/apt") > 10_000_000
    assert compiled.claimed("R6") == compiled.folders("root/.cache/pip") > 0
    assert node.claimed("R5") == 0
    assert node.claimed("R6") == node.folders("root/.npm/_cacache") > 0
    for specimen in (compiled, node):
        everything = ("var/lib/apt/lists", "var/cache", "root/.cache/pip", "root/.npm", "tmp", "var/tmp")
        assert specimen.filled("package caches and lists") == specimen.folders(*everything)


def test_development_packages_of_node(node: Specimen) -> None:
    folders = [folder for folder, said in node.account["node"].items() if said["development"]]
    size_bytes = sum(node.owned(f"node {folder}")[0] for folder in folders)
    assert node.claimed("R7") == node.filled("node modules (development)") == size_bytes > 1_000_000


def test_a_compiler_left_in(compiled: Specimen) -> None:
    building = [
        name
        for name, said in compiled.account["debian"].items()
        if said["section"] in ("devel", "libdevel") or _PARTS_OF_COMPILERS.fullmatch(name)
    ]
    assert compiled.claimed("R3") == sum(compiled.owned(f"debian {name}")[0] for name in building)
    biggest = max(
        (row for row in compiled.examined.contents.removable if "R3:low" in row["claims"]),
        key=lambda row: row["size_bytes"],
    )
    assert Path(biggest["example"]).name == "cc1"


def test_dead_bytes_are_what_the_layers_store_beyond_the_live_ones(specimen: Specimen, tmp_path: Path) -> None:
    archive = saved(specimen, tmp_path)
    assert specimen.claimed("R12", "R17", dead=True) == stored_bytes(archive) - specimen.account["live_bytes"]


def test_a_file_deleted_too_late(compiled: Specimen) -> None:
    layers = compiled.examined.contents.image.layers
    position = next(layer.position for layer in layers if f"head -c {DELETED_BYTES}" in (layer.created_by or ""))
    assert compiled.claimed("R17", dead=True, position=position) == DELETED_BYTES
    assert compiled.claimed("R12", dead=True, position=position) == 0


def test_a_preset_for_gpus_is_no_grant(compiled: Specimen) -> None:
    gpu = compiled.examined.contents.gpu
    assert (gpu.build, gpu.gpu_bytes, gpu.environment) == ("none", 0, {"NVIDIA_VISIBLE_DEVICES": "all"})
    container = compiled.daemon.docker("create", "--network=none", compiled.tag)
    try:
        with closing(host_of(compiled.daemon)) as host:
            given = next(item.gpu for item in host.containers() if item.container_id == container)
            assert check_container(gpu, given, host.gpus()).granted is False
    finally:
        compiled.daemon.docker("rm", container)


def test_a_torch_for_cpus_is_no_gpu_build(torch: Specimen) -> None:
    gpu = torch.examined.contents.gpu
    package = next(row for row in torch.packages("python") if row["name"] == "torch")
    assert (gpu.build, gpu.gpu_bytes, gpu.versions) == ("cpu", 0, (f"torch {package['version']}",))
    assert package["version"].endswith("+cpu")
    assert torch.claimed("R1") == torch.filled("GPU libraries") == 0
    assert torch.filled("ML frameworks") > 100_000_000


def test_other_ways_to_read_it_find_the_same(specimen: Specimen, containerd: Daemon, tmp_path: Path) -> None:
    archive = saved(specimen, tmp_path)
    with closing(ArchiveHost("archive", archive)) as host:
        from_archive = examine_image(
            host, host.image(""), tmp_path / "archive", verify_bytes=_VERIFY_BYTES, removable=True
        )
    containerd.docker("load", f"--input={archive}")
    on_containerd = examined_on(containerd, specimen.tag, tmp_path / "containerd")
    assert len({readers_of(examined) for examined in (specimen.examined, from_archive, on_containerd)}) == 3
    assert comparable(from_archive) == comparable(specimen.examined)
    assert comparable(on_containerd) == comparable(specimen.examined)


def specimen_of(daemon: Daemon, build: Callable[[Daemon, str], None], tag: str, project: str, cache: Path) -> Specimen:
    """Build an image, ask its own tools what stands in it, and examine it."""
    build(daemon, tag)
    asked = ("run", "--rm", "--interactive", "--network=none", tag, "python3", "-B", "-", project)
    account = json.loads(daemon.docker(*asked, stdin=_INSIDE.read_bytes()))
    return Specimen(tag, daemon, account, examined_on(daemon, tag, cache))


def examined_on(daemon: Daemon, tag: str, cache: Path) -> Examination:
    """Examine an image of a daemon."""
    with closing(host_of(daemon)) as host:
        return examine_image(host, host.image(tag), cache, verify_bytes=_VERIFY_BYTES, removable=True)


def host_of(daemon: Daemon) -> EngineHost:
    return EngineHost(daemon.kind, [EngineAddress(daemon.url, "test")])


def saved(specimen: Specimen, folder: Path) -> Path:
    """The image as an archive."""
    archive = folder / "saved.tar"
    specimen.daemon.docker("save", f"--output={archive}", specimen.tag)
    return archive


def stored_bytes(archive: Path) -> int:
    """Bytes of all regular files of all layers of a saved image, by Python's own tarfile."""
    total = 0
    with tarfile.open(archive) as outer:
        manifest = outer.extractfile("manifest.json")
        assert manifest is not None
        for name in json.load(manifest)[0]["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(name)) as layer:
                total += sum(member.size for member in layer if member.isreg())
    return total


def comparable(examined: Examination) -> tuple[object, ...]:
    """All that is said of an image but its ID, which differs by store, and what rests on checksums.

    Only the classic store gives these; they tell a changed file from a touched one.
    """
    contents = examined.contents
    dead = Counter[int]()
    for row in contents.removable:
        dead[row["position"]] += row["dead"] * row["size_bytes"]
    packages = [{**row, "fingerprint": None} for row in contents.packages]
    live = [{**row, "image_id": ""} for row in contents.removable if not row["dead"]]
    return packages, contents.space, live, dead, contents.gpu


def readers_of(examined: Examination) -> frozenset[str]:
    return frozenset(layer.reader for layer in examined.analysis.layers)


def size_of(row: dict[str, Any]) -> tuple[int, int]:
    return row["size_bytes"], row["files"]


def plain(name: str) -> str:
    """A Python name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
