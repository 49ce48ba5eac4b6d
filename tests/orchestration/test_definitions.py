"""The code location as Dagster loads it: the shape of the graph, no deprecated calls, the files of the instance."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml

from imgopt_pipeline.orchestration.build import build_defs
from imgopt_pipeline.settings import HostSettings, Settings

TOP = Path(__file__).parents[2]

GRAPH = """
asset imgopt/audit_report [reporting] by host
    <- container_inventory, data_directories, disk_usage, findings, gpu_checks, image_inventory, layer_analysis,
    optimization_plan, package_inventory, space_usage, wasted_files
asset imgopt/container_inventory [inventory] by host
asset imgopt/data_directories [inventory] by host
asset imgopt/data_migrations [deployments] by target <- optimization_plan
asset imgopt/disk_usage [inventory] by host
asset imgopt/findings [planning] by host
    <- container_inventory, data_directories, disk_usage, gpu_checks, image_inventory, layer_analysis,
    package_inventory, space_usage, wasted_files
asset imgopt/gpu_checks [analysis] by host <- container_inventory, package_inventory
asset imgopt/image_inventory [inventory] by host
asset imgopt/layer_analysis [analysis] by host <- image_inventory
asset imgopt/optimization_plan [planning] by host <- findings
asset imgopt/optimized_builds [builds] by target <- optimization_plan
asset imgopt/package_inventory [analysis] by host <- layer_analysis
asset imgopt/space_usage [analysis] by host <- layer_analysis
asset imgopt/verified_deployments [deployments] by target <- optimized_builds
asset imgopt/wasted_files [analysis] by host <- image_inventory
check audit_report:schema_current
check data_directories:moved_data
check data_migrations:file_count
check data_migrations:moved_folder
check data_migrations:outcome
check data_migrations:sample_hashes
check data_migrations:services
check gpu_checks:gpu_builds_used
check image_inventory:host_readable
check layer_analysis:cache_current
check layer_analysis:efficiency
check layer_analysis:image_size
check optimized_builds:configuration
check optimized_builds:entry_point
check optimized_builds:gpu
check optimized_builds:node_modules
check optimized_builds:packages
check optimized_builds:probe
check optimized_builds:python_modules
check optimized_builds:secrets
check optimized_builds:shared_libraries
check optimized_builds:smaller
check optimized_builds:smoke
check optimized_builds:start
check verified_deployments:containers
check verified_deployments:dependants
check verified_deployments:health
check verified_deployments:log
check verified_deployments:memory
check verified_deployments:outcome
check verified_deployments:probes
check verified_deployments:restarts
check verified_deployments:running
job audit
job deploy
job housekeeping
job migrate_data
job optimize
job rollback
schedule daily_housekeeping -> housekeeping at 30 4 * * * UTC, RUNNING
schedule weekly_audit -> audit at 0 6 * * 1 UTC, RUNNING
"""

ACTING = ["data_migrations", "optimized_builds", "verified_deployments"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, hosts={"web": HostSettings(engine="auto"), "ci": HostSettings(archives=tmp_path)})


@pytest.fixture
def repository(settings: Settings) -> dg.RepositoryDefinition:
    return build_defs(settings).get_repository_def()


def describe(repository: dg.RepositoryDefinition) -> list[str]:
    lines = []
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        parents = ", ".join(sorted(parent.path[-1] for parent in node.parent_keys))
        dynamic = isinstance(node.partitions_def, dg.DynamicPartitionsDefinition)
        by = (" by target" if dynamic else " by host") if node.partitions_def else ""
        lines.append(f"asset {key.to_user_string()} [{node.group_name}]{by}" + (f" <- {parents}" if parents else ""))
    lines += [f"check {key.asset_key.path[-1]}:{key.name}" for key in graph.asset_check_keys]
    lines += [f"job {job.name}" for job in repository.get_all_jobs() if not job.name.startswith("__")]
    lines += [
        f"schedule {schedule.name} -> {schedule.job_name} at {schedule.cron_schedule}"
        f" {schedule.execution_timezone}, {schedule.default_status.value}"
        for schedule in repository.schedule_defs
    ]
    return sorted(lines)


def test_the_graph(repository: dg.RepositoryDefinition) -> None:
    assert describe(repository) == GRAPH.strip().replace("\n    ", " ").splitlines()


def test_partitions_are_the_hosts_and_the_archive_folder_where_there_is_one(settings: Settings) -> None:
    def partitions() -> list[str]:
        graph = build_defs(settings).get_repository_def().asset_graph
        definition = graph.get(dg.AssetKey(["imgopt", "image_inventory"])).partitions_def
        assert definition is not None
        return list(definition.get_partition_keys())

    assert partitions() == ["web", "ci"]
    settings.archives_folder.mkdir()
    assert partitions() == ["web", "ci", "archives"]


def test_every_asset_explains_itself(repository: dg.RepositoryDefinition) -> None:
    for key in repository.asset_graph.get_all_asset_keys():
        node = repository.asset_graph.get(key)
        assert node.description
        assert node.owners == ["team:imgopt"]
        assert "duckdb" in node.kinds
        assert node.metadata["dagster/column_schema"].columns[0].description


def test_an_audit_changes_nothing(repository: dg.RepositoryDefinition) -> None:
    jobs = {
        job.name: {key.path[-1] for key in job.asset_layer.executable_asset_keys} for job in repository.get_all_jobs()
    }
    assert jobs["optimize"] == {"optimized_builds"}
    assert jobs["deploy"] == jobs["rollback"] == {"verified_deployments"}
    assert jobs["migrate_data"] == {"data_migrations"}
    assert not jobs["audit"] & set(ACTING)
    assert jobs["audit"] >= {"optimization_plan", "audit_report"}


def test_no_schedule_acts(repository: dg.RepositoryDefinition) -> None:
    assert {schedule.job_name for schedule in repository.schedule_defs} == {"audit", "housekeeping"}
    assert list(repository.sensor_defs) == []
    acting = [repository.asset_graph.get(dg.AssetKey(["imgopt", name])) for name in ACTING]
    assert [node.automation_condition for node in acting] == [None] * len(ACTING)


@pytest.mark.parametrize("asset", ACTING)
def test_checks_of_what_acts_block(repository: dg.RepositoryDefinition, asset: str) -> None:
    key = dg.AssetKey(["imgopt", asset])
    definition = repository.assets_defs_by_key[key]
    assert {spec.blocking for spec in definition.check_specs} == {True}
    assert all(spec.description for spec in definition.check_specs)


def test_the_weekly_audit_runs_once_per_host(repository: dg.RepositoryDefinition) -> None:
    schedule = repository.get_schedule_def("weekly_audit")
    monday = datetime(2026, 1, 5, 6, tzinfo=UTC)
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(instance, monday, repository_def=repository) as context,
    ):
        requests = schedule.evaluate_tick(context).run_requests
    assert requests is not None
    assert [request.partition_key for request in requests] == ["web", "ci"]


def test_it_loads_as_in_production_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error::Warning:imgopt_pipeline", "-m", "dagster", "definitions", "validate"]
    done = subprocess.run(
        [*command, "-w", str(TOP / "workspace.yaml")],
        env={
            "PATH": "/usr/bin:/bin",
            "IMGOPT_HOME": str(tmp_path),
            "DAGSTER_HOME": str(tmp_path),
            "HOME": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "imgopt" in done.stdout + done.stderr


def test_building_warns_of_nothing(settings: Settings, recwarn: pytest.WarningsRecorder) -> None:
    build_defs(settings).get_repository_def()
    assert [str(warning.message) for warning in recwarn] == []


def test_the_instance_file(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((TOP / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
    written = yaml.safe_load((TOP / "dagster.yaml").read_text())
    assert written["telemetry"] == {"enabled": False}
    assert written["retention"]["schedule"]["purge_after_days"] == 90
