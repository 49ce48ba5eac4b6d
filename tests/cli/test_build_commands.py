"""`imgopt rewrite`, `imgopt optimize` and `imgopt builds` as a user starts them, where no engine is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.cli.asking import ask
from imgopt_pipeline.dockerfiles.files import BACKUP_SUFFIX
from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.warehouse.store import publish, replace_rows
from tests.cli.test_commands import TOP, environment
from tests.small_archive import write_archive
from tests.warehouse.builds_made import attempt_row, build_row, check_row, rule_row

REPORTS = TOP / "tests" / "scenarios" / "applications" / "reports"
PLAIN = "FROM debian:bookworm\nRUN apt-get update && apt-get install -y curl\n# the end\n"
BETTER = (
    "FROM debian:bookworm\n"
    "RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl \\\n"
    "    && rm -rf /var/lib/apt/lists/*\n"
    "# the end\n"
)
Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def imgopt(home: Path, tmp_path: Path) -> Run:
    """Runs `imgopt` with bytes for output and nobody at its standard input."""

    def run(*arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-m", "imgopt_pipeline.cli", *arguments],
            env=environment(home) | more,
            cwd=tmp_path,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        assert b"Traceback" not in done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def dockerfile(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "Dockerfile"
    path.parent.mkdir()
    path.write_text(PLAIN)
    return path


def patched(dockerfile: Path, diff: bytes) -> bytes:
    """What the program `patch` makes of a file."""
    subprocess.run(["patch", "--strip=1", "--binary"], input=diff, cwd=dockerfile.parent, check=True)
    return dockerfile.read_bytes()


def test_rewrite_prints_what_patch_applies(imgopt: Run, dockerfile: Path) -> None:
    done = imgopt("rewrite", str(dockerfile))
    assert dockerfile.read_text() == PLAIN
    assert patched(dockerfile, done.stdout) == BETTER.encode()
    reasons = done.stderr.decode()
    assert "R4 line 2: apt installs packages that are only recommended." in reasons
    assert "R1 not used: needs the packages of the image built from it" in reasons


def test_windows_line_ends_stay(imgopt: Run, dockerfile: Path) -> None:
    dockerfile.write_bytes(PLAIN.replace("\n", "\r\n").encode())
    diff = imgopt("rewrite", str(dockerfile)).stdout
    assert patched(dockerfile, diff) == BETTER.replace("\n", "\r\n").encode()


def test_a_file_without_its_last_line_end(imgopt: Run, dockerfile: Path) -> None:
    dockerfile.write_text(PLAIN.partition("\n#")[0])
    diff = imgopt("rewrite", str(dockerfile)).stdout
    assert patched(dockerfile, diff) == BETTER.partition("\n#")[0].encode()


def test_a_byte_order_mark_stays(imgopt: Run, dockerfile: Path) -> None:
    dockerfile.write_text(PLAIN, encoding="utf-8-sig")
    assert patched(dockerfile, imgopt("rewrite", str(dockerfile)).stdout) == BETTER.encode("utf-8-sig")


def test_write_keeps_what_was_and_the_mode(imgopt: Run, dockerfile: Path) -> None:
    dockerfile.chmod(0o640)
    done = imgopt("rewrite", str(dockerfile), "--write")
    backup = dockerfile.with_name("Dockerfile" + BACKUP_SUFFIX)
    assert str(backup) in done.stderr.decode()
    assert (dockerfile.read_text(), backup.read_text()) == (BETTER, PLAIN)
    assert dockerfile.stat().st_mode & 0o7777 == 0o640

    again = imgopt("rewrite", str(dockerfile), "--write")
    assert again.stdout == b""
    assert b"Nothing to change by its text alone." in again.stderr
    assert (dockerfile.read_text(), backup.read_text()) == (BETTER, PLAIN)
    assert sorted(path.name for path in dockerfile.parent.iterdir()) == ["Dockerfile", backup.name]


def test_write_follows_a_link(imgopt: Run, dockerfile: Path) -> None:
    link = dockerfile.with_name("Dockerfile.web")
    link.symlink_to(dockerfile.name)
    imgopt("rewrite", str(link), "--write")
    assert link.is_symlink()
    assert dockerfile.read_text() == BETTER


def test_explain_puts_the_reasons_above_the_diff(imgopt: Run, dockerfile: Path) -> None:
    done = imgopt("rewrite", str(dockerfile), "--explain")
    reasons, _, diff = done.stdout.decode().partition("--- a/Dockerfile\n")
    assert "R5 line 2: Its layer keeps apt's lists" in reasons
    assert "-RUN apt-get update" in diff
    assert done.stderr == b""


def test_json(imgopt: Run, dockerfile: Path) -> None:
    document = json.loads(imgopt("rewrite", str(dockerfile), "--json").stdout)
    assert patched(dockerfile, document["diff"].encode()) == BETTER.encode()
    assert [(rule["rule"], rule["level"]) for rule in document["rules"]] == [("R4", "safe"), ("R5", "safe")]
    assert {(change["rule"], change["line"]) for change in document["changes"]} == {("R4", 2), ("R5", 2)}
    assert "R3" in {item["rule"] for item in document["left_out"]}


def test_rules_by_id(imgopt: Run, dockerfile: Path) -> None:
    only = imgopt("rewrite", str(dockerfile), "--rules", "r5").stdout.decode()
    assert "rm -rf /var/lib/apt/lists/*" in only
    assert "--no-install-recommends" not in only
    without = imgopt("rewrite", str(dockerfile), "--without", "R4, R5")
    assert without.stdout == b""


def test_a_real_project(imgopt: Run) -> None:
    done = imgopt("rewrite", str(REPORTS / "Dockerfile"))
    assert b"+COPY --chown=app:app . .\n" in done.stdout
    assert b"+RUN pip install --no-cache-dir -r requirements.txt\n" in done.stdout
    mounted = imgopt("rewrite", str(REPORTS / "Dockerfile"), "--level", "balanced").stdout
    assert b"--mount=type=cache" in mounted


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"FROM debian\nFOO bar\n", "line 2 begins with no instruction"),
        (b"", "it does not parse"),
        (b"RUN true\n", "only ARG may stand before FROM"),
        (b"FROM debian\n# caf\xe9\nRUN true\n", "it is not written in UTF-8"),
        (b"FROM debian\n" + b"#" * 1_000_001, "no Dockerfile has"),
    ],
)
def test_what_is_no_dockerfile(imgopt: Run, dockerfile: Path, content: bytes, said: str) -> None:
    dockerfile.write_bytes(content)
    done = imgopt("rewrite", str(dockerfile), "--write", code=2)
    assert said in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
    assert dockerfile.read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["rewrite", "missing/Dockerfile"], 2, "missing/Dockerfile: there is no such file"),
        (["rewrite", "project"], 2, "it is no file"),
        (["rewrite", "/dev/zero"], 2, "it is no file"),
        (["rewrite", "project/Dockerfile", "--rules", "R99"], 2, "there is no rule 'R99'. Known: R1"),
        (["rewrite", "project/Dockerfile", "--level", "bold"], 2, "there is no level 'bold'. Known: safe, balanced"),
        (["rewrite", "project/Dockerfile", "--target", "final"], 2, "it has no stage 'final'"),
        (["rewrite", "project/Dockerfile", "--context", "nowhere"], 3, "No such file or directory"),
        (["optimize", "shop-web"], 3, "there is no such socket"),
        (["optimize", "shop-web", "--host", "locl"], 2, "did you mean 'local'"),
        (["optimize", "shop-web", "--flatten", "--prune", "everything"], 2, "no prune pattern 'everything'"),
        (["builds"], 3, "there is no audit yet"),
    ],
)
def test_mistakes(imgopt: Run, dockerfile: Path, arguments: list[str], code: int, said: str) -> None:
    done = imgopt(*arguments, code=code)
    assert said in done.stderr.decode()
    assert dockerfile.read_text() == PLAIN


def test_values_of_build_arguments_are_neither_taken_nor_shown(imgopt: Run) -> None:
    done = imgopt("optimize", "shop-web", "--build-arg", "TOKEN=hidden-value", code=2)
    assert "Set TOKEN in the environment" in done.stderr.decode()
    assert b"hidden-value" not in done.stdout + done.stderr


def test_a_folder_of_archives_builds_nothing(imgopt: Run, home: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "images" / "one.tar", "demo/one:1", [{"a": b"x"}])
    (tmp_path / "imgopt.yaml").write_text("hosts: {kept: {archives: images}}\n")
    for more in ([], ["--flatten"]):
        done = imgopt("optimize", "demo/one:1", "--yes", *more, code=3)
        assert "kept: it holds image archives; nothing can be built or started there." in done.stderr.decode()
    assert not home.exists() or not (home / "builds").exists()


def test_where_nobody_is_there_to_ask_nothing_is_built(imgopt: Run) -> None:
    with pytest.raises(SettingsError, match=r"nobody is there to ask\. Add --yes, or --dry-run"):
        ask("Build and check it?")
    assert "Add --yes" in imgopt("optimize", "web:1", "--json", code=2).stderr.decode()


@pytest.fixture
def built(home: Path) -> Path:
    """A warehouse with a build that was kept and one that failed."""
    tables: dict[str, list[dict[str, Any]]] = {
        "builds": [
            build_row("11aa22", "shop-web:latest"),
            build_row("33bb44", "shop-api:2", outcome="failed", days=2, summary="No candidate was kept."),
        ],
        "build_attempts": [attempt_row("11aa22", 1), attempt_row("33bb44", 1, outcome="check failed")],
        "build_rules": [rule_row("11aa22", "R3"), rule_row("11aa22", "R10", decision="dropped", measured=None)],
        "build_checks": [check_row("11aa22", 1, "start"), check_row("33bb44", 1, "probe", outcome="failed")],
    }
    home.mkdir()
    publish(home / "imgopt.duckdb", lambda connection: replace_rows(connection, tables))
    return home


@pytest.mark.usefixtures("built")
def test_builds_are_listed_the_newest_first(imgopt: Run) -> None:
    listed = imgopt("builds").stdout.decode()
    assert listed.index("11aa22") < listed.index("33bb44")
    assert [row["build_id"] for row in json.loads(imgopt("builds", "--json").stdout)] == ["11aa22", "33bb44"]
    assert json.loads(imgopt("builds", "--json", "--host", "other").stdout) == []


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", ["shop-web", "shop-web:latest", "11aa22", "11a"])
def test_one_build_by_any_of_its_names(imgopt: Run, name: str) -> None:
    shown = imgopt("builds", name).stdout.decode()
    assert "Candidate: shop-web:latest-optimized" in shown
    assert "To put it in the place of what runs: imgopt deploy shop-web:latest\n" in shown
    assert "docker image tag" not in shown
    rows = json.loads(imgopt("builds", name, "--json").stdout)
    assert {table: len(found) for table, found in rows.items()} == {
        "builds": 1,
        "build_attempts": 1,
        "build_rules": 2,
        "build_checks": 1,
    }
    assert [row["technique"] for row in rows["build_rules"]] == ["R3", "R10"]


@pytest.mark.usefixtures("built")
def test_what_failed_is_shown_with_its_log(imgopt: Run) -> None:
    shown = imgopt("builds", "shop-api:2").stdout.decode()
    assert "Candidate:" not in shown
    assert "log: /builds/33bb44/build-1.log" in shown
    assert "no build of that name" in imgopt("builds", "shop", code=3).stderr.decode()


def test_without_builds_the_command_that_makes_one_is_named(imgopt: Run, home: Path) -> None:
    home.mkdir()
    publish(home / "imgopt.duckdb", lambda connection: None)
    assert "imgopt optimize" in imgopt("builds").stdout.decode()
