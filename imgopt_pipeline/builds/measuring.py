"""What rules are expected to free together, and what they did free, by the same account.

Expected and measured parts add up: a byte that several techniques claim counts under one of them, the same before
and after. Claims are those of `findings/claims.sql`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from imgopt_pipeline.dockerfiles.facts import ByteRange
from imgopt_pipeline.dockerfiles.rewriting import Applied
from imgopt_pipeline.planning.corrections import corrected_bytes
from imgopt_pipeline.planning.estimates import Part, union_estimate
from imgopt_pipeline.planning.facts import ClaimGroup, Record

_NOTHING = ByteRange()
_BESIDE = {"R3": 0.1, "R4": 0.1, "R8": 0.15}
"""What goes with packages of the distribution though no package lists it, as a share of their bytes at most:
dpkg's records of them, bytecode, caches and indexes that their scripts make. Measured: 0.04 to 0.10."""


def expected_gains(
    groups: Iterable[ClaimGroup], applied: Sequence[Applied], records: Mapping[str, Record]
) -> dict[str, ByteRange]:
    """What each rule is expected to free beside the others; a rule that knows better than the claims is believed."""
    parts = _parts(groups, [rule.technique for rule in applied])
    gains: dict[str, ByteRange] = {}
    for rule in applied:
        part = parts.get(rule.technique)
        beside = 1 + _BESIDE.get(rule.technique, 0.0)
        gain = ByteRange(part.low_bytes, part.likely_bytes, round(part.high_bytes * beside)) if part else _NOTHING
        gains[rule.technique] = _corrected(rule.expected or gain, records.get(rule.technique))
    return gains


def total(gains: Iterable[ByteRange]) -> ByteRange:
    """Their sum."""
    listed = list(gains)
    return ByteRange(
        sum(gain.low_bytes for gain in listed),
        sum(gain.likely_bytes for gain in listed),
        sum(gain.high_bytes for gain in listed),
    )


def measured_gains(
    before: Iterable[ClaimGroup], after: Iterable[ClaimGroup], techniques: Collection[str]
) -> dict[str, int]:
    """The bytes that each rule claimed before and that are gone; negative where more came."""
    old, new = _parts(before, techniques), _parts(after, techniques)
    return {technique: _high(old.get(technique)) - _high(new.get(technique)) for technique in techniques}


def _parts(groups: Iterable[ClaimGroup], techniques: Collection[str]) -> dict[str, Part]:
    return {part.technique: part for part in union_estimate(groups, techniques).parts}


def _high(part: Part | None) -> int:
    return part.high_bytes if part is not None else 0


def _corrected(gain: ByteRange, record: Record | None) -> ByteRange:
    likely = corrected_bytes(gain.low_bytes, gain.likely_bytes, gain.high_bytes, record)
    return ByteRange(gain.low_bytes, likely, gain.high_bytes)
