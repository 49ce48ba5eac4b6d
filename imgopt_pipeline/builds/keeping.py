"""Gives a candidate the name under which it stays on its host; see planning.candidates."""

from __future__ import annotations

from imgopt_pipeline.errors import ImageNotFound, UnreadableLayer
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.planning.candidates import SOURCE_LABEL


def keep(host: EngineHost, image_id: str, reference: str) -> None:
    """Tag a candidate. One that an earlier build left there goes, unless something else holds it."""
    earlier = _candidate(host, reference)
    name, _, tag = reference.rpartition(":")
    with engine_errors("the candidate cannot be tagged"):
        host.client.tag(image_id, name, tag, force=True)
    if earlier is not None and earlier != image_id:
        try:
            with engine_errors("the candidate before is in use"):
                host.client.remove_image(earlier)
        except (UnreadableLayer, ImageNotFound):
            return  # a container or another name holds it, which is a person's choice


def _candidate(host: EngineHost, reference: str) -> str | None:
    """The ID of the candidate of that name; None where there is none, or where it is no image of imgopt's."""
    try:
        with engine_errors("the engine does not describe it", missing=ImageNotFound):
            inspected = host.client.inspect_image(reference)
    except ImageNotFound:
        return None
    return str(inspected["Id"]) if SOURCE_LABEL in ((inspected.get("Config") or {}).get("Labels") or {}) else None
