"""The story of a whole server, as its owner types it: audited, planned, approved, optimized, deployed, its data moved,
cleaned, kept for a week, and audited again; in the end both the disk and the records show what it gained.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from imgopt_pipeline.deployments.targets import remove_due as remove_due_images
from imgopt_pipeline.journal.clock import Moment, now
from imgopt_pipeline.migrations.targets import remove_due as remove_due_sources
from imgopt_pipeline.orchestration.build import build_defs
from tests.engine import conftest as engine
from tests.engine.daemons import private_daemon
from tests.engine.program import rows
from tests.migrations.grounds import contents, lost

from .server import DESK, HIDDEN_BYTES, THIRD_PARTY, TRACK_BYTES, TRACKS, Server, server

IMAGE = DESK.tag
MUSIC_BYTES = TRACKS * (TRACK_BYTES + 4)
pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


@pytest.fixture
def owned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    engine.pytest_runtest_setup(request.node)
    with private_daemon("classic", engine.ROOT) as daemon, server(daemon, tmp_path) as one:
        yield one


def test_the_whole_story(owned: Server) -> None:
    music = contents(owned.music)
    gateway = owned.container("gateway")
    page, image_bytes, disk_bytes = owned.ask("/desks"), owned.image_bytes(), owned.disk_bytes()
    music_disk_bytes = owned.music_disk_bytes()

    owned.imgopt("audit")
    _plan_is_sensible(owned)
    for subject in (IMAGE, str(owned.music)):
        assert "Approved by" in owned.imgopt("approve", subject, "--note", "after the fair")

    build = json.loads(owned.imgopt("optimize", IMAGE, "--yes", "--json"))["builds"][0]
    assert build["outcome"] == "kept", build["summary"]
    assert owned.daemon.image_id(IMAGE) == build["source_image_id"], "nothing that runs is touched yet"
    deployment = json.loads(owned.imgopt("deploy", "office/desk", "--yes", "--json"))["deployments"][0]
    _new_image_runs(owned, build, deployment, page)

    migration = json.loads(owned.imgopt("migrate-data", "music", "--yes", "--json"))["migrations"][0]
    _music_plays_from_its_new_place(owned, migration, music)
    _leftovers_go(owned)

    _a_week_passes(owned)
    assert "Removed the old state" not in owned.imgopt("housekeeping"), "nothing is left of it"
    assert lost(music, owned.moved) == []
    assert not owned.music.exists() and list(owned.project.glob("music*")) == []

    told = owned.imgopt("audit")
    assert "Gained so far  1 deployment: " in told and "; 1 move: " in told
    measured_bytes = build["old_bytes"] - build["new_bytes"]
    assert measured_bytes > 100_000_000
    _warehouse_shows_the_gain(owned, measured_bytes)
    _dagster_shows_the_way(owned, measured_bytes)

    assert image_bytes - owned.image_bytes() >= 0.95 * measured_bytes
    assert disk_bytes - owned.disk_bytes() >= 0.95 * measured_bytes
    assert music_disk_bytes - owned.music_disk_bytes() >= MUSIC_BYTES
    assert owned.ask("/desks") == page
    assert owned.container("gateway")["State"]["StartedAt"] == gateway["State"]["StartedAt"]
    assert owned.daemon.image_id(THIRD_PARTY) == gateway["Image"]


def _plan_is_sensible(owned: Server) -> None:
    plan = {row["subject"]: row for row in json.loads(owned.imgopt("plan", "--all", "--json"))}
    assert plan[IMAGE]["decision"] == "optimize" and "R3" in plan[IMAGE]["techniques"]
    assert (plan[str(owned.music)]["decision"], plan[str(owned.music)]["action"]) == (
        "optimize",
        "move to a remote mount",
    )
    assert plan[str(owned.music)]["likely_bytes"] == MUSIC_BYTES
    assert plan[THIRD_PARTY]["decision"] != "optimize" and plan[THIRD_PARTY]["likely_bytes"] >= HIDDEN_BYTES


def _new_image_runs(owned: Server, build: dict[str, Any], deployment: dict[str, Any], page: str) -> None:
    assert deployment["outcome"] == "verified", deployment["summary"]
    listed = json.loads(owned.imgopt("deployments", "--json"))
    assert [(row["subject"], row["outcome"]) for row in listed] == [("office/desk", "verified")]
    container = owned.container("office-desk-1")
    assert container["Image"] == build["candidate_image_id"] == owned.daemon.image_id(IMAGE)
    assert container["State"]["Running"]
    assert owned.ask("/desks") == page
    assert owned.daemon.image_id(deployment["backup_reference"]) == build["source_image_id"]


def _music_plays_from_its_new_place(owned: Server, migration: dict[str, Any], music: Any) -> None:
    assert migration["outcome"] == "verified", migration["reason"]
    assert (migration["freed_bytes"], migration["pending_bytes"] >= MUSIC_BYTES) == (0, True)
    (mount,) = owned.container("office-player-1")["Mounts"]
    assert (mount["Source"], mount["Destination"]) == (str(owned.moved), "/music")
    assert owned.play("session%202/02.mp3") == (owned.moved / "session 2" / "02.mp3").read_bytes()
    assert lost(music, owned.moved) == []


def _leftovers_go(owned: Server) -> None:
    cleaned = json.loads(owned.imgopt("clean", "--yes", "--older-than", "0", "--json"))
    assert {item["kind"] for item in cleaned["cleaned_items"]} == {"container", "image", "build cache"}
    assert {item["outcome"] for item in cleaned["cleaned_items"]} == {"removed"}
    names = owned.daemon.docker("ps", "--all", "--format", "{{.Names}}").split()
    assert sorted(names) == ["gateway", "office-desk-1", "office-player-1"]
    assert owned.daemon.docker("images", "--quiet", "--filter", "dangling=true") == ""


def _a_week_passes(owned: Server) -> None:
    """What housekeeping does six and eight days later; a person has said by then that the music's source may go."""
    assert remove_due_images(owned.settings, lambda: _later(days=6)) == []
    assert "it is kept until" in owned.imgopt("migrate-data", "music", "--delete-source", "--yes")
    assert remove_due_sources(owned.settings, lambda: _later(days=6)) == []
    # The builder's cache holds the old image's layers too: freed is what goes with the last that holds it.
    owned.daemon.docker("builder", "prune", "--all", "--force")
    (image,) = remove_due_images(owned.settings, lambda: _later(days=8))
    (source,) = remove_due_sources(owned.settings, lambda: _later(days=8))
    assert (image.left, source.left) == ((), "")
    assert source.freed_bytes >= MUSIC_BYTES


