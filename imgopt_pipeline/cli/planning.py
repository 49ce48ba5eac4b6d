"""`imgopt findings`, `imgopt plan` and `imgopt explain`: what was found, what to do, and why."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

import duckdb
import typer

from imgopt_pipeline.cli.images import check_host, find_image
from imgopt_pipeline.cli.output import narrow, print_json, show
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.reports.audit import query
from imgopt_pipeline.reports.explanation import explanation_view
from imgopt_pipeline.reports.findings import findings_table, findings_view
from imgopt_pipeline.reports.plan import item_view, plan_view
from imgopt_pipeline.settings import load_settings
from imgopt_pipeline.warehouse.store import snapshot

_SHOWN = 30
HostName = Annotated[str | None, typer.Option("--host", help="Only this host.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("plan")(plan)
    app.command("findings")(findings)
    app.command("explain")(explain)


def plan(
    every: Annotated[bool, typer.Option("--all", help="Say also of what is left alone why.")] = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """Show what to do first, what it gives back, how risky it is, why, and the commands that do it."""
    with snapshot(load_settings().paths.database) as connection:
        check_host(connection, host)
        rows = query(connection, "select_plan", host=host)
    if json:
        print_json(rows)
        return
    if not rows:
        show("There is no plan yet: run `imgopt audit`.")
    for name in dict.fromkeys(row["host"] for row in rows):
        show(f"Host {name}", *plan_view([row for row in rows if row["host"] == name], narrow=narrow(), every=every))


def findings(
    subject: Annotated[str | None, typer.Argument(help="Only on this image, container, volume or directory.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule, like gpu-build-without-gpu.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all of them, not only the first.")] = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """List what the rules found in the newest audits; with a name or a rule, the evidence and what to do."""
    with snapshot(load_settings().paths.database) as connection:
        check_host(connection, host)
        image_id = None
        if subject is not None:
            tagged = {subject, f"{subject}:latest"}
            images = query(connection, "select_images", host=host)
            known = [row for row in images if tagged & {*row["image_references"], row["image_id"]}]
            image_id = known[0]["image_id"] if known else None
            if not known:
                _check_subject(connection, subject, images, host)
        rows = query(connection, "select_findings", host=host, rule=rule, subject=subject, image_id=image_id)
    if json:
        print_json(rows)
    elif not rows:
        show("Nothing was found." if subject is None else f"Nothing was found on {subject}.")
    elif subject is not None or rule is not None:
        show(*findings_view(rows))
    else:
        show(*findings_table(rows, shown=None if every else _SHOWN))


def explain(
    target: Annotated[
        str,
        typer.Argument(help="An image of the newest audits (a tag, an ID or its beginning), or what the plan names."),
    ],
    host: HostName = None,
    json: Json = False,
) -> None:
    """Explain one image on one screen: layers, what fills it, waste, GPU verdict with evidence, plan."""
    with snapshot(load_settings().paths.database) as connection:
        check_host(connection, host)
        about = [row for row in query(connection, "select_plan", host=host) if target in (row["subject"], row["path"])]
        if about and all(row["image_id"] is None for row in about):
            found = query(connection, "select_findings", host=host, rule=None, subject=target, image_id=None)
            _explain_item(about, found, json=json)
            return
        containers = query(connection, "select_containers", host=host)
        used = next((row["image_id"] for row in containers if row["name"] == target), target)
        image = find_image(query(connection, "select_images", host=host), used)
        scope = {"host": image["host"], "image_id": image["image_id"]}
        layers = query(connection, "select_image_layers", **scope)
        space = query(connection, "select_space", **scope)
        packages = query(connection, "select_packages", **scope)
        checks = query(connection, "select_gpu_checks", **scope)
        found = query(connection, "select_findings", rule=None, subject=image["name"], **scope)
        found = [row for row in found if row["image_id"] == image["image_id"]]
        planned = [row for row in query(connection, "select_plan", host=image["host"]) if _is_about(row, image)]
    if json:
        print_json(
            {
                **image,
                "layers": layers,
                "space": space,
                "packages": packages,
                "gpu_checks": checks,
                "findings": found,
                "plan": planned,
            }
        )
    else:
        show(*explanation_view(image, layers, space, packages, checks, found, planned))


def _explain_item(about: list[dict[str, Any]], found: list[dict[str, Any]], *, json: bool) -> None:
    """What the plan says of a directory, a volume or the host, with the findings on it."""
    if json:
        print_json({"plan": about, "findings": found})
        return
    for row in about:
        show(*item_view(row))
    if found:
        show("", *findings_view(found))


def _is_about(row: dict[str, Any], image: dict[str, Any]) -> bool:
    """Whether an item is about an image, by itself or as one of a group that its command names."""
    if row["image_id"] is not None or row["subject_kind"] != "host":
        return bool(row["image_id"] == image["image_id"])
    return not {image["image_id"], *image["image_references"]}.isdisjoint(row["command"].split())


def _check_subject(
    connection: duckdb.DuckDBPyConnection, subject: str, images: list[dict[str, Any]], host: str | None
) -> None:
    """Raise ImageNotFound for a subject that the newest audits do not know, with the nearest that they do."""
    names = {name for row in images for name in row["image_references"]}
    for listed, column in (("containers", "name"), ("data_directories", "path"), ("plan", "subject")):
        names |= {row[column] for row in query(connection, f"select_{listed}", host=host)}
    found = query(connection, "select_findings", host=host, rule=None, subject=None, image_id=None)
    names |= {row["subject"] for row in found}
    if subject not in names:
        near = difflib.get_close_matches(subject, sorted(names), n=1, cutoff=0.4)
        raise ImageNotFound(
            "the newest audits know nothing of that name.",
            subject=subject,
            hint=f"Did you mean {near[0]}?" if near else "`imgopt findings` lists all.",
        )
