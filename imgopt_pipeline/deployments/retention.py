"""What is kept to go back goes when its time is over: backup names, containers set aside, the candidate's spare names.

Never while a container uses it or the deployment is not verified, and never early whatever the clock was set to. What
is freed is measured: layers that other images have in common free nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imgopt_pipeline.deployments.records import Record
from imgopt_pipeline.deployments.tags import drop, image_id_of
from imgopt_pipeline.deployments.work import Work
from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.journal.clock import Moment, certain_seconds
from imgopt_pipeline.journal.journal import BEGUN, DONE, SEEN
from imgopt_pipeline.journal.outcomes import RETENTION, ROLLED_BACK, UNCHANGED, VERIFIED
from imgopt_pipeline.services.finding import running_of
from imgopt_pipeline.services.recreating import remove_aside

_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Removal:
    """What went of one deployment's old state, or why it stays."""

    subject: str
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    freed_bytes: int = 0


def sight(record: Record) -> None:
    """Note that the old state is still there now: by such notes its age is counted across restarts."""
    record.journal.append(RETENTION, SEEN)


def is_due(record: Record, now: Moment) -> bool:
    """Whether the time that an old state is kept for is over, by every clock."""
    entry = record.outcome_entry
    if entry is None or record.removed is not None or record.pinned:
        return False
    if record.outcome not in (VERIFIED, ROLLED_BACK, UNCHANGED):
        return False
    seen = [each.moment for each in record.journal.entries if each.event == SEEN and each.number > entry.number]
    age_seconds = min(now.wall_seconds - entry.moment.wall_seconds, certain_seconds([entry.moment, *seen, now]))
    return age_seconds >= record.deployment.keep_days * _DAY_SECONDS


def kept_until(record: Record) -> datetime | None:
    """When it may go at the earliest, None where nothing says so or it is pinned."""
    entry = record.outcome_entry
    if entry is None or record.pinned:
        return None
    return entry.moment.at + timedelta(days=record.deployment.keep_days)


def names_of(record: Record) -> set[str]:
    """The images' names that a deployment stands on."""
    deployment = record.deployment
    return {deployment.backup_reference, deployment.deployed_reference, deployment.candidate.reference}


def remove_old_state(work: Work, record: Record, needed: Collection[str] = ()) -> Removal:
    """Remove what was kept to go back, where nothing uses it. Raises HostUnreachable.

    `needed`: names that other deployments stand on, such as an earlier or later one of the same images.
    """
    deployment, host = work.deployment, work.host
    ours = {old.container_id for plan in (*deployment.units, *deployment.following) for old in plan.containers}
    using = [] if record.outcome != VERIFIED else list(_users(host, deployment.old_image_id, ours))
    not_switched = record.outcome == VERIFIED and not all(
        deployment.candidate.image_id in work.unit(plan).image_ids for plan in deployment.units
    )
    if using or not_switched:
        why = f"{', '.join(using)} uses the old image" if using else "its service no longer runs the candidate"
        return Removal(deployment.subject, left=(why,))
    work.journal.append(RETENTION, BEGUN)
    before = stored_bytes(host)
    removed = list(_remove_containers(work))
    for name, image_id in _spare_names(record):
        try:
            if name not in needed and drop(host, name, image_id):
                removed.append(f"image name {name}")
        except UnreadableLayer as error:
            # Not journaled as done: the next housekeeping tries again.
            return Removal(deployment.subject, tuple(removed), (error.message.rstrip("."),))
    left: tuple[str, ...] = ()
    if record.outcome == VERIFIED and image_id_of(host, deployment.old_image_id) is not None:
        left = ("the old image has further names and stays",)
    freed_bytes = max(0, before - stored_bytes(host))
    work.journal.append(RETENTION, DONE, removed=removed, left=left, freed_bytes=freed_bytes)
    return Removal(deployment.subject, tuple(removed), left, freed_bytes)


def stored_bytes(host: EngineHost) -> int:
    """What images and the build cache take on the engine's disk, each layer once."""
    with engine_errors("the engine does not say what takes its disk"):
        usage: dict[str, Any] = host.client.df()
    cache = sum(int(item.get("Size") or 0) for item in usage.get("BuildCache") or [] if not item.get("Shared"))
    containers = sum(int(item.get("SizeRw") or 0) for item in usage.get("Containers") or [])
    return int(usage.get("LayersSize") or 0) + cache + containers


def _remove_containers(work: Work) -> Iterator[str]:
    for plan in (*work.deployment.units, *work.deployment.following):
        for old in plan.containers:
            found = running_of(work.host, old.container_id)
            if found is not None and found.name == work.aside(old.name):
                remove_aside(work.host, old.container_id)
                yield f"container {found.name}"


def _spare_names(record: Record) -> Iterator[tuple[str, str]]:
    """Names that nothing needs any more once the time is over, with the images that they stand for."""
    deployment = record.deployment
    candidate = deployment.candidate
    yield deployment.backup_reference, deployment.old_image_id
    if record.outcome != VERIFIED:
        yield deployment.deployed_reference, candidate.image_id
    elif deployment.moves_tag:
        yield deployment.deployed_reference, candidate.image_id
        yield candidate.reference, candidate.image_id


def _users(host: EngineHost, image_id: str, ours: set[str]) -> Iterator[str]:
    """Containers of an image, but not those that are kept as a way back; one that somebody started is in use again."""
    with engine_errors("the engine does not list its containers"):
        listed = host.client.containers(all=True)
    for item in listed:
        kept = item.get("Id") in ours and item.get("State") != "running"
        if item.get("ImageID") == image_id and not kept:
            yield str((item.get("Names") or ["?"])[0]).removeprefix("/")
