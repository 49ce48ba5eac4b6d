"""Schedules: the weekly audit, one run per host, and the daily housekeeping."""

from collections.abc import Iterator, Sequence

import dagster as dg

from imgopt_pipeline.orchestration.jobs import AUDIT, HOUSEKEEPING
from imgopt_pipeline.settings import ScheduleSettings


def audit_schedule(settings: ScheduleSettings, hosts: Sequence[str]) -> dg.ScheduleDefinition:
    """One run of the audit for each host."""

    @dg.schedule(
        name="weekly_audit",
        job_name=AUDIT,
        cron_schedule=settings.weekly_audit,
        execution_timezone=settings.timezone,
        default_status=_status(settings),
        description=f"Audits every host: {', '.join(hosts)}.",
    )
    def weekly_audit(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for host in hosts:
            yield dg.RunRequest(run_key=f"{host}@{context.scheduled_execution_time:%Y-%m-%dT%H:%M}", partition_key=host)

    return weekly_audit


def housekeeping_schedule(settings: ScheduleSettings) -> dg.ScheduleDefinition:
    """The daily housekeeping."""
    return dg.ScheduleDefinition(
        name="daily_housekeeping",
        job_name=HOUSEKEEPING,
        cron_schedule=settings.daily_housekeeping,
        execution_timezone=settings.timezone,
        default_status=_status(settings),
    )


def _status(settings: ScheduleSettings) -> dg.DefaultScheduleStatus:
    running = settings.status == "running"
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
