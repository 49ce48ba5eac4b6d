"""What lies aside is kept for the retention, by a clock that cannot run fast, and goes after a fresh look."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from imgopt_pipeline.cleaning import aside
from imgopt_pipeline.cleaning.carrying_out import locked_host
from imgopt_pipeline.cleaning.fates import fates_of, plan_of, removal_step
from imgopt_pipeline.cleaning.finding import engine_of, users_of
from imgopt_pipeline.cleaning.in_use import Users
from imgopt_pipeline.cleaning.models import KIND, MOVED, Item
from imgopt_pipeline.cleaning.standing import standing
from imgopt_pipeline.errors import ImgoptError, StorageError
from imgopt_pipeline.hosts.mount_points import is_within
from imgopt_pipeline.hosts.mounted_directories import plain_path
from imgopt_pipeline.hosts.opening import open_host
from imgopt_pipeline.journal import clock as clocks
from imgopt_pipeline.journal.actions import actions_of
from imgopt_pipeline.journal.clock import Clock, Moment, certain_seconds
from imgopt_pipeline.journal.journal import BEGUN, DONE, SEEN, UNDONE, Journal
from imgopt_pipeline.journal.steps import Step, run_steps
from imgopt_pipeline.settings import Settings

LOOK: Final = "retention"
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Housekept:
    """What went for good, what is still kept, and why something due was left; `changed` are the journals."""

    removed: int = 0
    freed_bytes: int = 0
    kept: int = 0
    problems: tuple[str, ...] = ()
    changed: tuple[Journal, ...] = ()


def housekeeping_of(settings: Settings, *, clock: Clock = clocks.now) -> Housekept:
    """Remove what was moved aside `retention.backup_days` ago and that nobody uses. Raises StorageError."""
    result = Housekept()
    for journal in actions_of(settings.paths.actions, KIND):
        journal.clock = clock
        result = _with(result, _keep(settings, journal))
    return result


def _keep(settings: Settings, journal: Journal) -> Housekept:
    if not _lying(journal):
        return Housekept()
    host_name = plan_of(journal).host
    try:
        with locked_host(settings, host_name, f"imgopt housekeeping ({journal.action_id})"):
            journal = Journal(journal.folder, clock=journal.clock)  # as it is now that nobody else is at it
            lying = _lying(journal)
            journal.append(LOOK, SEEN)
            due = [item for item in lying if _is_due(settings, journal, item)]
            if not due:
                return Housekept(kept=len(lying))
            with open_host(settings, host_name) as opened:
                host = engine_of(opened)
                users = users_of(host, standing(host))
            results = [_remove(journal, item, users) for item in due]
    except StorageError:
        raise
    except ImgoptError as error:
        return Housekept(kept=len(_lying(journal)), problems=(str(error),))
    return _with(Housekept(kept=len(lying) - len(due), changed=(journal,)), *results)


def _lying(journal: Journal) -> list[Item]:
    return [fate.item for fate in fates_of(journal) if fate.outcome == MOVED]


def _is_due(settings: Settings, journal: Journal, item: Item) -> bool:
    if journal.last(removal_step(item), BEGUN) is not None:
        return True  # a removal that was cut off
    seconds = certain_seconds(_sightings(journal, item))
    return seconds >= settings.retention.backup_days * _DAY_SECONDS


def _sightings(journal: Journal, item: Item) -> list[Moment]:
    """When it was moved, and every time since that somebody looked; the last is now."""
    moved = journal.last(item.step, DONE)
    if moved is None:
        return []
    looks = [entry.moment for entry in journal.entries if entry.step == LOOK and entry.number > moved.number]
    return [moved.moment, *looks]


def _remove(journal: Journal, item: Item, users: Users | None) -> Housekept:
    if aside.stands(plain_path(item.key), item.inode or 0):
        journal.append(item.step, UNDONE)  # it was being put back when that was cut off
        return Housekept()
    path = aside.aside_path(plain_path(item.key), journal.action_id)
    reason = "the host is another machine" if users is None else users.why_held(path)
    if users is not None and any(is_within(mounted, path) for mounted in users.mount_paths()):
        reason = "something is mounted in it"
    if reason is not None:
        return Housekept(kept=1, problems=(f"{item.subject} stays aside: {reason}.",))
    try:
        run_steps(journal, [Step(removal_step(item), lambda: _remove_for_good(journal, item))])
    except StorageError:
        raise
    except ImgoptError as error:
        return Housekept(kept=1, problems=(str(error),))
    return Housekept(removed=1, freed_bytes=journal.facts(removal_step(item)).get("freed_bytes") or 0)


def _remove_for_good(journal: Journal, item: Item) -> dict[str, int | None]:
    path = plain_path(item.key)
    before = _free_bytes(path)
    aside.remove_for_good(path, journal.action_id, item.inode or 0)
    after = _free_bytes(path)
    return {"freed_bytes": None if before is None or after is None else max(0, after - before)}


def _free_bytes(path: str) -> int | None:
    try:
        status = os.statvfs(os.path.dirname(path))
    except OSError:
        return None
    return status.f_bfree * status.f_frsize


def _with(first: Housekept, *others: Housekept) -> Housekept:
    parts = (first, *others)
    return Housekept(
        removed=sum(part.removed for part in parts),
        freed_bytes=sum(part.freed_bytes for part in parts),
        kept=sum(part.kept for part in parts),
        problems=tuple(problem for part in parts for problem in part.problems),
        changed=tuple(journal for part in parts for journal in part.changed),
    )
