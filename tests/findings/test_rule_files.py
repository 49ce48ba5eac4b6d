"""Rules of users: read from a folder, tried, and where they are bad named and passed over; the audit goes on."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.findings.headers import BUILT_IN, parse_rule
from imgopt_pipeline.findings.rule_files import RULE_BYTES, built_in_rules, load_rules, rule_values
from imgopt_pipeline.findings.runner import RulesRun, run_rules
from imgopt_pipeline.settings import Settings, load_settings
from imgopt_pipeline.warehouse.store import snapshot
from tests.findings.warehouse_made import AUDIT, HOST, container, host, image, together, write

HEADER = """-- title: A title
-- severity: low
-- risk: none
-- why: Because
--   it matters.
"""
COLUMNS = """'host' AS subject_kind, 'web' AS subject, NULL AS image_id, NULL AS path, 0 AS size_bytes, 0 AS low_bytes,
    0 AS likely_bytes, 0 AS high_bytes, 'seen' AS evidence, 'do it' AS advice"""
QUOTED_SEEN, LONG, HUGE = "'seen'", "repeat('x', 4000)", "repeat('x', 2000000000)"
GOOD = f"{HEADER}SELECT {COLUMNS}\n"
VALUES = rule_values(Settings(home=Path()))
BAD = {
    "no-title": (GOOD.replace("-- title: A title\n", ""), "the header has no 'title'"),
    "no-header": (f"SELECT {COLUMNS}", "the header has no 'title'"),
    "typo": (GOOD.replace("severity", "severety"), "no key 'severety'; did you mean 'severity'?"),
    "severity": (
        GOOD.replace("severity: low", "severity: huge"),
        "severity is 'huge'; it may be high, medium, low, info",
    ),
    "technique": (HEADER + "-- technique: R99\nSELECT 1", "technique is 'R99'"),
    "twice": (HEADER + "-- risk: low\nSELECT 1", "says 'risk' twice"),
    "babble": ("-- hello\n" + GOOD, "line 1 of the header is no `-- key: value`"),
    "syntax": (HEADER + "SELEC 1", "syntax error"),
    "no-table": (HEADER + f"SELECT {COLUMNS} FROM nowhere", "nowhere does not exist"),
    "empty": (HEADER, "0 statements instead of one SELECT"),
    "columns": (HEADER + "SELECT 1 AS subject", "it gives no column subject_kind, image_id"),
    "more-columns": (HEADER + f"SELECT {COLUMNS}, 1 AS colour", "findings do not have: colour"),
    "two": (GOOD + "; SELECT 1", "2 statements instead of one SELECT"),
    "smuggled": (HEADER + f"SELECT {COLUMNS}) ; DROP TABLE audits; --", "syntax error"),
    "insert": (HEADER + "INSERT INTO audits VALUES (1)", "it is no SELECT but INSERT"),
    "drop": (HEADER + "DROP TABLE findings", "it is no SELECT but DROP"),
    "attach": (HEADER + "ATTACH 'x.db'", "it is no SELECT but ATTACH"),
    "copy": (HEADER + "COPY (SELECT 1) TO 'x.csv'", "it is no SELECT but COPY"),
    "install": (HEADER + "INSTALL httpfs", "it is no SELECT but LOAD"),
    "pragma": (HEADER + "PRAGMA database_list", "syntax error"),
    "set": (HEADER + "SET threads = 1", "it is no SELECT but SET"),
    "call": (HEADER + "CALL pragma_version()", "it is no SELECT but CALL"),
    "read-csv": (HEADER + f"SELECT {COLUMNS} FROM read_csv('/etc/passwd')", "disabled by configuration"),
    "read-text": (HEADER + f"SELECT {COLUMNS} FROM read_text('/etc/passwd')", "disabled by configuration"),
    "file": (HEADER + f"SELECT {COLUMNS} FROM '/etc/passwd'", "does not exist"),
    "value": (HEADER + f"SELECT {COLUMNS} WHERE $log_byte > 0", "there is no $log_byte; there are $image_bytes"),
    "python": (HEADER + f"SELECT {COLUMNS} FROM VALUES_OF_THIS_MODULE", "does not exist"),
    "Bad_Name": (GOOD, "small letters, digits and single hyphens, not 'Bad_Name'"),
}


def folder_of(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


def run(tmp_path: Path, *texts: str, seconds: float = 60.0, rows: int = 10_000) -> RulesRun:
    """Run rules of these queries over a warehouse with one container, past the trial that loading them is."""
    database = write(tmp_path / "imgopt.duckdb", together(host(), image("i1", "shop/app:1"), container("web", "i1")))
    rules = [parse_rule(f"own-{number}", HEADER + text, "own.sql") for number, text in enumerate(texts)]
    with snapshot(database) as connection:
        return run_rules(connection, HOST, AUDIT, rules, VALUES, seconds=seconds, rows=rows)


def test_without_a_folder_there_are_the_built_in_rules() -> None:
    rules, problems = load_rules(None)
    assert rules == built_in_rules()
    assert problems == []
    assert {rule.source for rule in rules} == {BUILT_IN}


def test_a_header_is_read_with_its_continued_lines() -> None:
    rule = parse_rule("my-rule", GOOD, "my-rule.sql")
    assert (rule.title, rule.technique, rule.severity, rule.risk) == ("A title", None, "low", "none")
    assert rule.why == "Because it matters."
    assert rule.sql == f"SELECT {COLUMNS}"


def test_own_rules_come_along_and_one_of_the_same_name_takes_the_place(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, **{"my-rule": GOOD, "root-user": GOOD, "notes": GOOD})
    (folder / "notes.sql").rename(folder / "notes.txt")
    rules, problems = load_rules(folder)
    assert problems == []
    own = {rule.rule_id: rule for rule in rules if rule.source != BUILT_IN}
    assert sorted(own) == ["my-rule", "root-user"]
    assert own["root-user"].source == str(folder / "root-user.sql")
    assert len(rules) == len(built_in_rules()) + 1
    assert [rule.rule_id for rule in rules] == sorted(rule.rule_id for rule in rules)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_rule_is_named_and_passed_over(tmp_path: Path, name: str) -> None:
    text, reason = BAD[name]
    folder = folder_of(tmp_path, **{name: text, "good": GOOD})
    rules, problems = load_rules(folder)
    assert [rule.rule_id for rule in rules if rule.source != BUILT_IN] == ["good"]
    assert len(problems) == 1
    assert problems[0].subject == str(folder / f"{name}.sql")
    assert problems[0].kind == "bad rule"
    assert reason in problems[0].message
    assert problems[0].hint


def test_a_bad_rule_does_not_take_the_place_of_a_built_in_one(tmp_path: Path) -> None:
    rules, problems = load_rules(folder_of(tmp_path, **{"root-user": HEADER + "SELECT 1"}))
    assert rules == built_in_rules()
    assert len(problems) == 1


def test_odd_files_are_named_and_passed_over(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, huge=GOOD + " " * RULE_BYTES)
    (folder / "binary.sql").write_bytes(b"-- title: \xff\xfe")
    (folder / "zero.sql").write_bytes(b"-- title: \0")
    (folder / "gone.sql").symlink_to(tmp_path / "nowhere")
    (folder / "ring.sql").symlink_to(folder / "ring.sql")
    (folder / "folder.sql").mkdir()
    os.mkfifo(folder / "pipe.sql")
    rules, problems = load_rules(folder)
    assert rules == built_in_rules()
    reasons = {Path(problem.subject).name: problem.message for problem in problems}
    assert reasons.keys() == {f"{name}.sql" for name in ("huge", "binary", "zero", "gone", "ring", "folder", "pipe")}
    assert "it is no regular file" in reasons["pipe.sql"]
    assert "it is no regular file" in reasons["folder.sql"]
    assert "No such file" in reasons["gone.sql"]


def test_a_missing_folder_is_a_problem_and_not_the_end(tmp_path: Path) -> None:
    rules, problems = load_rules(tmp_path / "nowhere")
    assert rules == built_in_rules()
    assert [problem.subject for problem in problems] == [str(tmp_path / "nowhere")]


def test_comments_and_a_semicolon_may_end_a_rule(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        f"SELECT {COLUMNS} -- ; so\n; -- it ends",
        f"FROM (SELECT {COLUMNS})",
        f"WITH a AS (SELECT {COLUMNS}) FROM a",
    )
    assert done.problems == []
    assert [row["rule_id"] for row in done.findings] == ["own-0", "own-1", "own-2"]


def test_a_failing_rule_leaves_the_others_running(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        f"SELECT {COLUMNS} WHERE error('no way')",
        f"SELECT {COLUMNS.replace('0 AS size_bytes', '-1 AS size_bytes')}",
        f"SELECT {COLUMNS.replace('0 AS low_bytes', '5 AS low_bytes')}",
        f"SELECT {COLUMNS.replace('0 AS low_bytes', 'NULL AS low_bytes')}",
        f"SELECT {COLUMNS.replace('host', 'planet')}",
        f"SELECT {COLUMNS.replace(chr(39) + 'seen' + chr(39), 'NULL')}",
        f"SELECT {COLUMNS}, 'huge' AS severity",
        f"SELECT {COLUMNS} FROM read_csv('/etc/passwd')",
        f"SELECT {COLUMNS}, 'high' AS severity FROM host_containers",
    )
    reasons = [problem.message for problem in done.problems]
    words = [
        "no way",
        "size_bytes is -1",
        "are not in this order",
        "low_bytes is None",
        "'planet'",
        "evidence is empty",
    ]
    for reason, part in zip(reasons, [*words, "'huge'", "disabled by configuration"], strict=True):
        assert part in reason
    assert [(row["rule_id"], row["severity"]) for row in done.findings] == [("own-8", "high")]


def test_an_endless_rule_is_stopped(tmp_path: Path) -> None:
    endless = f"SELECT {COLUMNS} WHERE (SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b) = 1"
    done = run(tmp_path, endless, f"SELECT {COLUMNS}", seconds=0.3)
    assert [problem.message for problem in done.problems] == [
        "the rule is passed over: it took longer than 0.3 seconds and was stopped."
    ]
    assert [row["rule_id"] for row in done.findings] == ["own-1"]


def test_more_rows_than_the_limit_are_cut_and_said(tmp_path: Path) -> None:
    done = run(tmp_path, f"SELECT {COLUMNS} FROM range(50)", rows=20)
    assert len(done.findings) == 20
    assert "more than 20 things" in done.problems[0].message


def test_long_texts_are_cut_in_the_database_and_it_is_said(tmp_path: Path) -> None:
    text = COLUMNS.replace("'seen'", "repeat('ä', 300000)")
    tracemalloc.start()
    done = run(tmp_path, f"SELECT {text} FROM range(100)")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {row["evidence"] for row in done.findings} == {"ä" * 3_999 + "…"}
    (problem,) = done.problems
    assert problem.kind == "findings cut off"
    assert problem.message.startswith("100 findings of the rule had texts of more than 4,000 characters")
    assert peak_bytes < 10_000_000


def test_a_text_of_the_full_length_is_kept(tmp_path: Path) -> None:
    done = run(tmp_path, "SELECT " + COLUMNS.replace("'seen'", "repeat('x', 4000)"))
    assert done.findings[0]["evidence"] == "x" * 4_000
    assert done.problems == []


def test_texts_that_are_too_much_together_cut_the_rows(tmp_path: Path) -> None:
    done = run(tmp_path, f"SELECT {COLUMNS.replace(QUOTED_SEEN, LONG)} FROM range(9000)", f"SELECT {COLUMNS}")
    assert 4_000 < len(done.findings) < 5_100
    assert "its texts take too much; the first" in done.problems[0].message
    assert done.findings[-1]["rule_id"] == "own-1"


def test_a_text_beyond_the_memory_limit_stops_the_rule_and_no_other(tmp_path: Path) -> None:
    done = run(tmp_path, f"SELECT {COLUMNS.replace(QUOTED_SEEN, HUGE)}", f"SELECT {COLUMNS}")
    assert "Out of Memory" in done.problems[0].message
    assert [row["rule_id"] for row in done.findings] == ["own-1"]


@pytest.mark.parametrize("value", ["1.7", "true", "1.0::DOUBLE", "'5'", "DATE '2026-01-01'", "[1]", "'inf'::DOUBLE"])
def test_bytes_are_whole_numbers(tmp_path: Path, value: str) -> None:
    text = "SELECT " + COLUMNS.replace("0 AS size_bytes", f"{value} AS size_bytes")
    done = run(tmp_path, text, f"SELECT {COLUMNS}")
    assert len(done.findings) == 1
    assert "size_bytes is " in done.problems[0].message
    assert "instead of a whole number" in done.problems[0].message
    _, problems = load_rules(folder_of(tmp_path, **{"my-rule": HEADER + text}))
    assert "size_bytes is " in problems[0].message


@pytest.mark.parametrize("value", ["repeat('x', 10)::BLOB", "range(5)", "{'a': 1}", "5", "DATE '2026-01-01'"])
def test_evidence_is_text(tmp_path: Path, value: str) -> None:
    done = run(tmp_path, "SELECT " + COLUMNS.replace("'seen'", value))
    assert "evidence is no text" in done.problems[0].message


def test_odd_text_of_a_rule_is_escaped(tmp_path: Path) -> None:
    done = run(tmp_path, "SELECT " + COLUMNS.replace("'do it'", "'a' || chr(27) || '[31m'"))
    assert done.findings[0]["advice"] == "a\\x1b[31m"


def test_the_folder_is_relative_to_the_file_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGOPT_HOME", str(tmp_path / "home"))
    config = tmp_path / "conf" / "imgopt.yaml"
    config.parent.mkdir()
    config.write_text("findings: {rules_folder: my-rules, log_bytes: 5MB}\n")
    settings = load_settings(config)
    assert settings.findings.rules_folder == tmp_path / "conf" / "my-rules"
    assert rule_values(settings)["log_bytes"] == 5_000_000
    assert "rules_folder" not in rule_values(settings)
    config.write_text("findings: {rule_folder: my-rules}\n")
    with pytest.raises(SettingsError, match=r"'findings\.rule_folder'; did you mean 'rules_folder'\?"):
        load_settings(config)
