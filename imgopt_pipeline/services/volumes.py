"""Anonymous volumes, whose data a recreate by compose carries over only where something still names their place."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from imgopt_pipeline.builds.sources.compose_files import mapping
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.compose import ServiceReading
from imgopt_pipeline.services.models import Unit

_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


def lost_volumes(unit: Unit, new_image_config: Mapping[str, Any], reading: ServiceReading | None) -> tuple[str, ...]:
    """The places whose anonymous volumes neither the new image declares (VOLUME) nor the service names.

    The volumes would stay on the host with their data, but the new containers would not have them.
    """
    kept = {_plain(path) for path in new_image_config.get("Volumes") or {}}
    if reading is not None:
        kept |= {_plain(mapping(volume).get("target")) for volume in reading.config.get("volumes") or ()}
    lost = {
        _plain(mount.get("Destination"))
        for container in unit.containers
        for mount in container.inspected.get("Mounts") or ()
        if mount.get("Type") == "volume" and _ANONYMOUS.fullmatch(str(mount.get("Name") or ""))
    }
    return tuple(sorted(map(printable, lost - kept)))


def _plain(path: object) -> str:
    return posixpath.normpath(str(path))
