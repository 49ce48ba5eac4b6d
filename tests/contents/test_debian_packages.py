"""Debian packages: what dpkg says is installed, what apt brought by itself, and what only Recommends brought."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.contents.debian_dependencies import Installed, resolve_needs
from imgopt_pipeline.contents.debian_packages import debian_packages
from imgopt_pipeline.contents.models import Package, PackagesFound
from tests.contents.no_tree import NoTree

STATUS = "var/lib/dpkg/status"


def found_in(documents: dict[str, str]) -> PackagesFound:
    return debian_packages(
        {path: text.encode("utf-8", "surrogateescape") for path, text in documents.items()}, NoTree()
    )


def by_name(documents: dict[str, str]) -> dict[str, Package]:
    return {package.name: package for package in found_in(documents).packages}


def stanza(name: str, *fields: str, state: str = "install ok installed", arch: str = "amd64") -> str:
    head = f"Package: {name}\nStatus: {state}\nArchitecture: {arch}\nVersion: 1-1\n"
    return head + "".join(f"{field}\n" for field in fields) + "\n"


def automatic(*names: str) -> str:
    return "".join(f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1\n\n" for name in names)


def test_a_stanza_is_a_package() -> None:
    packages = by_name(
        {
            STATUS: stanza("gcc", "Installed-Size: 1000", "Section: universe/devel", "Description: x\n .\n Version: 9")
            + stanza("gone", state="deinstall ok config-files")
            + stanza("waits", state="install ok triggers-pending"),
            "var/lib/dpkg/info/gcc.list": "/.\n/usr\n/usr/bin\n/usr/bin/gcc\n/usr/bin/gcc-12\n/usr/share/d\udcff\n",
        }
    )
    assert set(packages) == {"gcc", "waits"}
    gcc = packages["gcc"]
    assert (gcc.version, gcc.section, gcc.installed_bytes, gcc.location) == ("1-1", "devel", 1_024_000, STATUS)
    assert gcc.files == ("usr/bin/gcc", "usr/bin/gcc-12", r"usr/share/d\xff")
    assert gcc.requested is None


def test_lists_go_by_architecture() -> None:
    found = found_in(
        {
            STATUS: stanza("libc6") + stanza("libc6", arch="i386"),
            "var/lib/dpkg/info/libc6:amd64.list": "/lib/a\n",
            "var/lib/dpkg/info/libc6:i386.list": "/lib/i\n",
        }
    )
    assert [package.files for package in found.packages] == [("lib/a",), ("lib/i",)]


def test_only_recommended() -> None:
    packages = by_name(
        {
            STATUS: stanza("base", "Essential: yes", "Depends: libbase (>= 1), x | y")
            + stanza("libbase")
            + stanza("y")
            + stanza("git", "Pre-Depends: perl:any", "Depends: virtual-ssl", "Recommends: less, ssh-client, absent")
            + stanza("perl")
            + stanza("ssl", "Provides: virtual-ssl (= 1)")
            + stanza("less", "Depends: libless", "Priority: important")
            + stanza("libless", "Recommends: perl")
            + stanza("orphan"),
            "var/lib/apt/extended_states": automatic(
                "base", "libbase", "y", "perl", "ssl", "less", "libless", "orphan"
            ),
        }
    )
    assert {name for name, package in packages.items() if package.only_recommended} == {"less", "libless"}
    assert {name for name, package in packages.items() if package.requested} == {"git"}
    assert packages["git"].requires == ("perl", "ssl")
    assert packages["git"].recommends == ("less",)
    assert packages["base"].requires == ("libbase", "y")


def test_single_stanzas_of_images_without_dpkg() -> None:
    found = found_in(
        {
            "var/lib/dpkg/status.d/base-files": "Package: base-files\nVersion: 12\nArchitecture: amd64\n",
            "var/lib/dpkg/status.d/base-files.md5sums": "d41d8cd98f00b204e9800998ecf8427e  etc/host.conf\nbroken\n",
            "var/lib/dpkg/status.d/odd": "no package\n",
        }
    )
    assert [(package.name, package.files) for package in found.packages] == [("base-files", ("etc/host.conf",))]
    assert found.warnings == ["var/lib/dpkg/status.d/odd describes no package; passed over"]


def test_a_cut_database_keeps_its_whole_stanzas() -> None:
    whole = stanza("a") + stanza("b") + stanza("c", "Description: long")
    for end in range(len(whole)):
        names = [package.name for package in found_in({STATUS: whole[:end]}).packages]
        assert names == ["a", "b", "c"][: len(names)]
        assert len(names) >= whole[:end].count("\n\n")
    found = found_in({STATUS: whole[:-4]})
    assert [package.name for package in found.packages] == ["a", "b"]
    assert found.warnings == [f"{STATUS} is cut off; its last package is passed over"]


def test_hostile_fields() -> None:
    found = found_in(
        {
            STATUS: stanza("../../x\x1b[2J", "Installed-Size: 1e9", "Depends: ,,| , (", "Provides: |")
            + stanza("b", "Installed-Size: " + "9" * 5_000)
            + "Package: c\nStatus: install ok installed\n\n"
            + "\n\n\n:\n: x\n\n"
        }
    )
    assert [package.name for package in found.packages] == [r"../../x\x1b[2J", "b"]
    assert [package.installed_bytes for package in found.packages] == [None, None]
    assert len(found.warnings) == 2


names = st.sampled_from("abcdef")
relations = st.lists(st.tuples(names, names), max_size=10)


@given(st.sets(names), relations, relations)
def test_only_recommended_is_the_difference_of_two_closures(
    roots: set[str], depends: list[tuple[str, str]], recommends: list[tuple[str, str]]
) -> None:
    def closure(relation: list[tuple[str, str]]) -> set[str]:
        reached = set(roots)
        for _ in range(6):
            reached |= {there for here, there in relation if here in reached}
        return reached

    def stated(relation: list[tuple[str, str]], name: str) -> str:
        return ", ".join(there for here, there in relation if here == name)

    needs = resolve_needs(
        Installed(name, stated(depends, name), stated(recommends, name), "", root=name in roots) for name in "abcdef"
    )
    assert needs.only_recommended == closure(depends + recommends) - closure(depends)
