"""Optimized images beside those in use: the name under which one stays on its host, and how a plan sees it."""

from __future__ import annotations

from dataclasses import replace

from imgopt_pipeline.planning.facts import AuditFacts
from imgopt_pipeline.planning.provenance import repository

SOURCE_LABEL = "imgopt.source-image"
"""The ID of the image that a candidate stands in for; on every image that imgopt builds."""

SUFFIX = "-optimized"
_TAG_CHARACTERS = 128


def candidate_reference(reference: str | None, image_id: str) -> str:
    """`shop-web:latest` → `shop-web:latest-optimized`; an image without a name goes by its ID."""
    if not reference:
        return f"imgopt/{image_id.removeprefix('sha256:')[:12]}:optimized"
    tagged = reference.partition("@")[0]
    tag = tagged.rpartition("/")[2].partition(":")[2] or "latest"
    return f"{repository(tagged)}:{tag[: _TAG_CHARACTERS - len(SUFFIX)]}{SUFFIX}"


def without_candidates(facts: AuditFacts) -> AuditFacts:
    """The facts without unused candidates whose original is still there: they wait to take its place.

    What they hold in common with it is no reason to think that it could not be freed.
    """
    known = {image.image_id for image in facts.images}
    stay = [image for image in facts.images if image.containers or image.labels.get(SOURCE_LABEL) not in known]
    return replace(facts, images=tuple(stay))
