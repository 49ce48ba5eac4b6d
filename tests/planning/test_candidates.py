"""Optimized images beside those in use: their names, and a plan that leaves them alone."""

from pathlib import Path

import pytest

from imgopt_pipeline.planning.candidates import SOURCE_LABEL, candidate_reference

from .warehouse_made import COPY, GB, PIP, Layer, Server, item


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("shop-web:latest", "shop-web:latest-optimized"),
        ("shop-web", "shop-web:latest-optimized"),
        ("registry.example:5000/team/app:2@sha256:" + "1" * 64, "registry.example:5000/team/app:2-optimized"),
        (None, "imgopt/111111111111:optimized"),
    ],
)
def test_a_candidate_is_named_after_the_image_in_use(reference: str | None, expected: str) -> None:
    assert candidate_reference(reference, "sha256:" + "1" * 64) == expected


def test_the_longest_tag_leaves_room() -> None:
    tag = candidate_reference("app:" + "x" * 128, "").rpartition(":")[2]
    assert len(tag) == 128 and tag.endswith("-optimized")


def test_a_candidate_is_neither_removed_nor_holds_what_its_original_would_free(tmp_path: Path) -> None:
    shared = Layer("base", COPY, GB, {"R5:low": GB})
    plain, candidate = Server(), Server()
    for server in (plain, candidate):
        original = server.image("web:1", [shared, Layer("app", PIP, GB, {"R6:low": GB})])
        server.container("web", original)
    candidate.image("web:1-optimized", [shared], labels={SOURCE_LABEL: original})
    assert candidate.plan(tmp_path / "with") == plain.plan(tmp_path / "without")


def test_a_candidate_whose_original_is_gone_is_an_image_like_others(tmp_path: Path) -> None:
    server = Server()
    server.container("web", server.image("web:1", [Layer("app", COPY, GB)]))
    server.image("old:1-optimized", [Layer("other", COPY, GB)], labels={SOURCE_LABEL: "sha256:" + "2" * 64})
    assert "old:1-optimized" in item(server.plan(tmp_path), "old:1-optimized")["command"]


@pytest.mark.parametrize(
    ("more", "set_aside"),
    [([], False), ([], True), (["web:1"], True), (["web:1"], False)],
)
def test_a_backup_is_neither_planned_nor_holds_what_could_be_freed(
    tmp_path: Path, more: list[str], set_aside: bool
) -> None:
    shared = Layer("base", COPY, GB, {"R5:low": GB})
    plain, kept = Server(), Server()
    for server in (plain, kept):
        server.container("web", server.image("web:2", [shared, Layer("app", PIP, GB, {"R6:low": GB})]))
    backup = kept.image("imgopt-backup/web:20260105-111111111111", [shared])
    kept.tables["image_inventory"][-1]["image_references"].extend(more)
    if set_aside:
        kept.container("web.imgopt-11aa22cc-old", backup, running=False, state="exited")
    assert kept.plan(tmp_path / "with") == plain.plan(tmp_path / "without")


def test_a_backup_that_is_in_use_again_goes_by_its_own_name(tmp_path: Path) -> None:
    server = Server()
    image = server.image("imgopt-backup/web:20260105-111111111111", [Layer("app", PIP, GB, {"R6:low": GB})])
    server.tables["image_inventory"][-1]["image_references"].append("web:1")
    server.container("web", image)
    (row,) = server.plan(tmp_path)
    assert (row["subject"], row["command"]) == ("web:1", "imgopt optimize --host big web:1")
    assert "imgopt-backup" not in " ".join(row["prerequisites"])
