"""How much memory a container takes of what it may, and whether it is running out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.services.models import Running
from imgopt_pipeline.units import format_bytes, format_percent

_ONE_SHOT_VERSION = (1, 41)
_FULL_SAMPLES = 3
_LEAST_GROWTH = 0.02
_LEAST_SAMPLES = 6
_SPAN_SHARE = 1 / 30
_HALF = 0.5
_MORE_THAN_BEFORE = 1.25


@dataclass(frozen=True, slots=True)
class Sample:
    """What was in use at a time, without cached files that can go at once."""

    seconds: float
    used_bytes: int


def used_bytes(host: EngineHost, container: Running) -> int | None:
    """Memory in use now; None where the engine does not tell."""
    version = tuple(int(part) for part in str(host.client.api_version).split("."))
    try:
        with engine_errors("the engine does not say what it takes"):
            one_shot = True if version >= _ONE_SHOT_VERSION else None
            told = host.client.stats(container.container_id, stream=False, one_shot=one_shot)
    except UnreadableLayer:  # it ended
        return None
    memory = told.get("memory_stats") or {}
    parts = memory.get("stats") or {}
    usage = memory.get("usage")
    if not isinstance(usage, int):
        return None
    inactive = parts.get("total_inactive_file", parts.get("inactive_file", 0))
    return max(usage - int(inactive), 0)


def limit_bytes(container: Running) -> int | None:
    """What it may take; None where it has no limit of its own."""
    return int((container.inspected.get("HostConfig") or {}).get("Memory") or 0) or None


def running_out(
    samples: Sequence[Sample], limit: int | None, *, share: float, old_bytes: int | None, horizon_seconds: float
) -> str:
    """In words how it runs out of memory; empty where it does not.

    Either it stays above the share of its limit, or it grows so steadily that it gets there within the horizon.
    """
    if limit is None or not samples:
        return ""
    full, last = share * limit, samples[-1].used_bytes
    if len(samples) >= _FULL_SAMPLES and all(sample.used_bytes >= full for sample in samples[-_FULL_SAMPLES:]):
        return f"It takes {format_bytes(last)}, {format_percent(last / limit)} of its limit of {format_bytes(limit)}."
    span = samples[-1].seconds - samples[0].seconds
    if len(samples) < _LEAST_SAMPLES or span < horizon_seconds * _SPAN_SHARE:
        return ""
    third = len(samples) // 3
    first, middle, final = (
        fmean(sample.used_bytes for sample in part)
        for part in (samples[:third], samples[third : len(samples) - third], samples[len(samples) - third :])
    )
    slope = (final - middle) / (span / 3)
    # What fills its caches slows down, and what is far from its limit or was so before is left alone.
    steady = middle > first and final - middle >= _HALF * (middle - first) > 0
    steady = steady and final - first >= _LEAST_GROWTH * limit  # else it only goes up and down
    larger = last > _HALF * limit and (old_bytes is None or last > _MORE_THAN_BEFORE * old_bytes)
    if not steady or not larger or last + slope * horizon_seconds < full:
        return ""
    left = max((full - last) / slope, 0)
    return (
        f"It takes {format_bytes(last)} and grows by {format_bytes(round(slope))} a second: in {left:.0f} s"
        f" its limit of {format_bytes(limit)} is reached."
    )
