"""The gate of a deployment as blocking asset checks: what was rolled back counts for nothing that depends on it.

After a rollback that a person asked for, they say whether the old state does again what it did.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from imgopt_pipeline.journal.outcomes import ROLLED_BACK, VERIFIED
from imgopt_pipeline.services.models import FAILED, PASSED, UNVERIFIED
from imgopt_pipeline.services.watching.gate import CHECKS

_OUTCOME = "outcome"
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def deployment_check_specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """One for each check of the gate, and one for what came of it all."""
    named = {**CHECKS, _OUTCOME: "It is verified, or was rolled back because a person asked for that."}
    return [
        dg.AssetCheckSpec(_name(name), asset=asset, description=description, blocking=True)
        for name, description in named.items()
    ]


def check_results(rows: Rows, *, asked_back: bool) -> Iterator[dg.AssetCheckResult]:
    """The results of the gate, or of the gate after the rollback that was `asked_back`; of all units together."""
    (row,) = rows["deployments"]
    phase = "rollback" if asked_back else "gate"
    for name in CHECKS:
        found = [
            check for check in rows["deployment_checks"] if check["phase"] == phase and check["check_name"] == name
        ]
        yield _result(name, found)
    wanted = ROLLED_BACK if asked_back else VERIFIED
    yield dg.AssetCheckResult(check_name=_OUTCOME, passed=row["outcome"] == wanted, description=row["summary"])


def _result(name: str, found: Sequence[Mapping[str, Any]]) -> dg.AssetCheckResult:
    outcomes = {check["outcome"] for check in found}
    details = [check["detail"] for check in found if check["detail"]]
    description = "; ".join(details) or ("as before" if found else "There was nothing to check.")
    return dg.AssetCheckResult(
        check_name=_name(name),
        passed=outcomes <= {PASSED},
        severity=dg.AssetCheckSeverity.ERROR if FAILED in outcomes else dg.AssetCheckSeverity.WARN,
        description=(f"{UNVERIFIED}: " if UNVERIFIED in outcomes and FAILED not in outcomes else "") + description,
        metadata={check["unit"] or "unit": f"{check['old_value']} → {check['new_value']}" for check in found},
    )


def _name(check: str) -> str:
    return check.replace("-", "_").replace(" ", "_")
