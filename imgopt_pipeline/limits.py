"""The bounds that keep a hostile image from filling memory, disk or time.

Each reader checks them and raises `LimitExceeded`, naming the bound that was hit.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds per image or layer. The defaults are far above what engines themselves accept.

    `trailing_bytes` bounds what may follow a layer's end-of-archive blocks (eStargz puts its index there).
    """

    layers: int = 1_000
    layer_bytes: int = 500_000_000_000
    entries: int = 10_000_000
    header_bytes: int = 1_048_576
    document_bytes: int = 16_000_000
    trailing_bytes: int = 256_000_000
    members: int = 100_000
    images: int = 10_000
    nesting: int = 8


DEFAULT_LIMITS = Limits()
