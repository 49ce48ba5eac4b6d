"""The part of the build cache that no build used for long."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from imgopt_pipeline.cleaning.models import BUILD_CACHE, Found, Item, Left
from imgopt_pipeline.cleaning.standing import Standing, usage
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.image_config import parse_time
from imgopt_pipeline.units import count, format_bytes

_DAY_SECONDS = 86_400
_PATIENCE_SECONDS = 600
_KEPT_TYPES = ("internal", "frontend")


def find_build_cache(host: EngineHost, standing: Standing, *, older_than_days: float, kept_bytes: int) -> Found:
    """One item for all of it that can go; what stays is told where there is any."""
    records = [record for record in usage(host, "build-cache") if not record.get("Shared")]
    total_bytes = sum(int(record.get("Size") or 0) for record in records)
    if not total_bytes:
        return Found()
    old = [record for record in records if _is_old(record, standing.now, older_than_days)]
    size_bytes = _removable_bytes(old, total_bytes - kept_bytes)
    stays = f"{format_bytes(total_bytes - size_bytes)} of it"
    if not size_bytes:
        why = (
            f"used in the last {older_than_days:g} days"
            if not old
            else f"builds.cache_bytes keeps {format_bytes(kept_bytes)}"
        )
        return Found(left=(Left(BUILD_CACHE, "", stays, why, total_bytes),))
    reason = f"{count(len(old), 'record')} not used for {older_than_days:g} days"
    if kept_bytes:
        reason += f"; builds.cache_bytes keeps {format_bytes(kept_bytes)}"
    return Found((Item(BUILD_CACHE, "", "build cache", reason, size_bytes),))


def remove_build_cache(host: EngineHost, *, older_than_days: float, kept_bytes: int) -> None:
    """Remove records not used for that long, those not used for longest first, until `kept_bytes` are left."""
    filters = {"until": [f"{round(older_than_days * _DAY_SECONDS)}s"]} if older_than_days else {}
    query = {"keep-storage": str(kept_bytes), "filters": orjson.dumps(filters).decode()}
    with engine_errors("the engine does not prune its build cache"):
        answer = host.client._post(host.client._url("/build/prune"), params=query, timeout=_PATIENCE_SECONDS)
        host.client._raise_for_status(answer)


def _is_old(record: dict[str, Any], now: datetime, older_than_days: float) -> bool:
    if record.get("InUse") or record.get("Type") in _KEPT_TYPES:
        return False
    used = parse_time(record.get("LastUsedAt")) or parse_time(record.get("CreatedAt"))
    return used is not None and (now - used).total_seconds() >= older_than_days * _DAY_SECONDS


def _removable_bytes(old: list[dict[str, Any]], excess_bytes: int) -> int:
    """What goes of old records until the excess is gone."""
    gone = 0
    for record in sorted(old, key=lambda record: str(record.get("LastUsedAt") or "")):
        if gone >= excess_bytes:
            break
        gone += int(record.get("Size") or 0)
    return gone
