"""What nothing uses is told in words that fit it, and the build cache goes after the builds that need it."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgopt_pipeline.planning.techniques import TECHNIQUES
from tests.planning.warehouse_made import BASE_LAYER, COPY, GB, MB, Layer, Row, Server, item, pip_layer


def removals(folder: Path, references: list[str], *, newer: str = "", digests: bool = False) -> Row:
    """The item on images of these names that no container uses; `newer` has their repository and is in use."""
    server = Server()
    server.container("web", server.image(newer or "web:1", [BASE_LAYER]))
    for number, reference in enumerate(references):
        digest = [f"{reference.partition(':')[0]}@sha256:{number:064}"] if digests else []
        layers = [Layer(f"own {number}", COPY, 300 * MB)]
        server.image(reference, layers, age_days=9, digests=digest, variant=str(number))
    (row,) = [row for row in server.plan(folder) if row["action"].startswith("remove")]
    return row


@pytest.mark.parametrize(
    ("reference", "newer", "digests", "action", "subject"),
    [
        ("", "", False, "remove a dangling image", "2 dangling images"),
        ("tool:{}", "tool:9", False, "remove an old local build", "2 old local builds"),
        ("tool:{}", "tool:9", True, "remove an old version", "2 old versions"),
        ("tool{}:1", "", False, "remove an unused local image", "2 unused local images"),
        ("tool{}:1", "", True, "remove an unused image", "2 unused images"),
    ],
)
def test_words_fit_the_sort_and_the_number(
    tmp_path: Path, reference: str, newer: str, digests: bool, action: str, subject: str
) -> None:
    one = removals(tmp_path / "one", [reference.format(1)], newer=newer, digests=digests)
    two = removals(tmp_path / "two", [reference.format(n) for n in (1, 2)], newer=newer, digests=digests)
    assert (one["action"], two["subject"], two["action"]) == (action, subject, "remove them")
    for row, pronoun, other in ((one, " it", " them"), (two, " them", " it")):
        (step,) = row["prerequisites"]
        told = f"{row['reason']} {step}"
        assert pronoun in row["reason"] and pronoun in step and other not in told and "{" not in told
        assert ("a pull brings" in step) is digests
        assert ("no repository digest says" in row["reason"]) is (not digests and bool(reference))
        assert "built here" not in told


@pytest.mark.parametrize("cache_bytes", [20 * GB, 2 * GB, 100 * MB])
def test_the_build_cache_comes_after_the_rebuilds(tmp_path: Path, cache_bytes: int) -> None:
    server = Server()
    server.container("app", server.image("app:1", [BASE_LAYER, pip_layer("pip", 0, 4 * GB)]))
    server.container("app2", server.image("app2:1", [BASE_LAYER, pip_layer("pip 2", 0, 1500 * MB)]))
    server.directory("/srv/music", {"audio": 30 * GB})
    usage = {"items": 9, "active_items": 0, "size_bytes": cache_bytes, "reclaimable_bytes": cache_bytes}
    server.add("disk_usage", kind="build cache", **usage)
    plan = server.plan(tmp_path)
    cache, rebuilds = item(plan, "build cache"), [row for row in plan if row["techniques"]]
    assert [row["phase"] for row in rebuilds] == [2, 3]
    assert cache["rank"] > max(row["rank"] for row in rebuilds)
    assert cache["phase"] >= max(row["phase"] for row in rebuilds)
    assert [row["phase"] for row in plan] == sorted(row["phase"] for row in plan)
    assert cache["prerequisites"][0].startswith("Rebuild first")


def test_without_rebuilds_the_build_cache_has_the_place_of_its_gain(tmp_path: Path) -> None:
    server = Server()
    server.directory("/srv/music", {"audio": 3 * GB})
    server.add("disk_usage", kind="build cache", items=9, active_items=0, size_bytes=9 * GB, reclaimable_bytes=9 * GB)
    assert [(row["subject"], row["phase"]) for row in server.plan(tmp_path)] == [("build cache", 1), ("/srv/music", 1)]


def test_a_multi_stage_build_is_promised_only_where_the_edit_makes_one() -> None:
    promised = {name for name, technique in TECHNIQUES.items() if "multi-stage" in technique.means}
    assert promised == {"R3"}
    assert "second stage" in TECHNIQUES["R3"].edit
    assert (TECHNIQUES["R17"].means, "Merge each RUN" in TECHNIQUES["R17"].edit) == ("merged RUN steps", True)
    for manager in ("pip", "uv", "npm", "yarn"):
        assert manager in TECHNIQUES["R6"].edit
