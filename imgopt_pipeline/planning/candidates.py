"""Images of imgopt's own beside those in use, candidates and backups: their names, and how a plan sees them."""

from __future__ import annotations

from dataclasses import replace

from imgopt_pipeline.planning.facts import AuditFacts, ImageFacts
from imgopt_pipeline.planning.provenance import repository

SOURCE_LABEL = "imgopt.source-image"
"""The ID of the image that a candidate stands in for; on every image that imgopt builds."""

BACKUP_REPOSITORY = "imgopt-backup"
"""Under which deployments keep the images that they replaced, for as long as they may be put back."""

SET_ASIDE = ".imgopt-"
"""In the name of a container that imgopt set aside as a way back."""

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


def without_backups(facts: AuditFacts) -> AuditFacts:
    """The facts without images that are kept as a way back, which go by themselves in time.

    Neither are they removed, nor is what they hold a reason to think that it could not be freed. One that is in use
    stays, without the name under which it is kept.
    """
    return replace(facts, images=tuple(_unkept(image) for image in facts.images if not _is_backup(image)))


def _is_backup(image: ImageFacts) -> bool:
    in_use = any(SET_ASIDE not in container.name for container in image.containers)
    return not in_use and any(map(_keeps, image.references))


def _unkept(image: ImageFacts) -> ImageFacts:
    references = tuple(reference for reference in image.references if not _keeps(reference))
    if not references or references == image.references:
        return image
    return replace(image, references=references, name=references[0] if _keeps(image.name) else image.name)


def _keeps(reference: str) -> bool:
    return reference.startswith(f"{BACKUP_REPOSITORY}/")
