"""Every way to read a layer gives the same rows, on both image stores and from archives.

Three images with every kind of entry: built on the classic store, built on the containerd store (each then
saved and loaded into the other, so that both hold the same diff IDs), and one put together by hand. All are
read in each way that a daemon offers, from the saved archive, and from that archive gzip'd, and compared row
by row with what Python's `tarfile` finds in the saved layers.
"""

import gzip
import hashlib
import json
import math
import tarfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.models import Image
from imgopt_pipeline.layers.cache import LayerCache
from imgopt_pipeline.layers.merge import merge_layers
from imgopt_pipeline.layers.readers import readers_for
from imgopt_pipeline.layers.reading import LayerReader, read_layers

from .daemons import Daemon
from .oracle import Row, as_unpacked, rows_of_tar
from .specimens import (
    BUILT,
    CARELESS,
    FINE_TIME,
    FOREIGN,
    SPARSE,
    build_specimen,
    careless_image,
    fine_time_image,
    foreign_image,
    sparse_image,
)

WAYS = {
    "classic": ("API: tar-split", "direct: tar-split", "docker save"),
    "containerd": ("direct: snapshot walk", "direct: blob", "API: blob", "docker save"),
}
SOURCES = ("built on classic", "built on containerd", "made by hand")


@dataclass(frozen=True)
class Specimen:
    """One image on both daemons: `name` is its tag there, `layers` its saved tars by diff ID, base first."""

    name: str
    archive: Path
    layers: dict[str, bytes]


@pytest.fixture(scope="module")
def specimens(classic: Daemon, containerd: Daemon, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Specimen]:
    """The three images, each on both daemons."""
    folder = tmp_path_factory.mktemp("archives")
    found = {}
    for home, other in ((classic, containerd), (containerd, classic)):
        build_specimen(home)
        name, archive = f"specimen:{home.kind}", folder / f"{home.kind}.tar"
        home.docker("tag", BUILT, name)
        home.docker("save", f"--output={archive}", name)
        other.docker("load", f"--input={archive}")
        found[f"built on {home.kind}"] = Specimen(name, archive, saved_layers(archive))
    archive = folder / "foreign.tar"
    archive.write_bytes(foreign_image())
    for daemon in (classic, containerd):
        daemon.docker("load", f"--input={archive}")
    found["made by hand"] = Specimen(FOREIGN, archive, saved_layers(archive))
    return found


@pytest.fixture(scope="module")
def expected(specimens: dict[str, Specimen]) -> dict[str, list[Row]]:
    """The right rows of every layer by diff ID."""
    return {
        diff_id: rows_of_tar(content) for specimen in specimens.values() for diff_id, content in specimen.layers.items()
    }


@pytest.fixture(params=SOURCES)
def specimen(request: pytest.FixtureRequest, specimens: dict[str, Specimen]) -> Specimen:
    """Each of the images in turn."""
    return specimens[request.param]


@pytest.mark.parametrize(("kind", "way"), [(kind, way) for kind, ways in WAYS.items() for way in ways])
def test_engine_reader_finds_what_tarfile_finds(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    specimen: Specimen,
    expected: dict[str, list[Row]],
    kind: str,
    way: str,
) -> None:
    with host_of(request.getfixturevalue(kind)) as host:
        image = host.image(specimen.name)
        reader = next(reader for reader in readers_for(host) if reader.name == way)
        assert_read_right(reader, image, specimen, expected, tmp_path)


@pytest.mark.parametrize("form", ["plain", "gzip"])
@pytest.mark.parametrize("saved_by", ["classic", "containerd"])
def test_archive_reader_finds_what_tarfile_finds(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    specimen: Specimen,
    expected: dict[str, list[Row]],
    saved_by: str,
    form: str,
) -> None:
    archive = tmp_path / "saved.tar"
    daemon: Daemon = request.getfixturevalue(saved_by)
    daemon.docker("save", f"--output={archive}", specimen.name)
    if form == "gzip":
        archive.write_bytes(gzip.compress(archive.read_bytes(), compresslevel=1))
    host = ArchiveHost("archive", archive)
    image = host.image("")
    assert image.references == (specimen.name,)
    assert_read_right(readers_for(host)[0], image, specimen, expected, tmp_path)


