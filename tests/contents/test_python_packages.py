"""Python distributions: who they are, what they own, whom they need; and that broken metadata costs only itself."""

from __future__ import annotations

import csv
import io
from email.parser import HeaderParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.contents.header_fields import header_fields
from imgopt_pipeline.contents.models import Package, PackagesFound
from imgopt_pipeline.contents.python_files import PIP, record_rows
from imgopt_pipeline.contents.python_packages import python_packages
from tests.contents.no_tree import NoTree

SITE = "usr/lib/python3.11/site-packages"


def found_in(documents: dict[str, str | bytes]) -> PackagesFound:
    contents = {path: text.encode() if isinstance(text, str) else text for path, text in documents.items()}
    return python_packages(contents, NoTree())


def only(documents: dict[str, str | bytes]) -> Package:
    found = found_in(documents)
    assert len(found.packages) == 1
    return found.packages[0]


def dist(name: str, version: str = "1.0", *, headers: str = "", **files: str) -> dict[str, str | bytes]:
    folder = f"{SITE}/{name}-{version}.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{headers}\nDescription.\n",
        **{f"{folder}/{file}": text for file, text in files.items()},
    }


def test_record_names_the_files() -> None:
    package = only(
        dist("A_b", RECORD='A_b/__init__.py,sha256=x,1\n"A_b/od,d.txt",,\n../../../bin/ab,,\n./A_b/x.py,,\n')
    )
    assert (package.name, package.version, package.location) == ("A_b", "1.0", SITE)
    assert package.files == (f"{SITE}/A_b/__init__.py", f"{SITE}/A_b/od,d.txt", "usr/bin/ab", f"{SITE}/A_b/x.py")
    assert package.folders == (f"{SITE}/A_b-1.0.dist-info",)


def test_paths_outside_the_image_are_passed_over() -> None:
    found = found_in(dist("a", RECORD="a/x.py,,\n/etc/passwd,,\n../../../../../etc/shadow,,\n"))
    assert found.packages[0].files == (f"{SITE}/a/x.py",)
    assert found.warnings == [f"{SITE}/a-1.0.dist-info lists 2 paths outside the image; passed over"]


def test_names_are_made_printable_as_the_tree_has_them() -> None:
    documents = dist("a")
    documents[f"{SITE}/a-1.0.dist-info/RECORD"] = b"a/\xff\x1b.py,,\n"
    assert only(documents).files == (rf"{SITE}/a/\xff\x1b.py",)


def test_without_a_list_top_level_names_are_owned_in_site_packages_only() -> None:
    package = only(dist("Some-Thing", **{"top_level.txt": "some\n_some_speedups\n../../evil/../../../..\n"}))
    assert f"{SITE}/some" in package.folders
    assert f"{SITE}/some.py" in package.files
    assert SITE not in package.folders
    assert only(dist("Some-Thing")).folders[1:] == (f"{SITE}/some_thing", f"{SITE}/Some-Thing")
    sources = only({"app/x.egg-info/PKG-INFO": "Name: x\nVersion: 1\n", "app/x.egg-info/top_level.txt": "x\n"})
    assert sources.folders == ("app/x.egg-info",)
    assert sources.files == ()


def test_egg_info_as_folder_file_and_egg() -> None:
    folder = f"{SITE}/x-2.egg-info"
    package = only(
        {f"{folder}/PKG-INFO": "Name: x\nVersion: 2\n", f"{folder}/installed-files.txt": "../x/a.py\nPKG-INFO\n"}
    )
    assert package.files == (f"{SITE}/x/a.py", f"{folder}/PKG-INFO")
    package = only(
        {f"{folder}/PKG-INFO": "Name: x\nVersion: 2\n", f"{folder}/SOURCES.txt": "setup.py\nsrc/yy/__init__.py\n"}
    )
    assert f"{SITE}/yy" in package.folders
    debian = "usr/lib/python3/dist-packages"
    package = only({f"{debian}/six-1.egg-info": "Name: six\nVersion: 1\n"})
    assert (package.files, package.folders) == ((), (f"{debian}/six",))  # dpkg names each file
    package = only({f"{SITE}/six-1.16.0.egg-info": "Metadata-Version: 1.1\nName: six\nVersion: 1.16.0\n"})
    assert package.document == f"{SITE}/six-1.16.0.egg-info"
    assert set(package.files) == {f"{SITE}/six.py", f"{SITE}/six-1.16.0.egg-info"}
    package = only({f"{SITE}/e-3-py3.9.egg/EGG-INFO/PKG-INFO": "Name: e\nVersion: 3\n"})
    assert (package.location, package.folders) == (SITE, (f"{SITE}/e-3-py3.9.egg",))


