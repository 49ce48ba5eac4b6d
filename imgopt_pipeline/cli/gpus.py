"""`imgopt gpu-check`: the GPU verdict on an image or container of the newest audits, with the evidence."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

import typer

from imgopt_pipeline.cli.images import check_host
from imgopt_pipeline.cli.output import print_json, show
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.reports.audit import query
from imgopt_pipeline.reports.gpu import gpu_view
from imgopt_pipeline.settings import load_settings
from imgopt_pipeline.warehouse.store import snapshot


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("gpu-check")(gpu_check)


def gpu_check(
    subject: Annotated[str | None, typer.Argument(help="Only this image or container.")] = None,
    execute: Annotated[
        bool,
        typer.Option("--exec", help="Ask torch inside this running container, by running one line of Python in it."),
    ] = False,
    host: Annotated[str | None, typer.Option("--host", help="Only this host.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say for images and containers whether a GPU is built in, given, used and needed, with the evidence."""
    if execute:
        _execute(subject, host, json)
        return
    with snapshot(load_settings().paths.database) as connection:
        check_host(connection, host)
        checks = query(connection, "select_gpu_checks", host=host, image_id=None)
        images = query(connection, "select_images", host=host)
        containers = query(connection, "select_containers", host=host)
    if subject is not None:
        checks = _of_subject(checks, images, containers, subject)
    if json:
        print_json(checks)
    elif not checks:
        where = "" if subject is None else f" in {subject}"
        show(f"Nothing{where} has to do with a GPU: no GPU build, none given, none needed.")
    else:
        show(*gpu_view(checks))


def _of_subject(
    checks: list[dict[str, Any]], images: list[dict[str, Any]], containers: list[dict[str, Any]], subject: str
) -> list[dict[str, Any]]:
    """The checks of an image and its containers, or of one container. Raises ImageNotFound, with the nearest name."""
    tagged = subject if ":" in subject.rpartition("/")[2] else f"{subject}:latest"
    ids = {row["image_id"] for row in images if {subject, tagged} & {*row["image_references"], row["image_id"]}}
    named = {
        row["container_id"]
        for row in containers
        if subject in (row["name"], row["compose_service"], row["container_id"], row["container_id"][:12])
    }
    if not ids and not named:
        names = [name for row in images for name in row["image_references"]] + [row["name"] for row in containers]
        near = difflib.get_close_matches(subject, names, n=1, cutoff=0.4)
        raise ImageNotFound(
            "the newest audits know no such image or container.",
            subject=subject,
            hint=f"Did you mean {near[0]}?" if near else "`imgopt images` lists the images.",
        )
    return [row for row in checks if row["container_id"] in named or (not named and row["image_id"] in ids)]


def _execute(container: str | None, host_name: str | None, json: bool) -> None:
    from imgopt_pipeline.errors import SettingsError
    from imgopt_pipeline.gpu.execution import exec_torch_check
    from imgopt_pipeline.hosts.archives import ArchiveHost
    from imgopt_pipeline.hosts.opening import open_host

    if container is None:
        raise SettingsError("--exec needs the name of a running container.")
    settings = load_settings()
    with open_host(settings, host_name or next(iter(settings.hosts))) as host:
        if isinstance(host, ArchiveHost):
            raise SettingsError("--exec needs a host with an engine; this one is a folder of archives.")
        answer = exec_torch_check(host, container)
    if json:
        print_json(answer)
    else:
        show(*(f"{key}: {value}" for key, value in answer.items()))
