"""What was cut off on a host is brought to an outcome before anything new begins there: finished, or taken back.

Belongs here: asking each kind of action for what it left open. How one is settled stands with that kind.
"""

from __future__ import annotations

from imgopt_pipeline.cleaning.carrying_out import open_cleanings, resume_cleanings
from imgopt_pipeline.cleaning.rows import publish_cleanings
from imgopt_pipeline.deployments.records import records
from imgopt_pipeline.deployments.targets import resume_deployments
from imgopt_pipeline.hosts.opening import check_host_name
from imgopt_pipeline.journal.outcomes import OPEN
from imgopt_pipeline.migrations.records import records as migration_records
from imgopt_pipeline.migrations.targets import resume_migrations
from imgopt_pipeline.settings import Settings


def unfinished(settings: Settings, host_name: str) -> list[str]:
    """IDs of the actions on a host that have not come to an outcome, those under way included. Asks no host."""
    check_host_name(settings, host_name)
    deployments = [
        record.deployment.deployment_id
        for record in records(settings.paths.actions, host_name)
        if record.outcome == OPEN
    ]
    # One that only copies is in nobody's way.
    migrations = [
        record.migration.migration_id
        for record in migration_records(settings.paths.actions, host_name)
        if record.outcome == OPEN and not record.copying
    ]
    cleanings = [journal.action_id for journal in open_cleanings(settings, host_name)]
    return deployments + migrations + cleanings


def resume_host(settings: Settings, host_name: str) -> list[str]:
    """Settle what a crash left on a host; what came of it, in sentences.

    Raises Busy where a process is still at one, HostUnreachable, RollbackFailed.
    """
    check_host_name(settings, host_name)
    settled = [row for rows in resume_deployments(settings, host_name) for row in rows["deployments"]]
    settled += [row for rows in resume_migrations(settings, host_name) for row in rows["migrations"]]
    cleanings = resume_cleanings(settings, host_name)
    if cleanings:
        publish_cleanings(settings)
    return [*(f"{row['subject']}: {row['summary']}" for row in settled), *cleanings]
