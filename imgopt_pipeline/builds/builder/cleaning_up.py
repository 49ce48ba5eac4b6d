"""Takes what imgopt built, and what building left, off a host again: never anything that was there before.

What was there before is looked up once (`built_before`) and handed to everything here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import SWEEP_AGE_SECONDS, engine_errors
from imgopt_pipeline.planning.candidates import SOURCE_LABEL

ATTEMPT_REPOSITORY = "imgopt-attempt"
"""The name of images that are only tried: tags of it that a crash left are swept once they are old."""

_LONGEST_CHAIN = 1_000
_RECORD = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_PATIENCE_SECONDS = 600
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Before:
    """The images and build cache records of a host before imgopt built anything.

    `attempt_ids`: those of the images that only another optimization has, which may be about to remove them.
    """

    image_ids: frozenset[str]
    cache_records: frozenset[str]
    cache_bytes: int
    attempt_ids: frozenset[str] = frozenset()


def built_before(host: EngineHost) -> Before:
    """Look up what is there. Raises HostUnreachable, UnreadableLayer."""
    with engine_errors("the engine does not list its images"):
        images = host.client.images(all=True)
    records = _cache_records(host)
    return Before(
        frozenset(str(image["Id"]) for image in images),
        frozenset(map(_record_id, records)),
        _cache_bytes(records),
        frozenset(str(image["Id"]) for image in images if _is_attempt(image.get("RepoTags") or [])),
    )


def remove_attempts(host: EngineHost, tags: Iterable[str], before: Before) -> list[str]:
    """Remove images that imgopt built, by their tags, with what only they were built upon; the tags that went.

    One that is in use, is not imgopt's, or was there before stays; what was there before loses the name of the attempt.
    """
    gone = []
    for tag in tags:
        inspected = _inspected(host, tag)
        if inspected is None or not _ours(inspected):
            continue
        there_before = str(inspected["Id"]) in before.image_ids - before.attempt_ids
        if there_before and len(inspected.get("RepoTags") or []) < 2:
            continue
        if _remove(host, tag):
            gone.append(tag)
            _remove_parents(host, str(inspected.get("Parent") or ""), before)
    _remove_dangling(host, before)
    return gone


def sweep_attempts(host: EngineHost, *, age_seconds: int = SWEEP_AGE_SECONDS) -> list[str]:
    """Remove tags of attempts that a crash left; the tags that went."""
    with engine_errors("the engine does not list its images"):
        images = host.client.images(name=ATTEMPT_REPOSITORY)
    gone = []
    for tag in [str(tag) for image in images for tag in image.get("RepoTags") or []]:
        inspected = _inspected(host, tag)
        tagged = _seconds(str(((inspected or {}).get("Metadata") or {}).get("LastTagTime") or ""))
        old = tagged is not None and time.time() - tagged > age_seconds
        if inspected and _ours(inspected) and old and _remove(host, tag):
            gone.append(tag)
    return gone


def prune_build_cache(host: EngineHost, before: Before, cache_bytes: int) -> int:
    """Shrink the build cache to `cache_bytes`, or to what it was before; the bytes that were freed.

    Only records that were not there before go, those not used for longest first.
    """
    kept_bytes = max(cache_bytes, before.cache_bytes)
    freed_bytes = 0
    for _ in range(_ROUNDS):  # a record goes only after those that were made from it
        records = _cache_records(host)
        ours = sorted({_record_id(record) for record in records} - before.cache_records)
        if not ours or _cache_bytes(records) <= kept_bytes:
            break
        freed_now = _prune(host, [record for record in ours if _RECORD.fullmatch(record)], kept_bytes)
        freed_bytes += freed_now
        if not freed_now:
            break
    return freed_bytes


def drop_build_cache(host: EngineHost, before: Before) -> None:
    """Remove all records of the build cache that were not there before, however large."""
    tried: set[str] = set()
    for _ in range(_ROUNDS):
        ours = {_record_id(record) for record in _cache_records(host)} - before.cache_records
        if not ours or ours == tried:
            break
        _prune(host, sorted(record for record in ours if _RECORD.fullmatch(record)), 0)
        tried = ours


def _prune(host: EngineHost, records: list[str], kept_bytes: int) -> int:
    query = {
        "all": "1",
        "keep-storage": str(kept_bytes),
        "filters": orjson.dumps({"id": [f"/^({'|'.join(records)})$/"]}).decode(),
    }
    with engine_errors("the engine does not prune its build cache"):
        answer = host.client._post(host.client._url("/build/prune"), params=query, timeout=_PATIENCE_SECONDS)
        pruned: dict[str, Any] = host.client._result(answer, json=True)
    return int(pruned.get("SpaceReclaimed") or 0)


def _remove_parents(host: EngineHost, image_id: str, before: Before) -> None:
    """Remove the steps that the classic builder kept as images, from the last to the first that others need."""
    for _ in range(_LONGEST_CHAIN):
        inspected = _inspected(host, image_id) if image_id else None
        if inspected is None or image_id in before.image_ids or inspected.get("RepoTags"):
            return
        if not _remove(host, image_id):
            return
        image_id = str(inspected.get("Parent") or "")


def _remove_dangling(host: EngineHost, before: Before) -> None:
    """Remove images of ours whose tag went to a later one."""
    with engine_errors("the engine does not list its images"):
        images = host.client.images(filters={"dangling": True, "label": SOURCE_LABEL})
    for image in images:
        if str(image["Id"]) not in before.image_ids:
            inspected = _inspected(host, str(image["Id"])) or {}
            if _remove(host, str(image["Id"])):
                _remove_parents(host, str(inspected.get("Parent") or ""), before)


def _inspected(host: EngineHost, reference: str) -> dict[str, Any] | None:
    """An image; None where there is none, or where the engine does not describe it, as Podman some that are gone."""
    try:
        with engine_errors("the engine does not describe it"):
            return dict(host.client.inspect_image(reference))
    except UnreadableLayer:
        return None


def _is_attempt(tags: Sequence[str]) -> bool:
    return bool(tags) and all(tag.startswith(f"{ATTEMPT_REPOSITORY}:") for tag in tags)


def _ours(inspected: Mapping[str, Any]) -> bool:
    return SOURCE_LABEL in ((inspected.get("Config") or {}).get("Labels") or {})


def _remove(host: EngineHost, reference: str) -> bool:
    """Whether it went; what a container uses or others are built upon stays."""
    try:
        with engine_errors("the engine does not remove it"):
            host.client.remove_image(reference, noprune=True)
    except UnreadableLayer:
        return False
    return True


def _cache_records(host: EngineHost) -> list[dict[str, Any]]:
    """The build cache's records; none where the engine keeps none."""
    try:
        with engine_errors("the engine does not say what its build cache holds"):
            answer = host.client._get(
                host.client._url("/system/df"), params={"type": "build-cache"}, timeout=_PATIENCE_SECONDS
            )
            return list(host.client._result(answer, json=True).get("BuildCache") or [])
    except UnreadableLayer:
        return []


def _record_id(record: Mapping[str, Any]) -> str:
    return str(record.get("ID") or "")


def _cache_bytes(records: Iterable[Mapping[str, Any]]) -> int:
    """What the cache takes by itself: records that images hold as well cost nothing."""
    return sum(int(record.get("Size") or 0) for record in records if not record.get("Shared"))


def _seconds(time_text: str) -> float | None:
    """A time of the engine's; None for the year 1, by which it means that it does not know."""
    try:
        seconds = datetime.fromisoformat(time_text).timestamp()
    except ValueError:
        return None
    return seconds if seconds > 0 else None
