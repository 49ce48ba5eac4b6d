"""Volumes, each only when a person names it: what is in one exists nowhere else."""

from __future__ import annotations

import re
from typing import Any

from imgopt_pipeline.cleaning.models import VOLUME, Found, Item, Left
from imgopt_pipeline.cleaning.standing import Standing, name_of, usage
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Refused, SubjectNotFound

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)


def unused_volumes(host: EngineHost, standing: Standing) -> Found:
    """Those that no container mounts, all left alone."""
    left = []
    for volume in sorted(usage(host, "volume"), key=lambda volume: str(volume.get("Name"))):
        name = str(volume.get("Name"))
        if why_kept(name, standing) is None:
            reason = "nothing mounts it; what is in it exists nowhere else: name it to remove it"
            left.append(Left(VOLUME, printable(name), printable(name), reason, _size_bytes(volume)))
    return Found(left=tuple(left))


def named_volume(host: EngineHost, standing: Standing, name: str) -> Item:
    """The item of a volume. Raises SubjectNotFound, and Refused where a container mounts it."""
    # Other names would be paths to other things in the engine's API.
    if not _NAME.fullmatch(name):
        raise SubjectNotFound("that is no name of a volume.", subject=printable(name))
    with engine_errors("there is no such volume on this host", missing=SubjectNotFound):
        host.client.inspect_volume(name)
    if (reason := why_kept(name, standing)) is not None:
        raise Refused(f"the volume is left alone: {reason}.", subject=name, hint="Remove what uses it first.")
    size_bytes = next((_size_bytes(one) for one in usage(host, "volume") if one.get("Name") == name), None)
    return Item(VOLUME, name, name, "named by you; no container mounts it", size_bytes, named=True)


def why_kept(name: str, standing: Standing) -> str | None:
    """Who uses a volume, running or not."""
    for container in standing.containers:
        if any(mount.get("Name") == name for mount in container.get("Mounts") or []):
            return f"container {name_of(container)} mounts it"
    return None


def remove_volume(host: EngineHost, name: str) -> None:
    """Remove it; never one that is mounted."""
    with engine_errors("the engine does not remove it"):
        host.client.remove_volume(name, force=False)


def is_there(host: EngineHost, name: str) -> bool:
    """Whether the engine has it."""
    try:
        with engine_errors("the engine does not describe it", missing=SubjectNotFound):
            host.client.inspect_volume(name)
    except SubjectNotFound:
        return False
    return True


def _size_bytes(volume: dict[str, Any]) -> int | None:
    size_bytes = (volume.get("UsageData") or {}).get("Size", -1)
    return size_bytes if isinstance(size_bytes, int) and size_bytes >= 0 else None
