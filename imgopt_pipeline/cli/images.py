"""`imgopt images`, `imgopt image` and `imgopt report`: what the newest audits know."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

import duckdb
import typer

from imgopt_pipeline.cli.output import narrow, print_json, program, show
from imgopt_pipeline.errors import ImageNotFound, SettingsError
from imgopt_pipeline.reports.audit import audit_reports, images_table, query, report_view, where_to_look
from imgopt_pipeline.reports.stored_image import stored_image_view
from imgopt_pipeline.settings import Settings, load_settings
from imgopt_pipeline.warehouse.store import snapshot

_EVERY_HOST: list[str | None] = [None]
HostName = Annotated[str | None, typer.Option("--host", help="Only this host.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("report")(report)
    app.command("images")(images)
    app.command("image")(image)


def report(host: HostName = None, json: Json = False) -> None:
    """Show the report of the newest audit of each host."""
    print_reports(load_settings(), [host] if host else None, json=json)


def images(host: HostName = None, json: Json = False) -> None:
    """List all images of the newest audits, biggest first."""
    settings = load_settings()
    with snapshot(settings.paths.database) as connection:
        check_host(connection, host)
        rows = query(connection, "select_images", host=host)
    if json:
        print_json(rows)
        return
    limit_bytes = settings.gates.image_bytes
    for name in dict.fromkeys(row["host"] for row in rows):
        of_host = [row for row in rows if row["host"] == name]
        show(f"Host {name}", images_table(of_host, limit_bytes=limit_bytes, narrow=narrow()))


def image(
    reference: Annotated[str, typer.Argument(help="A tag, an image ID or the beginning of one.")],
    host: HostName = None,
    json: Json = False,
) -> None:
    """Show one image of the newest audit: layers, dead files, containers."""
    with snapshot(load_settings().paths.database) as connection:
        row = find_image(query(connection, "select_images", host=host), reference)
        scope = {"image_id": row["image_id"]}
        layers = query(connection, "select_image_layers", host=row["host"], **scope)
        waste = query(connection, "select_image_waste", **scope)
        containers = query(connection, "select_image_containers", host=row["host"], **scope)
    if json:
        print_json({**row, "layers": layers, "dead_files": waste, "containers_using_it": containers})
    else:
        show(*stored_image_view(row, layers, waste, containers))


def print_reports(settings: Settings, hosts: list[str] | None, *, json: bool = False) -> None:
    """The reports of some hosts, or of all."""
    with snapshot(settings.paths.database) as connection:
        for host in hosts or []:
            check_host(connection, host)
        found = [item for host in (hosts or _EVERY_HOST) for item in audit_reports(connection, host)]
    if not found:
        raise ImageNotFound(
            "there is no audit of it yet.",
            subject=", ".join(hosts or ["any host"]),
            hint="Run `imgopt audit`.",
        )
    if json:
        print_json(
            [
                {
                    "audit": item.audit,
                    "images": item.images,
                    "disk_usage": item.usage,
                    "plan": item.plan,
                    "problems": item.problems,
                }
                for item in found
            ]
        )
        return
    for item in found:
        show(*report_view(item, limit_bytes=settings.gates.image_bytes, narrow=narrow()))
    show(where_to_look(settings.paths.database, program()))


def check_host(connection: duckdb.DuckDBPyConnection, host: str | None) -> None:
    """Raise SettingsError for a host that was never audited, with the nearest that was."""
    known = [name for (name,) in connection.execute("SELECT DISTINCT host FROM audits ORDER BY host").fetchall()]
    if host is not None and host not in known:
        near = difflib.get_close_matches(host, known, n=1)
        raise SettingsError(
            f"there is no audit of a host {host!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
            hint=f"Audited: {', '.join(known)}." if known else "Run `imgopt audit`.",
        )


def find_image(rows: list[dict[str, Any]], reference: str) -> dict[str, Any]:
    """The image of that tag, repository, ID or beginning of an ID. Raises ImageNotFound, with the nearest name."""
    tagged = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
    for row in rows:
        if row["image_id"] == reference or {reference, tagged} & set(row["image_references"]):
            return row
    versions = [row for row in rows if any(name.rpartition(":")[0] == reference for name in row["image_references"])]
    if len(versions) == 1:
        return versions[0]
    prefix = reference.removeprefix("sha256:")
    by_id = [row for row in rows if row["image_id"].removeprefix("sha256:").startswith(prefix)]
    if len(by_id) == 1:
        return by_id[0]
    names = [name for row in rows for name in row["image_references"]]
    near = difflib.get_close_matches(reference, names, n=1, cutoff=0.4)
    raise ImageNotFound(
        "the newest audits know no such image." if not by_id else f"{len(by_id)} images have IDs that begin so.",
        subject=reference,
        hint=f"Did you mean {near[0]}?" if near else "`imgopt images` lists them.",
    )
