"""The merged tree: every rule of image layers as a worked example, dive's published figures, and a naive model.

The examples state their figures as plain numbers. The property test then compares random layers, written as
real tars, with `tree_model`, which the same examples check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.layers.analysis import analyse_image
from imgopt_pipeline.layers.merge import DeadFile, DeadSum, ImageTree, MergedTree
from tests.archives_made import MTIME, entry, tar_of
from tests.layers.layers_made import (
    file,
    folder,
    gone,
    layer_tar,
    link,
    merged,
    merged_tars,
    opaque,
    symlink,
    tree_of_tars,
)
from tests.layers.tree_model import Dead, Expected, Item, Parts, contradicts, expected

VECTORS = Path(__file__).parents[3] / "shared" / "testvectors"
Layers = Sequence[Sequence[Item]]
LATER = MTIME + 60


def test_published_figures_of_dive(tmp_path: Path) -> None:
    path = VECTORS / "dive-test-docker-image.tar"
    if not path.exists():
        pytest.skip("the shared test vectors are not beside this checkout")
    host = ArchiveHost("vector", path)
    found = analyse_image(host, host.image(""), tmp_path).merged
    assert found.dive.efficiency == 0.9844212134184309
    assert found.dive.size_bytes == 1220598
    assert found.dive.user_size_bytes == 66237
    assert found.dive.wasted_bytes == 32025
    assert found.dive.user_wasted_percent == 0.4834911001404049
    assert found.dead_bytes == 32025
    assert found.live_bytes == 1220598 - 32025


Row = tuple[int, str, int, int, str]

EXAMPLES: dict[str, tuple[Layers, int, list[Row]]] = {
    "no layers": ([], 0, []),
    "empty layers": ([[], [], []], 0, []),
    "one layer is all alive": ([[file("a", 10), folder("d"), file("d/b", 5)]], 15, []),
    "a file written again": ([[file("a", 10)], [file("a", 20)]], 20, [(0, "a", 10, 1, "overwritten")]),
    "written three times": (
        [[file("a", 1)], [file("a", 2)], [file("a", 4)]],
        4,
        [(0, "a", 1, 1, "overwritten"), (1, "a", 2, 2, "overwritten")],
    ),
    "deleted": ([[file("d/a", 10), file("d/b", 5)], [gone("d/a")]], 5, [(0, "d/a", 10, 1, "deleted")]),
    "a whiteout that comes last spares its own layer": (
        [[file("a", 10)], [file("a", 20), gone("a")]],
        20,
        [(0, "a", 10, 1, "overwritten")],
    ),
    "a whiteout that comes first, likewise": (
        [[file("a", 10)], [gone("a"), file("a", 20)]],
        20,
        [(0, "a", 10, 1, "overwritten")],
    ),
    "a whiteout of a directory whose layer fills it again": (
        [[file("d/old", 10), file("d/both", 3)], [file("d/new", 20), gone("d"), file("d/both", 4)]],
        24,
        [(0, "d/old", 10, 1, "deleted"), (0, "d/both", 3, 1, "overwritten")],
    ),
    "a whiteout of nothing": ([[file("a", 10)], [gone("b"), gone("c/d")]], 10, []),
    "a whiteout in the base": ([[gone("a"), file("b", 1)]], 1, []),
    "the prefix is stripped once": (
        [[file("a", 10), file("wh", 3), file("wh.a", 4)], [gone("wh.a")]],
        13,
        [(0, "wh.a", 4, 1, "deleted")],
    ),
    "a name is not stripped of the letters of the prefix": (
        [[file("hw.hwh", 10), file("a", 1)], [gone("hw.hwh")]],
        1,
        [(0, "hw.hwh", 10, 1, "deleted")],
    ),
    "a whiteout hides a name, not its longer neighbours": (
        [[file("a", 1), file("a.b", 2), file("a0", 4), file("ab", 8)], [gone("a")]],
        14,
        [(0, "a", 1, 1, "deleted")],
    ),
    "a directory goes without its neighbours": (
        [[file("a/x", 1), file("a.b/x", 2), file("a0", 4), file("a!/x", 8), file("A/x", 16)], [gone("a")]],
        30,
        [(0, "a/x", 1, 1, "deleted")],
    ),
    "deleted, then there again": (
        [[file("a", 10)], [gone("a")], [file("a", 10)]],
        10,
        [(0, "a", 10, 1, "deleted")],
    ),
    "an opaque directory spares its own layer": (
        [[file("d/old", 10), file("d/e/deep", 5), file("x", 1)], [folder("d"), file("d/new", 7), opaque("d")]],
        8,
        [(0, "d/old", 10, 1, "opaque"), (0, "d/e/deep", 5, 1, "opaque")],
    ),
    "a marker before the files of its layer": (
        [[file("d/a", 10)], [opaque("d"), file("d/a", 7)]],
        7,
        [(0, "d/a", 10, 1, "overwritten")],
    ),
    "an opaque root": (
        [[file("a", 10), file("d/b", 5)], [opaque(""), file("c", 1)]],
        1,
        [(0, "a", 10, 1, "opaque"), (0, "d/b", 5, 1, "opaque")],
    ),
    "an opaque directory in the base": ([[opaque("d"), file("d/a", 3)], [file("d/b", 4)]], 7, []),
    "markers on markers": (
        [[file("d/e/a", 3)], [opaque("d")], [opaque("d/e"), opaque("d")]],
        0,
        [(0, "d/e/a", 3, 1, "opaque")],
    ),
    "a directory replaced by a file": (
        [[folder("d"), file("d/a", 10), file("d/e/b", 5)], [file("d", 2)]],
        2,
        [(0, "d/a", 10, 1, "overwritten"), (0, "d/e/b", 5, 1, "overwritten")],
    ),
    "a directory replaced by a symlink": (
        [[file("d/a", 10), file("e/a", 1)], [symlink("d", "e")]],
        1,
        [(0, "d/a", 10, 1, "overwritten")],
    ),
    "a file replaced by a directory": (
        [[file("d", 10)], [folder("d"), file("d/a", 1)]],
        1,
        [(0, "d", 10, 1, "overwritten")],
    ),
    "a file replaced by a directory that only its children name": (
        [[file("d", 10)], [file("d/e/a", 1)]],
        1,
        [(0, "d", 10, 1, "overwritten")],
    ),
    "and back again": (
        [[file("d/a", 1)], [file("d", 2)], [file("d/b", 4)]],
        4,
        [(0, "d/a", 1, 1, "overwritten"), (1, "d", 2, 2, "overwritten")],
    ),
    "directories merge": ([[folder("d"), file("d/a", 1)], [folder("d"), file("d/b", 2)]], 3, []),
    "parents that the tar left out": (
        [[file("a/b/c/x", 1), file("a/b/y", 2)], [gone("a/b/c")], [gone("a")]],
        0,
        [(0, "a/b/c/x", 1, 1, "deleted"), (0, "a/b/y", 2, 2, "deleted")],
    ),
    "only the time changed, which is all the tar tells": (
        [[file("a", 10)], [file("a", 10, mtime=LATER)]],
        10,
        [(0, "a", 10, 1, "overwritten")],
    ),
    "only mode or owner changed": ([[file("a", 10)], [file("a", 10)]], 10, [(0, "a", 10, 1, "metadata")]),
    "a path twice in one layer": ([[file("a", 10), file("a", 3)]], 3, [(0, "a", 10, 0, "overwritten")]),
    "a directory replaced within one layer": (
        [[file("d/a", 10), file("d", 3), file("e", 1)]],
        4,
        [(0, "d/a", 10, 0, "overwritten")],
    ),
    "hard links are one content": ([[file("a", 10), link("b", "a"), link("d/c", "b")]], 10, []),
    "content lives while a name is left": ([[file("a", 10), link("b", "a")], [gone("a")]], 10, []),
    "content dies with its last name": (
        [[file("a", 10), link("b", "a")], [gone("a")], [file("b", 1)]],
        1,
        [(0, "a", 10, 2, "overwritten")],
    ),
    "a link is bound when it is read": (
        [[file("a", 10), link("b", "a"), file("a", 4)], [gone("b")]],
        4,
        [(0, "b", 10, 1, "deleted")],
    ),
    "a link into a lower layer": (
        [[file("a", 10)], [link("b", "a")], [gone("a")]],
        10,
        [],
    ),
    "a link into a lower layer, and its target written again": (
        [[file("a", 10)], [link("b", "a"), file("a", 4)], [gone("b")]],
        4,
        [(0, "a", 10, 2, "deleted")],
    ),
    "a link to a link into a lower layer": (
        [[file("a", 10)], [link("b", "a")], [link("c", "b"), gone("a"), gone("b")], [file("d", 1)]],
        11,
        [],
    ),
    "a link to what lower layers no longer show": (
        [[file("a", 10)], [gone("a")], [link("b", "a")]],
        0,
        [(0, "a", 10, 1, "deleted")],
    ),
    "a link to nothing": ([[link("b", "nothing"), file("a", 1)]], 1, []),
    "links that name each other": ([[link("b", "c"), link("c", "b"), file("a", 1)]], 1, []),
    "a link to a directory": ([[folder("z"), file("z/a", 10), link("b", "z")], [gone("b")]], 10, []),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_rules_of_layers(name: str) -> None:
    layers, live_bytes, dead = EXAMPLES[name]
    found = merged(*layers)
    assert found.live_bytes == live_bytes
    assert {_row(item) for item in found.dead_files} == set(dead)
    assert found.dead_bytes == sum(size for _, _, size, _, _ in dead)
    _assert_same(found, expected(layers, contents_known=False))


def test_a_checksum_tells_content_that_was_written_again() -> None:
    layers = [[file("a", 10), file("b", 10)], [file("a", 10, mtime=LATER), file("b", 10, fill=b"y")]]
    found = merged(*layers, with_sums=True)
    assert {_row(item) for item in found.dead_files} == {(0, "a", 10, 1, "metadata"), (0, "b", 10, 1, "overwritten")}
    _assert_same(found, expected(layers, contents_known=True))


def test_a_layer_that_stands_in_an_image_twice() -> None:
    once = [file("a", 10), file("b", 1)]
    found = merged(once, [gone("a")], once)
    assert [(layer.live_bytes, layer.dead_bytes) for layer in found.layers] == [(0, 11), (0, 0), (11, 0)]
    assert {_row(item) for item in found.dead_files} == {(0, "a", 10, 1, "deleted"), (0, "b", 1, 2, "metadata")}


def test_content_of_a_whiteout_is_dead() -> None:
    """No engine writes any, but a tar may: those bytes are stored and never seen."""
    layers = [tar_of(entry(b"a", b"x" * 10), entry(b".wh.b", b"y" * 3), entry(b".wh.b", b"y" * 4))]
    found = merged_tars(layers)
    assert (found.live_bytes, found.dead_bytes, found.live_files) == (10, 7, 1)


@pytest.mark.parametrize("name", [b".wh..", b".wh...", b"d/.wh...", b"d/e/.wh.."])
def test_a_whiteout_of_a_directory_itself_or_its_parent_is_refused(name: bytes) -> None:
    with pytest.raises(UnreadableLayer):
        merged_tars([tar_of(entry(b"d/e/a", b"x")), tar_of(entry(name))])


def test_names_that_sort_beside_the_slash() -> None:
    """`a/b` sorts between `a.b` and `a0`: what hides `a` must hide nothing else, sorted or not."""
    names = ["a/x", "a.b/x", "a0/x", "a0", "a-", "a/b0/x", "a/b/x", "aa/x", "a\\/x"]
    base = [file(name, 1) for name in names if name != "a0"]
    for layer in (base, base[::-1]):
        found = merged(layer, [gone("a")])
        assert sorted(item.path for item in found.dead_files) == ["a/b/x", "a/b0/x", "a/x"]


def test_dead_files_are_cut_off_and_still_add_up() -> None:
    found = merged([file(f"d/{number}", number) for number in range(1, 1101)], [gone("d")])
    assert len(found.dead_files) == 1000
    assert found.dead_files[0].size_bytes == 1100
    assert found.dead_sums == (DeadSum(0, 1, "deleted", 1100, 1100 * 1101 // 2),)
    assert found.dead_bytes == 1100 * 1101 // 2


def test_the_worked_example_of_dive() -> None:
    """A file written twice, a directory deleted: by dive's own formula, counted by hand."""
    found = merged([file("a", 100), file("d/x", 40), file("d/y", 2)], [file("a", 60)], [gone("d")], [gone("a")])
    # a: 100, 60 and 0 at its whiteout; d/x: 40; d/y: 2; d: its whiteout weighs 42.
    assert found.dive.efficiency == (0 + 40 + 2 + 42) / (160 + 40 + 2 + 42)
    assert found.dive.wasted_bytes == 160
    assert found.dive.size_bytes == 202
    assert found.dive.user_size_bytes == 60
    assert found.dive.user_wasted_percent == 160 / 60


