"""Which files are documents, by name in Python and in SQL alike, and that readers keep them beside the entries."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.layers.cache import LayerCache
from imgopt_pipeline.layers.documents import (
    DOCUMENT_BYTES,
    SOURCE_BYTES,
    DocumentCollector,
    document_condition,
    is_document,
)
from imgopt_pipeline.layers.scratch import load_table, scratch_database
from imgopt_pipeline.layers.walk import walk_overlay
from imgopt_pipeline.limits import DEFAULT_LIMITS
from imgopt_pipeline.names import printable
from tests.archives_made import entry, tar_of
from tests.layers.layers_made import scanned, scanned_with_sums

SITE = "usr/lib/python3/site-packages"
DOCUMENTS = [
    f"{SITE}/torch-2.8.0.dist-info/METADATA",
    f"{SITE}/torch-2.8.0.dist-info/RECORD",
    f"{SITE}/torch/version.py",
    f"{SITE}/old.egg-info",
    f"{SITE}/old.egg-info/PKG-INFO",
    f"{SITE}/older.egg/EGG-INFO/PKG-INFO",
    "package.json",
    "srv/node_modules/@a/b/package.json",
    "srv/node_modules/.package-lock.json",
    "srv/yarn.lock",
    "srv/pnpm-lock.yaml",
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/base",
    "var/lib/dpkg/info/libc6:amd64.list",
    "lib/apk/db/installed",
    "usr/lib/apk/db/installed",
    "opt/conda/conda-meta/numpy-1.json",
    "etc/os-release",
    "srv/app/main.py",
    "main.py",
]
OTHERS = [
    f"{SITE}/torch/nn/modules.py",
    "usr/lib/python3.11/json/decoder.py",
    "srv/node_modules/x/setup.py",
    "srv/tsconfig.json",
    "srv/METADATA",
    "srv/status",
    "var/lib/dpkg/info/libc6.md5sums.gz",
    "srv/x.pyc",
]


def sql_says(files: dict[str, int]) -> set[str]:
    with scratch_database() as connection:
        load_table(connection, "files", {"path": "VARCHAR", "size_bytes": "BIGINT"}, files.items())
        rows = connection.execute(f"SELECT path FROM files WHERE {document_condition()}").fetchall()
    return {path for (path,) in rows}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_these_are_documents(path: str) -> None:
    for spelling in (path, f"./{path}", f"/{path}"):
        assert is_document(spelling.encode(), 10)
    assert sql_says({path: 10}) == {path}


@pytest.mark.parametrize("path", OTHERS)
def test_these_are_not(path: str) -> None:
    assert not is_document(path.encode(), 10)
    assert not sql_says({path: 10})


@pytest.mark.parametrize(
    ("path", "size", "wanted"),
    [
        ("package.json", 0, False),
        ("package.json", DOCUMENT_BYTES, True),
        ("package.json", DOCUMENT_BYTES + 1, False),
        ("srv/main.py", SOURCE_BYTES, True),
        ("srv/main.py", SOURCE_BYTES + 1, False),
    ],
)
def test_sizes_have_bounds(path: str, size: int, wanted: bool) -> None:
    assert is_document(path.encode(), size) == wanted
    assert bool(sql_says({path: size})) == wanted


PARTS = st.sampled_from(
    [
        "site-packages",
        "x.dist-info",
        "METADATA",
        "torch",
        "version.py",
        "package.json",
        "node_modules",
        "status.d",
        "var",
        "lib",
        "dpkg",
        "status",
        "info",
        "a.list",
        "conda-meta",
        "b.json",
        "usr",
        "app.py",
        "y.egg-info",
        "é",
        "src",
    ]
)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(PARTS, min_size=1, max_size=5).map("/".join), max_size=40))
def test_python_and_sql_agree(paths: list[str]) -> None:
    assert sql_says(dict.fromkeys(paths, 5)) == {path for path in paths if is_document(path.encode(), 5)}


def test_readers_that_see_contents_keep_documents(tmp_path: Path) -> None:
    odd = f"{SITE}/\xff-1.dist-info/METADATA".encode("latin-1")
    tar = tar_of(
        entry(b"srv/package.json", b"first"),
        entry(b"srv/data", b"x" * 2_000),
        entry(b"./srv/package.json", b"second"),
        entry(odd, b"Name: odd"),
        entry(b"last", b"y"),
    )
    cache = LayerCache(tmp_path)
    diff_id = f"sha256:{'a' * 64}"
    cache.put(diff_id, scanned(tar), reader="test", read_seconds=0)
    kept = cache.documents(diff_id)
    assert kept is not None
    with zipfile.ZipFile(kept) as archive:
        assert archive.read("srv/package.json") == b"second"
        assert archive.read(printable(odd)) == b"Name: odd"
        assert set(archive.namelist()) == {"srv/package.json", printable(odd)}
    assert {row[0] for row in scanned(tar).rows()} >= {"last", "srv/data"}, "the scan goes on after a document"


def test_readers_that_see_none_keep_nothing(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    diff_id = f"sha256:{'b' * 64}"
    cache.put(diff_id, scanned_with_sums(tar_of(entry(b"package.json", b"{}"))), reader="test", read_seconds=0)
    assert cache.documents(diff_id) is None


def test_a_walk_keeps_them_and_follows_no_link(tmp_path: Path) -> None:
    folder = tmp_path / "fs"
    (folder / "srv").mkdir(parents=True)
    (folder / "srv" / "package.json").write_text("{}")
    (folder / "srv" / "yarn.lock").symlink_to("/etc/hostname")
    documents = walk_overlay(folder, DEFAULT_LIMITS).documents
    assert documents is not None
    with zipfile.ZipFile(documents) as archive:
        assert archive.namelist() == ["srv/package.json"]


def test_pruning_takes_documents_with_their_layer(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    kept, gone = (f"sha256:{letter * 64}" for letter in "cd")
    for diff_id in (kept, gone):
        cache.put(diff_id, scanned(tar_of(entry(b"package.json", b"{}"))), reader="test", read_seconds=0)
    assert cache.prune({kept})[0] == 2
    assert cache.documents(kept) is not None
    assert cache.documents(gone) is None


def test_a_collector_past_its_bounds_takes_no_more() -> None:
    collector = DocumentCollector(limit_bytes=10, limit_count=5)
    collector.add("a", b"12345678")
    collector.add("b", b"12345678")
    collector.add("c", b"")
    assert collector.cut_off
    with zipfile.ZipFile(io.BytesIO(collector.finish().read())) as archive:
        assert archive.namelist() == ["a"]
