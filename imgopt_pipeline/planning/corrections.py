"""What earlier builds teach about techniques: how much of an estimate came true, how often one had to be dropped.

The figures are those of the view `estimate_accuracy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from imgopt_pipeline.planning.estimates import Estimate
from imgopt_pipeline.planning.facts import Record
from imgopt_pipeline.planning.techniques import RISKS, TECHNIQUES

_LEAST_BUILDS = 2
_STEADY = 0.1


def corrected_bytes(low_bytes: int, likely_bytes: int, high_bytes: int, record: Record | None) -> int:
    """The likely gain as earlier builds measured it, within its own bounds. One build alone teaches nothing."""
    if record is None or record.measured_per_likely is None or record.kept < _LEAST_BUILDS:
        return likely_bytes
    if abs(record.measured_per_likely - 1) < _STEADY:
        return likely_bytes
    return max(low_bytes, min(high_bytes, round(likely_bytes * record.measured_per_likely)))


def corrected_estimate(estimate: Estimate, records: Mapping[str, Record]) -> Estimate:
    """An estimate with the likely gain of each part corrected."""
    parts = [
        replace(
            part,
            likely_bytes=corrected_bytes(
                part.low_bytes, part.likely_bytes, part.high_bytes, records.get(part.technique)
            ),
        )
        for part in estimate.parts
    ]
    parts.sort(key=lambda part: (-part.likely_bytes, -part.high_bytes))
    return replace(estimate, likely_bytes=sum(part.likely_bytes for part in parts), parts=tuple(parts))


def learned_risk(technique: str, records: Mapping[str, Record]) -> str:
    """The risk of a technique: a grade higher once it was dropped twice, and oftener than it was kept."""
    risk = TECHNIQUES[technique].risk
    record = records.get(technique)
    if record is None or record.dropped < _LEAST_BUILDS or record.dropped <= record.kept:
        return risk
    return RISKS[min(RISKS.index(risk) + 1, len(RISKS) - 1)]