def test_an_image_without_bytes_wastes_nothing() -> None:
    found = merged([], [folder("d")], [gone("d")])
    assert found.efficiency == found.dive.efficiency == 1.0
    assert found.dive.user_wasted_percent == 0.0


NAMES = [b"a", b"b", b"a.b", b"a0", b"a!", b"A", b"\xc3\xa9", b"\xff", b"x\\y", b"n\nl", b"...", b"t\tb", b"\\N", b" "]
SHORT = st.sampled_from([b"a", b"b", b"a.b", b"a0"])
PATHS = st.lists(st.one_of(SHORT, SHORT, SHORT, st.sampled_from(NAMES)), min_size=1, max_size=3).map(tuple)
CONTENTS = st.sampled_from([b"", b"x", b"xx", b"yy", b"z" * 7, b"w" * 600])
TIMES = st.sampled_from([MTIME, LATER])


@st.composite
def items(draw: st.DrawFn) -> Item:
    """An entry of a layer, its name spelled in one of the ways that mean the same."""
    kinds = ["file"] * 5 + ["dir"] * 2 + ["hardlink"] * 2 + ["whiteout"] * 3 + ["opaque"] * 2 + ["symlink", "fifo"]
    kind = draw(st.sampled_from(kinds))
    path: Parts = draw(PATHS)
    if kind == "opaque" and draw(st.integers(0, 9)) == 0:
        path = ()
    name = {
        "whiteout": b"/".join((*path[:-1], b".wh." + (path or (b"",))[-1])),
        "opaque": b"/".join((*path, b".wh..wh..opq")),
    }.get(kind, b"/".join(path))
    spelling = draw(st.sampled_from([b"%s", b"%s", b"%s", b"./%s", b"/%s", b"%s/", b"q/../%s", b".//%s"])) % name
    content = draw(CONTENTS) if kind == "file" else b""
    if kind == "whiteout" and draw(st.integers(0, 19)) == 0:
        content = b"marked"
    target = draw(PATHS) if kind in ("hardlink", "symlink") else ()
    return Item(kind, path, spelling, content, draw(TIMES), target)


