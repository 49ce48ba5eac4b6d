"""The guide's worked rule loads and finds what the guide says; its tables, values and macros are the real ones."""

from __future__ import annotations

import re
from pathlib import Path

from imgopt_pipeline.findings.headers import BUILT_IN
from imgopt_pipeline.findings.locked import prepare
from imgopt_pipeline.findings.rule_files import built_in_rules, load_rules, rule_values
from imgopt_pipeline.findings.runner import run_rules
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import snapshot
from tests.findings.warehouse_made import AUDIT, HOST, container, host, image, together, write

TOP = Path(__file__).parents[2]
GUIDE = (TOP / "docs" / "guide" / "findings.md").read_text()


def test_the_worked_rule_works(tmp_path: Path) -> None:
    name = re.search(r"`rules/([a-z-]+)\.sql`", GUIDE)
    text = re.search(r"^```sql rule\n(.*?)^```$", GUIDE, re.S | re.M)
    assert name and text
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / f"{name[1]}.sql").write_text(text[1])
    rules, problems = load_rules(folder)
    assert problems == []
    own = [rule for rule in rules if rule.source != BUILT_IN]
    limited = container("db", "i1", memory_limit_bytes=1_000_000_000)
    stopped = container("old", "i1", running=False)
    rows = together(host(), image("i1", "shop/app:1"), container("web", "i1", restart_count=3), limited, stopped)
    with snapshot(write(tmp_path / "imgopt.duckdb", rows)) as connection:
        done = run_rules(connection, HOST, AUDIT, own, rule_values(Settings(home=tmp_path)))
    assert done.problems == []
    found = [(row["rule_id"], row["subject"], row["severity"], row["evidence"]) for row in done.findings]
    assert found == [("no-memory-limit", "web", "low", "It has no memory limit and was restarted 3 times.")]


def test_tables_values_and_macros_of_the_guide_are_all_there_are(tmp_path: Path) -> None:
    values = rule_values(Settings(home=tmp_path))
    assert set(re.findall(r"\$(\w+)", GUIDE)) == {*values, "audit_id", "host"}
    with snapshot(write(tmp_path / "imgopt.duckdb", host())) as connection:
        prepare(connection, {**values, "audit_id": AUDIT, "host": HOST})
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    documented = set(re.findall(r"^\| `(\w+)` \|", GUIDE.partition("for the audited host alone:")[2], re.M))
    assert documented == {row[0] for row in tables} - {"audit_time"}


def test_the_reference_page_has_every_rule_with_its_header() -> None:
    page = (TOP / "docs" / "reference" / "rules.md").read_text()
    for rule in built_in_rules():
        section = re.search(rf"^## {rule.rule_id}\n(.*?)(?=^#|\Z)", page, re.S | re.M)
        assert section, rule.rule_id
        assert rule.title in section[1]
        assert rule.why in section[1]
        assert f"({rule.severity}, risk {rule.risk}" in section[1]