def test_the_code_may_state_a_local_version() -> None:
    documents = dist("torch", "2.8.0", RECORD="torch/version.py,,\ntorch/x.py,,\n")
    documents[f"{SITE}/torch/version.py"] = (
        "from typing import Optional\n__version__ = '2.8.0+cu128'\ncuda: Optional[str] = '12.8'\n"
    )
    assert only(documents).local_version == "2.8.0+cu128"
    documents[f"{SITE}/torch/version.py"] = "__version__: str = '2.8.0+cpu'\n"
    assert only(documents).local_version == "2.8.0+cpu"
    for text in (
        "__version__ = '2.8.0'\n",
        "__version__ = '2.8.0+cu128\n",
        "__version__ = f('2.8.0+cu128')\n",
        "x = '2.8.0+cu1'\n",
    ):
        documents[f"{SITE}/torch/version.py"] = text
        assert only(documents).local_version is None, text
    documents[f"{SITE}/torch/version.py"] = "__version__ = '2.8.0+x'\ny = " + "(" * 90_000
    assert only(documents).local_version is None


def test_requirements_count_where_their_extra_is_asked_for() -> None:
    found = found_in(
        dist("app", headers="Requires-Dist: Docker.Py[ssh] (>=7)\nRequires-Dist: pywin32; sys_platform == 'win32'\n")
        | dist(
            "docker-py",
            headers="Requires-Dist: paramiko; extra == 'ssh'\nRequires-Dist: pytest; extra == 'dev'\n"
            "Requires-Dist: requests>=2\n",
        )
    )
    assert {package.name: package.requires for package in found.packages} == {
        "app": ("docker-py",),
        "docker-py": ("paramiko", "requests"),
    }
    folder = f"{SITE}/x.egg-info"
    requires = "a>=1\nB_c\n\n[:python_version < '4']\nd\n\n[test]\npytest\n"
    assert only({f"{folder}/PKG-INFO": "Name: x\nVersion: 1\n", f"{folder}/requires.txt": requires}).requires == (
        "a",
        "b-c",
        "d",
    )


def test_pip_records_what_was_asked_for() -> None:
    asked = dist("a", RECORD=f"a-1.0.dist-info/INSTALLER,{PIP},4\na-1.0.dist-info/REQUESTED,,0\n")
    came_along = dist("b", RECORD=f"b-1.0.dist-info/INSTALLER,{PIP},4\n")
    other = dist("c", RECORD="c-1.0.dist-info/INSTALLER,sha256=uv,2\n")
    assert [package.requested for package in found_in(asked | came_along | other).packages] == [True, False, None]
    assert only(came_along).requested is None  # an old pip, which recorded none


def test_the_same_distribution_in_several_folders_is_several_packages() -> None:
    one = dist("a")
    two = {path.replace(SITE, f"{SITE}/setuptools/_vendor"): text for path, text in one.items()}
    assert [package.location for package in found_in(two | one).packages] == [SITE, f"{SITE}/setuptools/_vendor"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"Name:\nVersion:\n", b"<html>\n" * 1000, b"Version: 1\n"])
def test_broken_metadata_falls_back_to_the_name_of_its_folder(content: bytes) -> None:
    package = only(
        {f"{SITE}/foo_bar-1.2.dist-info/METADATA": content, f"{SITE}/foo_bar-1.2.dist-info/RECORD": b"x,,\n"}
    )
    assert (package.name, package.version) == ("foo_bar", "1" if content.startswith(b"Version") else "1.2")
    nameless = found_in({f"{SITE}/foo.dist-info/METADATA": content})
    assert nameless.packages == []
    assert nameless.warnings == [f"{SITE}/foo.dist-info/METADATA names no package; passed over"]


def test_a_broken_record_counts_up_to_where_it_breaks() -> None:
    found = found_in(dist("a", RECORD="a/x.py,,\n" + '"' + "y" * 200_000))
    assert found.packages[0].files == (f"{SITE}/a/x.py",)
    assert "RECORD is broken after 1 row" in found.warnings[0]


paths = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), min_size=1, max_size=20)


@given(st.lists(st.tuples(paths, st.sampled_from(["", "sha256=abc"])), max_size=8))
def test_records_are_read_as_csv_reads_them(rows: list[tuple[str, str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows((path, checksum, "") for path, checksum in rows)
    assert record_rows(text.getvalue().encode()) == (rows, False)


values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@given(st.lists(st.tuples(st.from_regex(r"[A-Za-z][A-Za-z-]{0,8}", fullmatch=True), values), max_size=6))
def test_headers_are_read_as_the_email_package_reads_them(fields: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}: {value}\n" for name, value in fields)
    expected = [(name.lower(), value) for name, value in HeaderParser().parsestr(text).items()]
    assert header_fields(text) == expected
