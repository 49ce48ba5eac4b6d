"""Alpine packages: files by folder, requirements by who provides them, requests by the world file."""

from __future__ import annotations

from imgopt_pipeline.contents.alpine_packages import alpine_packages
from tests.contents.no_tree import NoTree

DATABASE = "lib/apk/db/installed"
MUSL = (
    "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:1\nI:622592\np:so:libc.musl-x86_64.so.1=1\n"
    "F:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1x=\n\n"
)
BUSYBOX = (
    "P:busybox\nV:1.36\nI:950272\nD:so:libc.musl-x86_64.so.1 !uclibc musl>=1.2 /bin/sh so:absent.so.1\n"
    "p:cmd:ls=1.36 /bin/sh\nF:\nR:init\nF:bin\nR:busybox\nF:etc/network/if-up.d\nR:dad\xff\n\n"
)


def test_the_database() -> None:
    documents = {DATABASE: (MUSL + BUSYBOX).encode("latin-1"), "etc/apk/world": b"busybox>1@edge\n!musl\n"}
    musl, busybox = alpine_packages(documents, NoTree()).packages
    assert (musl.name, musl.version, musl.installed_bytes, musl.files) == (
        "musl",
        "1.2.5-r0",
        622_592,
        ("lib/ld-musl-x86_64.so.1",),
    )
    assert busybox.files == ("init", "bin/busybox", r"etc/network/if-up.d/dad\xff")
    assert busybox.requires == ("musl",)
    assert (musl.requested, busybox.requested) == (False, True)
    del documents["etc/apk/world"]
    assert alpine_packages(documents, NoTree()).packages[0].requested is None


def test_a_cut_database_keeps_its_whole_packages() -> None:
    found = alpine_packages({DATABASE: (MUSL + BUSYBOX).encode("latin-1")[:-6]}, NoTree())
    assert [package.name for package in found.packages] == ["musl"]
    assert found.warnings == [f"{DATABASE} is cut off; its last package is passed over"]


def test_hostile_entries() -> None:
    content = b"V:1\n\nP:a\nV:1\nI:x\nF:../../etc\nR:passwd\nF:ok\nR:\nR:f\n\n\xff\xfe:\n"
    found = alpine_packages({DATABASE: content}, NoTree())
    assert [(package.name, package.files, package.installed_bytes) for package in found.packages] == [
        ("a", ("ok/f",), None)
    ]
    assert len(found.warnings) == 2
