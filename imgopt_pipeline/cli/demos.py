"""`imgopt demo`: makes the demo fleet, a full server at its true sizes in a few megabytes, and audits it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgopt_pipeline.cli.images import print_reports
from imgopt_pipeline.cli.output import show, shown_progress
from imgopt_pipeline.settings import DEMO_HOST, Settings, load_settings


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("demo")(demo)


def demo(
    fleet: Annotated[
        Path | None, typer.Option("--fleet", help="Make the fleet of this declaration instead; see docs/guide/demo.md.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the fleet and its audits again.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Make the demo fleet (a full server, true sizes, a few MB of disk) and audit it as host `demo`."""
    settings = load_settings()
    if remove:
        _remove(settings)
        return
    audit_demo(settings, fleet)
    print_reports(settings, [DEMO_HOST], json=json)


def _remove(settings: Settings) -> None:
    from imgopt_pipeline.demo.generator import remove_fleet
    from imgopt_pipeline.warehouse.retention import forget_host

    remove_fleet(settings.paths.demo)
    if settings.paths.database.exists():
        forget_host(settings.paths.database, DEMO_HOST)
    show("The demo fleet and its audits are gone.")


def audit_demo(settings: Settings, fleet: Path | None = None) -> None:
    """Make the fleet where it is not there yet, and audit it."""
    from imgopt_pipeline.demo.generator import make_fleet
    from imgopt_pipeline.orchestration.running import run_audit

    with shown_progress():
        make_fleet(fleet, settings.paths.demo)
        run_audit(load_settings(), DEMO_HOST)
