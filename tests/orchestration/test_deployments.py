"""Deployments in Dagster, where no engine is: the results of their checks, and what a run refuses to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from imgopt_pipeline.deployments.models import KIND, Candidate, Deployment, UnitPlan
from imgopt_pipeline.deployments.records import records
from imgopt_pipeline.journal.journal import BEGUN, DONE, NOTED, Journal
from imgopt_pipeline.journal.outcomes import ACTION, OUTCOME, RETENTION, VERIFIED
from imgopt_pipeline.orchestration import housekeeping
from imgopt_pipeline.orchestration.build import build_defs
from imgopt_pipeline.orchestration.deployment_checks import check_results
from imgopt_pipeline.orchestration.settling import deployment_target
from imgopt_pipeline.reports.deployments import deployment_metadata
from imgopt_pipeline.services.models import OldContainer, UnitName
from imgopt_pipeline.services.watching.gate import CHECKS
from imgopt_pipeline.services.watching.journaled import GATE
from imgopt_pipeline.settings import Settings
from tests.warehouse.deployments_made import deployment_row, gate_row, step_row

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, hosts={"local": {"engine": f"unix://{tmp_path}/none.sock"}})  # type: ignore[dict-item]


def begun(settings: Settings, deployment_id: str, **more: Any) -> Journal:
    """The journal of a deployment that has just begun."""
    plan = UnitPlan(UnitName("web"), "recreate", (OldContainer("c" * 64, "web", running=True),))
    given: dict[str, Any] = {
        "deployment_id": deployment_id,
        "host": "local",
        "subject": "web",
        "reference": "web:1",
        "moves_tag": True,
        "old_image_id": OLD,
        "candidate": Candidate("b1", NEW, "web:1-optimized", "rewrite", 900, 400),
        "deployed_reference": "web:1-optimized-2",
        "backup_reference": "imgopt-backup/web:1",
        "units": (plan,),
        "following": (),
        "dependants": (),
        "approved_by": "root",
        "keep_days": 7,
    }
    journal = Journal(settings.paths.actions / deployment_id)
    journal.append(ACTION, NOTED, kind=KIND, **Deployment(**given | more).to_json())
    return journal


def rows(outcome: str = "verified", *checks: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {
        "deployments": [deployment_row("d1", outcome=outcome)],
        "deployment_steps": [step_row("d1", 1, "gate", detail="a | b")],
        "deployment_checks": list(checks),
    }


def results(found: dict[str, list[dict[str, Any]]], *, asked_back: bool = False) -> dict[str, dg.AssetCheckResult]:
    return {str(result.check_name): result for result in check_results(found, asked_back=asked_back)}


def test_every_check_has_a_result() -> None:
    found = results(rows("verified", gate_row("d1", "running")))
    assert set(found) == {*CHECKS, "outcome"}
    assert all(result.passed for result in found.values())
    assert found["memory"].description == "There was nothing to check."


def test_a_failed_check_is_an_error_and_an_unverified_one_a_warning() -> None:
    found = results(
        rows(
            "rolled back",
            gate_row("d1", "probes", outcome="failed", detail="answers 500"),
            gate_row("d1", "probes", unit="shop/other"),
            gate_row("d1", "health", outcome="unverified", detail="the old one was not healthy either"),
        )
    )
    assert not found["outcome"].passed and not found["probes"].passed and not found["health"].passed
    assert (found["probes"].severity, found["probes"].description) == (dg.AssetCheckSeverity.ERROR, "answers 500")
    assert found["health"].severity == dg.AssetCheckSeverity.WARN
    assert str(found["health"].description).startswith("unverified: the old one")


def test_after_a_rollback_that_was_asked_for_the_old_state_counts() -> None:
    found = rows(
        "rolled back",
        gate_row("d1", "running", outcome="failed"),
        gate_row("d1", "running", phase="rollback"),
    )
    assert results(found, asked_back=True)["running"].passed
    assert results(found, asked_back=True)["outcome"].passed
    assert not results(found)["running"].passed


def test_the_page_shows_checks_and_steps_as_tables() -> None:
    shown = deployment_metadata(rows("verified", gate_row("d1", "running", detail="2\n3")))
    assert "| gate | shop/web | running | passed | as it was | as it was | 2 3 |" in str(shown["checks"])
    assert "| 1 | gate | done | a \\| b |" in str(shown["steps"])
    assert shown["outcome"] == "verified" and shown["gap_seconds"] == 1.2


@pytest.mark.parametrize(
    ("job", "said"), [("deploy", "there is no such socket"), ("rollback", "no deployment of it is known")]
)
def test_a_run_that_can_do_nothing_fails_with_the_reason(settings: Settings, job: str, said: str) -> None:
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("targets", ["local|web:1"])
        definition = build_defs(settings).resolve_job_def(job)
        result = definition.execute_in_process(instance=instance, partition_key="local|web:1", raise_on_error=False)
        assert not result.success
        (failure,) = result.filter_events(lambda event: event.is_step_failure)
        assert said in str(failure.step_failure_data.error)
        assert instance.get_latest_materialization_event(dg.AssetKey(["imgopt", "verified_deployments"])) is None


def test_a_target_is_the_image_or_what_was_named_where_that_has_no_name(settings: Settings) -> None:
    begun(settings, "d1")
    begun(settings, "d2", reference=None, moves_tag=False)
    targets = [deployment_target(record.deployment) for record in records(settings.paths.actions)]
    assert targets == ["local|web:1", "local|web"]


def test_housekeeping_goes_on_where_a_host_does_not_answer(settings: Settings) -> None:
    journal = begun(settings, "d1", keep_days=0)
    journal.append(OUTCOME, NOTED, outcome=VERIFIED)
    with dg.instance_for_test() as instance:
        done = housekeeping.clean_up(settings, instance)
    assert len(done.old_states) == 1
    assert done.old_states[0].startswith("Old states on local stay for now: ")
    assert "there is no such socket" in done.summary()
    assert journal.path.exists()


def test_journals_go_when_they_are_old_and_nothing_is_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for deployment_id in ("forgotten", "kept"):
        journal = begun(settings, deployment_id)
        journal.append(GATE, BEGUN)
        journal.append(OUTCOME, NOTED, outcome=VERIFIED)
        if deployment_id == "forgotten":
            journal.append(RETENTION, DONE, removed=["container web.imgopt-1"], freed_bytes=5)
    with dg.instance_for_test() as instance:
        housekeeping.clean_up(settings, instance)
        assert {folder.name for folder in settings.paths.actions.iterdir()} == {"forgotten", "kept"}
        later = datetime.now(UTC) + timedelta(days=settings.retention.audit_days + 1)
        monkeypatch.setattr(housekeeping, "datetime", SimpleNamespace(now=lambda _: later))
        housekeeping.clean_up(settings, instance)
    assert {folder.name for folder in settings.paths.actions.iterdir()} == {"kept"}
