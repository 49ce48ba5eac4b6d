"""Packages that the generator makes take the size that was declared, to the byte, and their metadata tell the truth."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import posixpath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.demo.contents import (
    AlpinePackage,
    DebianInstall,
    DebianPackage,
    NodeOthers,
    NodePackage,
    NodeProject,
    PythonEnvironment,
    PythonPackage,
)
from imgopt_pipeline.demo.distribution_files import Installed, alpine_files, debian_files
from imgopt_pipeline.demo.files import MadeFile, spread, total_bytes
from imgopt_pipeline.demo.node_files import project_files
from imgopt_pipeline.demo.python_files import environment_files
from imgopt_pipeline.errors import SettingsError

SITE = "usr/local/lib/python3.11/site-packages"


def by_path(files: list[MadeFile]) -> dict[str, MadeFile]:
    """Files by path, each of which stands there once."""
    found = {file.path: file for file in files}
    assert len(found) == len(files)
    return found


def text(files: dict[str, MadeFile], path: str) -> str:
    """The text of a file."""
    content = files[path].text
    assert content is not None
    return content.decode()


@given(st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, unique=True), st.integers(0, 10**12))
def test_spread_bytes_add_up(paths: list[str], size: int) -> None:
    files = spread(paths, size)

    assert total_bytes(files) == size
    assert min(file.size_bytes for file in files) >= 0


@settings(max_examples=80, deadline=None)
@given(
    size=st.one_of(st.integers(30_000, 400_000), st.integers(400_000, 2_000_000_000)),
    tests=st.integers(0, 5_000),
    installer=st.sampled_from(["pip", "uv"]),
    version=st.sampled_from(["1.0", "2.8.0+cu128", "2.8.0+cpu"]),
)
def test_a_python_package_is_exact_and_its_record_agrees(size: int, tests: int, installer: str, version: str) -> None:
    package = PythonPackage(name="Some.Package", version=version, size=size, tests=tests, scripts=("some",))
    files = by_path(environment_files(PythonEnvironment(installer=installer, packages=(package,))))  # type: ignore[arg-type]

    assert total_bytes(files.values()) == size
    (record,) = [path for path in files if path.endswith("/RECORD")]
    rows = list(csv.reader(text(files, record).splitlines()))
    assert {posixpath.normpath(f"{SITE}/{path}") for path, _, _ in rows} == set(files)
    for path, digest, length in rows:
        file = files[posixpath.normpath(f"{SITE}/{path}")]
        assert not length or int(length) == file.size_bytes
        if digest:
            sha256 = hashlib.sha256(file.text or b"").digest()
            assert digest == f"sha256={base64.urlsafe_b64encode(sha256).rstrip(b'=').decode()}"


def test_cuda_stands_in_the_version_file_alone() -> None:
    package = PythonPackage(name="torch", version="2.8.0+cu128", size=1_000_000, requires=("sympy>=1.13", "filelock"))
    files = by_path(environment_files(PythonEnvironment(packages=(package,))))

    metadata = text(files, f"{SITE}/torch-2.8.0.dist-info/METADATA")
    assert "\nVersion: 2.8.0\n" in metadata
    assert "\nRequires-Dist: sympy>=1.13\n" in metadata
    assert "cuda: Optional[str] = '12.8'\n" in text(files, f"{SITE}/torch/version.py")


def test_a_package_too_small_for_its_metadata_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"small is 300 bytes, but its metadata and named files take \d"):
        environment_files(PythonEnvironment(packages=(PythonPackage(name="small", version="1", size=300),)))


def test_debian_lists_what_lower_layers_installed() -> None:
    lower = DebianInstall(install=("a",), packages=(DebianPackage(name="a", version="1", size=50_000),))
    upper = DebianInstall(
        install=("b",),
        packages=(
            DebianPackage(name="b", version="2", size=90_000, depends="libc"),
            DebianPackage(name="libc-dev", version="3", size=40_000),
        ),
    )
    _, installed = debian_files(lower, Installed())
    made, _ = debian_files(upper, installed)
    files = by_path(made)

    status = text(files, "var/lib/dpkg/status")
    assert [line for line in status.splitlines() if line.startswith("Package: ")] == [
        "Package: a",
        "Package: b",
        "Package: libc-dev",
    ]
    assert "Section: libdevel\n" in status
    assert text(files, "var/lib/apt/extended_states") == "Package: libc-dev\nArchitecture: amd64\nAuto-Installed: 1\n\n"
    for name, size in (("b", 90_000), ("libc-dev", 40_000)):
        listed = [line[1:] for line in text(files, f"var/lib/dpkg/info/{name}.list").splitlines()]
        assert sum(files[path].size_bytes for path in listed if path in files) == size


def test_alpine_lists_the_files_that_are_there() -> None:
    made, _ = alpine_files([AlpinePackage(name="git", version="2-r0", size=5_000_000, world=True)], Installed())
    files = by_path(made)

    lines = text(files, "lib/apk/db/installed").splitlines()
    folder, listed = "", []
    for line in lines:
        if line.startswith("F:"):
            folder = line[2:]
        elif line.startswith("R:"):
            listed.append(f"{folder}/{line[2:]}")
    assert sum(files[path].size_bytes for path in listed) == 5_000_000
    assert "I:5000000" in lines
    assert text(files, "etc/apk/world") == "git\n"


def test_node_packages_are_exact_and_the_lock_tells_development_from_production() -> None:
    project = NodeProject(
        at="srv",
        packages=(
            NodePackage(name="next", version="15.1.0", size=3_000_000, requires=("react",)),
            NodePackage(name="react", version="19.0.0", size=200_000),
            NodePackage(name="@types/node", version="22.0.0", size=300_000, dev=True),
        ),
        others=(NodeOthers(count=7, size=900_000), NodeOthers(count=5, size=500_000, dev=True)),
    )
    files = by_path(project_files(project))

    lock = json.loads(text(files, "srv/package-lock.json"))["packages"]
    sizes = {True: 0, False: 0}
    for path, entry in lock.items():
        if path:
            inside = [file for name, file in files.items() if name.startswith(f"srv/{path}/")]
            sizes[bool(entry.get("dev"))] += total_bytes(inside)
    assert sizes == {False: 3_200_000 + 900_000, True: 300_000 + 500_000}
    assert json.loads(text(files, "srv/package.json"))["devDependencies"] == {"@types/node": "^22.0.0"}
