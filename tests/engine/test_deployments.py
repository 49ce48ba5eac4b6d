"""Deployments on a real engine: what runs afterwards, what is kept, and what going back restores."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.approvals.approving import NotApproved
from imgopt_pipeline.deployments.models import NoCandidate, Options
from imgopt_pipeline.deployments.targets import (
    deploy_target,
    pin,
    prepared_deployment,
    remove_due,
    resume_deployments,
    roll_back_target,
)
from imgopt_pipeline.journal.clock import Moment, now
from imgopt_pipeline.services.models import Refused, SubjectNotFound

from .daemons import Daemon
from .deployed import Shop, shop

Make = Callable[..., AbstractContextManager[Shop]]


@pytest.fixture
def make(classic: Daemon, tmp_path: Path) -> Make:
    def made(**given: Any) -> AbstractContextManager[Shop]:
        return shop(classic, tmp_path, **given)

    return made


def deploy(made: Shop, *, deployment_id: str = "deployment-1", **options: bool) -> dict[str, Any]:
    rows = deploy_target(made.settings, "local", made.subject, Options(**options), deployment_id)
    return rows["deployments"][0]


def roll_back(made: Shop) -> dict[str, Any]:
    return roll_back_target(made.settings, "local", made.subject)["deployments"][0]


@pytest.mark.parametrize("compose", [True, False], ids=["compose", "container"])
def test_the_new_image_runs_is_verified_and_goes_back(make: Make, compose: bool) -> None:
    with make(compose=compose) as made:
        made.start()
        old, new = made.daemon.image_id(made.reference), made.candidate()
        row = deploy(made)
        assert (row["outcome"], made.page()) == ("verified", "newer"), row
        assert made.daemon.image_id(made.reference) == new
        assert made.daemon.image_id(row["backup_reference"]) == old
        assert row["gap_seconds"] is not None and 0 <= row["gap_seconds"] < 15
        assert row["methods"] == ["tag" if compose else "recreate"]
        assert made.leftovers() == []
        back = roll_back(made)
        assert (back["outcome"], made.page()) == ("rolled back", "old"), back
        assert made.daemon.image_id(made.reference) == old
        assert made.leftovers() == []
        again = deploy(made, deployment_id="deployment-2")
        assert (again["outcome"], made.page()) == ("verified", "newer")


def test_a_third_partys_name_is_never_moved(make: Make) -> None:
    with make() as made:
        made.start()
        _as_third_party(made)
        old, new = made.daemon.image_id(made.reference), made.candidate()
        settings = made.settings
        _as_flattened(made)
        row = deploy(made, with_edits=True)
        assert (row["outcome"], row["methods"], made.page()) == ("verified", ["override"], "newer"), row
        assert made.daemon.image_id(made.reference) == old
        override = made.folder / "compose.override.yaml"
        assert "imgopt" in override.read_text().splitlines()[0]
        made.daemon.docker("compose", "--project-directory", str(made.folder), "up", "-d")
        assert [container["Image"] for container in made.containers()] == [new], "compose by hand keeps it"
        assert roll_back_target(settings, "local", made.subject)["deployments"][0]["outcome"] == "rolled back"
        assert (made.page(), override.exists()) == ("old", False)


def test_all_replicas_are_switched(make: Make) -> None:
    with make() as made:
        service = f"    image: {made.reference}\n    deploy: {{replicas: 2}}\n    build: .\n"
        made.file.write_text(f"name: {made.name}\nservices:\n  web:\n{service}")
        made.daemon.docker("compose", "-f", str(made.file), "up", "-d", "--no-build")
        new = made.candidate()
        assert deploy(made)["outcome"] == "verified"
        assert [container["Image"] for container in made.containers()] == [new, new]
        old = made.daemon.image_id(roll_back(made)["backup_reference"])
        assert [container["Image"] for container in made.containers()] == [old, old]


def test_what_shares_its_network_goes_with_it(make: Make) -> None:
    with make(compose=False) as made:
        made.start()
        sidecar = f"{made.name}-sidecar"
        made.daemon.docker(
            "run", "-d", "--name", sidecar, f"--network=container:{made.name}", made.reference, "sleep", "600"
        )
        made.candidate()
        assert deploy(made)["outcome"] == "verified"
        for page in ("newer", "old"):
            said = made.daemon.docker("exec", sidecar, "wget", "-qO-", "http://127.0.0.1:8080/")
            assert said == page
            if page == "newer":
                assert roll_back(made)["outcome"] == "rolled back"


def test_where_the_engine_has_no_default_network(make: Make) -> None:
    with make(compose=False) as made:
        made.daemon.docker("run", "-d", "--name", made.name, made.reference)
        new = made.candidate()
        assert deploy(made)["outcome"] == "verified"
        (running,) = [container for container in made.containers() if container["State"]["Running"]]
        assert running["Image"] == new
        assert roll_back(made)["outcome"] == "rolled back"


def test_nothing_is_done_without_a_candidate_or_a_persons_word(make: Make) -> None:
    with make() as made:
        made.start()
        with pytest.raises(SubjectNotFound):
            deploy_target(made.settings, "local", "no-such-service", Options(), "deployment-1")
        with pytest.raises(NoCandidate, match="no optimized image of it was built"):
            deploy(made)
        made.candidate()
        _forget_approvals(made)
        with pytest.raises(NotApproved, match="imgopt approve"):
            deploy(made)
        assert made.page() == "old"
        assert not (made.settings.paths.actions / "deployment-1").exists()


def test_a_candidate_that_failed_a_check_is_refused(make: Make) -> None:
    with make() as made:
        made.start()
        made.candidate()
        _change_warehouse(made, "UPDATE build_checks SET outcome = 'failed'")
        with pytest.raises(NoCandidate, match="failed the checks start"):
            deploy(made)


def test_what_was_written_into_the_container_is_not_lost_unasked(make: Make) -> None:
    with make() as made:
        made.start()
        made.candidate()
        container = made.containers()[0]["Id"]
        made.daemon.docker("exec", container, "sh", "-c", "mkdir -p /data && echo precious > /data/file")
        with pytest.raises(Refused, match="wrote outside volumes"):
            deploy(made)
        with prepared_deployment(made.settings, "local", made.subject) as (_, prepared):
            (layer,) = prepared.losses.values()
            assert any("/data/file" in path for path in layer.kept)
        assert made.page() == "old"
        assert deploy(made, discard_changes=True)["outcome"] == "verified"


def test_what_was_written_since_is_not_lost_unasked_by_a_rollback(make: Make) -> None:
    with make() as made:
        made.start()
        made.candidate()
        assert deploy(made)["outcome"] == "verified"
        made.daemon.docker(
            "exec", made.containers()[0]["Id"], "sh", "-c", "mkdir -p /data && echo precious > /data/file"
        )
        with pytest.raises(Refused, match="wrote outside volumes would be lost"):
            roll_back(made)
        assert made.page() == "newer"
        rows = roll_back_target(made.settings, "local", made.subject, Options(discard_changes=True))
        (row,) = rows["deployments"]
        assert (row["outcome"], made.page()) == ("rolled back", "old")


def test_each_user_of_an_image_can_be_switched_by_itself(make: Make) -> None:
    with make(compose=False) as made:
        made.start()
        other = f"{made.name}-other"
        made.daemon.docker("run", "-d", "--name", other, f"--network={made.name}_default", made.reference)
        old, new = made.daemon.image_id(made.reference), made.candidate()
        assert deploy(made)["outcome"] == "verified"
        (second,) = deploy_target(made.settings, "local", other, Options(), "deployment-2")["deployments"]
        assert second["outcome"] == "verified"
        assert roll_back_target(made.settings, "local", other)["deployments"][0]["outcome"] == "rolled back"
        running = {one["Name"].lstrip("/"): one["Image"] for one in made.containers() if one["State"]["Running"]}
        assert running == {made.name: new, other: old}
        assert made.daemon.image_id(made.reference) == new, "the first is deployed still"


def test_what_depends_on_it_is_watched(make: Make) -> None:
    front = "  front:\n    image: IMAGE\n    depends_on: [web]\n    command: [sleep, '1000']\n"
    with make() as made:
        made.more = front.replace("IMAGE", made.reference)
        made.start()
        made.candidate()
        rows = deploy_target(made.settings, "local", made.subject, Options(), "deployment-1")
        (check,) = [check for check in rows["deployment_checks"] if check["check_name"] == "dependants"]
        assert (check["outcome"], check["new_value"]) == ("passed", "1 running")


def test_edited_compose_files_are_not_brought_up_by_the_way(make: Make) -> None:
    with make() as made:
        made.start()
        made.candidate()
        made.file.write_text(made.file.read_text() + "    environment: {ADDED: later}\n")
        with pytest.raises(Refused, match="more than the image would change"):
            deploy(made)
        assert made.page() == "old"
        assert deploy(made, with_edits=True)["outcome"] == "verified"


def test_a_swarm_task_is_refused(make: Make) -> None:
    with make(compose=False) as made:
        made.start("--label com.docker.swarm.service.id=abc")
        made.candidate()
        with pytest.raises(Refused, match="Swarm"):
            deploy(made)


def test_secrets_stay_out_of_journals_and_tables(make: Make) -> None:
    with make(compose=False) as made:
        made.start("-e DATABASE_PASSWORD=hunter2hunter2 -v /tmp:/hunter3")
        made.candidate()
        rows = deploy_target(made.settings, "local", made.subject, Options(), "deployment-1")
        assert rows["deployments"][0]["outcome"] == "verified"
        env = made.containers()[0]["Config"]["Env"]
        assert "DATABASE_PASSWORD=hunter2hunter2" in env
        assert "hunter2" not in json.dumps(rows, default=str)
        for path in (made.settings.paths.actions / "deployment-1").iterdir():
            assert b"hunter2" not in path.read_bytes()


def test_the_old_image_goes_after_its_time_and_what_that_frees_is_measured(make: Make) -> None:
    with make(compose=False) as made:
        # Shared by nothing: what goes with it is what it holds.
        made.image(made.reference, "old" * 1_000_000)
        made.start()
        old, new = made.daemon.image_id(made.reference), made.candidate()
        assert deploy(made)["outcome"] == "verified"
        assert remove_due(made.settings, later(days=6.9)) == []
        pin(made.settings, "local", made.subject, pinned=True)
        assert remove_due(made.settings, later(days=30)) == []
        pin(made.settings, "local", made.subject, pinned=False)
        # The builder's cache has the layer too: as long as it does, nothing is freed.
        made.daemon.docker("builder", "prune", "--all", "--force")
        (removal,) = remove_due(made.settings, later(days=7.1))
        assert made.daemon.docker("images", "-q", "--no-trunc").split().count(old) == 0
        assert made.daemon.image_id(made.reference) == new
        assert removal.freed_bytes == pytest.approx(3_000_000, rel=0.2)
        assert [container["Name"] for container in made.containers()] == [f"/{made.name}"]
        assert made.page() == "newer"
        with pytest.raises(Refused, match="not kept any more"):
            roll_back(made)


def test_an_old_container_that_somebody_started_again_is_theirs(make: Make) -> None:
    with make(compose=False) as made:
        made.daemon.docker("run", "-d", "--name", made.name, made.reference)
        old = made.daemon.image_id(made.reference)
        made.candidate()
        row = deploy(made)
        (aside,) = [one["Name"].lstrip("/") for one in made.containers() if one["Image"] == old]
        made.daemon.docker("start", aside)
        (removal,) = remove_due(made.settings, later(days=8))
        assert (removal.removed, removal.left) == ((), (f"{aside} uses the old image",))
        assert made.daemon.image_id(row["backup_reference"]) == old
        made.daemon.docker("stop", "-t", "0", aside)
        (removal,) = remove_due(made.settings, later(days=9))
        assert f"container {aside}" in removal.removed
        assert [one["Name"] for one in made.containers()] == [f"/{made.name}"]


def test_a_clock_that_was_set_removes_nothing_early(make: Make) -> None:
    with make() as made:
        made.start()
        made.candidate()
        assert deploy(made)["outcome"] == "verified"
        for clock in (later(days=400, of="wall"), later(days=-400, of="wall")):
            assert remove_due(made.settings, clock) == []
        moment = now()
        restarted = Moment(moment.wall_seconds + 400 * 86_400, "another boot", 60)
        assert remove_due(made.settings, lambda: restarted) == []
        assert roll_back(made)["outcome"] == "rolled back"


@pytest.mark.parametrize("local", [True, False], ids=["tag", "override"])
def test_what_a_later_deployment_stands_on_outlives_an_earlier_one(make: Make, local: bool) -> None:
    with make() as made:
        made.start()
        if not local:
            _as_third_party(made)
        old, _ = made.daemon.image_id(made.reference), made.candidate()
        if not local:
            _as_flattened(made)
        assert deploy(made, with_edits=True)["outcome"] == "verified"
        assert roll_back(made)["outcome"] == "rolled back"
        second = deploy(made, deployment_id="deployment-2", with_edits=True)
        assert second["outcome"] == "verified"
        pin(made.settings, "local", made.subject, pinned=True)
        (removal,) = remove_due(made.settings, later(days=8))
        assert removal.removed == ()
        assert made.daemon.image_id(second["backup_reference"]) == old
        made.daemon.docker("compose", "--project-directory", str(made.folder), "up", "-d", "--pull", "never")
        assert made.page() == "newer"
        assert roll_back(made)["outcome"] == "rolled back"
        assert made.page() == "old"


def test_a_rollback_starts_what_a_kill_left_unstarted(make: Make) -> None:
    with make() as made:
        made.start()
        old, _ = made.daemon.image_id(made.reference), made.candidate()
        assert deploy(made)["outcome"] == "verified"
        made.daemon.docker("tag", old, made.reference)
        compose = ["compose", "--project-directory", str(made.folder)]
        made.daemon.docker(*compose, "up", "--no-start", "--force-recreate", "--no-build")
        assert made.page() == ""
        assert roll_back(made)["outcome"] == "rolled back"
        assert made.page() == "old"


def test_a_second_deployment_of_the_same_does_nothing(make: Make) -> None:
    with make() as made:
        made.start()
        made.candidate()
        assert deploy(made)["outcome"] == "verified"
        with pytest.raises(NoCandidate, match="optimized image already"):
            deploy(made, deployment_id="deployment-2")
        assert resume_deployments(made.settings, "local") == []


def later(*, days: float, of: str = "both") -> Callable[[], Moment]:
    """A clock that is ahead: the wall's, that since boot, or both, as time itself would have it."""

    def clock() -> Moment:
        moment, seconds = now(), days * 86_400
        if of != "boot":
            moment = replace(moment, wall_seconds=moment.wall_seconds + seconds)
        if of != "wall":
            moment = replace(moment, boot_seconds=moment.boot_seconds + seconds)
        return moment

    return clock


def _as_third_party(made: Shop) -> None:
    made.file.write_text(made.file.read_text().replace("    build: {context: ., dockerfile: Dockerfile}\n", ""))


def _as_flattened(made: Shop) -> None:
    _change_warehouse(made, "UPDATE builds SET kind = 'flatten'")


def _forget_approvals(made: Shop) -> None:
    _change_warehouse(made, "DELETE FROM approvals")


def _change_warehouse(made: Shop, statement: str) -> None:
    from imgopt_pipeline.warehouse.store import publish

    publish(made.settings.paths.database, lambda connection: connection.execute(statement) and None)
