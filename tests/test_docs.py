"""The documents are true where a machine can tell.

Generated pages are up to date and leave nothing out; every SQL example runs on a warehouse of real audits, and the
worked queries of all views find rows there; commands shown parse; links and anchors lead somewhere.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.main import get_command

from imgopt_pipeline.cli.app import app
from imgopt_pipeline.settings import (
    BuildSettings,
    DeploymentSettings,
    DoubleSettings,
    FindingSettings,
    GateSettings,
    HostSettings,
    LimitSettings,
    MoveSettings,
    ProbeSettings,
    RetentionSettings,
    ScheduleSettings,
    Settings,
    TargetSettings,
)
from imgopt_pipeline.warehouse.schema import warehouse_schema
from imgopt_pipeline.warehouse.store import publish, replace_rows, snapshot
from tests.small_archive import write_archive
from tests.warehouse.builds_made import attempt_row, build_row, check_row, rule_row
from tests.warehouse.deployments_made import deployment_row
from tests.warehouse.migrations_made import migration_row

TOP = Path(__file__).parents[1]
DOCS = TOP / "docs"
REFERENCE = DOCS / "reference"
PAGES = [TOP / "README.md", *sorted(DOCS.rglob("*.md"))]
VIEWS = [view.name for view in warehouse_schema().values() if view.kind == "view"]
SECTIONS: dict[str, type[BaseModel]] = {
    "hosts.NAME": HostSettings,
    "schedule": ScheduleSettings,
    "retention": RetentionSettings,
    "gates": GateSettings,
    "findings": FindingSettings,
    "limits": LimitSettings,
    "builds": BuildSettings,
    "targets.NAME": TargetSettings,
    "targets.NAME.probes": ProbeSettings,
    "targets.NAME.doubles.SERVICE": DoubleSettings,
    "deployments": DeploymentSettings,
    "migrations.NAME": MoveSettings,
}
BUILDS = {
    "builds": [build_row("b1", "shop_api:2", host="demo")],
    "build_attempts": [attempt_row("b1", 1, outcome="check failed"), attempt_row("b1", 2)],
    "build_rules": [rule_row("b1", "R3"), rule_row("b1", "R9", decision="dropped", measured=None)],
    "build_checks": [check_row("b1", 1, "start", outcome="failed"), check_row("b1", 2, "gpu", outcome="unverified")],
    "deployments": [deployment_row("d1", "shop_api:2", host="demo")],
    "migrations": [migration_row("m1", host="demo")],
}
PROGRAM: Any = get_command(app)
FLEET = """
bases:
  debian:
    - by: "# debian.sh"
      debian: [libc6=2.41-12: 200kB, gcc-14=14.2.0: {size: 300kB, section: devel}]
images:
  - name: shop_api:2
    base: debian
    layers:
      - run: pip install -r requirements.txt
        size: 12MB
        python: [torch==2.8.0+cu128: {size: 11MB, files: {torch/lib/libtorch_cuda.so: 9MB}}]
      - copy: . /app
        text: {app/main.py: "import torch\\ndevice = 'cuda' if torch.cuda.is_available() else 'cpu'\\n"}
  - name: shop_api:1
    base: debian
    created: 2025-06-01T10:00:00Z
    layers:
      - run: pip install -r requirements.txt
        size: 12.1MB
        python: [torch==2.8.0+cu128: {size: 11MB, files: {torch/lib/libtorch_cuda.so: 9MB}}]
  - {name: shop_worker:2, base: shop_api:2, env: {ROLE: worker}}
containers:
  - {name: shop_api_1, image: shop_api:2, mounts: ["/srv/shop/media:/media", "shop_data:/data"]}
volumes: {shop_data: 1MB, old_data: 2MB}
directories: [{path: /srv/shop/media, files: {clip.mp4: {size: 120MB, modified_days: 400, read_days: 300}}}]
"""


def blocks(language: str) -> Iterator[Any]:
    """All fenced blocks of a language, as parameters of a test."""
    for page in PAGES:
        for number, block in enumerate(re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.S | re.M), 1):
            yield pytest.param(block, id=f"{page.relative_to(TOP)}-{number}")


def commands() -> Iterator[Any]:
    """All commands of the program shown in blocks for the shell."""
    for parameter in blocks("sh"):
        for line in str(parameter.values[0]).splitlines():
            if line.startswith("imgopt "):
                yield pytest.param(line, id=f"{parameter.id}-{line}")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse after audits of a small fleet, and of archives: two, one of which has grown, and a broken one; with
    an optimized build."""
    home = tmp_path_factory.mktemp("docs")
    (home / "none.yaml").touch()
    (home / "fleet.yaml").write_text(FLEET)
    archives = home / "archives"
    layers = [{"srv/a": b"x" * 100_000, "srv/b": b"y" * 500}, {"srv/a": b"z" * 700}]
    write_archive(archives / "one.tar", "demo/one:1", layers)
    write_archive(archives / "two.tar", "demo/two:1", layers[:1])
    (archives / "broken.tar").write_bytes(b"no archive")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("IMGOPT_", "DOCKER_"))}
    environment |= {"IMGOPT_HOME": str(home), "IMGOPT_CONFIG": str(home / "none.yaml"), "HOME": str(home)}
    program = [sys.executable, "-m", "imgopt_pipeline.cli"]

    def run(*words: str) -> None:
        # A process of its own: Dagster keeps the job of the first settings that a process loads.
        subprocess.run([*program, *words], env=environment | {"PYTHONPATH": str(TOP)}, cwd=home, check=True)

    run("demo", "--fleet", str(home / "fleet.yaml"))
    run("audit", "--host", "archives")
    write_archive(archives / "one.tar", "demo/one:1", [*layers, {"srv/c": b"w" * 900}])
    run("audit", "--host", "archives")
    publish(home / "imgopt.duckdb", lambda connection: replace_rows(connection, BUILDS))
    return home / "imgopt.duckdb"


