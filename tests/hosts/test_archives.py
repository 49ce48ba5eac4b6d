"""Image archives in every form that tools write: what is found in them, and that the form makes no difference."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.archives import ArchiveHost, read_archive
from imgopt_pipeline.hosts.models import Image
from imgopt_pipeline.layers.analysis import ImageAnalysis, analyse_image
from tests.archives_made import (
    COMPRESSORS,
    INDEX_TYPE,
    MANIFEST_TYPE,
    as_json,
    blob_name,
    config_of,
    descriptor,
    digest,
    entry,
    oci_manifest,
    oci_members,
    old_members,
    packed,
    tar_of,
)

VECTORS = Path(__file__).parents[3] / "shared" / "testvectors"
LAYERS = (
    tar_of(entry(b"a", b"x" * 1000), entry(b"d/b", b"y" * 500)),
    tar_of(entry(b"a", b"z" * 700)),
    tar_of(entry(b"d/.wh.b"), entry(b"c", b"w" * 3)),
)
FORMS = ("plain", "gzip", "zstd", "bzip2", "xz")


def analysed(path: Path, *, image: str = "", platform: str | None = None) -> ImageAnalysis:
    host = ArchiveHost("archives", path, platform=platform)
    return analyse_image(host, host.image(image), path.parent / "layers")


def written(path: Path, members: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Path:
    path.write_bytes(packed(members, links))
    return path


def as_folder(path: Path, members: Mapping[str, bytes]) -> Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def assert_is_the_image(found: ImageAnalysis) -> None:
    assert [layer.diff_id for layer in found.image.layers] == [digest(layer) for layer in LAYERS]
    assert [layer.created_by for layer in found.image.layers] == ["step 0", "step 1", "step 2"]
    assert [facts.file_bytes for facts in found.layers] == [1500, 700, 3]
    assert [facts.tar_bytes for facts in found.layers] == [len(layer) for layer in LAYERS]
    assert (found.merged.live_bytes, found.merged.dead_bytes) == (703, 1500)


def test_the_old_form_of_docker_save(tmp_path: Path) -> None:
    found = analysed(written(tmp_path / "old.tar", old_members(LAYERS)))
    assert_is_the_image(found)
    assert found.image.references == ("demo/old:1",)
    assert found.image.image_id == digest(as_json(config_of(LAYERS)))
    assert (found.image.architecture, found.image.os, found.image.user) == ("amd64", "linux", "app")
    assert found.image.labels == {"made": "here"}
    assert found.image.env_names == ("PATH",)
    assert found.image.created_at is not None
    assert found.image.created_at.isoformat() == "2026-01-02T03:04:05.123456+00:00"


def test_layers_that_are_links_to_other_layers(tmp_path: Path) -> None:
    """Old engines wrote a repeated layer as a symlink to the first."""
    members = old_members([LAYERS[0], LAYERS[1], LAYERS[0]], config=config_of([LAYERS[0], LAYERS[1], LAYERS[0]]))
    repeated = f"{2:064x}/layer.tar"
    del members[repeated]
    path = written(tmp_path / "linked.tar", members, {repeated: f"../{0:064x}/layer.tar"})
    found = analysed(path)
    assert [facts.file_bytes for facts in found.layers] == [1500, 700, 1500]
    assert (found.merged.live_bytes, found.merged.dead_bytes) == (1500, 2200)


def test_layers_that_are_hard_links(tmp_path: Path) -> None:
    members = old_members([LAYERS[0], LAYERS[0]], config=config_of([LAYERS[0], LAYERS[0]]))
    repeated = f"{1:064x}/layer.tar"
    del members[repeated]
    link = entry(repeated.encode(), flag=b"1", link=f"{0:064x}/layer.tar".encode())
    path = tmp_path / "linked.tar"
    path.write_bytes(packed(members)[:-1024] + tar_of(link))
    assert [facts.file_bytes for facts in analysed(path).layers] == [1500, 1500]


def test_the_new_form_of_docker_save(tmp_path: Path) -> None:
    found = analysed(written(tmp_path / "new.tar", oci_members(LAYERS, docker=True)))
    assert_is_the_image(found)
    assert found.image.references == ("demo/oci:1",)


@pytest.mark.parametrize("manifests", [None, []])
def test_an_image_saved_by_its_id_has_no_entry_in_the_index(tmp_path: Path, manifests: object) -> None:
    members = oci_members(LAYERS, docker=True)
    members["index.json"] = as_json({"schemaVersion": 2, "manifests": manifests})
    assert_is_the_image(analysed(written(tmp_path / "by-id.tar", members)))


def test_an_image_without_names(tmp_path: Path) -> None:
    image = analysed(written(tmp_path / "dangling.tar", old_members(LAYERS, tags=None))).image
    assert image.dangling
    assert image.name == image.image_id[7:19]


def test_oci_layouts(tmp_path: Path) -> None:
    members = oci_members(LAYERS)
    for path in (written(tmp_path / "layout.tar", members), as_folder(tmp_path / "layout", members)):
        found = analysed(path)
        assert_is_the_image(found)
        assert found.image.references == ("demo/oci:1",)
        assert found.image.digests == (digest(members[_manifest_name(members)]),)


def _manifest_name(members: Mapping[str, bytes]) -> str:
    return next(name for name, content in members.items() if content.startswith(b'{"schemaVersion": 2, "mediaType"'))


@pytest.mark.parametrize("forms", [(form,) * 3 for form in FORMS] + [FORMS[:3], FORMS[2:]])
def test_the_compression_of_layers_makes_no_difference(tmp_path: Path, forms: Sequence[str]) -> None:
    assert_is_the_image(analysed(written(tmp_path / "layout.tar", oci_members(LAYERS, forms=forms))))


@pytest.mark.parametrize("members", [old_members, oci_members])
@pytest.mark.parametrize("form", FORMS[1:])
def test_a_whole_archive_may_be_compressed(
    tmp_path: Path, form: str, members: Callable[[Sequence[bytes]], dict[str, bytes]]
) -> None:
    path = tmp_path / "whatever-the-name.bin"
    path.write_bytes(COMPRESSORS[form](packed(members(LAYERS))))
    assert_is_the_image(analysed(path))


def test_a_compressed_archive_of_compressed_layers_that_repeat(tmp_path: Path) -> None:
    layers = [LAYERS[0], LAYERS[1], LAYERS[0], tar_of()]
    path = tmp_path / "twice.tgz"
    path.write_bytes(COMPRESSORS["gzip"](packed(oci_members(layers, forms=["gzip", "plain", "gzip", "zstd"]))))
    assert [facts.file_bytes for facts in analysed(path).layers] == [1500, 700, 1500, 0]


def test_the_names_of_members_may_have_a_prefix(tmp_path: Path) -> None:
    members = {f"./{name}": content for name, content in oci_members(LAYERS).items()}
    assert_is_the_image(analysed(written(tmp_path / "dotted.tar", members)))


def test_what_gnu_tar_packs(tmp_path: Path) -> None:
    as_folder(tmp_path / "layout", oci_members(LAYERS))
    command = ["tar", "--create", f"--file={tmp_path}/layout.tar", f"--directory={tmp_path}/layout", "."]
    subprocess.run(command, check=True)
    assert_is_the_image(analysed(tmp_path / "layout.tar"))


def test_what_python_packs_with_pax_headers(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "pax.tar", "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "ü"}) as tar:
        for name, content in old_members(LAYERS).items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 0.5
            tar.addfile(member, io.BytesIO(content))
    assert_is_the_image(analysed(tmp_path / "pax.tar"))


def test_an_image_without_layers(tmp_path: Path) -> None:
    found = analysed(written(tmp_path / "scratch.tar", oci_members([])))
    assert found.layers == ()
    assert found.merged.efficiency == 1.0


def multi_platform() -> tuple[dict[str, bytes], dict[str, str]]:
    """A layout whose index names an index of three platforms and their attestations; manifest digests by platform."""
    members: dict[str, bytes] = {"oci-layout": as_json({"imageLayoutVersion": "1.0.0"})}
    inner, digests = [], {}
    for name in ("linux/arm64/v8", "linux/amd64", "linux/arm/v7"):
        system, architecture, *variant = name.split("/")
        layers = [*LAYERS, tar_of(entry(b"platform", name.encode()))]
        more = {"architecture": architecture, "os": system, **({"variant": variant[0]} if variant else {})}
        manifest, blobs = oci_manifest(layers, as_json(config_of(layers) | more))
        members |= blobs
        inner.append(descriptor(manifest, MANIFEST_TYPE, platform=more))
        digests[name] = digest(manifest)
        proof, blobs = oci_manifest([b'{"in": "toto"}'], as_json({"architecture": "unknown"}))
        members |= blobs
        inner.append(
            descriptor(
                proof,
                MANIFEST_TYPE,
                platform={"architecture": "unknown", "os": "unknown"},
                annotations={"vnd.docker.reference.type": "attestation-manifest"},
            )
        )
    index = as_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": inner})
    members[blob_name(index)] = index
    outer = descriptor(index, INDEX_TYPE, annotations={"io.containerd.image.name": "docker.io/library/many:1"})
    members["index.json"] = as_json({"schemaVersion": 2, "manifests": [outer]})
    return members, digests


def test_platforms_of_an_index(tmp_path: Path) -> None:
    members, digests = multi_platform()
    path = written(tmp_path / "many.tar", members)
    for asked, given in {
        "linux/arm64": "linux/arm64/v8",
        "linux/arm64/v8": "linux/arm64/v8",
        "linux/amd64": "linux/amd64",
        "linux/arm": "linux/arm/v7",
    }.items():
        (archived,) = read_archive(path, platform=asked)
        assert archived.image.digests == (digests[given],)
        assert archived.image.references == ("many:1",)
        assert analysed(path, platform=asked).merged.live_bytes == 703 + len(given)


def test_without_a_wish_it_is_the_platform_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members, digests = multi_platform()
    path = written(tmp_path / "many.tar", members)
    for machine, given in {
        "x86_64": "linux/amd64",
        "aarch64": "linux/arm64/v8",
        "armv7l": "linux/arm/v7",
        "riscv64": "linux/arm64/v8",
    }.items():
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        (archived,) = read_archive(path)
        assert archived.image.digests == (digests[given],)


def test_an_archive_that_holds_one_of_the_platforms_its_index_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`docker save --platform` leaves the others out."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    members, digests = multi_platform()
    for name in ("linux/amd64", "linux/arm64/v8"):
        del members[f"blobs/sha256/{digests[name][7:]}"]
    (archived,) = read_archive(written(tmp_path / "some.tar", members))
    assert archived.image.digests == (digests["linux/arm/v7"],)


def test_several_images_and_names(tmp_path: Path) -> None:
    one, two = oci_members(LAYERS, name="demo/one:1"), oci_members(LAYERS[:1], name="demo/two:2")
    manifest = one[_manifest_name(one)]
    other = descriptor(manifest, MANIFEST_TYPE, annotations={"org.opencontainers.image.ref.name": "demo/alias:1"})
    listed = [*_listed(one), other, *_listed(two)]
    path = written(tmp_path / "all.tar", {**one, **two, "index.json": as_json({"manifests": listed})})
    host = ArchiveHost("archives", path)
    assert [image.references for image in host.images()] == [("demo/one:1", "demo/alias:1"), ("demo/two:2",)]
    assert _id(host, "demo/alias:1") == _id(host, "demo/one:1") == _id(host, host.images()[0].image_id)
    assert _id(host, host.images()[1].image_id[7:17]) == _id(host, "docker.io/demo/two:2")
    assert _id(host, host.images()[1].digests[0]) == host.images()[1].image_id
    with pytest.raises(ImageNotFound, match="holds 2 images: demo/one:1, demo/two:2") as caught:
        host.image("")
    assert "--image" in caught.value.hint
    with pytest.raises(ImageNotFound):
        host.image("demo/three")


def _listed(members: Mapping[str, bytes]) -> list[dict[str, object]]:
    import json

    listed: list[dict[str, object]] = json.loads(members["index.json"])["manifests"]
    return listed


def _id(host: ArchiveHost, reference: str) -> str:
    image: Image = host.image(reference)
    return image.image_id


def test_a_folder_of_archives(tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()
    written(folder / "a.tar", old_members(LAYERS, tags=["demo/a:1"]))
    written(folder / "same.tar", old_members(LAYERS, tags=["demo/b:1"]))
    as_folder(folder / "layout", oci_members(LAYERS[:1], name="demo/c:1"))
    (folder / "layout.gz").write_bytes(COMPRESSORS["gzip"](packed(oci_members(LAYERS[:2], name="demo/d:1"))))
    (folder / "notes.txt").write_text("not an archive, and nobody says so")
    (folder / "empty").mkdir()
    (folder / ".hidden.tar").write_bytes(b"broken")
    host = ArchiveHost("archives", folder)
    assert [image.references for image in host.images()] == [("demo/a:1", "demo/b:1"), ("demo/c:1",), ("demo/d:1",)]
    assert host.problems() == []
    assert host.facts().store == "archives"


def test_entries_that_nobody_verified_are_not_kept(tmp_path: Path) -> None:
    """A large plain layer is only sought through: the lasting cache must not learn what it may not hold."""
    path = written(tmp_path / "old.tar", old_members(LAYERS))
    host = ArchiveHost("archives", path)
    cache = tmp_path / "layers"
    cache.mkdir()
    for _ in range(2):
        assert_is_the_image(analyse_image(host, host.image(""), cache, verify_bytes=0))
        assert list(cache.iterdir()) == []
    assert_is_the_image(analyse_image(host, host.image(""), cache))
    assert len(list(cache.rglob("*.parquet"))) == 3


@pytest.mark.parametrize("name", ["test-oci-gzip-image.tar", "test-oci-zstd-image.tar"])
def test_images_of_other_tools(tmp_path: Path, name: str) -> None:
    path = VECTORS / name
    if not path.exists():
        pytest.skip("the shared test vectors are not beside this checkout")
    host = ArchiveHost("vectors", path)
    found = analyse_image(host, host.image(""), tmp_path)
    assert found.layers
    assert found.merged.live_bytes > 0
    assert found.warnings == ()
