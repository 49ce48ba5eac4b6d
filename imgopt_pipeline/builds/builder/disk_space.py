"""Whether a host has the disk space that a build will need, as far as that can be seen from here."""

from __future__ import annotations

import os
from pathlib import Path

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.host_gpus import runs_here
from imgopt_pipeline.units import format_bytes

_SHARE_OF_OLD = 1.5
_CONTAINERD_ROOT = "/var/lib/containerd"


class NotEnoughSpace(ImgoptError):
    """A build would likely fill the disk of its host."""

    kind = "no space"


def needed_bytes(old_image_bytes: int, context_bytes: int) -> int:
    """What a build may take on the engine's disk: the image's stages and layers, and its context."""
    return round(old_image_bytes * _SHARE_OF_OLD) + context_bytes


def free_bytes(host: EngineHost) -> int | None:
    """Free bytes where the engine keeps its images; None where that disk cannot be seen from here."""
    facts = host.facts()
    if not runs_here(facts.local, facts.root_dir):
        return None
    folders = [facts.root_dir]
    if facts.store == "containerd":
        folders += [folder for folder in (_CONTAINERD_ROOT,) if Path(folder).is_dir()]
    try:
        found = [os.statvfs(folder) for folder in folders]
    except OSError:
        return None
    return min(system.f_bavail * system.f_frsize for system in found)


def check_disk_space(host: EngineHost, wanted_bytes: int) -> str:
    """A remark where the free space is not known, else nothing. Raises NotEnoughSpace."""
    free = free_bytes(host)
    if free is None:
        wanted = format_bytes(wanted_bytes)
        return f"How much disk space the host has left cannot be seen from here; {wanted} may be needed."
    if free < wanted_bytes:
        raise NotEnoughSpace(
            f"a build may need {format_bytes(wanted_bytes)}, and only {format_bytes(free)} are free.",
            subject=host.facts().root_dir,
            hint="Free some space first: `imgopt plan` says what can go, `docker system df` what takes it.",
        )
    return ""
