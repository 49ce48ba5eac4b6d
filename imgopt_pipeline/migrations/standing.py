"""What stands where of a migration, in sentences, and the commands that do by hand what a way back does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.migrations.migration import Migration, UnitPlan
from imgopt_pipeline.migrations.models import Move, MoveFailed
from imgopt_pipeline.migrations.mounts import held
from imgopt_pipeline.migrations.quiescing import seen_places
from imgopt_pipeline.migrations.work import Work
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.commands import word as shell_word
from imgopt_pipeline.services.finding import running_of
from imgopt_pipeline.services.recreating import aside_name


def standing(work: Work) -> list[str]:
    """What stands where."""
    move = work.move
    lines = [
        f"{name} {printable(str(path))} {'is there' if os.path.lexists(path) else 'is not there'}"
        for name, path in (
            ("the source", move.source),
            ("the source set aside", move.aside),
            ("the copy", move.final),
            ("the copy under its first name", move.partial),
        )
    ]
    try:
        for plan in work.migration.units:
            lines += _standing_unit(work, plan)
    except ImgoptError as error:
        lines.append(f"the rest cannot be seen: {error}")
    return lines


def manual_commands(migration: Migration, folder: Path) -> list[str]:
    """The commands that put everything back by hand, safe to paste; `folder` is the migration's own."""
    move = migration.move(folder)
    kept = move.aside if migration.sets_aside else move.source
    return _commands(migration, move, [_bringing_back(move, kept)], renamed=migration.sets_aside)


def commands_left(work: Work, *, files_left: bool, in_part: bool = False) -> list[str]:
    """Those that are left, by what stands now.

    `files_left`: services wrote at the destination what is only there; `in_part`: some of that may be here already.
    """
    move, kept = work.move, work.kept if work.kept.exists() else work.move.source
    bringing = list[str]()
    if files_left:
        away = _away(move)
        bringing = _without(move, kept, away, in_part=in_part) if away else [_bringing_back(move, kept)]
    return _commands(work.migration, move, bringing, renamed=os.path.lexists(move.aside))


def _commands(migration: Migration, move: Move, bringing: list[str], *, renamed: bool) -> list[str]:
    commands = [command for plan in migration.units for command in _stopping(plan)] + bringing
    if renamed:
        commands.append(f"mv --no-target-directory -- {_word(str(move.aside))} {_word(str(move.source))}")
    return commands + [command for plan in migration.units for command in _starting(migration, plan)]


def _bringing_back(move: Move, into: Path) -> str:
    # By content, whatever the times say: nothing but an earlier try can have written here since.
    options = "--archive --hard-links --acls --xattrs --checksum"
    return f"rsync {options} -- {_word(f'{move.final}/')} {_word(f'{into}/')}"


def _without(move: Move, kept: Path, away: str, *, in_part: bool) -> list[str]:
    """What to know where that cannot be done now."""
    written = f"what was written at {printable(str(move.final))} since it was in use"
    lines = [
        f"The destination is away ({printable(away)}): {written} would be missing"
        + (", all or a part of it, so that old and new files would be mixed." if in_part else "."),
        "Have it mounted again first, and then do this before what follows:",
        f"  {_bringing_back(move, kept)}",
    ]
    if not in_part:
        lines += [
            "Or go on without. What was written stays there; bring it back later, with the containers stopped, by",
            f"  {_bringing_back(move, move.source)}",
        ]
    return [f"# {line}" for line in lines]


def _away(move: Move) -> str:
    """Why the destination cannot be read now; empty where it can."""
    try:
        with held(move):
            return "" if os.path.lexists(move.final) else "it is not there"
    except MoveFailed as error:
        return error.message.rstrip(".")


def _standing_unit(work: Work, plan: UnitPlan) -> Iterator[str]:
    for one in work.unit(plan).containers:
        state = printable(str((one.inspected.get("State") or {}).get("Status") or "?"))
        sees = sorted(folder for place, folder in seen_places(one) if place in plan.places)
        yield f"container {one.name} is {state} and sees {', '.join(map(printable, sees)) or 'nothing of it'}"
    for old in plan.containers:
        found = running_of(work.host, old.container_id)
        if found is not None and found.name != old.name:
            yield f"the old container {old.name} is kept as {found.name}"
    if plan.override is not None:
        there = "is there" if plan.override.exists() else "is not there"
        yield f"the override file {printable(str(plan.override))} {there}"


def _word(text: str) -> str:
    return shell_word(printable(text))


def _stopping(plan: UnitPlan) -> list[str]:
    return [f"docker container stop {_word(old.name)}" for old in plan.containers]


def _starting(migration: Migration, plan: UnitPlan) -> Iterator[str]:
    name = plan.name.compose
    if name is not None:
        if plan.override is not None:
            yield f"rm -- {_word(str(plan.override))}"
        files = " ".join(f"-f {_word(str(file))}" for file in name.files if file != plan.override)
        program = "docker compose" if name.compose_major > 1 else "docker-compose"
        start = f"{program} -p {_word(name.project)} --project-directory {_word(str(name.folder))} {files}"
        scale = f" --scale {_word(f'{name.service}={plan.replicas}')}" if plan.replicas != 1 else ""
        yield f"{start} up -d --no-deps --no-build --force-recreate{scale} {_word(name.service)}"
        return
    for old in plan.containers:
        # Only where the old one was set aside: the name is its own otherwise.
        aside = _word(aside_name(old.name, migration.migration_id))
        yield (
            f"docker container inspect {aside} > /dev/null && docker container rm {_word(old.name)}"
            f" && docker container rename {aside} {_word(old.name)}"
        )
        if policy := old.restart_policy.get("Name"):
            yield f"docker container update --restart={_word(str(policy))} {_word(old.name)}"
        if old.running:
            yield f"docker container start {_word(old.name)}"
