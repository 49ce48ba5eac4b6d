"""Who owns which byte, and what each byte is: worked examples, and a naive model for random trees and packages.

Whatever packages claim, every live byte has at most one owner and exactly one category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgopt_pipeline.contents.joining import categorise, own_files, package_rows, space_rows
from imgopt_pipeline.contents.models import Package
from imgopt_pipeline.gpu.variants import GPU_ONLY_CONDITION
from tests.contents.trees_made import live_tree

SITE = "usr/lib/python3/site-packages"
ORDER = ["debian", "alpine", "python", "conda", "node"]


def package(name: str, ecosystem: str = "python", **more: object) -> Package:
    made = Package(ecosystem, name, "1", f"{SITE}/{name}.dist-info/METADATA", SITE)
    return replace(made, **more)  # type: ignore[arg-type]


def owners_of(
    files: Mapping[str, int], packages: Sequence[Package], links: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The name of the owner by path, for owned files."""
    with live_tree(files, links=links) as tree:
        own_files(tree, packages, lambda _: "")
        rows = tree.connection.execute(
            "SELECT path, name FROM live_files JOIN ownership USING (file_id) JOIN owners USING (owner_id)"
        ).fetchall()
    assert len(rows) == len({path for path, _ in rows}), "a file has two owners"
    return dict(rows)


def categories_of(files: Mapping[str, int], packages: Sequence[Package] = (), role: str = "") -> dict[str, str]:
    with live_tree(files) as tree:
        own_files(tree, packages, lambda _: role)
        categorise(tree, GPU_ONLY_CONDITION)
        rows = tree.connection.execute(
            "SELECT path, category FROM live_files JOIN categories USING (file_id)"
        ).fetchall()
    assert len(rows) == len(files), "a file has no category, or two"
    return dict(rows)


def test_a_named_file_beats_a_folder_and_the_longest_folder_wins() -> None:
    files = {"a/x": 1, "a/b/x": 2, "a/b/c/x": 4}
    packages = [
        package("wide", folders=("a",)),
        package("narrow", folders=("a/b",)),
        package("named", files=("a/b/x",)),
    ]
    assert owners_of(files, packages) == {"a/x": "wide", "a/b/x": "named", "a/b/c/x": "narrow"}


def test_a_folder_owns_nothing_that_only_begins_like_it() -> None:
    assert owners_of({"ab/x": 1, "a/x": 1}, [package("p", folders=("a",))]) == {"a/x": "p"}


def test_the_distribution_goes_before_a_record() -> None:
    packages = [package("wheel", files=("x",)), package("deb", "debian", files=("x",))]
    assert owners_of({"x": 1}, packages) == {"x": "deb"}


def test_databases_name_paths_through_links_in_the_root() -> None:
    files = {"usr/lib/libc.so": 1, "usr/bin/sh": 2}
    packages = [package("libc6", "debian", files=("lib/libc.so", "bin/sh"))]
    assert owners_of(files, packages, {"lib": "usr/lib", "bin": "usr/bin"}) == dict.fromkeys(files, "libc6")


@pytest.mark.parametrize("name", ["m.cpython-311.pyc", "m.cpython-311.opt-1.pyc", "m.pypy310.pyc"])
def test_bytecode_belongs_to_whom_its_source_belongs(name: str) -> None:
    files = {f"{SITE}/p/m.py": 1, f"{SITE}/p/__pycache__/{name}": 2, f"{SITE}/p/__pycache__/other.cpython-311.pyc": 4}
    found = owners_of(files, [package("p", files=(f"{SITE}/p/m.py",))])
    assert found == {f"{SITE}/p/m.py": "p", f"{SITE}/p/__pycache__/{name}": "p"}


def test_packages_and_what_none_owns_add_up() -> None:
    files = {f"{SITE}/p/a": 10, f"{SITE}/p/b": 5, "srv/own": 7}
    with live_tree(files) as tree:
        own_files(tree, [package("p", folders=(f"{SITE}/p",), requires=("q", "r")), package("empty")], lambda _: "")
        rows = {row["name"]: row for row in package_rows(tree)}
    assert {name: (row["size_bytes"], row["files"]) for name, row in rows.items()} == {
        "p": (15, 2),
        "": (7, 1),
        "empty": (0, 0),
    }
    assert rows["p"]["requires"] == ["q", "r"]
    assert rows[""]["ecosystem"] == "none"


