"""Looking before a move: whether source and destination are what they seem, and what would be lost on the way.

Nothing is changed but for a probe folder at the destination, which is removed again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imgopt_pipeline.migrations.abilities import Abilities, holds_size, names_refused, probe, try_writing
from imgopt_pipeline.migrations.models import LEFT_OUT, Entry, Move, MoveFailed, Totals, listing
from imgopt_pipeline.migrations.mounts import Held, Mount, held, missing_mount, mount_of, mounts_inside
from imgopt_pipeline.migrations.sending import RCLONE, cache_folder
from imgopt_pipeline.migrations.tree import opened, walk
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import FAILED, PASSED, UNVERIFIED, GateCheck, Outcome
from imgopt_pipeline.units import count, format_bytes

_ABSURD_BYTES = 1 << 50
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
_RESERVED = {b"con", b"prn", b"aux", b"nul", *(b"%s%d" % (name, n) for name in (b"com", b"lpt") for n in range(1, 10))}
_SHAPES = 2000


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found. `losses` are said to whoever approves the move; `free_bytes` is None where it is unknown.

    `final` is where the files will be: the destination itself, or in it under the source's name where it is a mount.
    """

    source: Path
    final: Path
    mount_point: Path
    filesystem: str
    checks: tuple[GateCheck, ...]
    losses: tuple[str, ...] = ()
    totals: Totals = field(default_factory=Totals)
    largest_bytes: int = 0
    needed_bytes: int = 0
    free_bytes: int | None = None

    @property
    def passed(self) -> bool:
        return all(check.outcome != FAILED for check in self.checks)


@dataclass(slots=True)
class _Survey:
    """What a walk through the source is kept of, in bounded memory."""

    files: int = 0
    folders: int = 0
    links: int = 0
    file_bytes: int = 0
    disk_bytes: int = 0
    largest_bytes: int = 0
    hard_linked: int = 0
    owners: set[tuple[int, int]] = field(default_factory=set)
    modes: set[int] = field(default_factory=set)
    left_out: list[bytes] = field(default_factory=list)
    mounts: list[bytes] = field(default_factory=list)
    unreadable: dict[bytes, str] = field(default_factory=dict)
    shapes: dict[tuple[object, ...], bytes] = field(default_factory=dict)
    twins: list[bytes] = field(default_factory=list)


def preflight(source: Path, destination: Path, *, filesystem: str | None = None) -> Preflight:
    """Look at both. `filesystem` is what the destination must be mounted as; otherwise any but the source's.

    Raises MountGone where the destination goes away meanwhile.
    """
    final = _final(source, destination)
    checks = [*_source_checks(source), *_destination_checks(source, final, filesystem)]
    if any(check.outcome == FAILED for check in checks):
        return Preflight(source, final, Path("/"), "", tuple(checks))
    mount = mount_of(final.parent)
    survey = _survey(source)
    move = Move("", source, final, Path("/"), mount.mount_point, mount.filesystem)
    with held(move) as place:
        wrong = try_writing(place)
        checks.append(_check("writable", wrong or None, "written, read back, renamed and deleted"))
        abilities = Abilities() if wrong else probe(place)
        needed = survey.disk_bytes if abilities.holes else survey.file_bytes
        free = _free_bytes(place)
        if not wrong:
            checks += _content_checks(survey, abilities, place)
            checks.append(_space(place, needed, free, survey))
    checks += _survey_checks(source, survey, mount)
    return Preflight(
        source,
        final,
        mount.mount_point,
        mount.filesystem,
        tuple(checks),
        tuple(_losses(survey, abilities)),
        Totals(survey.files, survey.folders, survey.links, len(survey.left_out), survey.file_bytes),
        survey.largest_bytes,
        needed,
        free,
    )


def _final(source: Path, destination: Path) -> Path:
    return destination / source.name if os.path.ismount(destination) else destination


def _check(name: str, wrong: str | None, right: str = "", outcome: Outcome = FAILED) -> GateCheck:
    return GateCheck(name, outcome if wrong else PASSED, detail=wrong or right)


