"""The candidate's checks as blocking asset checks: what has not passed goes no further.

An unverified check is shown as a warning and not as passed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from imgopt_pipeline.builds.checks.candidate import CHECKS
from imgopt_pipeline.builds.models import FAILED, PASSED, UNVERIFIED
from imgopt_pipeline.reports.builds import shown_checks

Rows = Mapping[str, list[dict[str, Any]]]


def build_check_specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """One for each check of a candidate."""
    return [
        dg.AssetCheckSpec(_name(name), asset=asset, description=description, blocking=True)
        for name, description in CHECKS.items()
    ]


def check_results(rows: Rows) -> Iterator[dg.AssetCheckResult]:
    """The results of the candidate that was kept, else of the last that was checked."""
    (build,) = rows["builds"]
    found = {row["check_name"]: row for row in shown_checks(rows)}
    for name in CHECKS:
        yield _result(name, found.get(name), build)


def _result(name: str, row: Mapping[str, Any] | None, build: Mapping[str, Any]) -> dg.AssetCheckResult:
    if row is None:
        return dg.AssetCheckResult(
            check_name=_name(name),
            passed=build["outcome"] != "failed",
            severity=dg.AssetCheckSeverity.WARN,
            description="There was nothing to check." if build["outcome"] != "failed" else build["summary"],
        )
    return dg.AssetCheckResult(
        check_name=_name(name),
        passed=row["outcome"] == PASSED,
        severity=dg.AssetCheckSeverity.ERROR if row["outcome"] == FAILED else dg.AssetCheckSeverity.WARN,
        description=(f"{UNVERIFIED}: " if row["outcome"] == UNVERIFIED else "")
        + (row["detail"] or "as the image in use"),
        metadata={"image in use": row["old_value"], "candidate": row["new_value"], "seconds": row["seconds"]},
    )


def _name(check: str) -> str:
    return check.replace("-", "_")
