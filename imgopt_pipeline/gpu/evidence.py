"""A piece of evidence about GPUs, with its source, and the words for how much it weighs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found, in words; the fields are those of the table `gpu_evidence`.

    `aspect`: build, grant, use, need or host. `weight`: certain, very high, high, medium or weak. `value`: what it says
    for its aspect, such as cuda, required or cpu. All text has passed through `names.printable`.
    """

    aspect: str
    statement: str
    source: str
    weight: str
    value: str
