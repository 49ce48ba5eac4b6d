"""What comes first: score, priority, phase and rank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from imgopt_pipeline.planning.facts import AuditFacts, ImageFacts

RISK_FACTORS = {"low": 1.0, "medium": 1.5, "high": 8.0}
HIGH_SHARE = 0.05
MEDIUM_SHARE = 0.005
_PHASES: dict[str | None, int | None] = {"high": 1, "medium": 2, "low": 3}


@dataclass(frozen=True, slots=True)
class Item:
    """A row of the plan before it is ranked.

    `priority` is what its rule fixes, None where the score decides. Sizes and gains are in bytes.
    """

    subject_kind: str
    subject: str
    decision: str
    action: str
    complexity: str
    risk: str
    size_bytes: int
    low_bytes: int
    likely_bytes: int
    high_bytes: int
    counted: str
    reason: str
    command: str = ""
    priority: str | None = None
    image_id: str | None = None
    path: str | None = None
    techniques: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    prerequisites: tuple[str, ...] = ()

    @property
    def phase(self) -> int | None:
        """1 to 3 by priority; None where nothing is to be done."""
        return _PHASES.get(self.priority) if self.decision in ("optimize", "needs a person") else None


def stored_bytes(facts: AuditFacts, directories_bytes: int) -> int:
    """What the host stores: each layer once, the local data directories, volumes beside them, build cache, logs."""
    read = sum(facts.chain_bytes.values())
    unread = sum(map(unread_bytes, facts.images))
    seen = {directory.volume for directory in facts.directories}
    volumes = sum(volume.size_bytes or 0 for volume in facts.volumes if volume.name not in seen)
    logs = sum(container.log_bytes or 0 for container in facts.containers)
    return read + unread + directories_bytes + volumes + facts.build_cache_bytes + logs


def unread_bytes(image: ImageFacts) -> int:
    """What the engine says of an image whose layers are not known at all; 0 for others."""
    return image.reported_bytes or 0 if image.size_bytes is None and not image.layers else 0


def score(item: Item, stored: int) -> float:
    """Likely gain over risk, as a share of what the host stores."""
    return item.likely_bytes / RISK_FACTORS[item.risk] / stored if stored else 0.0


def prioritized(item: Item, stored: int) -> Item:
    """The item with its priority."""
    if item.priority is not None:
        return item
    share = score(item, stored)
    priority = "high" if share >= HIGH_SHARE else "medium" if share >= MEDIUM_SHARE else "low"
    return replace(item, priority=priority)


def ranked(items: Iterable[Item], stored: int) -> list[Item]:
    """Items in the order of the plan: by phase, then score, then name; those without a phase last."""
    return sorted((prioritized(item, stored) for item in items), key=lambda item: _order(item, stored))


def after_rebuilds(item: Item, items: Iterable[Item], stored: int) -> list[Item]:
    """The ranked items with one more, in no earlier phase than any rebuild to be done and behind those of its phase."""
    plan, graded = ranked(items, stored), prioritized(item, stored)
    rebuilds = [one for one in plan if one.techniques and one.phase is not None]
    last = max((one for one in rebuilds if one.decision == "optimize"), key=_phase, default=graded)
    if _phase(last) > _phase(graded):
        graded = replace(graded, priority=last.priority)
    before = [one for one in plan if _order(one, stored) < _order(graded, stored)]
    earlier = [number for number, one in enumerate(plan, start=1) if one in rebuilds and _phase(one) <= _phase(graded)]
    place = max([len(before), *earlier])
    return [*plan[:place], graded, *plan[place:]]


def _order(item: Item, stored: int) -> tuple[int, float, int, str, str, str]:
    return (
        _phase(item),
        -score(item, stored),
        -item.size_bytes,
        item.subject_kind,
        item.subject,
        item.image_id or "",
    )


def _phase(item: Item) -> int:
    return item.phase or len(_PHASES) + 1
