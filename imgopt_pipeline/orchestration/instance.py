"""This project's Dagster instance: its folder with dagster.yaml, and the processes of the UI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

from imgopt_pipeline.errors import Interrupted, StorageError
from imgopt_pipeline.settings import Settings, checkout, config_path


def serve(settings: Settings, *, address: str, port: int) -> int:
    """Run Dagster's web server and the daemon of its schedules until Ctrl-C or one ends; the exit code."""
    folder = prepare_instance(settings)
    environment = {**os.environ, "DAGSTER_HOME": str(folder), "IMGOPT_HOME": str(settings.paths.home)}
    if (path := config_path()) is not None:
        environment["IMGOPT_CONFIG"] = str(path.absolute())
    workspace = ["-w", str(_resource("workspace.yaml"))]
    programs = Path(sys.executable).parent
    commands = [
        [
            programs / "dagster-webserver",
            *workspace,
            "-h",
            address,
            "-p",
            str(port),
            "--log-level",
            "warning",
        ],
        [programs / "dagster-daemon", "run", *workspace, "--log-level", "warning"],
    ]
    running = [subprocess.Popen([str(word) for word in command], env=environment, cwd=folder) for command in commands]
    try:
        while all(process.poll() is None for process in running):
            time.sleep(0.5)
        return next(code for process in running if (code := process.poll()) is not None)
    except Interrupted:
        return 0
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def prepare_instance(settings: Settings) -> Path:
    """The instance's folder with dagster.yaml in it. Raises StorageError."""
    folder = settings.paths.dagster
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_resource("dagster.yaml"), folder / "dagster.yaml")
    except OSError as error:
        raise StorageError(
            f"Dagster's folder cannot be written ({error.strerror}).",
            subject=str(folder),
            hint="Set IMGOPT_HOME.",
        ) from error
    return folder


def _resource(name: str) -> Path:
    """A configuration file: at the top of a checkout, inside the package where that is installed."""
    top = checkout()
    return top / name if top else Path(str(resources.files("imgopt_pipeline").joinpath(name)))
