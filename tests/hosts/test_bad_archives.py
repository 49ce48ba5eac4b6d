"""Broken and hostile archives: each ends with an error of ours that names the file and says what to do.

Nothing is followed out of an archive, nothing runs without end or fills memory, and nothing that an image says
reaches a terminal as it is. What archives ought to look like is `test_archives`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgopt_pipeline.errors import ImgoptError, LimitExceeded, UnreadableArchive
from imgopt_pipeline.hosts.archives import ArchiveHost, read_archive
from imgopt_pipeline.layers.analysis import analyse_image, analyse_images
from imgopt_pipeline.layers.archive_reader import ArchiveReader
from imgopt_pipeline.limits import DEFAULT_LIMITS, Limits
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
    header,
    oci_manifest,
    oci_members,
    old_members,
    packed,
    padded,
    pax,
    tar_of,
)

TOP = Path(__file__).parents[2]
LAYERS = (tar_of(entry(b"a", b"x" * 1000), entry(b"d/b", b"y" * 500)), tar_of(entry(b"a", b"z" * 700)))
Members = dict[str, bytes]
OLD, NEW = old_members(LAYERS), oci_members(LAYERS, docker=True)
OCI = oci_members(LAYERS, forms=["plain", "gzip"])


def read(path: Path, *, limits: Limits = DEFAULT_LIMITS, platform: str | None = None) -> None:
    """Read everything: manifests, configurations, and every layer's entries."""
    host = ArchiveHost("archives", path, limits=limits, platform=platform)
    reader = ArchiveReader(host, limits=limits)
    for image in host.images():
        for reading in reader.read(image, image.layers):
            if reading.error is not None:
                raise reading.error


def refused(path: Path, *, limits: Limits = DEFAULT_LIMITS, platform: str | None = None) -> ImgoptError:
    with pytest.raises(ImgoptError) as caught:
        read(path, limits=limits, platform=platform)
    assert caught.value.message
    assert str(caught.value).isprintable()
    return caught.value


def kept(folder: Path, content: bytes, name: str = "image.tar") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def changed(members: Mapping[str, bytes], **replaced: Any) -> Members:
    """Members with documents replaced; `manifest_json` stands for manifest.json."""
    return {**members, **{name.replace("_", "."): as_json(value) for name, value in replaced.items()}}


def without(members: Mapping[str, bytes], *names: str) -> Members:
    return {name: content for name, content in members.items() if name not in names}


def config_name(members: Mapping[str, bytes]) -> str:
    return str(json.loads(members["manifest.json"])[0]["Config"])


def layer_names(members: Mapping[str, bytes]) -> list[str]:
    return list(json.loads(members["manifest.json"])[0]["Layers"])


def old_manifest(**changes: Any) -> list[dict[str, Any]]:
    return [{**json.loads(OLD["manifest.json"])[0], **changes}]


def oci_with(manifest: Mapping[str, Any], *, config: Any = None, drop: str = "", media_type: str = "") -> Members:
    """An OCI layout with changes to its manifest, all digests and sizes right."""
    blobs = [LAYERS[0], COMPRESSORS["gzip"](LAYERS[1])]
    document = as_json(config_of(LAYERS) if config is None else config)
    original, members = oci_manifest(blobs, document)
    made = {**json.loads(original), **manifest}
    made.pop(drop, None)
    content = as_json(made)
    members[blob_name(content)] = content
    members["index.json"] = as_json({"manifests": [descriptor(content, media_type or MANIFEST_TYPE)]})
    return members


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0x01]) + content[position + 1 :]


def manifest_of(members: Mapping[str, bytes]) -> str:
    return f"blobs/sha256/{json.loads(members['index.json'])['manifests'][0]['digest'][7:]}"


def gzip_layer(members: Mapping[str, bytes]) -> str:
    return next(name for name, content in members.items() if content.startswith(b"\x1f\x8b"))


def nested_index(depth: int) -> Members:
    members = dict(OCI)
    inner = json.loads(OCI["index.json"])["manifests"][0]
    for _ in range(depth):
        index = as_json({"mediaType": INDEX_TYPE, "manifests": [inner]})
        members[blob_name(index)] = index
        inner = descriptor(index, INDEX_TYPE)
    return {**members, "index.json": as_json({"manifests": [inner]})}


