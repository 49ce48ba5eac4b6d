"""What a set of techniques would free in an image: an exact union of claims, per layer.

A byte counts once whichever techniques claim it, at the surest level that one of the chosen gives it.
Layers that another image of the host holds too free nothing (docs/guide/plan.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from imgopt_pipeline.planning.facts import LEVELS, ClaimGroup, ImageFacts
from imgopt_pipeline.planning.techniques import ORDER, TECHNIQUES
from imgopt_pipeline.units import count, format_bytes

_PARTS_NAMED = 6


@dataclass(frozen=True, slots=True)
class Part:
    """What one technique contributes: the bytes that it claims most surely of all chosen. Parts add up to the whole."""

    technique: str
    low_bytes: int
    likely_bytes: int
    high_bytes: int
    files: int
    example: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """Freed bytes: at least, likely, at most; and their parts, the biggest first."""

    low_bytes: int = 0
    likely_bytes: int = 0
    high_bytes: int = 0
    parts: tuple[Part, ...] = ()

    def carriers(self, share: float) -> list[str]:
        """Techniques that carry at least this share of the likely gain; where that is 0, of the highest one."""
        total = self.likely_bytes or self.high_bytes
        return [
            part.technique
            for part in self.parts
            if total and (part.likely_bytes if self.likely_bytes else part.high_bytes) >= share * total
        ]


def union_estimate(groups: Iterable[ClaimGroup], techniques: Collection[str]) -> Estimate:
    """The gain of these techniques together."""
    sums: dict[str, list[int]] = {}
    biggest: dict[str, ClaimGroup] = {}
    for group in groups:
        chosen = [technique for technique in group.levels if technique in techniques]
        if not chosen:
            continue
        owner = min(chosen, key=lambda technique: (group.levels[technique], _order(technique)))
        part = sums.setdefault(owner, [0, 0, 0, 0])
        for level in range(group.levels[owner], len(LEVELS)):
            part[level] += group.size_bytes
        part[-1] += group.files
        if group.size_bytes > biggest.setdefault(owner, group).size_bytes:
            biggest[owner] = group
    parts = [
        Part(technique, low, likely, high, files, biggest[technique].example)
        for technique, (low, likely, high, files) in sums.items()
    ]
    parts.sort(key=lambda part: (-part.likely_bytes, -part.high_bytes, _order(part.technique)))
    return Estimate(
        sum(part.low_bytes for part in parts),
        sum(part.likely_bytes for part in parts),
        sum(part.high_bytes for part in parts),
        tuple(parts),
    )


def shared_chains(images: Sequence[ImageFacts]) -> frozenset[str]:
    """Chain IDs that images of different content hold: rebuilding one of them frees nothing of these layers."""
    first_holder: dict[str, str] = {}
    shared = set()
    for image in images:
        content = content_key(image)
        for layer in image.layers:
            if first_holder.setdefault(layer.chain_id, content) != content:
                shared.add(layer.chain_id)
    return frozenset(shared)


def content_key(image: ImageFacts) -> str:
    """Equal for images with equal content."""
    return image.chain_id or (image.layers[-1].chain_id if image.layers else image.image_id)


def freeable_claims(image: ImageFacts, shared: Collection[str]) -> list[ClaimGroup]:
    """The claims on layers that no image of other content holds."""
    own = {layer.position for layer in image.layers if layer.chain_id not in shared}
    return [group for group in image.claims if group.position in own]


def counted(estimate: Estimate) -> str:
    """What a gain is made of: technique, bytes, files, the biggest file."""
    if not estimate.parts:
        return "Nothing that a technique would remove."
    named = [_part_text(part) for part in estimate.parts[:_PARTS_NAMED]]
    rest = estimate.parts[_PARTS_NAMED:]
    if rest:
        named.append(f"others {_range(sum(p.likely_bytes for p in rest), sum(p.high_bytes for p in rest))}")
    return "; ".join(named) + "."


def _part_text(part: Part) -> str:
    noun = TECHNIQUES[part.technique].noun if part.technique in TECHNIQUES else "claimed files"
    example = f", such as {part.example}" if part.example else ""
    return (
        f"{part.technique} {noun} {_range(part.likely_bytes, part.high_bytes)} in {count(part.files, 'file')}{example}"
    )


def _range(likely_bytes: int, high_bytes: int) -> str:
    if format_bytes(likely_bytes) == format_bytes(high_bytes):
        return format_bytes(likely_bytes)
    if likely_bytes == 0:
        return f"at most {format_bytes(high_bytes)}"
    return f"{format_bytes(likely_bytes)} (at most {format_bytes(high_bytes)})"


def _order(technique: str) -> tuple[int, str]:
    return (ORDER.get(technique, len(ORDER)), technique)