@pytest.mark.parametrize("kind", WAYS)
def test_these_are_all_readers_of_a_daemon(request: pytest.FixtureRequest, kind: str) -> None:
    with host_of(request.getfixturevalue(kind)) as host:
        assert tuple(reader.name for reader in readers_for(host)) == WAYS[kind]


def test_specimens_hold_every_kind_of_entry(expected: dict[str, list[Row]]) -> None:
    rows = [row for layer in expected.values() for row in layer]
    kinds = {row["kind"] for row in rows}
    assert kinds >= {"file", "dir", "symlink", "hardlink", "char", "block", "fifo", "whiteout", "opaque"}
    assert any(row["mtime_seconds"] is not None and row["mtime_seconds"] < 0 for row in rows)
    assert any(row["uid"] is not None and row["uid"] >= 1 << 21 for row in rows)
    assert any(len(row["path"]) > 256 for row in rows)
    assert any("\\xff" in row["path"] for row in rows)
    assert any(row["mode"] is not None and row["mode"] & 0o4000 for row in rows)
    assert [] in expected.values()


@pytest.mark.parametrize(("first", "second"), [("classic", "containerd"), ("containerd", "classic")])
def test_layers_read_from_one_store_serve_the_other(
    request: pytest.FixtureRequest, tmp_path: Path, specimen: Specimen, first: str, second: str
) -> None:
    cache, unverified = LayerCache(tmp_path / "layers"), LayerCache(tmp_path / "unverified")
    with host_of(request.getfixturevalue(first)) as host:
        image = host.image(specimen.name)
        read = read_layers(image, readers_for(host), cache, unverified)
    assert sorted(read.read) == sorted(specimen.layers)
    with host_of(request.getfixturevalue(second)) as host:
        other = host.image(specimen.name)
        again = read_layers(other, readers_for(host), cache, unverified)
    assert again.read == [] and again.problems == [] and again.complete(other)
    assert again.paths(other) == read.paths(image)
    assert not list(tmp_path.rglob(".part-*")) and not (tmp_path / "unverified").exists()


def test_careless_layers_amount_to_the_same_in_every_way(classic: Daemon, containerd: Daemon, tmp_path: Path) -> None:
    found = {}
    for daemon in (classic, containerd):
        daemon.docker("load", stdin=careless_image())
        with host_of(daemon) as host:
            image = host.image(CARELESS)
            for reader in readers_for(host):
                folder = tmp_path / daemon.kind / reader.name
                read = read_layers(image, [reader], LayerCache(folder), LayerCache(folder / "unverified"))
                assert read.problems == []
                merged = merge_layers(read.paths(image))
                found[daemon.kind, reader.name] = merged.layers, merged.dead_files, merged.dead_sums
    assert len(found) == 7
    assert all(amount == found["classic", "API: tar-split"] for amount in found.values())
    _, dead_files, _ = found["classic", "API: tar-split"]
    assert [(dead.path, dead.killed_by, dead.reason) for dead in sorted(dead_files, key=lambda dead: dead.path)] == [
        ("a/b/c", 3, "opaque"),
        ("d/x", 1, "overwritten"),
        ("e", 5, "overwritten"),
        ("e/y", 4, "overwritten"),
    ]


@pytest.mark.parametrize("seconds", ["1600000000.999999999", "-1.000000001", "-0.5", "7"])
def test_fractions_of_a_second_are_cut_off_towards_the_past(classic: Daemon, tmp_path: Path, seconds: str) -> None:
    classic.docker("load", stdin=fine_time_image(seconds))
    with host_of(classic) as host:
        image = host.image(FINE_TIME)
        read = read_layers(image, readers_for(host), LayerCache(tmp_path), LayerCache(tmp_path / "unverified"))
    (path,) = read.paths(image)
    (row,) = stored_rows(path)
    assert row["mtime_seconds"] == math.floor(Decimal(seconds))


def test_image_that_its_engine_cannot_save_is_a_problem_of_its_own(classic: Daemon, tmp_path: Path) -> None:
    classic.docker("load", stdin=sparse_image())
    try:
        with host_of(classic) as host:
            image, save = host.image(SPARSE), readers_for(host)[-1]
            read = read_layers(image, [save], LayerCache(tmp_path), LayerCache(tmp_path / "unverified"))
            assert host.images()
    finally:
        classic.docker("rmi", SPARSE)
    (problem,) = read.problems
    assert "does not save specimen:sparse" in problem.message


