"""Node packages: which package.json is one, what it owns, and that development is what package managers leave out.

`lockfiles/` holds the lock files that npm, pnpm and yarn wrote for one project with a workspace, without
checksums, and in installed.json which packages each laid down, with and without development.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.contents.models import Package, PackagesFound
from imgopt_pipeline.contents.node_packages import node_packages
from imgopt_pipeline.contents.yaml_documents import yaml_mapping
from tests.contents.no_tree import NoTree

LOCKFILES = Path(__file__).parent / "lockfiles"
NAMES = {"npm": "package-lock.json", "pnpm": "pnpm-lock.yaml", "yarn": "yarn.lock"}
REAL = ("npm-3.json", "pnpm-5.yaml", "pnpm-6.yaml", "pnpm-9.yaml", "yarn-1.lock", "yarn-8.lock")


def found_in(documents: dict[str, Any]) -> PackagesFound:
    return node_packages(
        {path: value if isinstance(value, bytes) else json.dumps(value).encode() for path, value in documents.items()},
        NoTree(),
    )


def by_location(documents: dict[str, Any]) -> dict[str, Package]:
    return {package.location: package for package in found_in(documents).packages}


def module(name: str, version: str = "1.0.0", *requires: str) -> dict[str, Any]:
    return {"name": name, "version": version, "dependencies": dict.fromkeys(requires, "*")}


def installed(lockfile: str) -> tuple[dict[str, Any], set[str]]:
    """What stands in the folder, and the folders that an installation for production laid down."""
    facts = json.loads((LOCKFILES / "installed.json").read_text())[lockfile.partition(".")[0]]
    documents = facts["installed"]
    names = {path.rpartition("/")[0].rpartition("node_modules/")[2] for path in documents}
    assert len(names) > 15
    return documents, set(facts["production"])


@pytest.mark.parametrize("lockfile", REAL)
def test_development_is_what_an_installation_for_production_leaves_out(lockfile: str) -> None:
    documents, production = installed(lockfile)
    documents[f"srv/{NAMES[lockfile.partition('-')[0]]}"] = (LOCKFILES / lockfile).read_bytes()
    packages = by_location(documents)
    if lockfile == "yarn-8.lock":  # an installation for production lays one version elsewhere
        production ^= {"srv/node_modules/semver", "srv/packages/web/node_modules/semver"}
    assert {location for location, package in packages.items() if package.development} == set(packages) - production
    assert len(set(packages) - production) == 9
    requested = {(package.name, package.version) for package in packages.values() if package.requested}
    assert {"rimraf", "debug", "chalk", "glob", "semver"} <= {name for name, _ in requested}
    assert "brace-expansion" not in {name for name, _ in requested}


@pytest.mark.parametrize("lockfile", ["npm-3.json", "yarn-1.lock"])
def test_without_a_lock_file_the_folders_tell(lockfile: str) -> None:
    documents, production = installed(lockfile)
    packages = by_location(documents)
    assert {location for location, package in packages.items() if package.development} == set(packages) - production


def test_npm_locks_of_version_1_nest_like_the_folders() -> None:
    packages = by_location(
        {
            "app/package.json": {"dependencies": {"a": "1"}, "devDependencies": {"b": "1"}},
            "app/package-lock.json": {
                "lockfileVersion": 1,
                "dependencies": {"a": {"dependencies": {"c": {"dev": True}}}, "b": {"dev": True}, "c": {}},
            },
            "app/node_modules/a/package.json": module("a"),
            "app/node_modules/a/node_modules/c/package.json": module("c"),
            "app/node_modules/b/package.json": module("b"),
            "app/node_modules/c/package.json": module("c"),
        }
    )
    assert {location for location, package in packages.items() if package.development} == {
        "app/node_modules/a/node_modules/c",
        "app/node_modules/b",
    }


def test_what_a_workspace_needs_for_development_is_development_of_who_requires_it() -> None:
    lock = """__metadata:
  version: 8

"d@npm:^1":
  version: 1.0.0
  resolution: "d@npm:1.0.0"

"web@workspace:*, web@workspace:web":
  version: 0.0.0-use.local
  resolution: "web@workspace:web"
  dependencies:
    d: "npm:^1"
