"""Which units mount a folder of the host, and where their containers see it. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.mount_points import is_within
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.finding import all_containers, unit_of
from imgopt_pipeline.services.models import Refused, Running, Unit, UnitName


@dataclass(frozen=True, slots=True)
class Mounting:
    """A unit with what its containers see of a folder: by path inside them, the rest of the path below the folder."""

    unit: Unit
    places: dict[str, str] = field(default_factory=dict)
    read_only: tuple[str, ...] = ()


def mountings(host: EngineHost, source: Path) -> list[Mounting]:
    """The units that mount a folder, or folders in it, running or not.

    Raises Refused where a container mounts a folder that the source lies in: moved away, it would only be gone there.
    """
    units: dict[str, UnitName] = {}
    for container, unit in all_containers(host):
        seen = list(_seen(container, source))
        for place, rest, _ in seen:
            if rest is None:
                raise Refused(
                    f"container {container.name} mounts a folder that it lies in, at {printable(place)}.",
                    subject=str(source),
                    hint="Give it a mount of its own first, so that it can be pointed elsewhere; or move that folder.",
                )
        if seen and unit is None:
            if container.running:
                raise Refused(
                    f"container {container.name} of `docker compose run` is at work there.",
                    subject=str(source),
                    hint="Wait until it has ended.",
                )
        elif seen and unit is not None:
            units.setdefault(unit.name, unit)
    return [_mounting(unit_of(host, unit), source) for unit in units.values()]


def _mounting(unit: Unit, source: Path) -> Mounting:
    """Raises Refused where containers of one service do not mount the same."""
    each = [sorted(_seen(container, source)) for container in unit.containers]
    if any(seen != each[0] for seen in each):
        raise Refused("its containers do not all mount the same.", subject=unit.name.words)
    places = {place: rest or "" for place, rest, _ in each[0]}
    return Mounting(unit, places, tuple(place for place, _, writable in each[0] if not writable))


def _seen(container: Running, source: Path) -> Iterator[tuple[str, str | None, bool]]:
    """Path inside, rest of the path below the source or None for a folder that the source lies in, and if writable."""
    folder = os.path.realpath(source)
    for mount in container.inspected.get("Mounts") or []:
        if mount.get("Type") not in ("bind", "volume") or not mount.get("Source"):
            continue
        mounted = os.path.realpath(mount["Source"])
        if is_within(mounted, folder):
            yield mount["Destination"], mounted.removeprefix(folder), bool(mount.get("RW", True))
        elif is_within(folder, mounted):
            yield mount["Destination"], None, bool(mount.get("RW", True))
