"""What a person's word is good for: this very image or directory, until what it allowed was put back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.approvals.approving import NotApproved, approve, approver_of, item_to_approve
from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.services.models import Refused, SubjectNotFound
from imgopt_pipeline.settings import MoveSettings, Settings
from imgopt_pipeline.warehouse.store import publish, replace_rows
from tests.cli.test_deployment_commands import audit_row, plan_row
from tests.warehouse.builds_made import IN_USE
from tests.warehouse.deployments_made import deployment_row
from tests.warehouse.migrations_made import migration_row

OTHER = "sha256:" + "9" * 64
MUSIC = "/srv/shop/music"
WEB: dict[str, Any] = {"subject": "shop-web:latest", "subject_kind": "image", "action": "rebuild"}


def later(seconds: float) -> datetime:
    return datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=seconds)


def container_row(name: str, image_id: str, service: str = "web") -> dict[str, Any]:
    stated = dict.fromkeys(("image_reference", "state", "restart_policy", "log_driver"), "")
    names = {"container_id": name, "name": name, "compose_project": "shop", "compose_service": service}
    more = {"running": True, "restart_count": 0, "compose_config_files": [], "image_id": image_id}
    return {"audit_id": "a1", "host": "local", **stated, **names, **more}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def store(settings: Settings, **tables: list[dict[str, Any]]) -> None:
    publish(settings.paths.database, lambda connection: replace_rows(connection, tables))


def planned(settings: Settings, *rows: dict[str, Any], **tables: list[dict[str, Any]]) -> None:
    store(settings, audits=[audit_row()], optimization_plan=list(rows), **tables)


def asked(settings: Settings, subject: str, **what: str) -> str:
    return approver_of(settings.paths.database, "local", subject=subject, **what)


@pytest.mark.parametrize("outcome", ["rolled back", "rollback failed", "verified", "open"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_deployment_that_was_put_back_has_used_its_approval_up(
    settings: Settings, outcome: str, finished: bool
) -> None:
    approve(settings.paths.database, "local", WEB | {"image_id": IN_USE})
    times: dict[str, Any] = {"started_at": later(5), "finished_at": later(60) if finished else None}
    store(settings, deployments=[deployment_row("d1", outcome=outcome, **times)])
    if outcome in ("verified", "open"):
        assert asked(settings, "shop/web", image_id=IN_USE)
        return
    with pytest.raises(NotApproved, match="`imgopt approve shop/web` does"):
        asked(settings, "shop/web", image_id=IN_USE)


def test_a_word_given_since_or_on_another_host_or_image_holds(settings: Settings) -> None:
    before: dict[str, Any] = {"started_at": later(-60), "finished_at": later(-5), "outcome": "rolled back"}
    after: dict[str, Any] = {"started_at": later(60), "finished_at": later(90), "outcome": "rolled back"}
    rows = [
        deployment_row("d1", **before),
        deployment_row("d2", host="far", **after),
        deployment_row("d3", old_image_id=OTHER, **after),
    ]
    store(settings, deployments=rows)
    approve(settings.paths.database, "local", WEB | {"image_id": IN_USE})
    assert asked(settings, "shop/web", image_id=IN_USE)


@pytest.mark.parametrize(("outcome", "used_up"), [("rolled back", True), ("cancelled", True), ("open", False)])
def test_a_move_that_was_put_back_has_used_its_approval_up(settings: Settings, outcome: str, used_up: bool) -> None:
    item = {"subject": MUSIC, "subject_kind": "directory", "path": MUSIC, "action": "move"}
    approve(settings.paths.database, "local", item)
    times: dict[str, Any] = {"started_at": later(5), "finished_at": None}
    store(settings, migrations=[migration_row("m1", outcome=outcome, **times)])
    if not used_up:
        assert asked(settings, MUSIC, path=MUSIC)
        return
    with pytest.raises(NotApproved):
        asked(settings, MUSIC, path=MUSIC)


def test_an_image_that_was_built_anew_sends_to_the_audit_first(settings: Settings) -> None:
    planned(
        settings,
        plan_row(1, "image", "shop-web:latest", image_id=IN_USE),
        container_inventory=[container_row("shop-web-1", IN_USE)],
    )
    with pytest.raises(NotApproved, match=r"about an older image\. `imgopt audit`, then `imgopt approve shop/web`"):
        asked(settings, "shop/web", image_id=OTHER)
    approve(settings.paths.database, "local", item_to_approve(settings, "local", "shop/web"))
    with pytest.raises(NotApproved, match=r"what was approved is an older image\. `imgopt audit`, then"):
        asked(settings, "shop/web", image_id=OTHER)
    assert asked(settings, "shop/web", image_id=IN_USE)


def test_once_the_plan_knows_the_new_image_no_audit_is_asked_for(settings: Settings) -> None:
    approve(settings.paths.database, "local", WEB | {"image_id": IN_USE})
    planned(settings, plan_row(1, "image", "shop-web:latest", image_id=OTHER))
    with pytest.raises(NotApproved, match=r"as it is now\. `imgopt approve shop-web` does"):
        asked(settings, "shop-web", image_id=OTHER)


@pytest.mark.parametrize("decision", ["optimize", "needs a person", "accept", "avoid"])
def test_what_the_plan_leaves_alone_is_refused(settings: Settings, decision: str) -> None:
    planned(settings, plan_row(1, "image", "shop-web:latest", image_id=IN_USE, decision=decision))
    if decision in ("optimize", "needs a person"):
        assert item_to_approve(settings, "local", "shop-web")["image_id"] == IN_USE
        return
    with pytest.raises(Refused, match=r"the plan says to leave it as it is\. `imgopt plan --all` says why") as refused:
        item_to_approve(settings, "local", "shop-web")
    assert refused.value.exit_code == 1


def test_what_is_set_aside_makes_no_name_ambiguous(settings: Settings) -> None:
    planned(
        settings,
        plan_row(1, "image", "nginx:2", image_id=IN_USE),
        plan_row(2, "image", "nginx:1", image_id=OTHER),
        container_inventory=[
            container_row("shop-web-1", IN_USE),
            container_row("shop-web-1.imgopt-11aa22cc-old", OTHER),
        ],
    )
    assert item_to_approve(settings, "local", "web")["subject"] == "nginx:2"


@pytest.mark.parametrize("audited", [True, False])
def test_a_directory_outside_the_plan(settings: Settings, tmp_path: Path, audited: bool) -> None:
    """It is there, or the settings name it."""
    entry = MoveSettings(source=Path(MUSIC), destination=Path("/mnt/remote"))
    settings = settings.model_copy(update={"migrations": {"music": entry}})
    if audited:
        planned(settings, plan_row(1, "image", "shop-web:latest", image_id=IN_USE))
    for name, path in (("music", MUSIC), (f"{MUSIC}/", MUSIC), (str(tmp_path), str(tmp_path))):
        item = item_to_approve(settings, "local", name)
        assert (item["subject_kind"], item["path"], item["action"]) == ("directory", path, "move to a remote mount")
        approve(settings.paths.database, "local", item)
        assert asked(settings, name, path=path)
    for name in ("films", "/srv/no/such/films"):
        with pytest.raises(SubjectNotFound):
            item_to_approve(settings, "local", name)


def test_a_directory_that_the_settings_move_is_approved_although_the_plan_would_leave_it(settings: Settings) -> None:
    data = "/var/lib/docker/volumes/shop_data/_data"
    left = plan_row(1, "directory", data, path=data, decision="accept", action="leave it as it is")
    database = plan_row(2, "directory", MUSIC, path=MUSIC, decision="avoid", action="do not move it")
    volume = {"name": "shop_data", "driver": "local", "mountpoint": data, "containers": 1, "anonymous": False}
    planned(settings, left, database, volume_inventory=[{"audit_id": "a1", "host": "local", **volume}])
    with pytest.raises(Refused):
        item_to_approve(settings, "local", data)
    entries = {
        "shop_data": MoveSettings(destination=Path("/mnt/remote")),
        "music": MoveSettings(source=Path(MUSIC), destination=Path("/mnt/remote")),
    }
    settings = settings.model_copy(update={"migrations": entries})
    assert item_to_approve(settings, "local", "shop_data")["path"] == data
    with pytest.raises(Refused):
        item_to_approve(settings, "local", "music")


def test_without_an_audit_there_is_no_plan(settings: Settings) -> None:
    with pytest.raises(StorageError):
        item_to_approve(settings, "local", "shop-web")
