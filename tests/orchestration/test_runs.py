"""Runs in an instance: what an audit materializes and shows, failed checks, runs started from the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from imgopt_pipeline.orchestration import housekeeping
from imgopt_pipeline.orchestration.build import build_defs
from imgopt_pipeline.orchestration.running import run_audit
from imgopt_pipeline.settings import GateSettings, HostSettings, Settings, load_settings
from imgopt_pipeline.warehouse.store import snapshot
from tests.small_archive import write_archive

LAYERS = [{"a": b"x" * 1000, "b": b"y" * 500}, {"a": b"z" * 700}]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_archive(tmp_path / "images" / "one.tar", "demo/one:1", LAYERS)
    return Settings(
        home=tmp_path / "home",
        hosts={"ci": HostSettings(archives=tmp_path / "images")},
        gates=GateSettings(image_bytes=2_000),
    )


def audit(settings: Settings, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = build_defs(settings).resolve_job_def("audit")
    return job.execute_in_process(instance=instance, partition_key="ci")


def test_materializations_show_rows_and_a_preview(settings: Settings) -> None:
    with dg.instance_for_test() as instance:
        result = audit(settings, instance)
        assert result.success
        found = result.asset_materializations_for_node("imgopt__image_inventory")[0]
        assert found.partition == "ci"
        assert found.metadata["dagster/partition_row_count"].value == 1
        assert "demo/one:1" in str(found.metadata["preview"].value)
        keys = {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key}
        assert keys == {
            "image_inventory",
            "container_inventory",
            "disk_usage",
            "data_directories",
            "layer_analysis",
            "wasted_files",
            "package_inventory",
            "space_usage",
            "gpu_checks",
            "findings",
            "optimization_plan",
            "audit_report",
        }


def test_failed_checks_warn_and_do_not_fail_the_run(settings: Settings) -> None:
    with dg.instance_for_test() as instance:
        result = audit(settings, instance)
        checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert result.success
    assert {name for name, check in checks.items() if not check.passed} == {"image_size", "efficiency"}
    assert all(check.severity == dg.AssetCheckSeverity.WARN for check in checks.values())
    assert "demo/one:1" in str(checks["image_size"].description)


def test_the_tables_load_as_frames(settings: Settings) -> None:
    with dg.instance_for_test() as instance:
        audit(settings, instance)
        frame: Any = build_defs(settings).load_asset_value(
            dg.AssetKey(["imgopt", "image_inventory"]), instance=instance, partition_key="ci"
        )
    assert list(frame["name"]) == ["demo/one:1"]


def test_runs_of_the_command_line_belong_to_the_code_location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "archives" / "one.tar", "demo/one:1", LAYERS)
    monkeypatch.setenv("IMGOPT_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = load_settings()
    run_id = run_audit(settings, "archives")
    with snapshot(settings.paths.database) as connection:
        assert connection.execute("SELECT audit_id, status FROM audits").fetchall() == [(run_id, "complete")]
    with dg.DagsterInstance.from_config(str(settings.paths.dagster)) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.SUCCESS
        assert run.tags["dagster/partition"] == "archives"
        # Without an origin the UI refuses to run it again.
        assert run.remote_job_origin is not None
        assert run.remote_job_origin.repository_origin.code_location_origin.location_name == "imgopt"


def test_pruning_runs_keeps_the_newest_state(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.instance_for_test() as instance:
        runs = [audit(settings, instance).run_id for _ in range(3)]
        later = datetime.now(UTC) + timedelta(days=91)
        monkeypatch.setattr(housekeeping, "datetime", SimpleNamespace(now=lambda _: later))
        done = housekeeping.clean_up(settings, instance)
        assert done.runs == 2
        assert [record.dagster_run.run_id for record in instance.get_run_records()] == [runs[-1]]
        assert instance.get_latest_materialization_event(dg.AssetKey(["imgopt", "layer_analysis"])) is not None
