"""The source of a verified migration goes when its time is over and a person has said so, after both sides were read.

Never early, whatever the clock was set to; never a file whose copy is not what it was, unless services wrote there
since and a person accepts that. What is freed is measured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.journal.clock import Moment, certain_seconds
from imgopt_pipeline.journal.journal import BEGUN, DONE, NOTED, SEEN
from imgopt_pipeline.journal.outcomes import RETENTION, VERIFIED
from imgopt_pipeline.migrations.deleting import Deleted, delete_set_aside
from imgopt_pipeline.migrations.handed_over import handed_over, opened_copy, refuse
from imgopt_pipeline.migrations.ledger import ledger
from imgopt_pipeline.migrations.models import Entry, MoveFailed, listing
from imgopt_pipeline.migrations.mounts import held
from imgopt_pipeline.migrations.records import Record
from imgopt_pipeline.migrations.switching import mounts_new_places
from imgopt_pipeline.migrations.tree import opened, walk
from imgopt_pipeline.migrations.verifying import verify
from imgopt_pipeline.migrations.work import Work
from imgopt_pipeline.names import original, printable
from imgopt_pipeline.services.finding import running_of
from imgopt_pipeline.services.models import Refused
from imgopt_pipeline.services.recreating import aside_name, remove_aside

_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of one migration's source. `left` says why it stays."""

    subject: str
    left: str = ""
    files: int = 0
    freed_bytes: int = 0


def sight(record: Record) -> None:
    """Note that the source is still there now: by such notes its age is counted across restarts."""
    record.journal.append(RETENTION, SEEN)


def approve_deletion(record: Record, by: str, accepted: frozenset[bytes]) -> None:
    """Record a person's word. `accepted`: paths whose originals go although their copy is another by now, or gone."""
    record.journal.append(RETENTION, NOTED, approved_by=by, accepted=sorted(map(printable, accepted)))


def approved_by(record: Record) -> str | None:
    """Who said that the source may go when its time is over, None where nobody did since it was verified."""
    word, outcome = record.journal.last(RETENTION, NOTED), record.outcome_entry
    if word is None or outcome is None or word.number < outcome.number:
        return None
    return f"{word.facts['approved_by']}, {word.moment.at:%Y-%m-%d %H:%M} UTC"


def is_due(record: Record, now: Moment) -> bool:
    """Whether the time that the source is kept for is over, by every clock."""
    entry = record.outcome_entry
    if entry is None or record.outcome != VERIFIED or record.removed is not None:
        return False
    seen = [each.moment for each in record.journal.entries if each.event == SEEN and each.number > entry.number]
    age_seconds = min(now.wall_seconds - entry.moment.wall_seconds, certain_seconds([entry.moment, *seen, now]))
    return age_seconds >= record.migration.keep_days * _DAY_SECONDS


def kept_until(record: Record) -> datetime | None:
    """When the source may go at the earliest, None where it stays."""
    entry = record.outcome_entry
    if entry is None or record.outcome != VERIFIED:
        return None
    return entry.moment.at + timedelta(days=record.migration.keep_days)


def written_since(work: Work) -> frozenset[bytes]:
    """Paths that were handed over, and are changed or gone at the destination by now. Raises MountGone, MoveFailed."""
    with held(work.move) as place, opened_copy(place, work.move) as root, handed_over(work.move) as known:
        left = known.all_paths()
        changed = set[bytes]()
        for entry in walk(root, refuse):
            left.discard(entry.path)
            if known.knows(entry.path) and not known.as_it_was(entry):
                changed.add(entry.path)
        place.check()
    return frozenset(changed | left)


def delete_source(work: Work, record: Record) -> Removal:
    """Delete the source, if its services use the new place and every file is there as it was.

    Raises Refused, with what differs, MoveFailed, HostUnreachable.
    """
    subject = work.migration.subject
    if approved_by(record) is None:
        return Removal(subject, left="it may go, once a person says so (`--delete-source`)")
    elsewhere = [plan.name.words for plan in work.migration.units if not mounts_new_places(work.unit(plan), plan)]
    if elsewhere:
        return Removal(subject, left=f"{', '.join(elsewhere)} does not use the new place")
    word = record.journal.last(RETENTION, NOTED)
    accepted = frozenset(map(original, word.facts["accepted"])) if word is not None else frozenset()
    work.journal.append(RETENTION, BEGUN)
    if work.migration.sets_aside:
        deleted = delete_set_aside(work.move, accepted=accepted)
    else:
        deleted = _delete_volume(work, accepted)
    _remove_containers(work)
    work.journal.append(RETENTION, DONE, files=deleted.files, freed_bytes=deleted.freed_bytes)
    return Removal(subject, files=deleted.files, freed_bytes=deleted.freed_bytes)


def _delete_volume(work: Work, accepted: frozenset[bytes]) -> Deleted:
    """Remove the volume that was left where it was. The engine refuses while a container has it."""
    move, volume = work.move, work.migration.volume
    assert volume is not None
    if not os.path.lexists(move.source):
        return Deleted(0, 0, 0)
    _remove_containers(work)  # set aside, they would hold it
    different = frozenset(verify(move, everything=True).different) - accepted
    different |= _not_as_listed(work) - accepted
    if different:
        raise Refused(
            f"paths of the volume differ from the copy, or are not there: {listing(different)}. Nothing was deleted.",
            subject=volume,
        )
    before = os.statvfs(move.source)
    try:
        with engine_errors("the engine does not remove the volume"):
            work.host.client.remove_volume(volume)
    except UnreadableLayer as error:
        raise Refused(error.message, subject=volume, hint="Nothing was deleted.") from error
    after = os.statvfs(move.source.parent.parent)
    with ledger(move.ledger) as known:
        totals = known.totals()
    return Deleted(totals.files, (after.f_bfree - before.f_bfree) * after.f_frsize, totals.file_bytes)


def _remove_containers(work: Work) -> None:
    for plan in work.migration.units:
        for old in plan.containers:
            found = running_of(work.host, old.container_id)
            if found is not None and found.name == aside_name(old.name, work.migration.migration_id):
                remove_aside(work.host, old.container_id)


def _not_as_listed(work: Work) -> frozenset[bytes]:
    """What of the volume is another than was copied: something wrote there since."""

    def failed(path: bytes, error: OSError) -> None:
        raise MoveFailed(f"it cannot be read ({error.strerror}).", subject=str(work.move.source)) from error

    other = set[bytes]()
    with ledger(work.move.ledger) as known, opened(work.move.source) as root:
        for entry in walk(root, failed):
            noted = known.knows(entry.path)
            if noted is None or (entry.kind == "file" and _identity(entry) != _identity(noted[0])):
                other.add(entry.path)
    return frozenset(other)


def _identity(entry: Entry) -> tuple[object, ...]:
    return entry.kind, entry.size_bytes, entry.mtime_ns, entry.ctime_ns, entry.device, entry.inode
