"""The plan of one audit: all items, none of whose gains overlap, ranked.

An image that is to be removed has no item of its own; a directory counts without those inside it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import duckdb

from imgopt_pipeline.planning.candidates import without_backups, without_candidates
from imgopt_pipeline.planning.cleaning import build_cache_item, cleaning_items, removable_images
from imgopt_pipeline.planning.directories import directory_items, own_bytes
from imgopt_pipeline.planning.facts import AuditFacts, load_facts
from imgopt_pipeline.planning.images import image_items
from imgopt_pipeline.planning.priorities import Item, after_rebuilds, ranked, stored_bytes


def plan_rows(connection: duckdb.DuckDBPyConnection, host: str, audit_id: str) -> list[dict[str, Any]]:
    """Rows of `optimization_plan` for one audit, the first first."""
    return [
        {"audit_id": audit_id, "host": host, "rank": rank, "phase": item.phase, **_columns(item)}
        for rank, item in enumerate(plan_items(load_facts(connection, audit_id)), start=1)
    ]


def plan_items(facts: AuditFacts) -> list[Item]:
    """The plan that follows from facts."""
    facts = without_backups(without_candidates(facts))
    removable = removable_images(facts)
    leaving = {image.image_id for images in removable.values() for image in images}
    leftovers = {image.image_id for sort in ("dangling", "old") for image in removable.get(sort, ())}
    items = [*image_items(facts, leaving, leftovers), *directory_items(facts), *cleaning_items(facts, removable)]
    stored = stored_bytes(facts, sum(own.size_bytes for own in own_bytes(facts.directories)))
    cache = build_cache_item(facts)
    return after_rebuilds(cache, items, stored) if cache else ranked(items, stored)


def _columns(item: Item) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(item).items()}
