"""The steps of an audit: each asks a host or the warehouse and returns rows of tables.

A host that does not answer is a problem row and not an exception, so that the audits of other hosts,
and the other steps of this one, go on. Knows no dagster; `orchestration` makes assets of these steps.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from imgopt_pipeline import __version__
from imgopt_pipeline.contents.joining import CONTENT_VERSION
from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.examining import contents_rows, examine_contents
from imgopt_pipeline.findings.rule_files import load_rules, rule_values
from imgopt_pipeline.findings.runner import finding_rows, run_rules
from imgopt_pipeline.gpu.verdict import gpu_checks
from imgopt_pipeline.hosts.directory_inventory import directory_rows, volume_rows
from imgopt_pipeline.hosts.inventory import (
    container_rows,
    disk_usage_rows,
    gpu_rows,
    image_rows,
    images_from_rows,
    problem_rows,
    utc,
)
from imgopt_pipeline.hosts.models import REMARK, Problem
from imgopt_pipeline.hosts.opening import AnyHost, open_host
from imgopt_pipeline.layers.analysis import HostAnalysis, analyse_images, analysis_rows, wasted_rows
from imgopt_pipeline.layers.cache import ANALYSER_VERSION
from imgopt_pipeline.migrations.mount_checks import gone_mounts
from imgopt_pipeline.planning.plan import plan_rows
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import fetch_rows, snapshot, sql_file

Rows = dict[str, list[dict[str, Any]]]
_MISSING = "unreadable package metadata"


def take_images(settings: Settings, host_name: str, audit_id: str) -> Rows:
    """Rows of the images of a host, with what the host is."""
    return _step(settings, host_name, audit_id, "image_inventory", image_rows)


def take_containers(settings: Settings, host_name: str, audit_id: str) -> Rows:
    """Rows of the containers of a host, their mounts, and what host and containers have of GPUs."""

    def rows_of(host: AnyHost, audit_id: str) -> Rows:
        return {**container_rows(host, audit_id), **gpu_rows(host, audit_id)}

    return _step(settings, host_name, audit_id, "container_inventory", rows_of)


def take_disk_usage(settings: Settings, host_name: str, audit_id: str) -> Rows:
    """Rows of what takes a host's disk, and its volumes."""

    def rows_of(host: AnyHost, audit_id: str) -> Rows:
        return {**disk_usage_rows(host, audit_id), **volume_rows(host, audit_id)}

    return _step(settings, host_name, audit_id, "disk_usage", rows_of)


def take_directories(settings: Settings, host_name: str, audit_id: str) -> Rows:
    """Rows of the directories that containers mount, of large ones beside compose files, and of moved data gone."""
    rows = _step(settings, host_name, audit_id, "data_directories", directory_rows)
    gone = gone_mounts(settings.paths.actions, host_name)
    rows["audit_problems"] += problem_rows(host_name, audit_id, "data_directories", gone)
    return rows


def analyse_layers(settings: Settings, host_name: str, audit_id: str) -> tuple[Rows, Rows]:
    """Rows of the layer analysis and of the wasted files, for images that were not analysed before."""
    with snapshot(settings.paths.database) as connection:
        pending = images_from_rows(
            fetch_rows(
                connection,
                sql_file("select_pending_images.sql"),
                audit_id=audit_id,
                analyser_version=ANALYSER_VERSION,
            )
        )
    analysis = HostAnalysis()
    if pending:
        settings.paths.layers.mkdir(parents=True, exist_ok=True)
        try:
            with open_host(settings, host_name) as host:
                analysis = analyse_images(host, pending, settings.paths.layers)
        except ImgoptError as error:
            analysis.problems.append(_problem(host_name, error))
    problems = problem_rows(host_name, audit_id, "layer_analysis", analysis.problems)
    return {**analysis_rows(analysis, host_name, audit_id), "audit_problems": problems}, wasted_rows(analysis)


def look_into_contents(settings: Settings, host_name: str, audit_id: str) -> tuple[Rows, Rows]:
    """Rows about packages and about space, for analysed images that were not looked into before."""
    with snapshot(settings.paths.database) as connection:
        pending = fetch_rows(
            connection,
            sql_file("select_pending_contents.sql"),
            audit_id=audit_id,
            analyser_version=ANALYSER_VERSION,
            content_version=CONTENT_VERSION,
        )
        known = fetch_rows(
            connection, sql_file("select_known_remarks.sql"), audit_id=audit_id, content_version=CONTENT_VERSION
        )
    problems: list[Problem] = []
    remarks = [Problem(row["name"], REMARK, row["remark"]) for row in known]
    packages: Rows = {}
    space: Rows = {}
    if pending:
        try:
            with open_host(settings, host_name) as host:
                image_ids = [row["image_id"] for row in pending]
                for contents in examine_contents(host, image_ids, settings.paths.layers, problems):
                    for table, rows in contents_rows(contents).items():
                        (space if table == "space_usage" else packages).setdefault(table, []).extend(rows)
                    problems += [Problem(contents.image.name, _MISSING, message) for message in contents.missing]
                    remarks += [Problem(contents.image.name, REMARK, remark) for remark in contents.warnings]
        except ImgoptError as error:
            problems.append(_problem(host_name, error))
    return {
        **packages,
        "audit_problems": problem_rows(host_name, audit_id, "package_inventory", [*problems, *remarks]),
    }, space


def check_gpus(settings: Settings, host_name: str, audit_id: str) -> Rows:
    """Rows of the GPU verdicts on images and containers."""
    with snapshot(settings.paths.database) as connection:
        return {"gpu_checks": gpu_checks(connection, host_name, audit_id)}


def find(settings: Settings, host_name: str, audit_id: str) -> Rows:
    """Rows of what the rules find, and of the rules."""
    rules, problems = load_rules(settings.findings.rules_folder)
    with snapshot(settings.paths.database) as connection:
        run = run_rules(connection, host_name, audit_id, rules, rule_values(settings))
    return {
        "finding_rules": finding_rows(rules),
        "findings": run.findings,
        "audit_problems": problem_rows(host_name, audit_id, "findings", [*problems, *run.problems]),
    }


def plan(settings: Settings, host_name: str, audit_id: str) -> Rows:
    """Rows of the plan."""
    with snapshot(settings.paths.database) as connection:
        return {"optimization_plan": plan_rows(connection, host_name, audit_id)}


def conclude(settings: Settings, host_name: str, audit_id: str) -> Rows:
    """The row of the audit itself, once everything else of it is stored."""
    with snapshot(settings.paths.database) as connection:
        return {
            "audits": fetch_rows(
                connection,
                sql_file("select_audit.sql"),
                audit_id=audit_id,
                host=host_name,
                now=utc(datetime.now(UTC)),
                imgopt_version=__version__,
                analyser_version=ANALYSER_VERSION,
                remark=REMARK,
            )
        }


def _step(
    settings: Settings, host_name: str, audit_id: str, asset: str, rows_of: Callable[[AnyHost, str], Rows]
) -> Rows:
    rows: Rows = {}
    problems: list[Problem] = []
    try:
        with open_host(settings, host_name) as host:
            try:
                rows = rows_of(host, audit_id)
            finally:
                problems += host.problems()
    except ImgoptError as error:
        problems.append(_problem(host_name, error))
    found = [*rows.get("audit_problems", []), *problem_rows(host_name, audit_id, asset, problems)]
    return {**rows, "audit_problems": found}


def _problem(host_name: str, error: ImgoptError) -> Problem:
    return Problem(error.subject or host_name, error.kind, error.message, error.hint)