@st.composite
def images(draw: st.DrawFn) -> list[list[Item]]:
    """Layers of an image; now and then one of them stands there twice, or is sorted as engines do."""
    image: list[list[Item]] = []
    for drawn in draw(st.lists(st.lists(items(), max_size=7), max_size=5)):
        layer: list[Item] = []
        for item in drawn:
            if not contradicts([*layer, item]):
                layer.append(item)
        if draw(st.booleans()) and not contradicts(ordered := sorted(layer, key=lambda item: item.path)):
            layer = ordered
        image.append(layer)
        if draw(st.integers(0, 9)) == 0:
            image.append(draw(st.sampled_from(image)))
    return image


def side_by_side(many: Sequence[list[list[Item]]]) -> list[list[Item]]:
    """Several images as one, each in a folder of its own: merging one image costs as much as merging ten."""
    depth = max(len(image) for image in many)
    return [
        [
            replace(
                item,
                path=(top, *item.path),
                spelling=top + b"/" + item.spelling,
                target=(top, *item.target) if item.kind == "hardlink" else item.target,
            )
            for top, image in ((b"%d" % number, image) for number, image in enumerate(many))
            for item in (image[position] if position < len(image) else [])
        ]
        for position in range(depth)
    ]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(images(), st.booleans())
def test_random_layers_merge_as_the_naive_model_says(image: list[list[Item]], with_sums: bool) -> None:
    with tree_of_tars([layer_tar(layer) for layer in image], with_sums=with_sums) as tree:
        model = expected(image, contents_known=with_sums)
        _assert_same(tree.merged, model)
        _assert_same_live_files(tree, model)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(images(), min_size=4, max_size=8), st.booleans())