def _source_checks(source: Path) -> Iterator[GateCheck]:
    wrong = None
    if source.is_symlink():
        wrong = f"{source} is a symbolic link; name the folder it leads to"
    elif not source.is_dir():
        wrong = f"{source} is no folder"
    elif os.path.ismount(source) or mount_of(source).mount_point == source.resolve():
        wrong = f"{source} is a mount point, which cannot be set aside; move what is in it"
    elif not os.access(source.parent, os.W_OK | os.X_OK) or not os.access(source, os.R_OK | os.X_OK):
        wrong = f"{source} cannot be read, or not be renamed in {source.parent}"
    yield _check("source", wrong, str(source))
    if wrong is None:
        inside = mounts_inside(source)
        listed = ", ".join(printable(os.fsencode(path)) for path in inside)
        yield _check("nothing mounted in the source", f"mounted in it: {listed}" if inside else None)


def _destination_checks(source: Path, final: Path, filesystem: str | None) -> Iterator[GateCheck]:
    folder = final.parent
    if not folder.is_dir() or final.is_symlink():
        what = "is a symbolic link" if final.is_symlink() else "cannot be made: the folder for it is not there"
        yield _check("destination", f"{final} {what}")
        return
    try:
        mount = mount_of(folder)
    except OSError as error:
        yield _check("destination", f"{folder} does not answer ({error.strerror})")
        return
    yield _check("mounted", _not_mounted(source, folder, mount, filesystem), f"{mount.mount_point}, {mount.filesystem}")
    yield _check("apart", _overlap(source, final))
    wrong = None
    if os.path.lexists(final) and (not final.is_dir() or any(final.iterdir())):
        wrong = f"{final} is there already, and not empty"
    yield _check("destination free", wrong)


def _not_mounted(source: Path, folder: Path, mount: Mount, filesystem: str | None) -> str | None:
    if missing := missing_mount(folder):
        return f"{missing} stands in /etc/fstab and is not mounted"
    if filesystem is not None and mount.filesystem != filesystem:
        return f"{folder} lies on {mount.mount_point}, which is {mount.filesystem} and not {filesystem}"
    if source.is_dir() and source.stat().st_dev == folder.stat().st_dev:
        return f"{folder} lies on the same file system as the source: it is not mounted, or nothing would be gained"
    if filesystem is None and mount.mount_point == Path("/"):
        return f"{folder} lies on the root file system: nothing is mounted there"
    return None


def _overlap(source: Path, final: Path) -> str | None:
    first, second = source.resolve(), final.parent.resolve() / final.name
    if first.is_relative_to(second) or second.is_relative_to(first):
        return f"{source} and {final} lie in each other"
    return None


def _survey(source: Path) -> _Survey:
    survey, folder, twins = _Survey(), b"", set[bytes]()
    try:
        with opened(source) as root:
            for entry in walk(root, lambda path, error: survey.unreadable.update({path: error.strerror or "?"})):
                parent, _, name = entry.path.rpartition(b"/")
                if parent != folder:
                    folder, twins = parent, set()
                if (folded := _folded(name)) in twins:
                    survey.twins.append(entry.path)
                twins.add(folded)
                _add(survey, entry, name)
    except OSError as error:
        raise MoveFailed(f"the folder cannot be read ({error.strerror}).", subject=str(source)) from error
    return survey


def _add(survey: _Survey, entry: Entry, name: bytes) -> None:
    survey.files += entry.kind == "file"
    survey.folders += entry.kind == "folder"
    survey.links += entry.kind == "link"
    survey.file_bytes += entry.size_bytes
    survey.disk_bytes += min(entry.disk_bytes, entry.size_bytes) if entry.kind == "file" else 0
    survey.largest_bytes = max(survey.largest_bytes, entry.size_bytes)
    survey.hard_linked += bool(entry.hard_link_group)
    if entry.kind in ("file", "folder") and len(survey.owners) < _SHAPES:
        survey.owners.add((entry.uid, entry.gid))
        survey.modes.add(entry.mode)
    if entry.kind == "mount":
        survey.mounts.append(entry.path)
    elif entry.kind in LEFT_OUT:
        survey.left_out.append(entry.path)
    if name and len(survey.shapes) < _SHAPES and (shape := _shape(name)):
        survey.shapes.setdefault(shape, name)


