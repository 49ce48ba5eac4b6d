"""The gates of an audit: whether the newest audit of a host is as it should be, each in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imgopt_pipeline.hosts.models import REMARK
from imgopt_pipeline.layers.cache import ANALYSER_VERSION
from imgopt_pipeline.migrations.mount_checks import KIND as MOUNT_GONE
from imgopt_pipeline.reports.audit import query
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.units import format_bytes
from imgopt_pipeline.warehouse.schema import schema_drift
from imgopt_pipeline.warehouse.store import snapshot

_NAMED = 5


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether a gate is passed, and what there is to say about it."""

    name: str
    passed: bool
    message: str


def gate_results(settings: Settings, host: str | None) -> list[GateResult]:
    """Results of all gates for the newest audit of a host, or of all hosts."""
    gates = settings.gates
    with snapshot(settings.paths.database) as connection:
        images = query(connection, "select_images", host=host)
        problems = query(connection, "select_problems", host=host)
        outdated = query(connection, "select_outdated_layers", host=host, analyser_version=ANALYSER_VERSION)
        checks = query(connection, "select_gpu_checks", host=host, image_id=None)
        drift = schema_drift(connection)
    too_big = [row["name"] for row in images if (row["size_bytes"] or 0) > gates.image_bytes]
    wasteful = [row["name"] for row in images if (row["efficiency"] or 1) < gates.lowest_efficiency]
    unused = [row["subject"] for row in checks if row["container_id"] is None and _built_in_vain(row)]
    return [
        _result("host_readable", [row["subject"] for row in problems if row["kind"] != REMARK], "could not be read"),
        _result("moved_data", [row["subject"] for row in problems if row["kind"] == MOUNT_GONE], "has lost its mount"),
        _result("image_size", too_big, f"over {format_bytes(gates.image_bytes)}"),
        _result("efficiency", wasteful, f"under an efficiency of {gates.lowest_efficiency:.0%}"),
        _result("gpu_builds_used", unused, "built for a GPU that they are not given"),
        _result("cache_current", [row["diff_id"][:19] for row in outdated], "analysed by another version"),
        _result("schema_current", drift, "out of step with the schema"),
    ]


def _built_in_vain(check: dict[str, Any]) -> bool:
    return check["build"] in ("cuda", "rocm") and check["verdict"] in ("denied", "broken")


def _result(name: str, failing: list[str], what: str) -> GateResult:
    if not failing:
        return GateResult(name, True, f"None {what}.")
    more = f" and {len(failing) - _NAMED} more" if len(failing) > _NAMED else ""
    return GateResult(name, False, f"{len(failing)} {what}: {', '.join(failing[:_NAMED])}{more}.")
