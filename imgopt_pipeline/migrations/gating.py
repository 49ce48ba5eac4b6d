"""The gate of a migration: the moved files as containers see them, and each unit watched beside what it did before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imgopt_pipeline import progress
from imgopt_pipeline.builds.sources.finding import target_of as find_target
from imgopt_pipeline.migrations.content import Pace
from imgopt_pipeline.migrations.handed_over import HandedOver, handed_over
from imgopt_pipeline.migrations.inside import opened_inside
from imgopt_pipeline.migrations.ledger import ledger
from imgopt_pipeline.migrations.migration import UnitPlan
from imgopt_pipeline.migrations.models import listing
from imgopt_pipeline.migrations.tree import folders, look, walk
from imgopt_pipeline.migrations.verifying import read_back
from imgopt_pipeline.migrations.work import Work
from imgopt_pipeline.services.finding import tagged
from imgopt_pipeline.services.models import FAILED, PASSED, UNVERIFIED, GateCheck, Running
from imgopt_pipeline.services.watching.baseline import observe
from imgopt_pipeline.services.watching.gate import Expected, pass_gate
from imgopt_pipeline.services.watching.journaled import baselines_in
from imgopt_pipeline.settings import Settings, TargetSettings
from imgopt_pipeline.units import count

SAMPLES = 50
"""Files whose content is compared from inside each container."""

_FOLDER, _COUNT, _HASHES = "moved folder", "file count", "sample hashes"
INSIDE = {
    _FOLDER: "Its containers see the very folder at the destination.",
    _COUNT: "They see as many files as were moved.",
    _HASHES: "Files that they see have the sha256 of those that were moved.",
}
"""What is looked at from inside a container, with what that means."""

_SAMPLED_BYTES = 1_000_000_000


def target_of(settings: Settings, work: Work, plan: UnitPlan) -> TargetSettings:
    """What the settings say of the image of a unit."""
    references = [tagged(container.reference) for container in work.unit(plan).containers]
    return find_target(references, settings.targets) or TargetSettings()


def observed(work: Work) -> Mapping[str, Any]:
    """What the units do now, for the journal."""
    progress.current().start("looking how it does now")
    settings = work.settings
    return {
        plan.name.name: observe(
            work.host, work.unit(plan), target_of(settings, work, plan), settings.deployments
        ).to_json()
        for plan in work.migration.units
    }


def watch(work: Work) -> tuple[list[tuple[str, GateCheck]], float]:
    """Watch every unit; its checks with the unit's name, and how many seconds that took."""
    progress.current().start("watching it")
    before, checks, seconds = baselines_in(work.journal), list[tuple[str, GateCheck]](), 0.0
    for plan in work.migration.units:
        result = pass_gate(
            work.host,
            lambda plan=plan: work.unit(plan),  # type: ignore[misc]
            Expected(plan.image_id, plan.replicas, plan.running, ()),
            before[plan.name.name],
            target_of(work.settings, work, plan),
            work.settings.deployments,
        )
        checks += [(plan.name.name, check) for check in result.checks]
        seconds += result.seconds
    return checks, seconds


def see_inside(work: Work) -> list[tuple[str, GateCheck]]:
    """The moved files as each running container sees them: the very folder, how many, and hashes of a sample."""
    progress.current().start("looking at the files from inside")
    checks = list[tuple[str, GateCheck]]()
    with handed_over(work.move) as known:
        for plan in work.migration.units:
            for container in work.unit(plan).containers:
                for place, folder in plan.places.items() if container.running else ():
                    checks += [(plan.name.name, check) for check in _seen(work, known, container, place, Path(folder))]
    return checks


def _seen(work: Work, known: HandedOver, container: Running, place: str, folder: Path) -> Iterator[GateCheck]:
    pid = int((container.inspected.get("State") or {}).get("Pid") or 0)
    below = folder.relative_to(work.migration.final)
    inner = b"" if below == Path() else os.fsencode(below)
    try:
        with opened_inside(pid, place) as root:
            here, there = os.fstat(root), os.stat(folder)
            if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
                yield GateCheck(_FOLDER, FAILED, str(folder), place, "it is another folder that it sees there")
                return
            yield GateCheck(_FOLDER, PASSED, str(folder), place)
            yield _counted(known, root, inner)
            yield _sampled(work, known, root, inner)
    except OSError as error:
        yield GateCheck(_FOLDER, FAILED, str(folder), place, f"it cannot be seen from inside ({error.strerror})")


def _counted(known: HandedOver, root: int, inner: bytes) -> GateCheck:
    def failed(path: bytes, error: OSError) -> None:
        raise error

    moved, seen, more = known.files(inner), 0, 0
    for entry in walk(root, failed):
        if entry.kind == "file":
            is_known = known.knows(_joined(inner, entry.path))
            seen, more = seen + is_known, more + (not is_known)
    old, new = count(moved, "file"), count(seen, "file") + (f" and {more:,} new" if more else "")
    if seen == moved:
        return GateCheck(_COUNT, PASSED, old, new)
    detail = f"{moved - seen:,} of those that were moved are not there"
    # The service may have removed some by now; all of them it has not.
    return GateCheck(_COUNT, UNVERIFIED if seen else FAILED, old, new, detail)


def _sampled(work: Work, known: HandedOver, root: int, inner: bytes) -> GateCheck:
    """Some files, spread over all, by their sha256. What the service wrote since is no fault."""
    start = _joined(inner, b"")
    with ledger(work.move.ledger) as moved:
        samples = [sample for sample in moved.samples(SAMPLES) if sample[0].startswith(start)]
    equal, since, other, read_bytes = 0, 0, list[bytes](), 0
    with folders(root) as reading:
        for path, size_bytes, digest in sorted(samples, key=lambda sample: sample[1]):
            if (read_bytes := read_bytes + size_bytes) > _SAMPLED_BYTES:
                break
            folder, name = reading.parent_of(path.removeprefix(start))
            try:
                same = read_back(folder, name, Pace())[0].hex() == digest
                untouched = known.as_it_was(look(folder, name, path))
            except FileNotFoundError:
                same, untouched = False, False
            equal += same
            since += not same and not untouched
            if not same and untouched:
                other.append(path)
    seen = f"{equal:,} equal" + (f", {since:,} written since" if since else "")
    if other:
        return GateCheck(_HASHES, FAILED, count(len(samples), "file"), seen, f"not as moved: {listing(other)}")
    return GateCheck(_HASHES, PASSED, count(len(samples), "file"), seen)


def _joined(inner: bytes, path: bytes) -> bytes:
    return inner + b"/" + path if inner else path
