"""The gate of a migration as blocking asset checks: what containers see of the moved files, and what came of it all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from imgopt_pipeline.journal.outcomes import ROLLED_BACK, VERIFIED
from imgopt_pipeline.migrations.gating import INSIDE
from imgopt_pipeline.services.models import FAILED, PASSED

_SERVICES, _OUTCOME = "services", "outcome"
_SPECS = {
    **INSIDE,
    _SERVICES: "Its services do what they did before.",
    _OUTCOME: "It is verified, or everything was put back because a person asked for that.",
}
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def migration_check_specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """One for each thing that is seen from inside, one for the services, one for the outcome."""
    return [
        dg.AssetCheckSpec(_name(name), asset=asset, description=description, blocking=True)
        for name, description in _SPECS.items()
    ]


def check_results(rows: Rows, *, asked_back: bool) -> Iterator[dg.AssetCheckResult]:
    """The results of the gate, or of the gate after the way back that was `asked_back`."""
    (row,) = rows["migrations"]
    phase = "rollback" if asked_back else "gate"
    seen = [check for check in rows["migration_checks"] if check["phase"] == phase]
    for name in INSIDE:
        yield _result(name, [check for check in seen if check["check_name"] == name])
    yield _result(_SERVICES, [check for check in seen if check["check_name"] not in INSIDE])
    wanted = ROLLED_BACK if asked_back else VERIFIED
    yield dg.AssetCheckResult(check_name=_OUTCOME, passed=row["outcome"] == wanted, description=row["summary"])


def _result(name: str, found: Sequence[Mapping[str, Any]]) -> dg.AssetCheckResult:
    outcomes = {check["outcome"] for check in found}
    details = [f"{check['check_name']}: {check['detail']}" for check in found if check["detail"]]
    return dg.AssetCheckResult(
        check_name=_name(name),
        passed=outcomes <= {PASSED},
        severity=dg.AssetCheckSeverity.ERROR if FAILED in outcomes else dg.AssetCheckSeverity.WARN,
        description="; ".join(details) or ("as before" if found else "There was nothing to check."),
    )


def _name(check: str) -> str:
    return check.replace("-", "_").replace(" ", "_")
