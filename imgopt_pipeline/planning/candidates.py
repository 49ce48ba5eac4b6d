"""The name under which an optimized image stays on its host, beside the one in use."""

from __future__ import annotations

from imgopt_pipeline.planning.provenance import repository

SUFFIX = "-optimized"
_TAG_CHARACTERS = 128


def candidate_reference(reference: str | None, image_id: str) -> str:
    """`shop-web:latest` → `shop-web:latest-optimized`; an image without a name goes by its ID."""
    if not reference:
        return f"imgopt/{image_id.removeprefix('sha256:')[:12]}:optimized"
    tagged = reference.partition("@")[0]
    tag = tagged.rpartition("/")[2].partition(":")[2] or "latest"
    return f"{repository(tagged)}:{tag[: _TAG_CHARACTERS - len(SUFFIX)]}{SUFFIX}"
