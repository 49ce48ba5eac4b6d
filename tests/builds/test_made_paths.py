"""What a step made: worked examples, and a naive model for random layers and packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgopt_pipeline.builds.made_paths import FEW, LIGHT_BYTES, made_paths
from imgopt_pipeline.contents.joining import own_files
from imgopt_pipeline.contents.models import Package
from imgopt_pipeline.dockerfiles.facts import MadePath
from tests.layers.layers_made import file, folder, gone, layer_tar, symlink, tree_of_tars
from tests.layers.tree_model import Item

SITE = "usr/local/lib/python3.11/site-packages"


@dataclass(frozen=True)
class Owner:
    """A package of a distribution, or of Python, and its files."""

    name: str
    files: tuple[str, ...]
    ecosystem: str = "debian"


def made(
    *layers: Sequence[Item], owners: Sequence[Owner] = (), base: int | None = 0
) -> dict[int, tuple[MadePath, ...]]:
    packages = [Package(o.ecosystem, o.name, "1", f"{o.name}.txt", "", files=o.files) for o in owners]
    with tree_of_tars([layer_tar(items) for items in layers]) as tree:
        tree.list_live_files()
        own_files(tree, packages, lambda _: "")
        return made_paths(tree.connection, range(len(layers)), base)


def paths(found: Sequence[MadePath]) -> dict[str, bool]:
    return {item.path: item.whole for item in found}


BASE = [file(f"{SITE}/pip/main.py", 10), file("usr/local/bin/python3.11", 10), folder("opt"), folder("root")]


def test_a_new_folder_stands_for_all_in_it() -> None:
    layer = [
        file("opt/venv/bin/uvicorn", 1),
        symlink("opt/venv/bin/python", "/usr/local/bin/python3.11"),
        file("opt/venv/a/b", 2),
    ]
    assert made(BASE, layer) == {1: (MadePath("/opt/venv", 3),)}


def test_a_few_new_packages_are_named_and_many_are_their_folder() -> None:
    few = [file(f"{SITE}/{name}/main.py", 1) for name in "abc"]
    assert paths(made(BASE, few)[1]) == {f"/{SITE}/{name}": True for name in "abc"}
    many = [file(f"{SITE}/p{number}/main.py", 1) for number in range(FEW + 1)]
    assert made(BASE, many) == {1: (MadePath(f"/{SITE}", FEW + 1, whole=False),)}


def test_a_folder_with_much_else_in_it_is_not_named_for_a_little() -> None:
    base = [*BASE, file("usr/local/lib/python3.11/big.so", LIGHT_BYTES + 1)]
    layer = [file(f"usr/local/lib/python3.11/x{number}.so", 1) for number in range(FEW + 1)]
    assert len(made(base, layer)[1]) == FEW + 1


def test_a_link_is_named_by_its_folder_as_a_copy_would_follow_it() -> None:
    layer = [symlink("usr/local/bin/tool", "../lib/tool.js"), file("usr/local/bin/other", 1)]
    assert paths(made(BASE, layer)[1]) == {"/usr/local/bin": False}


def test_what_a_distribution_brought_and_its_state_do_not_count() -> None:
    layer = [
        file("usr/bin/gcc", 5),
        file("var/lib/dpkg/status", 5),
        file("etc/passwd", 5),
        file("etc/generated.conf", 5),
        file("root/.cache/pip/http/x", 5),
        file("root/.cache/huggingface/model", 7),
    ]
    found = made(BASE, layer, owners=[Owner("gcc", ("usr/bin/gcc",))])
    assert found == {1: (MadePath("/root/.cache/huggingface", 7),)}


def test_files_below_usr_count_where_no_package_was_installed() -> None:
    assert paths(made([*BASE, file("usr/bin/env", 1)], [file("usr/bin/tool", 5)])[1]) == {"/usr/bin/tool": False}


def test_a_folder_with_a_package_in_it_is_not_named_as_a_whole() -> None:
    layer = [file("opt/thing/own.txt", 1), file("opt/thing/theirs.txt", 2), file("opt/thing/more/x", 4)]
    found = made(BASE, layer, owners=[Owner("thing", ("opt/thing/theirs.txt",))])
    assert paths(found[1]) == {"/opt/thing/own.txt": False, "/opt/thing/more": True}


def test_what_later_layers_hide_is_not_made() -> None:
    first = [file("app/a", 1), file("app/b", 2), symlink("srv/link", "a")]
    assert made(BASE, first, [gone("app/a"), gone("srv")])[1] == (MadePath("/app", 2),)


def test_layers_of_the_base_are_passed_over() -> None:
    assert set(made(BASE, [file("app/a", 1)], base=None)) == {0, 1}
    assert set(made(BASE, [file("app/a", 1)], base=0)) == {1}


NAMES = st.sampled_from(["a", "b", "c", "usr/local/x", "opt/y"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@st.composite
def _layers(draw: st.DrawFn) -> list[dict[str, int]]:
    """Layers of files by path; no path is a folder in one place and a file in another."""
    layers = draw(st.lists(st.dictionaries(PATHS, st.integers(1, 9), max_size=6), min_size=1, max_size=4))
    folders = {above for layer in layers for path in layer for above in _above(path)}
    return [{path: size for path, size in layer.items() if path not in folders} for layer in layers]


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _expected(layers: Sequence[Mapping[str, int]], owned: frozenset[str]) -> dict[int, dict[str, int]]:
    """By definition, one file after the other; few paths, so that no folder is named in their place."""
    result: dict[int, dict[str, int]] = {}
    for position, layer in enumerate(layers):
        later = {path for other in layers[position + 1 :] for path in other}
        visible = {path: size for path, size in layer.items() if path not in later}
        before = {above for other in layers[:position] for path in other for above in _above(path)}
        mixed = {above for path in visible if path in owned for above in _above(path)}
        sums: dict[str, int] = {}
        for path, size in visible.items():
            if path not in owned:
                top = next((above for above in _above(path) if above not in before | mixed), path)
                sums[top] = sums.get(top, 0) + size
        result[position] = sums
    return result


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_layers(), st.frozensets(PATHS, max_size=3))
def test_random_layers_give_what_the_definition_says(layers: list[dict[str, int]], owned: frozenset[str]) -> None:
    items = [[file(path, size) for path, size in layer.items()] for layer in layers]
    found = made(*items, owners=[Owner("theirs", tuple(sorted(owned)))], base=None)
    assert {p: {m.path.removeprefix("/"): m.size_bytes for m in of} for p, of in found.items()} == _expected(
        layers, owned
    )


@pytest.mark.parametrize("files", [100_000])
def test_many_files_take_a_moment(files: int) -> None:
    layer = [file(f"app/node_modules/p{number % 900}/lib/f{number}.js", 1) for number in range(files)]
    assert paths(made(BASE, layer)[1]) == {"/app": True}
