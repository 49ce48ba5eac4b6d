"""The decision on each large data directory: move it, remove what can be made again, or leave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from imgopt_pipeline.planning import commands
from imgopt_pipeline.planning.facts import AuditFacts, DirectoryFacts
from imgopt_pipeline.planning.priorities import Item
from imgopt_pipeline.units import format_bytes

LARGE_BYTES = 100_000_000
MOVABLE = ("audio", "video", "images", "models", "archives")
REBUILDABLE = ("node_modules", "build output")
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class OwnBytes:
    """A directory and what of it lies in no other directory of the audit: all bytes, and those by kind."""

    directory: DirectoryFacts
    size_bytes: int
    by_kind: Mapping[str, int]

    def of(self, kinds: Sequence[str]) -> int:
        """Bytes of these kinds."""
        return sum(self.by_kind.get(kind, 0) for kind in kinds)


def own_bytes(directories: Sequence[DirectoryFacts]) -> list[OwnBytes]:
    """Each local directory whose size is known, without those inside it, so that no byte is in two."""
    sized = sorted((d for d in directories if d.size_bytes is not None), key=lambda d: _below(d.path))
    inner: dict[str, list[DirectoryFacts]] = {d.path: [] for d in sized}
    outer: list[DirectoryFacts] = []
    for directory in sized:
        while outer and not _below(directory.path).startswith(_below(outer[-1].path)):
            outer.pop()
        # A file system mounted inside another is not counted by who counts that one.
        if outer and directory.remote == outer[-1].remote:
            inner[outer[-1].path].append(directory)
        outer.append(directory)
    return [_without(directory, inner[directory.path]) for directory in sized if not directory.remote]


def directory_items(facts: AuditFacts) -> list[Item]:
    """Items for the directories that are worth a decision, and for those that cannot be read."""
    unused = {volume.name for volume in facts.volumes if volume.containers == 0}
    items = [
        item
        for own in own_bytes(facts.directories)
        if own.directory.volume not in unused
        for item in _items(own, facts)
    ]
    return items + [_unread(directory) for directory in facts.directories if directory.size_bytes is None]


def _items(own: OwnBytes, facts: AuditFacts) -> Iterator[Item]:
    directory = own.directory
    movable, rebuildable = own.of(MOVABLE), own.of(REBUILDABLE)
    if directory.kind == "volume" or directory.contents == "database":
        if own.size_bytes >= LARGE_BYTES:
            yield _keep(own)
        return
    if movable >= LARGE_BYTES:
        yield _move(own, movable, facts)
    if rebuildable >= LARGE_BYTES:
        yield _remove(own, rebuildable, facts)
    if max(movable, rebuildable) < LARGE_BYTES <= own.size_bytes:
        yield _keep(own)


def _move(own: OwnBytes, gain_bytes: int, facts: AuditFacts) -> Item:
    directory = own.directory
    whole = gain_bytes * 2 >= own.size_bytes
    kinds = _kinds(own, MOVABLE)
    reason = [
        f"{kinds} on the local disk{f' ({directory.filesystem})' if directory.filesystem else ''}{_mounted(directory)}."
    ]
    if directory.unused_bytes:
        reason.append(
            f"{format_bytes(directory.unused_bytes)} were neither modified nor read for {directory.idle_days} days and"
            " could be archived instead."
        )
    if not directory.complete:
        reason.append("Not all of it was read: it may hold more.")
    prerequisites = [
        'Mount the remote folder, set REMOTE to its path, and see that findmnt --target "$REMOTE" names it.',
    ]
    after = "compare the copy (rsync --checksum --dry-run), repoint the mount, and remove the local files days later"
    if directory.running:
        prerequisites.append(
            f"Copy once while it runs; then stop what writes there"
            f" ({commands.stop_containers(facts, directory.containers)}) and copy again."
        )
    return _item(
        own,
        gain_bytes,
        kinds,
        facts,
        decision="optimize" if whole else "needs a person",
        action="move to a remote mount" if whole else f"move its {_main(own, MOVABLE)} to a remote mount",
        reason=" ".join([*reason, f"After the copy: {after}."]),
        prerequisites=tuple(prerequisites),
        command=commands.copy_directory(directory.path) if whole else "",
    )


def _remove(own: OwnBytes, gain_bytes: int, facts: AuditFacts) -> Item:
    directory = own.directory
    kinds = _kinds(own, REBUILDABLE)
    users = directory.in_use_by or ()
    unseen = directory.in_use_by is None and not directory.containers
    prerequisites = ["See that package.json and a lock file lie beside it, so that both can be made again."]
    if own.by_kind.get("build output"):
        prerequisites.append(
            "Remove dist, build, out and target folders yourself: not each of them is made by a build."
        )
    if directory.running or users:
        who = (
            ", ".join((users or directory.containers)[:_NAMES_SHOWN])
            or f"project {directory.compose_project or ''}".strip()
        )
        why = f"The application runs ({who}): it would fail at the next file that it loads."
        prerequisites.insert(0, f"Stop the application that runs there: {who}.")
    elif unseen:
        why = "Whether a process runs there could not be seen."
        prerequisites.insert(0, "See that no process runs there.")
    else:
        why = "No process runs there and no running container mounts it; it can be made again."
    return _item(
        own,
        gain_bytes,
        kinds,
        facts,
        decision="needs a person" if directory.running or users or unseen else "optimize",
        action=f"remove {' and '.join(kind for kind in REBUILDABLE if own.by_kind.get(kind))}"
        + (" only if the application is not running" if directory.running or users or unseen else ""),
        reason=f"{kinds} on the host. {why}",
        priority="medium",
        prerequisites=tuple(prerequisites),
        command=commands.remove_rebuildable(
            facts, directory.path, [kind for kind in REBUILDABLE if own.by_kind.get(kind)]
        ),
    )


def _keep(own: OwnBytes) -> Item:
    directory = own.directory
    largest = max(own.by_kind, key=lambda kind: own.by_kind[kind], default=directory.contents)
    if directory.contents == "database":
        decision, action = "avoid", "do not move it"
        why = "A database needs the locks and the speed of a local disk: a remote mount would risk its data."
    elif directory.kind == "volume":
        decision, action = "accept", "leave it as it is"
        why = (
            f"The engine manages the volume {directory.volume or ''}".rstrip() + ": what uses it decides what is in it."
        )
    else:
        decision, action = "accept", "leave it as it is"
        why = "It is neither media nor models nor archives, nor anything that can be made again."
    return _item(
        own,
        0,
        "Nothing.",
        None,
        decision=decision,
        action=action,
        reason=f"{format_bytes(own.size_bytes)}, mostly {largest}{_mounted(directory)}. {why}",
        priority="none",
    )


def _unread(directory: DirectoryFacts) -> Item:
    own = OwnBytes(directory, 0, {})
    reason = "It cannot be read from here, so that nothing is known of what fills it."
    action = "it could not be read from here"
    if directory.remote:
        action = "it is remote already"
        reason = "It lies on a remote mount already, which is not read: that could take hours."
    elif directory.path == "/":
        reason = "It is the whole machine, which is not read through."
    return _item(
        own,
        0,
        "Nothing: it could not be read.",
        None,
        decision="accept",
        action=action,
        reason=reason,
        priority="none",
    )


def _item(
    own: OwnBytes,
    gain_bytes: int,
    counted: str,
    facts: AuditFacts | None,
    *,
    decision: str,
    action: str,
    reason: str,
    priority: str | None = None,
    prerequisites: tuple[str, ...] = (),
    command: str = "",
) -> Item:
    path = own.directory.path
    findings = facts.findings if facts else ()
    return Item(
        subject_kind="directory",
        subject=path,
        path=path,
        decision=decision,
        action=action,
        complexity="low",
        risk="low",
        size_bytes=own.size_bytes,
        low_bytes=gain_bytes,
        likely_bytes=gain_bytes,
        high_bytes=gain_bytes,
        counted=counted,
        reason=reason,
        priority=priority,
        rules=tuple(
            sorted({f.rule_id for f in findings if f.subject_kind == "directory" and path in (f.path, f.subject)})
        ),
        prerequisites=prerequisites,
        command=command,
    )


def _without(directory: DirectoryFacts, inner: Sequence[DirectoryFacts]) -> OwnBytes:
    size = (directory.size_bytes or 0) - sum(one.size_bytes or 0 for one in inner)
    by_kind = {
        kind: max(0, size_bytes - sum(one.contents_bytes.get(kind, 0) for one in inner))
        for kind, size_bytes in directory.contents_bytes.items()
    }
    return OwnBytes(directory, max(0, size), by_kind)


def _kinds(own: OwnBytes, kinds: Sequence[str]) -> str:
    present = sorted((kind for kind in kinds if own.by_kind.get(kind)), key=lambda kind: -own.by_kind[kind])
    return ", ".join(f"{format_bytes(own.by_kind[kind])} of {kind}" for kind in present)


def _main(own: OwnBytes, kinds: Sequence[str]) -> str:
    return max(kinds, key=lambda kind: own.by_kind.get(kind, 0))


def _mounted(directory: DirectoryFacts) -> str:
    if directory.containers:
        return f", mounted by {', '.join(directory.containers[:_NAMES_SHOWN])}"
    return f", in the folder of project {directory.compose_project}" if directory.compose_project else ""


def _below(path: str) -> str:
    return path.rstrip("/") + "/"