def test_random_layers_side_by_side(many: list[list[list[Item]]], with_sums: bool) -> None:
    image = side_by_side(many)
    with tree_of_tars([layer_tar(layer) for layer in image], with_sums=with_sums) as tree:
        model = expected(image, contents_known=with_sums)
        _assert_same(tree.merged, model)
        _assert_same_live_files(tree, model)


def test_a_content_whose_own_path_died_goes_by_the_link_that_shows_it() -> None:
    image = [[file("a", 5), link("d/b", "a"), file("c", 2)], [gone("a")]]
    with tree_of_tars([layer_tar(layer) for layer in image]) as tree:
        tree.list_live_files()
        rows = tree.connection.execute("SELECT position, path, size_bytes FROM live_files ORDER BY path").fetchall()
    assert rows == [(0, "c", 2), (0, "d/b", 5)]


def test_a_content_linked_from_a_cache_goes_by_its_installed_name() -> None:
    image = [[file("root/.cache/uv/archive/x.py", 7), link("usr/lib/x.py", "root/.cache/uv/archive/x.py")]]
    with tree_of_tars([layer_tar(layer) for layer in image]) as tree:
        tree.list_live_files()
        assert tree.connection.execute("SELECT path, size_bytes FROM live_files").fetchall() == [("usr/lib/x.py", 7)]


