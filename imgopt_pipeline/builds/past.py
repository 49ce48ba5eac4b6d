"""What earlier builds of an image showed: rules that it cannot do without dropping, and the candidate that passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import duckdb

from imgopt_pipeline.builds.checks.conditions import read_conditions
from imgopt_pipeline.builds.models import PASSED, CheckResult
from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.planning.facts import Record, load_records
from imgopt_pipeline.warehouse.store import fetch_rows, snapshot


@dataclass(frozen=True, slots=True)
class Past:
    """`dropped`: rules that earlier builds of this very image gave up, with the reason. `records`: of all images.

    `candidate_id` is the newest candidate of it that was kept, `checks` what its checks said under `conditions`.
    """

    dropped: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)
    candidate_id: str | None = None
    checks: tuple[CheckResult, ...] = ()
    conditions: str = ""

    def told(self, candidate_id: str, conditions: str) -> tuple[CheckResult, ...]:
        """What the checks of a candidate will say; empty where that is not known.

        An application that did not start or answer well may have been given what it lacked.
        """
        same = (candidate_id, conditions) == (self.candidate_id, self.conditions)
        return self.checks if same and not any(map(_may_lack_something, self.checks)) else ()


NOTHING = Past()


def _may_lack_something(check: CheckResult) -> bool:
    asked = check.check in ("start", "smoke") or (check.check == "probe" and " answers " in check.old)
    return asked and check.outcome != PASSED


def load_past(database: Path, host: str, image_id: str) -> Past:
    """What the warehouse knows of earlier builds; nothing where it does not exist. Raises StorageError."""
    if not database.exists():
        return NOTHING
    with snapshot(database) as connection:
        try:
            return _past(connection, host, image_id)
        except duckdb.CatalogException as error:
            raise StorageError(
                "it is of an earlier version.", subject=str(database), hint="Run `imgopt audit` once."
            ) from error


def _past(connection: duckdb.DuckDBPyConnection, host: str, image_id: str) -> Past:
    rules = fetch_rows(connection, _sql("select_dropped_rules"), host=host, image_id=image_id)
    checks = fetch_rows(connection, _sql("select_last_checks"), host=host, image_id=image_id)
    return Past(
        dropped={row["technique"]: row["reason"] for row in rules},
        records=load_records(connection),
        candidate_id=checks[0]["candidate_image_id"] if checks else None,
        conditions=read_conditions(Path(checks[0]["folder"])) if checks else "",
        checks=tuple(
            CheckResult(row["check_name"], row["outcome"], row["old_value"], row["new_value"], row["detail"])
            for row in checks
        ),
    )


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text()
