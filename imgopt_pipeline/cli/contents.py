"""`imgopt packages` and `imgopt space`: what fills the images of the newest audits."""

from __future__ import annotations

from typing import Annotated

import typer

from imgopt_pipeline.cli.images import check_host, find_image
from imgopt_pipeline.cli.output import print_json, show
from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.reports.audit import query
from imgopt_pipeline.reports.contents import packages_table, space_view
from imgopt_pipeline.settings import load_settings
from imgopt_pipeline.warehouse.store import snapshot

_SHOWN = 25
_ECOSYSTEMS = ("python", "node", "debian", "alpine", "conda", "none")
Image = Annotated[str | None, typer.Argument(help="Only this image: a tag, an ID or the beginning of one.")]
HostName = Annotated[str | None, typer.Option("--host", help="Only this host.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
All = Annotated[bool, typer.Option("--all", help="Show all of them, not only the biggest.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("packages")(packages)
    app.command("space")(space)


def packages(
    image: Image = None,
    ecosystem: Annotated[str | None, typer.Option(help=f"Only one of {', '.join(_ECOSYSTEMS)}.")] = None,
    every: All = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """List the packages of one image, or of all, biggest first, with the bytes that no package owns."""
    if ecosystem is not None and ecosystem not in _ECOSYSTEMS:
        raise SettingsError(f"there is no ecosystem {ecosystem!r}.", hint=f"Known: {', '.join(_ECOSYSTEMS)}.")
    with snapshot(load_settings().paths.database) as connection:
        check_host(connection, host)
        found = find_image(query(connection, "select_images", host=host), image) if image else None
        rows = query(
            connection,
            "select_packages",
            host=found["host"] if found else host,
            image_id=found["image_id"] if found else None,
        )
    rows = [row for row in rows if ecosystem is None or row["ecosystem"] == ecosystem]
    if json:
        print_json(rows)
    else:
        show(packages_table(rows, shown=len(rows) if every else _SHOWN, with_image=found is None))


def space(image: Image = None, host: HostName = None, json: Json = False) -> None:
    """Show what fills one image by category, or a host with every stored layer once. JSON rows make a treemap."""
    with snapshot(load_settings().paths.database) as connection:
        check_host(connection, host)
        if image:
            found = find_image(query(connection, "select_images", host=host), image)
            rows = query(connection, "select_space", host=found["host"], image_id=found["image_id"])
            views = [space_view(rows, found["name"])]
        else:
            rows = query(connection, "select_space_by_category", host=host)
            hosts = dict.fromkeys(row["host"] for row in rows)
            views = [
                space_view([row for row in rows if row["host"] == name], f"Host {name}", folders=False)
                for name in hosts
            ]
            if json:
                rows = query(connection, "select_space", host=host, image_id=None)
    if json:
        print_json(rows)
        return
    for view in views:
        show(*view)
