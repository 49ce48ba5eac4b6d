"""`imgopt optimize`, `imgopt rewrite` and `imgopt builds`: smaller images, built and checked, and the text alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from imgopt_pipeline.cli.output import errors, print_json, show, shown_progress
from imgopt_pipeline.errors import ImgoptError, SettingsError, StorageError
from imgopt_pipeline.settings import Settings, load_settings

Target = Annotated[str, typer.Argument(help="An image (tag, ID or its beginning), or a container that runs it.")]
Level = Annotated[str, typer.Option(help="How far to go: safe, balanced or aggressive.")]
Rules = Annotated[str, typer.Option(help="Only these rules, like R1,R5.")]
Without = Annotated[str, typer.Option(help="All but these rules.")]
HostName = Annotated[str | None, typer.Option("--host", help="The host that has the image.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Write = Annotated[bool, typer.Option("--write", help="Write the Dockerfile too; the old one stays beside it.")]
BACKUP_SUFFIX = ".before-imgopt"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("optimize")(optimize)
    app.command("rewrite")(rewrite)
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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and stop.")] = False,
    write: Write = False,
    host: HostName = None,
    json: Json = False,
) -> None:
    """Build a smaller image by a rewritten Dockerfile and check it against the one in use. Touch nothing that runs."""
    from imgopt_pipeline.builds.preparing import Options
    from imgopt_pipeline.builds.targets import prepared_target
    from imgopt_pipeline.reports.builds import preparation_document, preparation_view

    settings = load_settings()
    host_name = host or next(iter(settings.hosts))
    config: dict[str, Any] = {
        "level": level,
        "rules": _ids(rules),
        "without": _ids(without),
        "dockerfile": _full(dockerfile),
        "context": _full(context),
        "stage": stage,
        "arguments": [_argument_name(given) for given in build_arg or []],
        "budget": budget,
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
    with shown_progress(), prepared_target(settings, host_name, target, options) as (_, prepared):
        name = prepared.image.name
    if dry_run and json:
        print_json(preparation_document(prepared))
        return
    if not json:
        show(*preparation_view(prepared))
    if dry_run:
        return
    if prepared.worthwhile and not yes:
        _ask("Build and check it?", json=json)
    rows = _run(settings, host_name, name, config)
    if write and rows["builds"][0]["outcome"] == "kept":
        _write(
            prepared.source.dockerfile,
            Path(rows["builds"][0]["folder"], "Dockerfile").read_text(errors="surrogateescape"),
        )
    _print_build(rows, json=json)


def rewrite(
    dockerfile: Annotated[Path, typer.Argument(help="The Dockerfile.")] = Path("Dockerfile"),
    level: Level = "safe",
    rules: Rules = "",
    without: Without = "",
    context: Annotated[Path | None, typer.Option(help="The folder it is built in. Default: its own folder.")] = None,
    stage: Annotated[str | None, typer.Option("--target", help="The stage that matters. Default: the last.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the reasons above the diff, not on standard error.")
    ] = False,
    write: Write = False,
    json: Json = False,
) -> None:
    """Print a better Dockerfile as a diff that `patch` applies, by what its text alone justifies. Needs no engine."""
    from imgopt_pipeline.dockerfiles.context import read_context
    from imgopt_pipeline.dockerfiles.diff import unified_diff
    from imgopt_pipeline.dockerfiles.rewriting import chosen_rules
    from imgopt_pipeline.dockerfiles.rewriting import rewrite as rewritten_by
    from imgopt_pipeline.reports.builds import ignore_view, left_out_lines, reason_lines, rewrite_document

    chosen = chosen_rules(level, _ids(rules), _ids(without))
    text = _read(dockerfile)
    folder = context or dockerfile.absolute().parent
    result = rewritten_by(
        text, chosen, name=str(dockerfile), stage=stage, context=read_context(folder, str(dockerfile))
    )
    if json:
        print_json(rewrite_document(result, dockerfile.name))
    else:
        words = [*reason_lines(result), *ignore_view(result), *left_out_lines(result)]
        if explain:
            show(*words)
        else:
            for line in words:
                errors().print(line, markup=False, highlight=False, soft_wrap=True)
        diff = unified_diff(text, result.text, dockerfile.name)
        sys.stdout.buffer.write(diff.encode("utf-8", "surrogateescape"))
        if not diff and not explain:
            errors().print("Nothing to change by its text alone.", markup=False)
    if write and result.text != text:
        _write(dockerfile, result.text)


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
    from imgopt_pipeline.builds.flattening import LayerFilter
    from imgopt_pipeline.builds.preparing import engine_of, look_up
    from imgopt_pipeline.hosts.opening import open_host

    patterns = [name.strip() for name in prune.split(",") if name.strip()]
    LayerFilter(patterns)
    with open_host(settings, host_name) as opened:
        image = look_up(engine_of(opened), target).image
    if not json:
        without = f", without {', '.join(patterns)}" if patterns else ""
        show(f"{image.name}: one layer of what is visible in it{without}; its configuration stays.")
    if dry_run:
        return
    if not yes:
        _ask("Make and check it?", json=json)
    _print_build(_run(settings, host_name, image.name, {"flatten": True, "prune": patterns}), json=json)


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


def _print_build(rows: dict[str, list[dict[str, Any]]], *, json: bool) -> None:
    from imgopt_pipeline.reports.builds import build_view

    if json:
        print_json(rows)
    else:
        show("", *build_view(rows))
    if rows["builds"][0]["outcome"] == "failed":
        raise typer.Exit(1)


def _ask(question: str, *, json: bool) -> None:
    """Go on only on a person's word."""
    if json or not sys.stdin.isatty():
        raise SettingsError("nobody is there to ask.", hint="Add --yes, or --dry-run to see what would be done.")
    if not typer.confirm(question):
        raise typer.Exit(0)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise SettingsError(f"it cannot be read ({error.strerror}).", subject=str(path)) from error


def _write(path: Path, text: str) -> None:
    """Replace a user's Dockerfile, keeping what it was beside it."""
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    try:
        if not backup.exists():
            backup.write_bytes(path.read_bytes())
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(text.encode("utf-8", "surrogateescape"))
        part.chmod(path.stat().st_mode & 0o7777)
        os.replace(part, path)
    except OSError as error:
        raise ImgoptError(f"it cannot be written ({error.strerror}).", subject=str(path)) from error
    errors().print(f"Wrote {path}; what it was is {backup}.", markup=False, highlight=False, soft_wrap=True)


def _ids(given: str) -> list[str]:
    return [name.strip().upper() for name in given.split(",") if name.strip()]


def _full(path: Path | None) -> str | None:
    return str(path.absolute()) if path is not None else None


def _argument_name(given: str) -> str:
    if "=" in given:
        name = given.partition("=")[0]
        raise SettingsError(
            "--build-arg takes a name alone, so that no value is stored.", hint=f"Set {name} in the environment."
        )
    return given
