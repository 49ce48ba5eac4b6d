"""Names of images: the one that is moved, the one under which the old image is kept, the candidate's own.

A name is moved only from where it is known to stand, so that what somebody else moved meanwhile is not overwritten.
"""

from __future__ import annotations

from datetime import datetime

from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.planning.candidates import BACKUP_REPOSITORY
from imgopt_pipeline.planning.provenance import repository
from imgopt_pipeline.services.models import Refused

THERE_ALREADY = "stands there already"
_TAG_CHARACTERS = 128


def backup_reference(reference: str | None, image_id: str, at: datetime) -> str:
    """`imgopt-backup/shop-web:20261126-1f2e3d4c5b6a`; registries' names have no place in it."""
    name = repository(reference).rpartition("/")[2] if reference else "image"
    return f"{BACKUP_REPOSITORY}/{name}:{at:%Y%m%d}-{_short(image_id)}"


def deployed_reference(candidate_reference: str, image_id: str) -> str:
    """`shop-web:latest-optimized-1f2e3d4c5b6a`: a later candidate takes another name."""
    name, _, tag = candidate_reference.rpartition(":")
    suffix = f"-{_short(image_id)}"
    return f"{name}:{tag[: _TAG_CHARACTERS - len(suffix)]}{suffix}"


def image_id_of(host: EngineHost, reference: str) -> str | None:
    """What a name stands for now, None where there is no such image."""
    try:
        with engine_errors("the engine does not describe it", missing=ImageNotFound):
            return str(host.client.inspect_image(reference)["Id"])
    except ImageNotFound:
        return None


def give(host: EngineHost, image_id: str, reference: str) -> None:
    """Give an image a name, and look that it has it. Raises ImageNotFound."""
    if image_id_of(host, reference) == image_id:
        return
    name, _, tag = reference.rpartition(":")
    with engine_errors("the image cannot be tagged", missing=ImageNotFound):
        host.client.tag(image_id, name, tag, force=True)
    if image_id_of(host, reference) != image_id:
        raise ImageNotFound(f"the engine did not give the image the name {reference}.")


def move(host: EngineHost, reference: str, *, before: str, after: str) -> str:
    """Move a name from one image to another; what was done, in words. Raises Refused where it stands elsewhere."""
    found = image_id_of(host, reference)
    if found == after:
        return THERE_ALREADY
    if found not in (before, None):
        raise Refused(
            f"the name stands for another image by now ({_short(found or '')}).",
            subject=reference,
            hint="Somebody built or pulled it meanwhile; look at that image first.",
        )
    give(host, after, reference)
    return "moved"


def drop(host: EngineHost, reference: str, image_id: str) -> bool:
    """Take a name away, if it still stands for that image; the image goes with its last name."""
    if image_id_of(host, reference) != image_id:
        return False
    with engine_errors("the name cannot be removed"):
        host.client.remove_image(reference)
    return True


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