def _later(*, days: float) -> Moment:
    moment, seconds = now(), days * 86_400
    return replace(moment, wall_seconds=moment.wall_seconds + seconds, boot_seconds=moment.boot_seconds + seconds)


def _warehouse_shows_the_gain(owned: Server, measured_bytes: int) -> None:
    (gain,) = rows(owned.home, "FROM measured_gains")
    assert (gain["reference"], gain["measured_bytes"], gain["within_range"]) == (IMAGE, measured_bytes, True)
    assert gain["freed_bytes"] >= 0.95 * measured_bytes
    assert gain["pending_bytes"] is None
    (newest,) = rows(owned.home, "FROM latest_deployments")
    assert (newest["outcome"], newest["deployment_id"]) == ("verified", gain["deployment_id"])
    (moved,) = rows(owned.home, "FROM migrated_data")
    assert (moved["source"], moved["pending_bytes"]) == (str(owned.music), 0)
    assert moved["freed_bytes"] >= MUSIC_BYTES
    first, second = rows(owned.home, "FROM size_trend ORDER BY finished_at")
    assert second["change_bytes"] == second["image_bytes"] - first["image_bytes"] <= -measured_bytes * 0.95
    (image,) = rows(owned.home, "SELECT size_bytes FROM latest_images WHERE name = ?", IMAGE)
    assert image["size_bytes"] <= gain["old_bytes"] - 0.95 * measured_bytes
    plan = {row["subject"]: row["decision"] for row in rows(owned.home, "FROM latest_plan")}
    assert plan[IMAGE] == "accept" and str(owned.music) not in plan


def _dagster_shows_the_way(owned: Server, measured_bytes: int) -> None:
    """Each step is a run that succeeded, and the newest materialization of an asset upstream of the next."""
    image, directory = f"local|{IMAGE}", f"local|{owned.music}"
    with dg.DagsterInstance.from_config(str(owned.home / "dagster")) as instance:
        runs = [(run.job_name, run.tags["dagster/partition"], run.status) for run in reversed(instance.get_runs())]
        told = {
            name: _newest(instance, name, partition)
            for name, partition in (
                ("optimized_builds", image),
                ("verified_deployments", image),
                ("data_migrations", directory),
                ("audit_report", "local"),
            )
        }
    assert told["verified_deployments"]["outcome"] == told["data_migrations"]["outcome"] == "verified"
    assert told["verified_deployments"]["old_bytes"] - told["verified_deployments"]["new_bytes"] == measured_bytes
    done = dg.DagsterRunStatus.SUCCESS
    assert runs == [
        ("audit", "local", done),
        ("optimize", image, done),
        ("deploy", image, done),
        ("migrate_data", directory, done),
        ("audit", "local", done),
    ]
    graph = build_defs(owned.settings).resolve_asset_graph()
    for asset, above in (
        ("verified_deployments", "optimized_builds"),
        ("optimized_builds", "optimization_plan"),
        ("data_migrations", "optimization_plan"),
    ):
        assert dg.AssetKey(["imgopt", above]) in graph.get(dg.AssetKey(["imgopt", asset])).parent_keys


def _newest(instance: dg.DagsterInstance, asset: str, partition: str) -> dict[str, Any]:
    """What the newest materialization of an asset says, which is of that partition."""
    event = instance.get_latest_materialization_event(dg.AssetKey(["imgopt", asset]))
    assert event is not None and event.asset_materialization is not None
    assert event.asset_materialization.partition == partition
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}
