"""Figure: the audit of forty images of which none changed, and Dagster's own share of it.

Run as a module it is one of the processes compared with it: `domain`, the same steps and publishes without
Dagster; `dagster`, one job of an empty step in an instance like the audit's.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable

from benchmarks.fleet import IMAGES
from benchmarks.ground import Ground
from benchmarks.measuring import Command, run, side_by_side
from benchmarks.report import Figure

SECONDS = 6


def measure(ground: Ground) -> list[Figure]:
    """A first audit reads every layer; the measured ones find nothing new."""
    home = ground.home / "state-audit"
    shutil.rmtree(home, ignore_errors=True)
    audit = ground.imgopt("audit", "--json", engine=ground.fleet, home=home)
    first = run(audit)
    commands = {"audit": audit}
    for part in ("domain", "dagster"):
        commands[part] = Command(
            [sys.executable, "-m", "benchmarks.unchanged_audit", part], audit.environment, keep_output=False
        )
    found = side_by_side(ground.runs, commands)
    seconds = {name: samples.seconds for name, samples in found.items()}
    return [
        Figure(
            f"`imgopt audit` of {IMAGES} images, nothing changed since the last",
            f"< {SECONDS} s whole process, Dagster's own share shown",
            f"{seconds['audit']:.1f} s, Dagster's share {seconds['audit'] - seconds['domain']:.1f} s;"
            f" {found['audit'].peak_megabytes:.0f} MB",
            seconds["audit"] < SECONDS,
            f"the same steps and publishes in a process without Dagster take {seconds['domain']:.1f} s,"
            f" an empty Dagster job in a process of its own {seconds['dagster']:.1f} s;"
            f" the first audit, which read every layer, took {first.seconds:.1f} s.",
        )
    ]


def _domain() -> None:
    import uuid

    from imgopt_pipeline import auditing
    from imgopt_pipeline.settings import load_settings
    from imgopt_pipeline.warehouse.store import publish, replace_rows

    settings = load_settings()
    audit_id = str(uuid.uuid4())

    def store(rows: auditing.Rows) -> None:
        publish(settings.paths.database, lambda connection: replace_rows(connection, rows))

    for step in (auditing.take_images, auditing.take_containers, auditing.take_disk_usage):
        store(step(settings, "local", audit_id))
    for rows in auditing.analyse_layers(settings, "local", audit_id):
        store(rows)
    store(auditing.conclude(settings, "local", audit_id))


def _dagster() -> None:
    import logging
    import os

    import dagster as dg

    from imgopt_pipeline.orchestration.instance import prepare_instance
    from imgopt_pipeline.settings import load_settings

    @dg.op
    def nothing() -> None:
        pass

    @dg.job(executor_def=dg.in_process_executor)
    def empty() -> None:
        nothing()

    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    folder = prepare_instance(load_settings())
    os.environ["DAGSTER_HOME"] = str(folder)
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        empty.execute_in_process(instance=instance)


_PARTS: dict[str, Callable[[], None]] = {"domain": _domain, "dagster": _dagster}

if __name__ == "__main__":
    _PARTS[sys.argv[1]]()
