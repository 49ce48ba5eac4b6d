"""This project's Dagster instance: its folder, runs started from the command line, the web UI."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import dagster as dg

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.orchestration.assets import PARTITION_TAG
from imgopt_pipeline.orchestration.build import reconstruct_audit_job
from imgopt_pipeline.orchestration.housekeeping import CleanUp, clean_up
from imgopt_pipeline.settings import Settings, checkout


def run_audit(settings: Settings, host: str) -> str:
    """Run the audit job for a host in this process, in the instance that the UI shows; its run ID.

    Raises what stopped it.
    """
    with _instance(settings) as instance:
        result = dg.execute_job(
            dg.reconstructable(reconstruct_audit_job),
            instance,
            tags={PARTITION_TAG: host},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=True,
        )
        return str(result.run_id)


def run_housekeeping(settings: Settings) -> CleanUp:
    """Remove what is too old, in this process. Raises StorageError."""
    with _instance(settings) as instance:
        return clean_up(settings, instance)


def serve(settings: Settings, *, address: str, port: int) -> int:
    """Run Dagster's web server and daemon until interrupted; the exit code."""
    folder = prepare_instance(settings)
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-w",
        str(_resource("workspace.yaml")),
        "-h",
        address,
        "-p",
        str(port),
    ]
    environment = {**os.environ, "DAGSTER_HOME": str(folder), "IMGOPT_HOME": str(settings.home)}
    return subprocess.run(command, env=environment, cwd=folder, check=False).returncode


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


@contextmanager
def _instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    folder = prepare_instance(settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance


def _resource(name: str) -> Path:
    """A configuration file: at the top of a checkout, inside the package where that is installed."""
    top = checkout()
    return top / name if top else Path(str(resources.files("imgopt_pipeline").joinpath(name)))
