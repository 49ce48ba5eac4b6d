"""The program as a user starts it: audits of archives, reports, gates, exit codes, what it imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.small_archive import write_archive

TOP = Path(__file__).parents[2]
VECTOR = TOP.parent / "shared" / "testvectors" / "dive-test-docker-image.tar"
LAYERS = [{"a": b"x" * 1000, "b": b"y" * 500}, {"a": b"z" * 700}]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def imgopt(home: Path, tmp_path: Path) -> Run:
    """Runs `imgopt` in an environment without any engine."""

    def run(*arguments: str, code: int | None = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "imgopt_pipeline.cli", *arguments],
            env=environment(home) | more,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    return run


def environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    return inherited | {
        "IMGOPT_HOME": str(home),
        "HOME": str(home),
        "DOCKER_HOST": f"unix://{home}/none.sock",
        "COLUMNS": "150",
        "PYTHONPATH": str(TOP),
    }


def document(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_audit_of_archives_where_no_engine_answers(imgopt: Run, home: Path) -> None:
    image_id = write_archive(home / "archives" / "one.tar", "demo/one:1", LAYERS)
    write_archive(home / "archives" / "two.tar", "demo/two:1", [LAYERS[0]])
    (home / "archives" / "broken.tar").write_bytes(b"no archive")
    done = imgopt("audit")
    assert "no such socket" in done.stderr
    assert "Auditing the image archives in" in done.stderr
    assert "demo/one:1" in done.stdout
    assert "broken.tar" in done.stdout
    assert "incomplete" in done.stdout

    rows = document(imgopt("images", "--json"))
    one = next(row for row in rows if row["name"] == "demo/one:1")
    two = next(row for row in rows if row["name"] == "demo/two:1")
    assert (one["size_bytes"], one["live_bytes"], one["dead_bytes"]) == (2200, 1200, 1000)
    assert (one["shared_bytes"], one["unique_bytes"]) == (1500, 700)
    assert (two["shared_bytes"], two["unique_bytes"]) == (1500, 0)
    assert one["base_reference"] == "demo/two:1"
    assert one["base_evidence"] == "layer prefix"

    shown = document(imgopt("image", image_id[7:19], "--json"))
    assert [layer["dead_bytes"] for layer in shown["layers"]] == [1000, 0]
    assert [(dead["path"], dead["reason"]) for dead in shown["dead_files"]] == [("a", "overwritten")]
    assert "overwritten" in imgopt("image", "demo/one:1").stdout

    problems = document(imgopt("sql", "--json", "FROM audit_problems"))
    assert [(row["asset"], row["kind"]) for row in problems] == [("image_inventory", "unreadable archive")]

    imgopt("audit")
    audits = document(imgopt("sql", "--json", "FROM audits ORDER BY finished_at"))
    assert [(row["status"], row["layers"], row["layers_read"]) for row in audits] == [
        ("partial", 2, 2),
        ("partial", 2, 0),
    ]


def test_no_credential_is_stored_or_printed(imgopt: Run, home: Path) -> None:
    write_archive(home / "archives" / "one.tar", "demo/one:1", LAYERS)
    printed = (
        imgopt("audit").stdout + imgopt("image", "demo/one:1").stdout + imgopt("image", "demo/one:1", "--json").stdout
    )
    assert "do-not-store" not in printed
    for path in home.rglob("*"):
        if path.is_file():
            assert b"do-not-store" not in path.read_bytes() or path.suffix == ".tar", path


def test_with_neither_engine_nor_archives_it_says_what_to_do(imgopt: Run, home: Path) -> None:
    done = imgopt("audit", code=3)
    assert done.stdout == ""
    assert "docker save" in done.stderr
    assert str(home / "archives") in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_named_host_that_is_down(imgopt: Run, home: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "images" / "one.tar", "demo/one:1", LAYERS)
    (tmp_path / "imgopt.yaml").write_text(
        f"hosts:\n  down: {{engine: 'unix://{tmp_path}/down.sock'}}\n  up: {{archives: images}}\n"
    )
    done = imgopt("audit")
    assert "Host down" in done.stdout
    assert "could not be read" in done.stdout
    assert "demo/one:1" in done.stdout
    assert imgopt("audit", "--host", "down", code=3).returncode == 3
    assert "did you mean" in imgopt("audit", "--host", "upp", code=2).stderr.lower()


def test_inspect_needs_no_state(imgopt: Run, home: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "one.tar", "demo/one:1", LAYERS)
    found = document(imgopt("inspect", "one.tar", "--json", "--no-cache"))
    assert (found["live_bytes"], found["dead_bytes"]) == (1200, 1000)
    assert found["layers"][0]["file_bytes"] == 1500
    assert not (home / "layers").exists()
    assert "demo/one:1" in imgopt("inspect", "one.tar").stdout


def test_published_figures_of_dive(imgopt: Run) -> None:
    if not VECTOR.exists():
        pytest.skip("the shared test vectors are not beside this checkout")
    found = document(imgopt("inspect", str(VECTOR), "--json"))
    assert found["dive"] == {
        "efficiency": 0.9844212134184309,
        "size_bytes": 1220598,
        "user_size_bytes": 66237,
        "wasted_bytes": 32025,
        "user_wasted_percent": 0.4834911001404049,
    }
    assert found["dead_bytes"] == 32025


def test_check_is_a_gate(imgopt: Run, tmp_path: Path) -> None:
    write_archive(tmp_path / "one.tar", "demo/one:1", LAYERS)
    failed = imgopt("check", "one.tar", "--max-size", "2kB", "--max-wasted", "999B", "--max-layers", "1", code=1)
    assert failed.stdout.count("✗") == 4
    assert "efficiency 54.5 %" in failed.stdout
    imgopt("check", "one.tar", "--min-efficiency", "0.5", code=0)
    assert document(imgopt("check", "one.tar", "--json", code=1))["failed"] != []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["images"], 3, "imgopt audit"),
        (["report"], 3, "imgopt audit"),
        (["inspect", "missing:1"], 3, "no such socket"),
        (["inspect"], 2, "subject"),
        (["nonsense"], 2, "nonsense"),
        (["check", "x", "--max-size", "big"], 2, "'big' is not a size"),
        (["audit", "--host", "locl"], 2, "did you mean 'local'"),
    ],
)
def test_mistakes(imgopt: Run, arguments: list[str], code: int, said: str) -> None:
    assert said in imgopt(*arguments, code=code).stderr


def test_a_typo_in_the_settings(imgopt: Run, tmp_path: Path) -> None:
    (tmp_path / "imgopt.yaml").write_text("gates: {image_byts: 1GB}\n")
    assert "did you mean 'image_bytes'" in imgopt("images", code=2).stderr


def test_sql_mistakes_are_told(imgopt: Run, home: Path) -> None:
    write_archive(home / "archives" / "one.tar", "demo/one:1", LAYERS)
    imgopt("audit")
    assert "auditz" in imgopt("sql", "FROM auditz", code=2).stderr
    assert "read-only" in imgopt("sql", "DROP TABLE audits", code=2).stderr


def test_an_empty_statement_and_an_unknown_host(imgopt: Run, home: Path) -> None:
    write_archive(home / "archives" / "one.tar", "demo/one:1", LAYERS)
    imgopt("audit")
    imgopt("sql", "")
    imgopt("sql", "--", "-- only a comment")
    for command in ("images", "report"):
        assert "did you mean 'archives'" in imgopt(command, "--host", "archive", code=2).stderr


def test_a_platform_that_an_archive_lacks(imgopt: Run, tmp_path: Path) -> None:
    write_archive(tmp_path / "one.tar", "demo/one:1", LAYERS)
    imgopt("inspect", "one.tar", "--platform", "linux/amd64")
    assert "only for linux/amd64" in imgopt("inspect", "one.tar", "--platform", "linux/arm64", code=3).stderr


def test_the_end_of_the_report_stands_once(imgopt: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_archive(tmp_path / name / "one.tar", f"demo/{name}:1", LAYERS)
    (tmp_path / "imgopt.yaml").write_text("hosts: {a: {archives: a}, b: {archives: b}}\n")
    assert imgopt("audit").stdout.count("Everything else is in") == 1


def test_doctor_says_what_works(imgopt: Run, home: Path) -> None:
    done = imgopt("doctor", code=3)
    assert "✓ folder" in done.stdout
    assert "✗ host local" in done.stdout


def test_housekeeping_keeps_what_is_new(imgopt: Run, home: Path) -> None:
    write_archive(home / "archives" / "one.tar", "demo/one:1", LAYERS)
    imgopt("audit")
    stray = home / "layers" / "0" / ("a" * 64 + ".parquet")
    stray.parent.mkdir()
    stray.write_bytes(b"of an older version")
    assert "Removed 0 audits, 1 layer files" in imgopt("housekeeping").stdout
    assert not stray.exists()
    assert len(list((home / "layers").rglob("*.parquet"))) == 2


@pytest.mark.parametrize("command", [["images"], ["image", "demo/one:1"], ["report"], ["sql", "FROM latest_images"]])
def test_reading_commands_import_no_dagster_and_no_pandas(home: Path, imgopt: Run, command: list[str]) -> None:
    write_archive(home / "archives" / "one.tar", "demo/one:1", LAYERS)
    imgopt("audit")
    heavy = "{'dagster', 'pandas', 'numpy', 'pyarrow', 'docker'}"
    program = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('heavy:', sorted({heavy} & set(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['imgopt', *{command!r}]\nfrom imgopt_pipeline.cli.app import run\nrun()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(home), cwd=home, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "heavy: []" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_seconds", [0.4, 1.2, 1.8, 2.4])
def test_interrupted_it_leaves_nothing_behind(home: Path, imgopt: Run, number: int, after_seconds: float) -> None:
    write_archive(home / "archives" / "one.tar", "demo/one:1", LAYERS)
    imgopt("audit")
    before = (home / "imgopt.duckdb").read_bytes()
    scratch = home / "tmp"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "imgopt_pipeline.cli", "audit"],
        env=environment(home) | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(after_seconds)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    assert process.returncode in (130, 0, -number)
    assert list(scratch.iterdir()) == []
    assert list(home.rglob("*.part*")) == []
    with duckdb.connect(str(home / "imgopt.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM audits").fetchall()[0][0] in (1, 2)
    assert before[:4] == (home / "imgopt.duckdb").read_bytes()[:4]