"""
    packages = by_location(
        {
            "app/package.json": {"workspaces": ["web"], "dependencies": {"web": "workspace:*"}},
            "app/web/package.json": {"name": "web", "devDependencies": {"d": "^1"}},
            "app/yarn.lock": lock.encode(),
            "app/node_modules/d/package.json": module("d"),
        }
    )
    assert packages["app/node_modules/d"].development


def test_what_the_installation_noted_goes_before_the_lock_file_beside_it() -> None:
    documents = {
        "package.json": {"dependencies": {"a": "1"}},
        "package-lock.json": {"packages": {"node_modules/a": {"dev": True}}},
        "node_modules/.package-lock.json": {"packages": {"node_modules/a": {"devOptional": True}}},
        "node_modules/a/package.json": module("a"),
    }
    assert not by_location(documents)["node_modules/a"].development
    del documents["node_modules/.package-lock.json"]
    assert by_location(documents)["node_modules/a"].development


def test_who_owns_a_folder() -> None:
    packages = by_location(
        {
            "app/package.json": module("app"),
            "app/web/package.json": module("web"),
            "app/node_modules/@s/x/package.json": module("@s/x"),
            "app/node_modules/.pnpm/y@1.0.0/node_modules/y/package.json": module("y"),
            "app/node_modules/@s/x/dist/compiled/z/package.json": module("z"),
            "app/node_modules/@s/x/node_modules/w/package.json": module("w"),
            "opt/yarn-v1.22.22/package.json": module("yarn", "1.22.22"),
        }
    )
    owners = {location for location, package in packages.items() if package.folders == (location,)}
    assert owners == {
        "app/node_modules/@s/x",
        "app/node_modules/@s/x/node_modules/w",
        "app/node_modules/.pnpm/y@1.0.0/node_modules/y",
        "opt/yarn-v1.22.22",
    }
    assert len(packages) == 7
    vendored = packages.pop("app/node_modules/@s/x/dist/compiled/z")
    assert (vendored.document, vendored.files) == ("app/node_modules/@s/x/dist/compiled/z/package.json", ())
    assert all(package.files == (f"{location}/package.json",) for location, package in packages.items())


def test_an_alias_goes_by_its_folder_in_the_project_and_by_its_own_name_in_the_list() -> None:
    packages = by_location(
        {
            "app/package.json": {"devDependencies": {"other": "npm:real@1"}},
            "app/node_modules/other/package.json": module("real"),
        }
    )
    package = packages["app/node_modules/other"]
    assert (package.name, package.development, package.requested) == ("real", True, True)


def test_libraries_of_a_distribution_are_no_projects() -> None:
    packages = by_location(
        {
            "usr/share/nodejs/a/package.json": module("a") | {"devDependencies": {"b": "1"}},
            "usr/share/nodejs/a/node_modules/b/package.json": module("b"),
        }
    )
    assert not packages["usr/share/nodejs/a/node_modules/b"].development
    assert packages["usr/share/nodejs/a/node_modules/b"].requested is None


def test_a_part_of_a_development_module_is_development() -> None:
    packages = by_location(
        {
            "app/package.json": {"devDependencies": {"a": "1"}},
            "app/node_modules/a/package.json": module("a"),
            "app/node_modules/a/vendor/v/package.json": module("v"),
        }
    )
    assert packages["app/node_modules/a/vendor/v"].development


def test_broken_package_json_costs_only_itself() -> None:
    found = found_in(
        {
            "node_modules/a/package.json": b"{",
            "node_modules/b/package.json": b"[" * 100_000,
            "node_modules/c/package.json": [1],
            "node_modules/d/package.json": {"name": ["x"], "version": "1"},
            "node_modules/e/package.json": {"name": "e", "version": 1},
            "node_modules/f/package.json": {
                "name": "f",
                "version": "1",
                "dependencies": ["x"],
                "devDependencies": {"y": 3},
            },
            "node_modules/g/package.json": {"name": "g\x1b[0m", "version": "1"},
            "node_modules/h/package.json": b'\xef\xbb\xbf{"name": "h", "version": "1"}',
        }
    )
    assert [package.name for package in found.packages] == ["f", r"g\x1b[0m", "h"]
    assert len(found.warnings) == 3
    assert all("package.json" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", ["package-lock.json", "yarn.lock", "pnpm-lock.yaml"])
@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: &a [*a]\nb: {<<: *a}\n", b"- " * 50_000, b"{}", b"[" * 50_000])
def test_broken_lock_files_are_named_and_the_folders_tell(name: str, content: bytes) -> None:
    found = found_in(
        {
            "app/package.json": {"devDependencies": {"a": "1"}},
            "app/node_modules/a/package.json": module("a"),
            f"app/{name}": content,
        }
    )
    assert [package.development for package in found.packages] == [True]
    assert [warning.partition(" ")[0] for warning in found.warnings] == [f"app/{name}"]


@pytest.mark.parametrize("name", ["yarn.lock", "pnpm-lock.yaml"])
def test_aliases_are_never_written_out(name: str) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(c)}: &{chr(c)} [{', '.join([f'*{chr(c - 1)}'] * 9)}]\n" for c in range(98, 120)
    )
    fields = "{version: *w, resolution: *w, name: *w, dependencies: *w}"
    bomb += (
        f"__metadata: *w\nlockfileVersion: *w\nimporters: {{.: *w}}\npackages: {{/b@1: {fields}}}\nb@npm:1: {fields}\n"
    )
    found = found_in(
        {
            "app/package.json": {"devDependencies": {"a": "1"}},
            "app/node_modules/a/package.json": module("a"),
            f"app/{name}": bomb.encode(),
        }
    )
    assert [package.name for package in found.packages] == ["a"]
    assert found.warnings == []


def test_yaml_is_read_as_plain_text_within_bounds() -> None:
    assert yaml_mapping("x", b"v: 1.10\nd: true\n") == {"v": "1.10", "d": "true"}
    bomb = b"a: &a [x, x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 120)
    )
    assert isinstance(yaml_mapping("x", bomb), dict)  # all of it shared: no larger than its text
    assert "nested too deeply" in str(yaml_mapping("x", b"\n".join(b" " * depth + b"a:" for depth in range(1_000))))
    assert "larger" in str(yaml_mapping("x", b"#" * 6_000_000))
    assert "no YAML" in str(yaml_mapping("x", b"a: !!python/object/apply:os.system ['x'\n"))