def make_docs(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the script as `make docs` does, in a narrow terminal, which must not matter."""
    script = [sys.executable, str(TOP / "scripts" / "make_docs.py"), *arguments]
    environment = os.environ | {"COLUMNS": "40", "PYTHONPATH": str(TOP)}
    return subprocess.run(script, env=environment, capture_output=True, text=True)


def test_generated_pages_are_up_to_date() -> None:
    done = make_docs("--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stale_page_is_named(tmp_path: Path) -> None:
    assert make_docs("--folder", str(tmp_path)).returncode == 0
    assert make_docs("--check", "--folder", str(tmp_path)).returncode == 0
    (tmp_path / "cli.md").write_text("of an older version")
    done = make_docs("--check", "--folder", str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path / 'cli.md'} is out of date" in done.stderr
    assert "tables.md" not in done.stderr
    assert (tmp_path / "cli.md").read_text() == "of an older version"


@pytest.mark.parametrize("name", PROGRAM.commands)
def test_every_command_is_documented_with_its_options(name: str) -> None:
    section = section_of(REFERENCE / "cli.md", name)
    for parameter in PROGRAM.commands[name].params:
        assert parameter.help, f"{parameter.name} has no help"
        named = parameter.opts[0] if parameter.param_type_name == "option" else parameter.name
        assert re.search(rf"^  (-\w, )?{re.escape(named)}\b", section, re.M), f"{named} is missing"
    assert f"imgopt {name}" in (TOP / "README.md").read_text()
    assert any(f"imgopt {name}" in page.read_text() for page in (DOCS / "guide").glob("*.md"))


@pytest.mark.parametrize("table", warehouse_schema().values(), ids=lambda table: table.name)
def test_every_table_and_view_is_documented_with_its_columns(table: Any) -> None:
    section = section_of(REFERENCE / "tables.md", table.name)
    assert table.comment in section
    for column in table.columns:
        assert f"| `{column.name}` | {column.type} |" in section
        assert column.comment in section


def test_every_setting_is_documented() -> None:
    for name, model in SECTIONS.items():
        section = section_of(REFERENCE / "settings.md", name)
        for key in model.model_fields:
            assert f"| `{key}` |" in section, f"{name}.{key}"
    for name in Settings.model_fields.keys() - {name.partition(".")[0] for name in SECTIONS}:
        assert f"| `{name}` |" in section_of(REFERENCE / "settings.md", "At the top")


@pytest.mark.parametrize("statement", list(blocks("sql")))
def test_sql_in_the_documents_runs(warehouse: Path, statement: str) -> None:
    with snapshot(warehouse) as connection:
        assert connection.execute(statement).description


@pytest.mark.parametrize("view", VIEWS)
def test_worked_queries_find_something(warehouse: Path, view: str) -> None:
    text = (REFERENCE / "queries" / f"{view}.sql").read_text()
    assert text.startswith("-- ")
    assert re.search(rf"\bFROM {view}\b", text)
    with snapshot(warehouse) as connection:
        assert connection.execute(text).fetchall()


def test_there_is_no_query_without_its_view() -> None:
    assert {path.stem for path in (REFERENCE / "queries").iterdir()} == set(VIEWS)


@pytest.mark.parametrize("line", list(commands()))
def test_commands_shown_parse(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    PROGRAM.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_every_page_is_on_the_map() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)\)", (DOCS / "README.md").read_text()))
    found = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert found - linked == {"README.md"}


def test_nothing_names_an_address_or_a_machine_of_ours() -> None:
    # Where PyTorch publishes its CPU builds is a default; what Docker's own pages define is cited.
    public = ("https://download.pytorch.org/whl/cpu", "https://docs.docker.com/")
    allowed = ("http://127.0.0.1", "http://{address}", "https://example.org", *public)
    files = [*PAGES, *REFERENCE.rglob("*.sql"), *(TOP / "imgopt_pipeline").rglob("*.py")]
    files += [*(TOP / "imgopt_pipeline").rglob("*.sql"), *TOP.glob("*.yaml"), TOP / "Makefile", TOP / "pyproject.toml"]
    # Where this checkout lies; by the whole path where that begins in a folder every machine has.
    top_folder = TOP.parts[1]
    own = f"{TOP}/" if top_folder in ("home", "mnt", "opt", "root", "srv", "tmp", "usr", "var") else f"/{top_folder}/"
    for file in files:
        text = file.read_text()
        addresses = [word for word in re.findall(r"https?://\S*", text) if not word.startswith(allowed)]
        assert addresses == [], file
        assert not re.search(rf"(?<![\w.]){re.escape(own)}", text), file


def section_of(page: Path, heading: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page.read_text(), re.S | re.M)
    assert found is not None, f"{page.name} has no heading {heading!r}"
    return found[1]


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
