"""Sizes, shares and durations as people write and read them. Decimal units, as `docker images` prints."""

from __future__ import annotations

import re

from imgopt_pipeline.errors import SettingsError

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_FACTORS = {
    **{unit.lower(): 1000**power for power, unit in enumerate(_UNITS)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgtpe", start=1)},
    **{prefix: 1000**power for power, prefix in enumerate("kmgtpe", start=1)},
    "": 1,
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", re.ASCII)


def format_bytes(size_bytes: int | None) -> str:
    """`8770000000` → `8.77 GB`: three significant digits, a dash for an unknown size."""
    if size_bytes is None:
        return "–"
    value, power = float(size_bytes), 0
    while abs(value) >= 999.5 and power < len(_UNITS) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.3g} {_UNITS[power]}"


def parse_bytes(text: str | int) -> int:
    """`"2GB"` → `2000000000`; also `1.5 GiB` and plain numbers of bytes.

    Raises SettingsError for anything else.
    """
    if isinstance(text, int):
        return text
    match = _SIZE.fullmatch(text)
    factor = _FACTORS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise SettingsError(f"{text!r} is not a size.", hint="Write it like 2GB, 500MB or 1.5GiB.")
    return round(float(match[1]) * int(factor))


def format_seconds(seconds: float) -> str:
    """`75.2` → `1 min 15 s`; below ten seconds with one decimal."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def format_percent(share: float | None) -> str:
    """`0.8298` → `82.9 %`: rounded down, so that only a whole is 100 %; a dash for an unknown share."""
    return "–" if share is None else f"{int(share * 1000) / 10:g} %"


def count(number: int, noun: str) -> str:
    """`1 image`, `1,200 images`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