@pytest.mark.parametrize("kind", WAYS)
def test_live_bytes_are_those_of_an_exported_container(
    request: pytest.FixtureRequest, tmp_path: Path, specimen: Specimen, kind: str
) -> None:
    daemon: Daemon = request.getfixturevalue(kind)
    with host_of(daemon) as host:
        image = host.image(specimen.name)
        read = read_layers(image, readers_for(host), LayerCache(tmp_path), LayerCache(tmp_path / "unverified"))
    merged = merge_layers(read.paths(image))
    exported = tmp_path / "exported.tar"
    container = daemon.docker("create", specimen.name)
    try:
        daemon.docker("export", f"--output={exported}", container)
    finally:
        daemon.docker("rm", container)
    with tarfile.open(exported, errors="surrogateescape") as tar:
        live_bytes = sum(member.size for member in tar if member.isreg())
    assert merged.live_bytes == live_bytes
    stored = sum(read.facts[layer.diff_id].file_bytes for layer in image.layers)
    assert merged.dead_bytes == stored - live_bytes > 0


def host_of(daemon: Daemon) -> "OpenHost":
    """A host for a daemon, closed at the end of a `with`."""
    return OpenHost(daemon)


class OpenHost:
    """An `EngineHost` as a context manager that also looks whether helper containers are gone."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._host = EngineHost(daemon.kind, [EngineAddress(daemon.url, "test")])

    def __enter__(self) -> EngineHost:
        return self._host

    def __exit__(self, *_: object) -> None:
        self._host.close()
        assert self._daemon.docker("ps", "--all", "--quiet", "--filter=label=imgopt.helper") == ""


def saved_layers(archive: Path) -> dict[str, bytes]:
    """The tars of the only image of an archive by diff ID, base first, decompressed."""
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isreg()}
        contents = {name: file.read() for name, file in files.items() if file is not None}
    (listed,) = json.loads(contents["manifest.json"])
    layers = [_decompressed(contents[name]) for name in listed["Layers"]]
    return {f"sha256:{hashlib.sha256(layer).hexdigest()}": layer for layer in layers}


def assert_read_right(
    reader: LayerReader, image: Image, specimen: Specimen, expected: dict[str, list[Row]], folder: Path
) -> None:
    """Read all layers of an image into Parquet and compare them with the oracle."""
    assert {layer.diff_id for layer in image.layers} == set(specimen.layers)
    read = read_layers(image, [reader], LayerCache(folder / "layers"), LayerCache(folder / "unverified"))
    assert read.problems == []
    assert sorted(read.read) == sorted(specimen.layers)
    for diff_id, tar in specimen.layers.items():
        right, facts = expected[diff_id], read.facts[diff_id]
        if "walk" in reader.name:
            right = [as_unpacked(row) for row in right]
        assert read.files[diff_id].is_relative_to(folder / "layers"), "read, but not verified"
        assert differences(stored_rows(read.files[diff_id]), right) == []
        assert facts.reader == reader.name
        assert facts.entry_count == sum(row["kind"] != "implied" for row in right)
        assert facts.file_bytes == sum(row["size_bytes"] for row in right)
        assert facts.tar_bytes == (None if "walk" in reader.name else len(tar))


def stored_rows(parquet: Path) -> list[Row]:
    """The rows of a Parquet file in the oracle's order."""
    with duckdb.connect() as connection:
        cursor = connection.execute("SELECT * EXCLUDE (crc64) FROM read_parquet(?)", [str(parquet)])
        names = [column[0] for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return sorted(rows, key=lambda row: (row["path"], row["kind"]))


def differences(found: list[Row], right: list[Row]) -> list[str]:
    """Rows of one side only; empty where both are equal row for row."""
    only = [f"found {row}" for row in found if row not in right]
    only += [f"missing {row}" for row in right if row not in found]
    return only or (["other order or number"] if found != right else [])


def _decompressed(layer: bytes) -> bytes:
    return gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer
