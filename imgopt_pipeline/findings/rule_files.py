"""Where rules come from: the built-in ones in `rules/`, and those of a folder that the settings name."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import duckdb

from imgopt_pipeline.findings.headers import BUILT_IN, Rule, parse_rule
from imgopt_pipeline.findings.locked import RuleError, check_columns, columns_of, lock, prepare
from imgopt_pipeline.findings.runner import rule_problem
from imgopt_pipeline.hosts.models import Problem
from imgopt_pipeline.names import printable
from imgopt_pipeline.settings import FindingSettings, GateSettings, Settings
from imgopt_pipeline.sql import Value
from imgopt_pipeline.warehouse.store import sql_file

RULE_BYTES = 200_000
RULE_FILES = 1_000
"""A user's rule file is no larger, and no more of them are read."""


def rule_values(settings: Settings) -> dict[str, Value]:
    """What stands for `$name` in rules, beside `$audit_id` and `$host`."""
    return _values(settings.gates, settings.findings)


def load_rules(folder: Path | None) -> tuple[list[Rule], list[Problem]]:
    """All rules by ID, and the user's files that are none.

    A user's rule takes the place of the built-in one of the same ID. Each of them is tried on an empty
    warehouse: whatever is wrong with it, the file is named, passed over and the rest goes on.
    """
    rules = {rule.rule_id: rule for rule in built_in_rules()}
    problems: list[Problem] = []
    own: dict[str, Rule] = {}
    for path in _files(folder, problems):
        try:
            own[path.stem] = parse_rule(path.stem, _read(path), str(path))
        except ValueError as error:
            problems.append(rule_problem(path.stem, str(path), printable(str(error))))
    if own:
        values = {**_values(GateSettings(), FindingSettings()), "audit_id": "", "host": ""}
        with _empty_warehouse(values) as connection:
            for rule in own.values():
                try:
                    check_columns(columns_of(connection, rule.sql, values))
                except RuleError as error:
                    problems.append(rule_problem(rule.rule_id, rule.source, str(error)))
                else:
                    rules[rule.rule_id] = rule
    return [rules[rule_id] for rule_id in sorted(rules)], problems


def built_in_rules() -> list[Rule]:
    """The rules of this package, by ID."""
    files = [file for file in resources.files(__package__).joinpath("rules").iterdir() if file.name.endswith(".sql")]
    rules = (parse_rule(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"), BUILT_IN) for file in files)
    return sorted(rules, key=lambda rule: rule.rule_id)


def _files(folder: Path | None, problems: list[Problem]) -> Iterator[Path]:
    if folder is None:
        return
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".sql")
    except OSError as error:
        problems.append(
            Problem(
                printable(str(folder)),
                "bad rule",
                f"the folder of rules cannot be read ({error.strerror}).",
                "Make it, or mend findings.rules_folder.",
            )
        )
        return
    if len(paths) > RULE_FILES:
        problems.append(
            Problem(
                printable(str(folder)),
                "bad rule",
                f"it holds {len(paths):,} .sql files; the first {RULE_FILES:,} are read.",
                "Put rules together that look for the same thing.",
            )
        )
    yield from paths[:RULE_FILES]


def _read(path: Path) -> str:
    """The text of a file. Raises ValueError in words where it is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a named pipe would wait for its other end
            raise ValueError("it is no regular file")
        with path.open("rb") as file:
            content = file.read(RULE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    if len(content) > RULE_BYTES:
        raise ValueError(f"it is larger than {RULE_BYTES:,} bytes")
    if b"\0" in content:
        raise ValueError("it is no text")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError("it is no UTF-8 text") from error


def _values(gates: GateSettings, findings: FindingSettings) -> dict[str, Value]:
    return {**gates.model_dump(), **findings.model_dump(exclude={"rules_folder"})}


def _empty_warehouse(values: Mapping[str, Value]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": 1})
    connection.execute(sql_file("schema.sql") + sql_file("views.sql"))
    prepare(connection, values)
    lock(connection)
    return connection
