"""Carrying a cleaning out: each thing is looked at once more right before it goes, and journaled before and after.

What fails, or is in use by now, is left; the rest goes on. A cleaning that was cut off is never gone on with: removing
takes a person's word at that time. It is brought to an end by looking at what stands.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from imgopt_pipeline.cleaning import aside, build_cache, containers, images, volumes
from imgopt_pipeline.cleaning.directories import judged
from imgopt_pipeline.cleaning.fates import fates_of, plan_of
from imgopt_pipeline.cleaning.finding import engine_of, users_of
from imgopt_pipeline.cleaning.models import (
    BUILD_CACHE,
    CONTAINER,
    DIRECTORY,
    IMAGE,
    KIND,
    LEFT,
    MOVED,
    REMOVED,
    VOLUME,
    CleaningFailed,
    Item,
    Plan,
)
from imgopt_pipeline.cleaning.standing import standing, taken_bytes
from imgopt_pipeline.errors import ImgoptError, StorageError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.host_gpus import runs_here
from imgopt_pipeline.hosts.mounted_directories import plain_path
from imgopt_pipeline.hosts.opening import open_host
from imgopt_pipeline.journal import clock as clocks
from imgopt_pipeline.journal.actions import actions_of
from imgopt_pipeline.journal.clock import Clock
from imgopt_pipeline.journal.journal import BEGUN, DONE, NOTED, Journal
from imgopt_pipeline.journal.locks import host_lock, locked
from imgopt_pipeline.journal.outcomes import ACTION, OUTCOME
from imgopt_pipeline.journal.steps import Step, run_steps, undo_steps
from imgopt_pipeline.progress import current
from imgopt_pipeline.services.models import Refused, SubjectNotFound
from imgopt_pipeline.settings import Settings

Facts = Mapping[str, Any]


def clean(settings: Settings, host: EngineHost, plan: Plan, *, clock: Clock = clocks.now) -> Journal:
    """Do what a plan says; its journal. Raises Busy, and StorageError where the journal cannot be written."""
    journal = Journal(settings.paths.actions / _new_id(), clock=clock)
    with locked_host(settings, plan.host, f"imgopt clean ({journal.action_id})"):
        journal.append(ACTION, NOTED, **plan.to_json())
        journal.reserve()
        for item in plan.found.items:
            current().start(f"{item.kind} {item.subject}")
            _try(journal, item, partial(_carry_out, host, plan, journal.action_id, item))
        journal.append(OUTCOME, NOTED, outcome="finished")
        journal.release()
    return journal


def resume(journal: Journal, settings: Settings) -> str:
    """Bring a cleaning that was cut off to its end, removing nothing more; what was done of it, in a sentence.

    Raises Busy, HostUnreachable.
    """
    with _held(journal, settings, f"imgopt resume ({journal.action_id})") as held:
        _settle(held, settings)
        return in_words(held)


def undo(journal: Journal, settings: Settings) -> list[str]:
    """Move back what lies aside; the reasons why some of it could not be. Raises Busy, Refused where nothing can be."""
    with _held(journal, settings, f"imgopt clean --undo {journal.action_id}") as held:
        _settle(held, settings)
        back = [fate.item for fate in fates_of(held) if fate.outcome == MOVED]
        if not back:
            raise Refused(
                "nothing of this cleaning lies aside (any more); what it removed cannot come back.",
                subject=held.action_id,
            )
        failures = []
        for item in back:
            try:
                undo_steps(held, [Step(item.step, dict, partial(_put_back, held, item))])
            except StorageError:
                raise
            except ImgoptError as error:
                failures.append(str(error))
        return failures


def open_cleanings(settings: Settings, host_name: str) -> list[Journal]:
    """The cleanings of a host that have not come to their ends, those under way included."""
    cleanings = actions_of(settings.paths.actions, KIND)
    return [each for each in cleanings if plan_of(each).host == host_name and each.last(OUTCOME) is None]


def resume_cleanings(settings: Settings, host_name: str) -> list[str]:
    """Bring all cleanings of a host that were cut off to their ends. Raises Busy where one is at work."""
    return [resume(journal, settings) for journal in open_cleanings(settings, host_name)]


def cleaning_journal(settings: Settings, action_id: str) -> Journal:
    """The journal of a cleaning, by its ID or the beginning of it. Raises SubjectNotFound."""
    cleanings = actions_of(settings.paths.actions, KIND)
    chosen = [journal for journal in cleanings if action_id and journal.action_id.startswith(action_id)]
    if len(chosen) != 1:
        raise SubjectNotFound(
            "there are several such cleanings." if chosen else "there is no such cleaning.",
            subject=action_id,
            hint='`imgopt sql "FROM cleanings"` lists them.',
        )
    return chosen[0]


def in_words(journal: Journal) -> str:
    """What was done, in a sentence."""
    fates = fates_of(journal)
    done = [f"{fate.item.kind} {fate.item.subject}: {fate.outcome}" for fate in fates if fate.outcome != LEFT]
    left = sum(fate.outcome == LEFT for fate in fates)
    return f"Cleaning {journal.action_id}: {'; '.join(done) or 'nothing was removed'}. {left} left as it was."


def _try(journal: Journal, item: Item, do: Callable[[], Facts]) -> None:
    """A step whose failure is journaled, and is not the end of the others."""
    try:
        run_steps(journal, [Step(item.step, do)])
    except StorageError:
        raise  # of the journal: nothing more may be changed
    except ImgoptError as error:
        current().note(str(error))


def _carry_out(host: EngineHost, plan: Plan, action_id: str, item: Item) -> Facts:
    reason = _why_kept(host, plan, item)
    if reason is not None:
        return {"outcome": LEFT, "detail": reason}
    if item.kind == DIRECTORY:
        return _move_aside(host, action_id, item)
    before = _free_bytes(host)
    _remove(host, plan, item)
    if item.kind != BUILD_CACHE and _is_there(host, item):
        raise CleaningFailed("the engine did not remove it.", subject=item.subject)
    after = _free_bytes(host)
    return {"outcome": REMOVED, "freed_bytes": _freed_bytes(item, before, after)}


def _why_kept(host: EngineHost, plan: Plan, item: Item) -> str | None:
    """Why it must stay, as it stands this moment."""
    if item.kind == BUILD_CACHE:
        return None  # the engine tells by itself what is old
    seen = standing(host)
    if item.kind == IMAGE:
        return images.why_kept(host, item.key, seen)
    if item.kind == VOLUME:
        return volumes.why_kept(item.key, seen)
    if item.kind == CONTAINER:
        found = seen.container(item.key)
        if found is None:
            return "it went meanwhile"
        reason = containers.why_kept(found, seen)
        if reason is None and not item.named:
            reason = containers.why_too_young(found, seen.now, plan.older_than_days)
            reason = reason or containers.why_changed(host, found)
        return reason
    users = users_of(host, seen)
    if users is None:
        return "the host is another machine"
    one = judged(plain_path(item.key), users.mount_paths())
    if one is None:
        return "it went meanwhile"
    if one.inode != item.inode:
        return "it was made anew meanwhile"
    return one.reason or users.why_in_use(one.path)


def _remove(host: EngineHost, plan: Plan, item: Item) -> None:
    if item.kind == CONTAINER:
        containers.remove_container(host, item.key)
    elif item.kind == IMAGE:
        images.remove_image(host, item.key)
    elif item.kind == VOLUME:
        volumes.remove_volume(host, item.key)
    else:
        build_cache.remove_build_cache(host, older_than_days=plan.older_than_days, kept_bytes=plan.kept_cache_bytes)


def _is_there(host: EngineHost, item: Item) -> bool:
    seen = standing(host)
    if item.kind == CONTAINER:
        return seen.container(item.key) is not None
    if item.kind == IMAGE:
        return images.is_there(host, item.key)
    return volumes.is_there(host, item.key)


def _move_aside(host: EngineHost, action_id: str, item: Item) -> Facts:
    path, inode = plain_path(item.key), item.inode or 0
    aside.move_aside(path, action_id, inode)
    # Whoever opened something there in the last moment still has it.
    users = users_of(host, standing(host))
    reason = users.why_held(aside.aside_path(path, action_id)) if users else "the host is another machine"
    if reason is None:
        return {"outcome": MOVED}
    try:
        aside.put_back(path, action_id, inode)
    except ImgoptError as error:
        return {"outcome": MOVED, "detail": f"{reason}; it could not be put back: {error}"}
    return {"outcome": LEFT, "detail": reason}


@contextmanager
def _held(journal: Journal, settings: Settings, what: str) -> Iterator[Journal]:
    """The journal as it is once nobody else is at work on its host."""
    with locked_host(settings, plan_of(journal).host, what):
        yield Journal(journal.folder, clock=journal.clock)


def _settle(journal: Journal, settings: Settings) -> None:
    if journal.last(OUTCOME) is not None:
        return
    plan = plan_of(journal)
    for item in plan.found.items:
        last = journal.last(item.step)
        if last is not None and last.event == BEGUN:
            journal.append(item.step, DONE, **_as_it_stands(settings, plan, journal.action_id, item))
    journal.append(OUTCOME, NOTED, outcome="cut off")
    journal.release()


def _put_back(journal: Journal, item: Item) -> Facts:
    aside.put_back(plain_path(item.key), journal.action_id, item.inode or 0)
    return {}


def _as_it_stands(settings: Settings, plan: Plan, action_id: str, item: Item) -> Facts:
    """What became of a step that was begun and cut off."""
    if item.kind == DIRECTORY:
        moved = aside.lies_aside(plain_path(item.key), action_id, item.inode or 0)
        return {"outcome": MOVED} if moved else {"outcome": LEFT, "detail": "cut off before it was moved"}
    if item.kind == BUILD_CACHE:
        return {"outcome": REMOVED, "detail": "cut off: some of it may be left", "freed_bytes": None}
    with open_host(settings, plan.host) as opened:
        there = _is_there(engine_of(opened), item)
    return {"outcome": LEFT, "detail": "cut off before it went"} if there else {"outcome": REMOVED, "freed_bytes": None}


def _freed_bytes(item: Item, before: int | None, after: int | None) -> int | None:
    """What became free; never more than it took: others remove things from that disk as well."""
    if before is None or after is None:
        return None
    most_bytes = item.size_bytes if item.most_bytes is None else item.most_bytes
    freed_bytes = max(0, after - before)
    return freed_bytes if most_bytes is None else min(freed_bytes, most_bytes)


def _free_bytes(host: EngineHost) -> int | None:
    """What is free where the engine keeps its data; of another machine, what the engine no longer takes of it."""
    facts = host.facts()
    if runs_here(facts.local, facts.root_dir):
        try:
            status = os.statvfs(plain_path(facts.root_dir))
        except OSError:
            return None
        return status.f_bfree * status.f_frsize
    return -sum(taken_bytes(host))


@contextmanager
def locked_host(settings: Settings, host_name: str, what: str) -> Iterator[None]:
    """Keep two cleanings off one host. Raises Busy."""
    with locked(settings.paths.locks, [host_lock(host_name)], what):
        yield


def _new_id() -> str:
    return f"clean-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
