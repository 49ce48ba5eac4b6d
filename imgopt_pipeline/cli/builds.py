"""`imgopt optimize` and `imgopt builds`: smaller images, built and checked, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgopt_pipeline.cli.asking import DryRun, HostName, Json, Yes, ask
from imgopt_pipeline.cli.output import print_json, show, shown_progress
from imgopt_pipeline.cli.rewriting import Level, Rules, Without, Write, rule_ids
from imgopt_pipeline.errors import SettingsError, StorageError
from imgopt_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from imgopt_pipeline.builds.preparing import InUse

Target = Annotated[
    str, typer.Argument(help="An image (tag, ID or its beginning), or a service or container that runs it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("optimize")(optimize)
    app.command("builds")(builds)


def optimize(
    target: Target,
    level: Level = "safe",
    rules: Rules = "",
    without: Without = "",
    dockerfile: Annotated[Path | None, typer.Option(help="What it is built from, where nothing says so.")] = None,
    context: Annotated[Path | None, typer.Option(help="The folder it is built in.")] = None,
    stage: Annotated[str | None, typer.Option("--target", help="The stage that it is built to.")] = None,
    build_arg: Annotated[
        list[str] | None, typer.Option("--build-arg", help="Name of a build argument; its value from the environment.")
    ] = None,
    budget: Annotated[int | None, typer.Option(help="Most builds to try. Default: builds.budget.", min=1)] = None,
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Make one layer of what is visible in it instead.")
    ] = False,
    prune: Annotated[str, typer.Option(help="With --flatten: leave out, like docs,man,locales,caches.")] = "",
    anyway: Annotated[bool, typer.Option("--anyway", help="Also by what is likely another Dockerfile.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    write: Write = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """Build a smaller image by a rewritten Dockerfile and check it against the one in use. Touch nothing that runs."""
    from imgopt_pipeline.builds.preparing import Options, engine_of, look_up
    from imgopt_pipeline.builds.targets import prepared_target
    from imgopt_pipeline.hosts.opening import open_host
    from imgopt_pipeline.reports.builds import preparation_document, preparation_view

    if json and not (yes or dry_run):
        raise SettingsError("a program cannot be asked.", hint="Add --yes, or --dry-run to see what would be done.")
    settings = load_settings()
    host_name = host or next(iter(settings.hosts))
    config: dict[str, Any] = {
        "level": level,
        "rules": rule_ids(rules),
        "without": rule_ids(without),
        "dockerfile": _full(dockerfile),
        "context": _full(context),
        "stage": stage,
        "arguments": [_argument_name(given) for given in build_arg or []],
        "budget": budget,
        "anyway": anyway,
        "write": write,
    }
    if flatten:
        _flatten(settings, host_name, target, prune, yes=yes, dry_run=dry_run, json=json)
        return
    options = Options(
        level=level,
        rules=tuple(config["rules"]),
        without=tuple(config["without"]),
        dockerfile=config["dockerfile"],
        context=config["context"],
        stage=stage,
        argument_names=tuple(config["arguments"]),
        budget=budget,
    )
    if yes and not dry_run:
        with open_host(settings, host_name) as opened:
            in_use = look_up(engine_of(opened), target)
    else:
        with shown_progress(), prepared_target(settings, host_name, target, options) as (_, prepared):
            in_use = prepared.in_use
        if json and dry_run:
            print_json(preparation_document(prepared))
        else:
            show(*preparation_view(prepared))
        if dry_run or not prepared.worthwhile:
            return
        ask("Build and check it?")
        config["anyway"] = True  # whoever said yes has read what speaks against it
    rows = _run(settings, host_name, in_use.image.name, config)
    _print_build(rows, in_use, json=json, diff=yes)


def builds(
    build: Annotated[str | None, typer.Argument(help="An image, or the ID of a build; default: all.")] = None,
    host: HostName = None,
    json: Json = False,
) -> None:
    """List optimized builds; of one, what each rule and check came to."""
    from imgopt_pipeline.reports.audit import query
    from imgopt_pipeline.reports.builds import build_view, builds_table
    from imgopt_pipeline.warehouse.store import snapshot

    settings = load_settings()
    with snapshot(settings.paths.database) as connection:
        listed = query(connection, "select_builds", host=host, build_id=None, reference=None)
    if build is None:
        if json:
            print_json(listed)
        else:
            show(builds_table(listed) if listed else "Nothing was built yet: `imgopt optimize IMAGE` does.")
        return
    named = [
        row
        for row in listed
        if row["build_id"].startswith(build) or build in (row["reference"], row["reference"].removesuffix(":latest"))
    ]
    if not named:
        raise StorageError("no build of that name is known.", subject=build, hint="`imgopt builds` lists them.")
    rows = _stored(settings, named[0]["build_id"])
    if json:
        print_json(rows)
    else:
        show(*build_view(rows))


def _flatten(
    settings: Settings, host_name: str, target: str, prune: str, *, yes: bool, dry_run: bool, json: bool
) -> None:
    from imgopt_pipeline.builds.builder.flattening import LayerFilter
    from imgopt_pipeline.builds.preparing import engine_of, look_up
    from imgopt_pipeline.hosts.opening import open_host

    patterns = [name.strip() for name in prune.split(",") if name.strip()]
    LayerFilter(patterns)
    with open_host(settings, host_name) as opened:
        in_use = look_up(engine_of(opened), target)
    name = in_use.image.name
    if not json:
        without = f", without {', '.join(patterns)}" if patterns else ""
        show(f"{name}: one layer of what is visible in it{without}; its configuration stays.")
    if dry_run:
        return
    if not yes:
        ask("Make and check it?")
    _print_build(_run(settings, host_name, name, {"flatten": True, "prune": patterns}), in_use, json=json)


def _run(settings: Settings, host_name: str, reference: str, config: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    from imgopt_pipeline.builds.targets import target_key
    from imgopt_pipeline.orchestration.running import run_optimize

    given = {key: value for key, value in config.items() if value is not None}
    with shown_progress():
        build_id = run_optimize(settings, target_key(host_name, reference), given)
    return _stored(settings, build_id)


def _stored(settings: Settings, build_id: str) -> dict[str, list[dict[str, Any]]]:
    from imgopt_pipeline.reports.audit import query
    from imgopt_pipeline.warehouse.store import snapshot

    with snapshot(settings.paths.database) as connection:
        return {
            "builds": query(connection, "select_builds", build_id=build_id, host=None, reference=None),
            **{
                table: query(connection, f"select_{table}", build_id=build_id)
                for table in ("build_attempts", "build_rules", "build_checks")
            },
        }


def _print_build(rows: dict[str, list[dict[str, Any]]], in_use: InUse, *, json: bool, diff: bool = False) -> None:
    from imgopt_pipeline.planning.commands import unit_of
    from imgopt_pipeline.reports.builds import build_diff_view, build_view

    if json:
        print_json(rows)
    else:
        show(*(build_diff_view(rows) if diff else ()), "", *build_view(rows, unit_of(in_use.image, in_use.containers)))
    if rows["builds"][0]["outcome"] == "failed":
        raise typer.Exit(1)


def _full(path: Path | None) -> str | None:
    return str(path.absolute()) if path is not None else None


def _argument_name(given: str) -> str:
    if "=" in given:
        name = given.partition("=")[0]
        raise SettingsError(
            "--build-arg takes a name alone, so that no value is stored.", hint=f"Set {name} in the environment."
        )
    return given