def _shape(name: bytes) -> tuple[object, ...]:
    """What could make a name unfit: names of one shape are all fit, or none is. Empty for one that fits everywhere."""
    odd = frozenset(name) - _PLAIN
    reserved = name.partition(b".")[0].lower() in _RESERVED
    length = len(name) // 16 if len(name) > 64 else 0
    if not odd and not reserved and not length and not name.endswith(b"."):
        return ()
    beyond_ascii = name if any(byte > 127 for byte in odd) else b""
    return odd, reserved, length, name[-1:] in b". ", beyond_ascii


def _folded(name: bytes) -> bytes:
    return name.decode("utf-8", "surrogateescape").casefold().encode("utf-8", "surrogateescape")


def _content_checks(survey: _Survey, abilities: Abilities, place: Held) -> Iterator[GateCheck]:
    refused = names_refused(place, iter(survey.shapes.values()))
    tried = count(len(survey.shapes), "kind") + " of unusual names tried" if survey.shapes else "none is unusual"
    yield _check("names", f"the destination cannot hold {listing(refused)}" if refused else None, tried)
    twins = survey.twins if not abilities.case_sensitive else []
    told = "" if abilities.case_sensitive else "the destination does not tell case, and no names differ in it alone"
    yield _check("names in another case", f"would fall together there: {listing(twins)}" if twins else None, told)
    linked = survey.links and not abilities.symlinks
    yield _check("symbolic links", f"{count(survey.links, 'link')} cannot be made there" if linked else None)
    fits = holds_size(place, survey.largest_bytes, holes=abilities.holes)
    largest = f"the largest has {format_bytes(survey.largest_bytes)}"
    if fits is None:
        yield GateCheck("file size", UNVERIFIED, detail=f"{largest}; what fits there cannot be told beforehand")
    else:
        yield _check("file size", None if fits else f"{largest}, more than one may have there", largest)


def _free_bytes(place: Held) -> int | None:
    status = os.fstatvfs(place.descriptor)
    total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    return None if not 0 < total < _ABSURD_BYTES or free > total else free


def _space(place: Held, needed: int, free: int | None, survey: _Survey) -> GateCheck:
    status = os.fstatvfs(place.descriptor)
    # None at all, where files were just made, is said by what does not count them.
    if 0 < status.f_ffree < survey.files + survey.folders + survey.links:
        return GateCheck("space", FAILED, detail=f"it can take {count(status.f_ffree, 'more file')} only")
    if free is None:
        return GateCheck("space", UNVERIFIED, detail="the destination does not say how much it has left")
    needed += (survey.files + survey.folders + survey.links) * status.f_frsize // 2
    words = f"{format_bytes(needed)} needed, {format_bytes(free)} free"
    return _check("space", words if needed > free else None, words)


def _survey_checks(source: Path, survey: _Survey, mount: Mount) -> Iterator[GateCheck]:
    unreadable = listing(survey.unreadable)
    yield _check("readable", f"cannot be read: {unreadable}" if unreadable else None)
    mounts = listing(survey.mounts)
    yield _check("one file system", f"other file systems in {source}: {mounts}" if mounts else None)
    if mount.filesystem == RCLONE:
        why = "rclone reads back from its own cache at first; that it has sent everything is waited for"
        if cache_folder(mount) is None:
            why = "rclone's cache cannot be found: whether it has sent everything to the remote cannot be told"
        yield GateCheck("read back from the remote itself", UNVERIFIED, detail=why)


def _losses(survey: _Survey, abilities: Abilities) -> Iterator[str]:
    if survey.left_out:
        yield f"{count(len(survey.left_out), 'socket, FIFO or device')} left out: {listing(survey.left_out)}"
    if not abilities.owners and survey.owners:
        owners = ", ".join(f"{uid}:{gid}" for uid, gid in sorted(survey.owners)[:5])
        yield f"owners are not kept (now {owners})"
    if not abilities.modes:
        yield "modes are not kept"
    if not abilities.attributes:
        yield "extended attributes are not kept"
    if not abilities.times:
        yield "times are not kept"
    if survey.hard_linked and not abilities.hard_links:
        yield f"{count(survey.hard_linked, 'hard link')} become files of their own"
    if survey.disk_bytes < survey.file_bytes and not abilities.holes:
        yield f"holes are filled: {format_bytes(survey.file_bytes)} instead of {format_bytes(survey.disk_bytes)}"