def test_equal_files_in_another_folder_have_the_same_fingerprint() -> None:
    def fingerprint(site: str, size: int) -> str | None:
        with live_tree({f"{site}/p/a": size, f"{site}/p/b": 3}) as tree:
            own_files(tree, [replace(package("p", folders=(f"{site}/p",)), location=site)], lambda _: "")
            return str(package_rows(tree)[0]["fingerprint"])

    assert fingerprint("opt/venv", 5) == fingerprint("usr/lib", 5) != fingerprint("usr/lib", 6)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("var/lib/apt/lists/deb_Packages", "package caches and lists"),
        ("root/.cache/pip/http/a", "package caches and lists"),
        ("root/.npm/_cacache/content/x", "package caches and lists"),
        ("root/.cache/huggingface/hub/model.bin", "models and media"),
        ("srv/music/a.mp3", "models and media"),
        ("models/weights.safetensors", "models and media"),
        ("srv/app/.git/objects/pack/p.pack", "source control"),
        ("usr/share/doc/x/NEWS.gz", "docs and locales"),
        ("usr/share/locale/de/LC_MESSAGES/x.mo", "docs and locales"),
        (f"{SITE}/p/tests/test_a.py", "tests and bytecode"),
        (f"{SITE}/p/__pycache__/a.cpython-311.pyc", "tests and bytecode"),
        ("usr/lib/x86_64-linux-gnu/libz.a", "static libraries"),
        ("usr/include/zlib.h", "compilers and headers"),
        ("usr/local/cuda-12.4/lib64/libcudart.so", "GPU libraries"),
        ("usr/local/bin/node", "language runtimes"),
        ("etc/passwd", "system files"),
        ("srv/app/main.py", "application"),
        ("srv/app/tests/test_own.py", "application"),
    ],
)
def test_categories_by_path(path: str, expected: str) -> None:
    assert categories_of({path: 1}) == {path: expected}


@pytest.mark.parametrize(
    ("made", "role", "expected"),
    [
        (package("requests"), "", "Python packages"),
        (package("torch"), "framework", "ML frameworks"),
        (package("scikit-learn"), "", "ML frameworks"),
        (package("nvidia-cudnn-cu12"), "library", "GPU libraries"),
        (package("triton"), "compiler", "GPU libraries"),
        (package("react", "node"), "", "node modules (production)"),
        (package("typescript", "node", development=True), "", "node modules (development)"),
        (package("libc6", "debian", section="libs"), "", "system packages"),
        (package("gcc-12", "debian", section="devel"), "", "compilers and headers"),
        (package("libssl-dev", "debian", section="libdevel"), "", "compilers and headers"),
    ],
)
def test_categories_by_package(made: Package, role: str, expected: str) -> None:
    assert categories_of({"opt/x/file": 1}, [replace(made, files=("opt/x/file",))], role) == {"opt/x/file": expected}


def test_small_folders_stand_together_and_nothing_is_lost() -> None:
    files = {f"srv/{number}/f": number + 1 for number in range(1_000)}
    with live_tree(files) as tree:
        own_files(tree, [], lambda _: "")
        categorise(tree, "false")
        rows = space_rows(tree)
    assert sum(row["size_bytes"] for row in rows) == sum(files.values())
    assert sum(row["files"] for row in rows) == len(files)
    assert len(rows) <= 401
    assert rows[0]["prefix"] == "" or rows[0]["size_bytes"] >= rows[1]["size_bytes"]


PATHS = st.lists(
    st.sampled_from(["a", "b", "site-packages", "tests", "x.py", ".git", "y.pyc"]), min_size=1, max_size=4
).map("/".join)
CLAIMS = st.builds(
    lambda ecosystem, files, folders: package("p", ecosystem, files=tuple(files), folders=tuple(folders)),
    st.sampled_from(ORDER),
    st.lists(PATHS, max_size=3),
    st.lists(PATHS, max_size=2),
)


@settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(PATHS, st.integers(0, 9), max_size=8), st.lists(CLAIMS, max_size=4))
def test_random_claims_are_settled_as_the_naive_model_says(files: dict[str, int], claims: list[Package]) -> None:
    packages = [replace(claim, name=f"p{number}") for number, claim in enumerate(claims)]
    expected: dict[str, str] = {}
    for path in files:
        naming = [(ORDER.index(item.ecosystem), n) for n, item in enumerate(packages) if path in item.files]
        above = [
            (-len(folder.split("/")), n)
            for n, item in enumerate(packages)
            for folder in item.folders
            if path.startswith(f"{folder}/")
        ]
        if naming or above:
            expected[path] = packages[(min(naming) if naming else min(above))[1]].name
    assert owners_of(files, packages) == expected
    categories_of(files, packages)
