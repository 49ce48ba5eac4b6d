"""`imgopt audit`: runs the audit job, and ends with the report."""

from __future__ import annotations

from typing import Annotated

import typer

from imgopt_pipeline.cli.demos import audit_demo
from imgopt_pipeline.cli.images import print_reports
from imgopt_pipeline.cli.output import errors, shown_progress
from imgopt_pipeline.errors import HostUnreachable
from imgopt_pipeline.settings import ARCHIVES_HOST, DEMO_HOST, Settings, load_settings
from imgopt_pipeline.warehouse.store import fetch_rows, snapshot


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("audit")(audit)


def audit(
    host: Annotated[list[str] | None, typer.Option("--host", help="Only this host; may be repeated.")] = None,
    else_demo: Annotated[
        bool, typer.Option("--else-demo", help="Without an engine and archives here, audit the demo fleet instead.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Audit the configured hosts (by default the local engine) and print the report. Changes nothing on them."""
    settings = load_settings()
    try:
        hosts = _chosen(settings, host)
    except HostUnreachable as error:
        if not else_demo or host:
            raise
        errors().print(
            f"{error}\nShowing the demo fleet meanwhile: a server that is made up, at true sizes.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        audit_demo(settings)
        print_reports(settings, [DEMO_HOST], json=json)
        return
    from imgopt_pipeline.orchestration.running import run_audit

    with shown_progress():
        statuses = [_status(settings, run_audit(settings, name)) for name in hosts]
    print_reports(settings, hosts, json=json)
    raise typer.Exit(3 if all(status == "unreachable" for status in statuses) else 0)


def _chosen(settings: Settings, named: list[str] | None) -> list[str]:
    """The hosts to audit. Without an engine on this machine, the archive folder takes its place."""
    from imgopt_pipeline.hosts.opening import check_host_name, open_host

    if named:
        for name in named:
            check_host_name(settings, name)
        return named
    if list(settings.hosts) != ["local"] or settings.hosts["local"].engine != "auto":
        return list(settings.hosts)
    try:
        with open_host(settings, "local"):
            return ["local"]
    except HostUnreachable as error:
        folder = settings.archives_folder
        if not folder.is_dir() or not any(folder.iterdir()):
            raise HostUnreachable(
                str(error),
                hint=f"Or put image archives (`docker save`) into {folder}.",
            ) from error
        note = f"{error} Auditing the image archives in {folder} instead."
        errors().print(note, markup=False, highlight=False, soft_wrap=True)
        return [ARCHIVES_HOST]


def _status(settings: Settings, audit_id: str) -> str:
    with snapshot(settings.paths.database) as connection:
        rows = fetch_rows(connection, "SELECT status FROM audits WHERE audit_id = $audit_id", audit_id=audit_id)
    return str(rows[0]["status"]) if rows else "unreachable"
