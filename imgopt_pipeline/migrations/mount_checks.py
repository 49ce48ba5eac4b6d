"""Whether the data that was moved is still where its services look for it, and they look nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from imgopt_pipeline.hosts.models import Problem
from imgopt_pipeline.journal.outcomes import VERIFIED
from imgopt_pipeline.migrations.migration import Migration
from imgopt_pipeline.migrations.mounts import mount_of
from imgopt_pipeline.migrations.records import records
from imgopt_pipeline.names import printable

KIND = "mount gone"


def gone_mounts(actions_folder: Path, host: str) -> list[Problem]:
    """The verified migrations of a host whose data is not there now, with what to do. Reads no journal's files."""
    return list(_gone(actions_folder, host))


def _gone(actions_folder: Path, host: str) -> Iterator[Problem]:
    for record in records(actions_folder, host):
        migration = record.migration
        if record.outcome != VERIFIED:
            continue
        units = ", ".join(plan.name.words for plan in migration.units)
        if migration.sets_aside and os.path.lexists(migration.source):
            files = ", ".join(printable(str(plan.override)) for plan in migration.units if plan.override is not None)
            yield Problem(
                migration.subject,
                KIND,
                f"{printable(str(migration.source))} was made anew, and is not the data: that is in"
                f" {printable(str(migration.final))}.",
                f"Something brought {units} up as before the move. Compose must load {files or 'the new place'} too.",
            )
        if reason := _why_gone(migration):
            yield Problem(
                migration.subject,
                KIND,
                f"the mount {printable(str(migration.mount_point))} is gone ({reason}): {units} has no data.",
                f"Mount it again, then start {units}. `RequiresMountsFor=` has the engine wait for it.",
            )


def _why_gone(migration: Migration) -> str:
    try:
        mount = mount_of(migration.final)
    except OSError as error:
        return f"{printable(str(migration.final))}: {error.strerror}"
    if (mount.mount_point, mount.filesystem) != (migration.mount_point, migration.filesystem):
        return f"{printable(str(migration.final))} lies on {printable(str(mount.mount_point))}, {mount.filesystem}"
    return ""