def test_a_path_that_its_layer_names_twice_is_live_by_the_later_content() -> None:
    with tree_of_tars([layer_tar([file("a", 10), file("a", 20)])]) as tree:
        tree.list_live_files()
        assert tree.connection.execute("SELECT position, path, size_bytes FROM live_files").fetchall() == [(0, "a", 20)]


def _assert_same_live_files(tree: ImageTree, model: Expected) -> None:
    """Each visible content once, by one of its visible names."""
    tree.list_live_files()
    found = tree.connection.execute("SELECT position, size_bytes, path FROM live_files").fetchall()
    assert len(found) == len(model.shown)
    by_name = {name: (position, size, names) for position, size, names in model.shown for name in names}
    assert {by_name[path] for _, _, path in found} == set(model.shown)
    for position, size_bytes, path in found:
        assert by_name[path][:2] == (position, size_bytes)


def _assert_same(found: MergedTree, model: Expected) -> None:
    assert {_row(item) for item in found.dead_files} == {_row(item) for item in model.dead if item.size_bytes}
    assert {item: (item.files, item.size_bytes) for item in found.dead_sums} == {
        item: (item.files, item.size_bytes) for item in _sums(model)
    }
    assert (found.live_bytes, found.dead_bytes) == (model.live_bytes, model.dead_bytes)
    assert tuple((layer.live_bytes, layer.dead_bytes) for layer in found.layers) == model.layers
    assert found.live_files == model.live_files
    assert found.dead_file_count == len(model.dead)
    for figure in ("size_bytes", "user_size_bytes", "wasted_bytes", "efficiency", "user_wasted_percent"):
        assert getattr(found.dive, figure) == getattr(model.dive, figure), f"dive {figure}"


def _sums(model: Expected) -> list[DeadSum]:
    groups: dict[tuple[int, int, str], list[Dead]] = {}
    for item in model.dead:
        groups.setdefault((item.position, item.killed_by, item.reason), []).append(item)
    return [DeadSum(*key, len(group), sum(item.size_bytes for item in group)) for key, group in groups.items()]


def _row(item: DeadFile | Dead | Any) -> Row:
    return item.position, item.path, item.size_bytes, item.killed_by, item.reason
