"""All ecosystems together: everything is found, and nothing that an image may hold stops the parsers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.contents.packages import all_packages
from tests.contents.no_tree import NoTree

PATHS = (
    "lib/apk/db/installed",
    "etc/apk/world",
    "var/lib/dpkg/status",
    "var/lib/dpkg/info/d.list",
    "var/lib/apt/extended_states",
    "site-packages/p-1.dist-info/METADATA",
    "site-packages/p-1.dist-info/RECORD",
    "site-packages/p/version.py",
    "site-packages/q.egg-info",
    "conda-meta/c.json",
    "package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "node_modules/a/package.json",
    "node_modules/.package-lock.json",
)
PIECES = (
    *(b"Package: d\n", b"Status: install ok installed\n", b"Version: 1\n", b"Name: p\n", b"\n", b"P:x\n", b"V:1\n"),
    *(b"F:..\n", b"Depends: d | e\n", b"D:d so:x\n", b"R:f\n", b"__metadata: 1\n", b"lockfileVersion: 5\n"),
    *(b'{"name": "n", "version": "1"}', b'{"packages": {"node_modules/a": 1}}', b'{"dependencies": {"a": {}}}'),
    *(b"importers: {.: {a: b}}\n", b"packages:\n", b"  a@1:\n", b"    version: 1\n", b"a@1, b@2:\n", b"  version 1\n"),
    *(b"../..,,\n", b"\xff\x00\x1b", b"*a", b"&a ", b"{", b"[", b"]", b'"'),
)


@given(st.dictionaries(st.sampled_from(PATHS), st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join), max_size=8))
def test_nothing_broken_stops_the_parsers(documents: dict[str, bytes]) -> None:
    found = all_packages(documents, NoTree())
    for package in found.packages:
        assert package.name
        assert package.document in documents
        for text in (package.name, package.version, *package.files, *package.folders, *package.requires):
            assert text.isprintable()
            assert not text.startswith("/")
            assert ".." not in text.split("/")


def test_all_ecosystems_together_and_warnings_within_bounds() -> None:
    documents = {f"app/node_modules/{number}/package.json": b"{" for number in range(120)}
    documents |= {
        "lib/apk/db/installed": b"P:musl\nV:1\n\n",
        "var/lib/dpkg/status": b"Package: d\nStatus: install ok installed\nVersion: 1\n\n",
        "usr/lib/python3/site-packages/p-1.dist-info/METADATA": b"Name: p\nVersion: 1\n",
        "opt/conda/conda-meta/c-1-0.json": b'{"name": "c", "version": "1"}',
        "app/package.json": b'{"name": "n", "version": "1"}',
    }
    found = all_packages(documents, NoTree())
    assert {package.ecosystem for package in found.packages} == {"python", "conda", "debian", "alpine", "node"}
    assert len(found.warnings) == 51
    assert found.warnings[-1] == "70 more broken pieces of package metadata like these"