def many_layers(count: int) -> Members:
    empty = tar_of()
    return old_members([empty] * count, config=config_of([empty] * count))


PLAIN_LAYER = layer_names(OLD)[0]
OUTSIDE = "e" * 64

DOCUMENTS: dict[str, tuple[Members, str]] = {
    "neither manifest nor index": ({"a": b"b"}, "no image archive"),
    "nothing in it": ({}, "no image archive|empty"),
    "a manifest that is no JSON": ({**OLD, "manifest.json": b"nonsense"}, "manifest.json is no JSON"),
    "a manifest that ends early": ({**OLD, "manifest.json": OLD["manifest.json"][:-5]}, "manifest.json is no JSON"),
    "a manifest that is an object": (changed(OLD, manifest_json={}), "no list of images"),
    "a manifest of numbers": (changed(OLD, manifest_json=[1]), "malformed"),
    "a manifest without configuration": (changed(OLD, manifest_json=[{"Layers": []}]), "malformed"),
    "a manifest that leads out": (
        changed(OLD, manifest_json=old_manifest(Config="../../etc/passwd")),
        "is named but missing",
    ),
    "an absolute path": (changed(OLD, manifest_json=old_manifest(Layers=["/etc/passwd"] * 2)), "/etc/passwd is named"),
    "a layer that leads out": (
        changed(OLD, manifest_json=old_manifest(Layers=["../../../etc/passwd"] * 2)),
        "etc/passwd is named but missing",
    ),
    "a layer missing": (without(OLD, PLAIN_LAYER), "layer.tar is named but missing"),
    "a configuration missing": (without(OLD, config_name(OLD)), "json is named but missing"),
    "one layer too few": (changed(OLD, manifest_json=old_manifest(Layers=[PLAIN_LAYER])), "2 layers by its conf"),
    "one layer too many": (changed(OLD, manifest_json=old_manifest(Layers=[PLAIN_LAYER] * 3)), "3 by its manifest"),
    "layers exchanged": (changed(OLD, manifest_json=old_manifest(Layers=layer_names(OLD)[::-1])), "diff ID"),
    "a configuration changed": ({**OLD, config_name(OLD): as_json(config_of([]))}, "not what its digest says"),
    "a bit of a plain layer flipped": ({**OLD, PLAIN_LAYER: flipped(OLD[PLAIN_LAYER], 600)}, "diff ID"),
    "a bit of a header flipped": ({**OLD, PLAIN_LAYER: flipped(OLD[PLAIN_LAYER], 0)}, "wrong checksum"),
    "a layer cut off": ({**OLD, PLAIN_LAYER: OLD[PLAIN_LAYER][:700]}, "ends in the middle|diff ID"),
    "a layer that is no tar": ({**OLD, PLAIN_LAYER: b"x" * 2000}, "no tar"),
    "an empty layer": ({**OLD, PLAIN_LAYER: b""}, "diff ID"),
    "an entry of a layer that leads out": (old_members([tar_of(entry(b"../../etc/cron.d/x", b"x"))]), "leads out"),
    "a bit of a gzip layer flipped": ({**OCI, gzip_layer(OCI): flipped(OCI[gzip_layer(OCI)], 30)}, "gzip|diff ID|tar"),
    "a gzip layer cut off": (
        oci_with({"layers": [descriptor(LAYERS[0], ""), descriptor(COMPRESSORS["gzip"](LAYERS[1])[:-9], "")]})
        | {blob_name(cut): cut for cut in [COMPRESSORS["gzip"](LAYERS[1])[:-9]]},
        "gzip data is broken",
    ),
    "a manifest changed": ({**OCI, manifest_of(OCI): flipped(OCI[manifest_of(OCI)], 20)}, "not what its digest says"),
    "a manifest missing": (without(OCI, manifest_of(OCI)), "is named but missing"),
    "a blob of another size": (
        oci_with(
            {"layers": [{**descriptor(LAYERS[0], ""), "size": 5}, descriptor(COMPRESSORS["gzip"](LAYERS[1]), "")]}
        ),
        "where the manifest says 5",
    ),
    "a blob of no size": (
        oci_with({"layers": [{**descriptor(LAYERS[0], ""), "size": "5"}, descriptor(LAYERS[1], "")]}),
        "malformed",
    ),
    "blobs that nobody lists": (
        oci_with({"layers": [descriptor(b"elsewhere", ""), descriptor(b"there", "")]}),
        "named but missing",
    ),
    "a digest that leads out": (oci_with({"config": {"digest": "sha256:../../../etc/passwd"}}), "no sha256 digest"),
    "a digest of another kind": (oci_with({"config": {"digest": f"sha512:{'a' * 128}"}}), "no sha256 digest"),
    "an index without manifests": (changed(without(OCI), index_json={}), "lists no manifests"),
    "an index of null": (changed(without(OCI), index_json={"manifests": None}), "lists no manifests"),
    "an index of text": (changed(OCI, index_json={"manifests": ["text"]}), "malformed"),
    "an index that is a list": (changed(OCI, index_json=[]), "malformed"),
    "an index in an index, too deep": (nested_index(20), "nest too deep"),
    "an index of no platform": (
        changed(OCI, index_json={"manifests": [descriptor(b'{"manifests": []}', INDEX_TYPE)]})
        | {blob_name(b'{"manifests": []}'): b'{"manifests": []}'},
        "lists no image",
    ),
    "a manifest of an old form": (oci_with({}, drop="config"), "schema 1"),
    "a manifest without layers": (oci_with({}, drop="layers"), "malformed"),
    "a configuration without layers": (oci_with({}, config={"architecture": "amd64"}), "configuration is malformed"),
    "diff IDs that are paths": (
        oci_with({}, config={"rootfs": {"diff_ids": ["../../x", "/etc/passwd"]}}),
        "configuration is malformed",
    ),
    "a configuration that is a list": (oci_with({}, config=[1, 2]), "configuration is malformed"),
    "a configuration that is deep": (
        {**OCI, "index.json": b'{"manifests":' + b"[" * 100_000 + b"]" * 100_000 + b"}"},
        "no JSON",
    ),
    "10,000 layers": (many_layers(10_000), "10,000 layers"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_and_layers_that_do_not_fit(tmp_path: Path, name: str) -> None:
    members, said = DOCUMENTS[name]
    error = refused(kept(tmp_path, packed(members)))
    assert _matches(said, error), str(error)
    assert error.hint
    if "layer" not in error.kind:
        assert error.subject == str(tmp_path / "image.tar")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_same_in_a_compressed_archive(tmp_path: Path, name: str) -> None:
    members, _ = DOCUMENTS[name]
    refused(kept(tmp_path, gzip.compress(packed(members), 1)))


def _matches(said: str, error: ImgoptError) -> bool:
    return any(part in str(error) for part in said.split("|"))


def bad_tar(tar: bytes) -> Callable[[Path], Path]:
    return lambda folder: kept(folder, tar)


def negative(width: int) -> bytes:
    return (-1536).to_bytes(width, "big", signed=True)


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "image.tar")
    return folder / "image.tar"


def a_dangling_link(folder: Path) -> Path:
    (folder / "image.tar").symlink_to("nothing")
    return folder / "image.tar"


def a_folder_of_links(folder: Path) -> Path:
    layout = folder / "image.tar"
    outside = folder / "outside"
    for name, content in OCI.items():
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_bytes(content)
    (layout / "blobs").mkdir(parents=True)
    (layout / "index.json").write_bytes(OCI["index.json"])
    (layout / "blobs" / "sha256").symlink_to(outside / "blobs" / "sha256")
    return layout


FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no such file": (lambda folder: folder / "image.tar", "no such file"),
    "an empty file": (bad_tar(b""), "is empty"),
    "a text": (bad_tar(b"this is a text and no tar\n" * 100), "cannot be read as an image archive"),
    "a short text": (bad_tar(b"x"), "cannot be read as an image archive"),
    "zeros": (bad_tar(bytes(10240)), "no image archive|cannot be read"),
    "gzip of a text": (bad_tar(gzip.compress(b"text" * 500)), "cannot be read as an image archive"),
    "gzip in name only": (bad_tar(b"\x1f\x8b" + b"nothing of that kind" * 50), "gzip data is broken"),
    "zstd in name only": (bad_tar(b"\x28\xb5\x2f\xfd" + b"nothing of that kind" * 50), "zstd data is broken"),
    "bzip2 in name only": (bad_tar(b"BZh9" + b"nothing of that kind" * 50), "bzip2 data is broken"),
    "xz in name only": (bad_tar(b"\xfd7zXZ\0" + b"nothing of that kind" * 50), "xz data is broken"),
    "a pipe": (a_pipe, "no regular file"),
    "a dangling link": (a_dangling_link, "no such file"),
    "a folder": (lambda folder: folder, ""),
    "a layout whose blobs are links out of it": (a_folder_of_links, "named but missing"),
    "a negative size": (bad_tar(tar_of(header(b"a", fields={124: negative(12)}))), "negative size"),
    "a negative size in a PAX record": (
        bad_tar(tar_of(entry(b"b", bytes(900)), pax([(b"size", b"-2048")]), header(b"a"))),
        "negative size",
    ),
    "a header of negative size": (bad_tar(tar_of(header(b"x", flag=b"x", fields={124: negative(12)}))), "negative"),
    "a header of a gigabyte": (bad_tar(tar_of(header(b"x", 1 << 30, flag=b"x"))), "header takes"),
    "a name of a gigabyte": (bad_tar(gzip.compress(tar_of(header(b"x", 1 << 30, flag=b"L")))), "header takes"),
    "headers after headers": (bad_tar(pax([(b"comment", b"x")]) * 20_000), "cannot be read"),
    "a sparse map of text": (
        bad_tar(tar_of(pax([(b"GNU.sparse.map", b"a,b"), (b"GNU.sparse.size", b"5")]), entry(b"a", b"abc"))),
        "cannot be read",
    ),
    "sparse members": (bad_tar(tar_of(header(b"a", flag=b"S", fields={482: b"\1"}))), "stored with holes"),
    "a member larger than the file": (bad_tar(tar_of(header(b"index.json", 10_000) + b"{")), "ends in the middle"),
    "a member of an exabyte": (
        bad_tar(tar_of(header(b"a", fields={124: b"\x80" + (1 << 60).to_bytes(11, "big")}))),
        "ends in the middle|cannot be read",
    ),
    "a cycle of links": (
        bad_tar(packed(without(OLD, PLAIN_LAYER), {PLAIN_LAYER: "../loop/layer.tar", "loop": "loop/../loop"})),
        "cycle of links|missing",
    ),
    "a link to itself": (
        bad_tar(packed(without(OLD, PLAIN_LAYER), {PLAIN_LAYER: "layer.tar"})),
        "cycle of links",
    ),
    "two links to each other": (
        bad_tar(packed(without(OLD, PLAIN_LAYER), {PLAIN_LAYER: "../b/layer.tar", "b/layer.tar": f"../{PLAIN_LAYER}"})),
        "cycle of links",
    ),
    "a link out of the archive": (
        bad_tar(packed(without(OLD, PLAIN_LAYER), {PLAIN_LAYER: "../../../../../../etc/passwd"})),
        "named but missing",
    ),
    "an absolute link": (
        bad_tar(packed(without(OLD, PLAIN_LAYER), {PLAIN_LAYER: "/etc/passwd"})),
        "named but missing",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_archives(tmp_path: Path, name: str) -> None:
    if name == "a folder":
        assert ArchiveHost("archives", tmp_path).images() == []
        return
    make, said = FILES[name]
    error = refused(make(tmp_path))
    assert _matches(said, error), str(error)
    assert error.subject == str(tmp_path / "image.tar")


@pytest.mark.parametrize("form", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("members", [OLD, NEW, OCI], ids=["old", "new", "oci"])
def test_archives_that_end_too_early(tmp_path: Path, members: Members, form: str) -> None:
    members = dict(reversed(members.items()))  # the last part is then one that cannot be missed
    whole = packed(members)[:-1024]
    stored = COMPRESSORS[form](whole)
    cuts = {len(stored) * step // 40 for step in range(39)}
    if form == "plain":
        last = len(whole) - len(padded(next(reversed(members.values()))))
        cuts |= {1, 511, 512, 513, 1024, 1536, last - 1, last, last + 1}
    for cut in sorted(cuts):
        refused(kept(tmp_path, stored[:cut]))


def test_a_layer_whose_diff_id_is_wrong_is_not_kept(tmp_path: Path) -> None:
    path = kept(tmp_path, packed({**OLD, PLAIN_LAYER: flipped(OLD[PLAIN_LAYER], 600)}))
    host = ArchiveHost("archives", path)
    with pytest.raises(ImgoptError, match="diff ID") as caught:
        analyse_image(host, host.image(""), tmp_path / "layers")
    assert caught.value.subject == f"layer 0 of demo/old:1 in {path}"
    assert len(list((tmp_path / "layers").rglob("*.parquet"))) == 1


def test_in_a_folder_the_others_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()
    kept(folder, packed(OLD), "good.tar")
    kept(folder, packed(OLD)[:3000], "truncated.tar")
    kept(folder, b"", "empty.tar")
    kept(folder, b"text", "text.tar")
    kept(folder, packed(oci_members([tar_of(entry(b"../out"))], name="demo/hostile:1")), "hostile.tar")
    a_pipe(folder).rename(folder / "pipe.tar")
    (folder / "dangling.tar").symlink_to("nothing")
    host = ArchiveHost("archives", folder)
    images = host.images()
    assert [image.name for image in images] == ["demo/old:1", "demo/hostile:1"]
    assert [Path(problem.subject).name for problem in host.problems()] == [
        "dangling.tar",
        "empty.tar",
        "pipe.tar",
        "text.tar",
        "truncated.tar",
    ]
    assert all(problem.kind == "unreadable archive" and problem.message for problem in host.problems())
    analysis = analyse_images(host, images, tmp_path / "layers")
    assert [item.image.name for item in analysis.images] == ["demo/old:1"]
    assert [problem.subject for problem in analysis.problems] == [f"layer 0 of demo/hostile:1 in {folder}/hostile.tar"]


def gzip_zeros(size_bytes: int) -> bytes:
    """Zeros as gzip members of 16 MB each, made at once."""
    step = 1 << 24
    whole, rest = divmod(size_bytes, step)
    return gzip.compress(bytes(step), 6) * whole + (gzip.compress(bytes(rest), 6) if rest else b"")


def sha256_of(first: bytes, zeros: int) -> str:
    sha256 = hashlib.sha256(first)
    block = bytes(1 << 20)
    for _ in range(zeros >> 20):
        sha256.update(block)
    sha256.update(bytes(zeros & 0xFFFFF))
    return f"sha256:{sha256.hexdigest()}"


def bomb(folder: Path, size_bytes: int, *, as_file: bool) -> Path:
    """An archive with one small gzip layer that unpacks to many zeros: as one file, or after the tar's end."""
    first = header(b"zeros", size_bytes) if as_file else b""
    zeros = size_bytes + (1024 if as_file else 0)
    blob = (gzip.compress(first) if first else b"") + gzip_zeros(zeros)
    config = config_of([])
    config["rootfs"]["diff_ids"] = [sha256_of(first, zeros)]
    manifest, members = oci_manifest([blob], as_json(config))
    members["index.json"] = as_json({"manifests": [descriptor(manifest, MANIFEST_TYPE)]})
    return kept(folder, packed(members))


def test_a_bomb_meets_its_bound(tmp_path: Path) -> None:
    path = bomb(tmp_path, 50_000_000, as_file=True)
    read(path)
    assert path.stat().st_size < 100_000
    for limits in (Limits(layer_bytes=49_999_999),):
        assert isinstance(refused(path, limits=limits), LimitExceeded)
    assert isinstance(
        refused(bomb(tmp_path, 50_000_000, as_file=False), limits=Limits(trailing_bytes=10**6)), LimitExceeded
    )


@pytest.mark.parametrize("as_file", [True, False])
def test_a_gigabyte_of_zeros_takes_neither_memory_nor_long(tmp_path: Path, as_file: bool) -> None:
    path = bomb(tmp_path, 1_000_000_000, as_file=as_file)
    started = time.monotonic()
    done, peak_bytes = measured("inspect", str(path), home=tmp_path)
    assert time.monotonic() - started < 60
    assert peak_bytes < 250_000_000
    if as_file:
        assert done.returncode == 0, done.stderr
        assert "1 GB" in done.stdout
    else:
        assert done.returncode == 3
        assert "decompression bomb" in done.stderr


def test_an_archive_that_is_itself_a_bomb(tmp_path: Path) -> None:
    path = kept(tmp_path, gzip.compress(header(b"zeros", 100_000_000)) + gzip_zeros(100_000_000))
    assert isinstance(refused(path, limits=Limits(layer_bytes=10**7)), LimitExceeded)
    many = gzip.compress(header(b"same") * 3000)
    assert isinstance(refused(kept(tmp_path, many), limits=Limits(members=1000)), LimitExceeded)


def test_a_manifest_larger_than_any(tmp_path: Path) -> None:
    members = {**OLD, "manifest.json": b"[" + b" " * 5000 + OLD["manifest.json"][1:]}
    for form in ("plain", "gzip"):
        path = kept(tmp_path, COMPRESSORS[form](packed(members)))
        assert "more than a manifest may" in refused(path, limits=Limits(document_bytes=4000)).message


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31m"


def hostile_image() -> Members:
    name = b"evil\xff" + HOSTILE.encode() + b"\r\n\xe2\x80\xae"
    layers = [tar_of(entry(name, b"x" * 5000), entry(b"keep", b"y")), tar_of(entry(name, b"z" * 10))]
    config = config_of(layers)
    config["history"] = [{"created_by": f"RUN {HOSTILE} first"}, {"created_by": f"{HOSTILE}\r\n second"}]
    config["config"] = {"User": HOSTILE, "Labels": {HOSTILE: HOSTILE}, "Env": [f"{HOSTILE}=1"]}
    config |= {"architecture": f"amd64{HOSTILE}", "os": HOSTILE}
    return old_members(layers, tags=[f"demo/{HOSTILE}:1"], config=config)


def test_nothing_that_an_image_says_reaches_a_terminal_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / f"image{HOSTILE}.tar"
    path.write_bytes(packed(hostile_image()))
    for arguments in (["inspect", str(path)], ["inspect", str(path), "--json"], ["check", str(path)]):
        done = program(*arguments, home=tmp_path)
        assert done.returncode in (0, 1), done.stderr
        _assert_harmless(done)
    assert "evil\\xff\\x1b]0;owned" in program("inspect", str(path), home=tmp_path).stdout
    for broken in (packed(hostile_image())[:4000], packed({f"{HOSTILE}": b""}), b""):
        path.write_bytes(broken)
        done = program("inspect", str(path), home=tmp_path)
        assert done.returncode == 3
        assert "image\\x1b]0;owned" in done.stderr
        _assert_harmless(done)


def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()
    (folder / os.fsdecode(b"bad\xff\x1b[31m.tar")).write_bytes(b"text")
    (folder / os.fsdecode(b"good\xff\x1b[31m.tar")).write_bytes(packed(OLD))
    host = ArchiveHost("archives", folder)
    (image,), (problem,) = host.images(), host.problems()
    assert image.source.isprintable()
    assert problem.subject.isprintable()
    assert problem.subject.endswith("bad\\xff\\x1b[31m.tar")


def _assert_harmless(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stderr
    for text in (done.stdout, done.stderr):
        assert all(character.isprintable() or character == "\n" for character in text), repr(text)


@pytest.mark.parametrize(
    "name", ["a bit of a plain layer flipped", "a layer missing", "an entry of a layer that leads out", "10,000 layers"]
)
def test_one_line_and_exit_code_3(tmp_path: Path, name: str) -> None:
    members, said = DOCUMENTS[name]
    path = kept(tmp_path, packed(members))
    done = program("inspect", str(path), home=tmp_path)
    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert said in line
    assert str(path) in line
    assert line.startswith("imgopt: ")
    assert line.endswith(".")


def program(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """`imgopt` as a person starts it."""
    return subprocess.run(
        [sys.executable, "-m", "imgopt_pipeline.cli", *arguments],
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=120,
    )


def measured(*arguments: str, home: Path) -> tuple[subprocess.CompletedProcess[str], int]:
    """The same, with the most memory it held: by VmHWM, since ru_maxrss remembers the process it was forked from."""
    script = (
        "import atexit, pathlib, re, sys\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "peak = lambda: re.search(r'VmHWM:\\s+(\\d+)', status.read_text())[1]\n"
        "atexit.register(lambda result=pathlib.Path(sys.argv[1]): result.write_text(peak()))\n"
        f"sys.argv = ['imgopt', *{list(arguments)!r}]\n"
        "from imgopt_pipeline.cli.app import run\n"
        "run()\n"
    )
    result = home / "peak"
    done = subprocess.run(
        [sys.executable, "-c", script, str(result)], env=_environment(home), capture_output=True, text=True, timeout=120
    )
    return done, int(result.read_text()) * 1024


def _environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "TMPDIR")}
    return inherited | {"IMGOPT_HOME": str(home / "home"), "COLUMNS": "150", "PYTHONPATH": str(TOP), "LANG": "C.UTF-8"}


ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
        st.sampled_from(
            ["", "..", "/", "sha256:", f"sha256:{'0' * 64}", "blobs/sha256", "\x1b[31m", "2026-13-45T99:99:99Z"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, from the outside in."""
    yield path
    items: Sequence[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        yield from places(inner, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


CONFIG: dict[str, Any] = config_of(
    LAYERS,
    history=[{"created_by": "one", "empty_layer": True}, {"created_by": "two"}, {"created_by": "three"}],
    config={
        "Env": ["A=b"],
        "User": "u",
        "Labels": {"a": "b", "org.opencontainers.image.base.name": "base"},
        "Healthcheck": {"Test": ["CMD", "true"]},
    },
)
MANIFEST: dict[str, Any] = json.loads(
    oci_manifest([LAYERS[0], COMPRESSORS["gzip"](LAYERS[1])], as_json(CONFIG), annotations={"a": "b"})[0]
)
INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "manifests": [
        descriptor(
            b"",
            MANIFEST_TYPE,
            annotations={"io.containerd.image.name": "docker.io/library/a:1"},
            platform={"os": "linux", "architecture": "amd64", "variant": "v1"},
        )
    ],
}


def oci_of(config: Any, manifest: Any, index: Any) -> Members:
    """A layout of three documents, each naming the next by its right digest unless the document says otherwise."""
    blobs = [LAYERS[0], COMPRESSORS["gzip"](LAYERS[1])]
    document = as_json(config)
    if isinstance(manifest, dict) and manifest.get("config") == MANIFEST["config"]:
        manifest = {**manifest, "config": descriptor(document, "")}
    content = as_json(manifest)
    text = json.dumps(index).replace(digest(b""), digest(content)).replace('"size": 0', f'"size": {len(content)}')
    named = {blob_name(blob): blob for blob in (*blobs, document, content)}
    return {**named, "index.json": text.encode()}


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_value_may_stand_anywhere_in_an_oci_layout(data: st.DataObject) -> None:
    documents = [CONFIG, MANIFEST, INDEX]
    for _ in range(data.draw(st.integers(1, 2))):
        which = data.draw(st.integers(0, 2))
        place = data.draw(st.sampled_from(list(places(documents[which]))))
        documents[which] = put(documents[which], place, data.draw(ANYTHING))
    _read_or_refuse(packed(oci_of(*documents)))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_value_may_stand_anywhere_in_a_docker_manifest(data: st.DataObject) -> None:
    manifest = json.loads(OLD["manifest.json"])
    place = data.draw(st.sampled_from(list(places(manifest))))
    manifest = put(manifest, place, data.draw(ANYTHING))
    _read_or_refuse(packed({**OLD, "manifest.json": as_json(manifest)}))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_bytes_may_be_wrong(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["plain", "plain", "gzip", "zstd", "xz"]))
    which = data.draw(st.integers(0, 2))
    content = bytearray(COMPRESSORS[form](packed([OLD, NEW, OCI][which])))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            position -= position % 512
            position += data.draw(st.sampled_from([0, 100, 124, 125, 135, 148, 156, 157, 257, 345, 482]))
        wrong = data.draw(st.binary(min_size=1, max_size=12))
        content[position : position + len(wrong)] = wrong
    _read_or_refuse(bytes(content))


def _read_or_refuse(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = kept(Path(folder), content)
        try:
            read(path)
        except ImgoptError as error:
            assert str(error).isprintable()


def test_unreadable_archives_are_told_by_read_archive_too(tmp_path: Path) -> None:
    with pytest.raises(UnreadableArchive):
        read_archive(kept(tmp_path, b"text"))
