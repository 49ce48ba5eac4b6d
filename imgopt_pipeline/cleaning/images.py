"""Dangling images: no tag, no digest, no container, and nothing that was built upon them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from imgopt_pipeline.cleaning.models import IMAGE, Found, Item, Left
from imgopt_pipeline.cleaning.standing import Standing, name_of, usage
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.image_config import parse_time

_BUILDING_SECONDS = 3_600
_DAY_SECONDS = 86_400


def find_images(
    host: EngineHost, standing: Standing, *, leaving: Collection[str] = (), older_than_days: float
) -> Found:
    """Dangling images; containers of `leaving` IDs go before them."""
    with engine_errors("the engine does not list its images"):
        listed = host.client.images(filters={"dangling": True})
    sizes = {str(image.get("Id")): image for image in usage(host, "image")} if listed else {}
    items, left = [], []
    for image_id in sorted({str(image["Id"]) for image in listed}):
        name, size = image_id.removeprefix("sha256:")[:12], sizes.get(image_id, {})
        reason = why_kept(host, image_id, standing, leaving=leaving, older_than_days=older_than_days)
        if reason is None:
            why = "no tag names it and no container uses it"
            items.append(Item(IMAGE, image_id, name, why, _own_bytes(size), most_bytes=size.get("Size")))
        else:
            left.append(Left(IMAGE, image_id, name, reason, _own_bytes(size)))
    return Found(tuple(items), tuple(left))


def why_kept(
    host: EngineHost,
    image_id: str,
    standing: Standing,
    *,
    leaving: Collection[str] = (),
    older_than_days: float = 0,
) -> str | None:
    """Why an image stays; None where nothing needs it."""
    try:
        with engine_errors("the engine does not describe it", missing=ImageNotFound):
            inspected = host.client.inspect_image(image_id)
    except ImageNotFound:
        return "it went meanwhile"
    if inspected.get("RepoTags"):
        return "it has a tag"
    if any("@" in str(name) and not _is_dangling_name(str(name)) for name in inspected.get("RepoDigests") or []):
        return "it was pulled by its digest, by which something may name it"
    for container in standing.containers:
        if container.get("Image") == image_id and container["Id"] not in leaving:
            return f"container {name_of(container)} uses it"
    with engine_errors("the engine does not list its images"):
        everything = host.client.images(all=True)
    if any(image.get("ParentId") == image_id for image in everything):
        return "another image was built upon it"
    return _why_too_young(inspected, standing.now, min(older_than_days * _DAY_SECONDS, _BUILDING_SECONDS))


def remove_image(host: EngineHost, image_id: str) -> None:
    """Remove it with the untagged steps that only it was built from."""
    with engine_errors("the engine does not remove it"):
        host.client.remove_image(image_id, force=False, noprune=False)


def is_there(host: EngineHost, image_id: str) -> bool:
    """Whether the engine has it."""
    try:
        with engine_errors("the engine does not describe it", missing=ImageNotFound):
            host.client.inspect_image(image_id)
    except ImageNotFound:
        return False
    return True


def _why_too_young(inspected: dict[str, Any], now: datetime, least_seconds: float) -> str | None:
    """An image that was just made may be a step of a build that is under way."""
    made = parse_time(inspected.get("Created"))
    if made is not None and (now - made).total_seconds() < least_seconds:
        return "it was made in the last hour, perhaps by a build that is under way"
    return None


def _is_dangling_name(name: str) -> bool:
    """Whether the engine named it itself for want of a name."""
    return name.partition("@")[0] in ("<none>", "moby-dangling")


def _own_bytes(image: dict[str, Any]) -> int | None:
    """What no other image holds."""
    size, shared = image.get("Size"), image.get("SharedSize")
    if not isinstance(size, int) or not isinstance(shared, int) or shared < 0:
        return None
    return max(0, size - shared)
