"""What was found about each image that stays: its origin, what would go, and what others hold too."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imgopt_pipeline.planning.corrections import corrected_estimate, learned_risk
from imgopt_pipeline.planning.estimates import Estimate, content_key, freeable_claims, shared_chains, union_estimate
from imgopt_pipeline.planning.facts import LEVELS, AuditFacts, ClaimGroup, ImageFacts, Record
from imgopt_pipeline.planning.gpu_words import cpu_only_edits, cpu_only_means, may_need_none
from imgopt_pipeline.planning.provenance import Provenance, provenance
from imgopt_pipeline.planning.techniques import LEVELS as FURTHEST
from imgopt_pipeline.planning.techniques import ORDER, RISKS, TECHNIQUES
from imgopt_pipeline.units import format_bytes, format_percent

WORTHWHILE_BYTES = 100_000_000
WORTHWHILE_SHARE = 0.05
CARRYING_SHARE = 0.10
NAMED_SHARE = 0.01
_MEANS_NAMED = 3
_WITHOUT = "no "
_COPIED = re.compile(r"\s*(?:/bin/sh -c #\(nop\)\s*)?(?:COPY|ADD)\b")


@dataclass(frozen=True, slots=True)
class Case:
    """An image, those of equal content, and what was found about them.

    `groups` are the claims whose bytes its rebuild would free, `estimate` their union over all techniques
    that it may use. `undecided_bytes` of GPU code would likely go as well, if a person knew that it needs no GPU.
    `shared_bytes` would go as well, were they not in layers that `sharers` hold too.
    `leftovers` hold some of the counted layers until they are removed, which the plan says of its own.
    """

    image: ImageFacts
    equals: tuple[ImageFacts, ...]
    origin: Provenance
    cpu_only: bool
    groups: tuple[ClaimGroup, ...]
    estimate: Estimate
    undecided_bytes: int
    shared_bytes: int
    sharers: tuple[str, ...]
    leftovers: tuple[str, ...]
    records: Mapping[str, Record]

    @property
    def share(self) -> float:
        """The likely gain as a share of the image."""
        return self.estimate.likely_bytes / self.image.size_bytes if self.image.size_bytes else 0.0

    @property
    def worthwhile(self) -> bool:
        """Whether the gain pays for a change."""
        return _pays(self.estimate.likely_bytes, self.image)

    @property
    def undecided(self) -> bool:
        """Whether the GPU code alone pays for finding out if it is needed."""
        return _pays(self.undecided_bytes, self.image)

    @property
    def without_gpu(self) -> Case:
        """The same where its GPU code may go as well: at most, since nobody knows."""
        last = len(LEVELS) - 1
        groups = [replace(g, levels={**g.levels, "R1": last}) if "R1" in g.levels else g for g in self.groups]
        return replace(self, estimate=corrected_estimate(union_estimate(groups, TECHNIQUES), self.records))

    @property
    def risk(self) -> str:
        """The highest risk of the techniques that carry the gain."""
        carriers = self.estimate.carriers(CARRYING_SHARE)
        return max((learned_risk(t, self.records) for t in carriers), key=RISKS.index, default="low")

    @property
    def often_dropped(self) -> list[str]:
        """Techniques carrying the gain that earlier builds had to drop oftener than not."""
        carriers = self.estimate.carriers(CARRYING_SHARE)
        return [t for t in carriers if learned_risk(t, self.records) != TECHNIQUES[t].risk]

    @property
    def level(self) -> str:
        """How far one has to go for the techniques that carry the gain."""
        carriers = self.estimate.carriers(CARRYING_SHARE)
        return max((TECHNIQUES[t].level for t in carriers), key=FURTHEST.index, default=FURTHEST[0])

    @property
    def complexity(self) -> str:
        """The highest complexity of the techniques that carry the gain."""
        carriers = self.estimate.carriers(CARRYING_SHARE)
        return max((TECHNIQUES[t].complexity for t in carriers), key=RISKS.index, default="low")

    @property
    def copied_bytes(self) -> int:
        """The likely gain in layers made by COPY or ADD, or by nobody knows what."""
        maker = {layer.position: layer.created_by for layer in self.image.layers}
        techniques = {part.technique for part in self.estimate.parts}
        copied = [g for g in self.groups if maker.get(g.position) is None or _COPIED.match(maker[g.position] or "")]
        return union_estimate(copied, techniques).likely_bytes

    @property
    def named(self) -> list[str]:
        """Techniques worth naming, in the order of the edits."""
        least_bytes = NAMED_SHARE * self.estimate.high_bytes
        return [t for t in sorted(self._high_bytes, key=ORDER.__getitem__) if self._high_bytes[t] >= least_bytes]

    @property
    def means(self) -> str:
        """`with CPU-only torch and a multi-stage build, without package caches`: most work first, then the biggest."""
        weights: dict[str, tuple[int, int]] = {}
        for technique in self.named:
            words = cpu_only_means(self.image) if technique == "R1" else TECHNIQUES[technique].means
            work, size_bytes = weights.get(words, (0, 0))
            work = max(work, RISKS.index(TECHNIQUES[technique].complexity))
            weights[words] = work, size_bytes + self._high_bytes[technique]
        first = sorted(weights, key=lambda words: (-weights[words][0], -weights[words][1], words))[:_MEANS_NAMED]
        without = [words.removeprefix(_WITHOUT) for words in first if words.startswith(_WITHOUT)]
        with_ = [words for words in first if not words.startswith(_WITHOUT)]
        halves = [("with ", with_), ("without ", without)]
        return ", ".join(f"{word}{_listed(named)}" for word, named in halves if named)

    @property
    def _high_bytes(self) -> dict[str, int]:
        return {part.technique: part.high_bytes for part in self.estimate.parts}

    @property
    def gain(self) -> str:
        """`5.55 GB of 8.77 GB (63.2 %)`."""
        return (
            f"{format_bytes(self.estimate.likely_bytes)} of {format_bytes(self.image.size_bytes)}"
            f" ({format_percent(self.share)})"
        )

    @property
    def edits(self) -> list[str]:
        """What to change in the Dockerfile, in order."""
        edits: list[str] = []
        for technique in self.named:
            edits += cpu_only_edits(self.image) if technique == "R1" else [TECHNIQUES[technique].edit]
        return edits


def _pays(likely_bytes: int, image: ImageFacts) -> bool:
    return likely_bytes >= max(WORTHWHILE_BYTES, WORTHWHILE_SHARE * (image.size_bytes or 0))


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def cases(facts: AuditFacts, leaving: Collection[str], leftovers: Collection[str]) -> Iterator[Case]:
    """A case for each content among the images whose IDs are not `leaving`, in the order of the images.

    `leftovers`, some of the leaving, are what earlier builds of the same images left: they share most layers
    with these and go anyway, so that their hold on a layer does not count.
    """
    by_id = {image.image_id: image for image in facts.images}
    shared = shared_chains([image for image in facts.images if image.image_id not in leftovers])
    holders: dict[str, list[str]] = defaultdict(list)
    for image in facts.images:
        for layer in image.layers:
            if layer.chain_id in shared or image.image_id in leftovers:
                holders[layer.chain_id].append(image.image_id)
    alike: dict[str, list[ImageFacts]] = defaultdict(list)
    for image in facts.images:
        if image.image_id not in leaving:
            alike[content_key(image)].append(image)
    for images in alike.values():
        image, *equals = sorted(images, key=lambda one: (not one.containers, one.dangling, one.name, one.image_id))
        base = by_id.get(image.base_image_id or "")
        cpu_only = all(one.gpu.verdict == "denied" for one in images)
        techniques = [technique for technique in TECHNIQUES if technique != "R1" or cpu_only]
        groups = freeable_claims(image, shared)
        estimate = union_estimate(groups, techniques)
        undecided = not cpu_only and all(may_need_none(one.gpu) for one in images)
        everything = union_estimate(groups, TECHNIQUES) if undecided else estimate
        same, claimed = {one.image_id for one in images}, {group.position for group in image.claims}
        others = {
            holder
            for layer in image.layers
            if layer.position in claimed
            for holder in holders.get(layer.chain_id, ())
            if holder not in same
        }
        yield Case(
            image,
            tuple(equals),
            provenance(image, base.labels if base else {}, keeps_digests=facts.keeps_digests),
            cpu_only,
            tuple(groups),
            corrected_estimate(estimate, facts.records),
            everything.likely_bytes - estimate.likely_bytes,
            union_estimate(image.claims, techniques).likely_bytes - estimate.likely_bytes,
            tuple(sorted(by_id[other].name for other in others if other not in leftovers)),
            tuple(sorted(by_id[other].name for other in others if other in leftovers)),
            facts.records,
        )
