"""Installed as a wheel, without a checkout around it, the program finds its SQL and YAML files and its folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.small_archive import write_archive

TOP = Path(__file__).parents[1]


def test_an_installed_wheel_audits_and_loads_in_dagster(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path / "dist"), str(TOP)]
    subprocess.run(built, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    site, home, elsewhere = tmp_path / "site", tmp_path / "home", tmp_path / "elsewhere"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True)
    elsewhere.mkdir()
    data = home / ".local" / "share" / "imgopt"
    write_archive(data / "archives" / "one.tar", "demo/one:1", [{"a": b"x" * 1000}])
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(site),
        "DOCKER_HOST": f"unix://{home}/none.sock",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", *arguments], env=environment, cwd=elsewhere, capture_output=True, text=True
        )

    audit = run("-m", "imgopt_pipeline.cli", "audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert "demo/one:1" in audit.stdout
    assert str(data / "imgopt.duckdb") in audit.stdout
    where = run("-c", "import imgopt_pipeline; print(imgopt_pipeline.__file__)")
    assert where.stdout.startswith(str(site))
    assert (data / "dagster" / "dagster.yaml").read_text() == (TOP / "dagster.yaml").read_text()
    workspace = site / "imgopt_pipeline" / "workspace.yaml"
    valid = run("-m", "dagster", "definitions", "validate", "-w", str(workspace))
    assert valid.returncode == 0, valid.stdout + valid.stderr
