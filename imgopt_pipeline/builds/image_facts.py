"""What rules want to know of the image in use, read from its layers and joined with the lines of its Dockerfile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import duckdb

from imgopt_pipeline.builds.made_paths import made_paths
from imgopt_pipeline.dockerfiles.facts import ByteRange, Hidden, ImageFacts, PackageFacts, StepFacts
from imgopt_pipeline.examining import Examination, open_examination
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.models import Container, Image
from imgopt_pipeline.planning.facts import ClaimGroup, claim_levels

OF_THE_BASE = frozenset({"R8", "R16", "R18"})
"""Techniques that change what the base image holds; all others reach the Dockerfile's own layers only."""


def image_facts(
    host: EngineHost,
    image: Image,
    containers: Sequence[Container],
    cache_folder: Path,
    *,
    verify_bytes: int,
    steps: Mapping[int, int],
) -> tuple[ImageFacts, Examination]:
    """Facts of an image whose layers (`steps`: line of the Dockerfile → position) were made by a Dockerfile.

    Raises ImgoptError for an unreadable layer.
    """
    with open_examination(
        host, image, cache_folder, verify_bytes=verify_bytes, containers=containers, removable=True
    ) as (found, connection):
        base = min(steps.values()) - 1 if steps else None
        groups = reachable_claims(claim_groups(found), base)
        made = made_paths(connection, sorted(set(steps.values())), base)
        facts = ImageFacts(
            image=image.name,
            size_bytes=stored_bytes(found),
            gpu_verdict=found.gpu_check.verdict,
            packages=tuple(_packages(connection)),
            claims=technique_bytes(groups),
            steps={
                line: StepFacts(
                    position=position,
                    size_bytes=found.analysis.layers[position].file_bytes,
                    claims=technique_bytes(group for group in groups if group.position == position),
                    made=made.get(position, ()),
                )
                for line, position in steps.items()
            },
            hidden=tuple(
                Hidden(dead.position, dead.killed_by, dead.reason, dead.size_bytes)
                for dead in found.analysis.merged.dead_sums
            ),
            python_folders=tuple(_folders(connection, "python_folders")),
            node_folders=tuple(_folders(connection, "node_folders")),
            base_position=base,
            user=image.user,
        )
        return facts, found


def stored_bytes(examination: Examination) -> int:
    """What all layers of an image store: visible and hidden bytes."""
    merged = examination.analysis.merged
    return merged.live_bytes + merged.dead_bytes


def claim_groups(examination: Examination) -> list[ClaimGroup]:
    """What could be removed from an examined image."""
    return [
        ClaimGroup(row["position"], claim_levels(row["claims"]), row["size_bytes"], row["files"], row["example"])
        for row in examination.contents.removable
    ]


def reachable_claims(groups: Iterable[ClaimGroup], base_position: int | None) -> list[ClaimGroup]:
    """The claims that a change of the Dockerfile can reach: in the base's layers only those of another base."""
    if base_position is None:
        return list(groups)
    result = []
    for group in groups:
        above = group.position > base_position
        levels = {name: level for name, level in group.levels.items() if above or name in OF_THE_BASE}
        if levels:
            result.append(ClaimGroup(group.position, levels, group.size_bytes, group.files, group.example))
    return result


def technique_bytes(groups: Iterable[ClaimGroup]) -> dict[str, ByteRange]:
    """What each technique by itself would free."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for group in groups:
        for technique, surest in group.levels.items():
            for level in range(surest, 3):
                sums[technique][level] += group.size_bytes
    return {technique: ByteRange(*levels) for technique, levels in sums.items()}


def _packages(connection: duckdb.DuckDBPyConnection) -> Iterable[PackageFacts]:
    cursor = connection.execute(_sql("select_packages"))
    names = [column[0] for column in cursor.description or []]
    for values in cursor.fetchall():
        row = dict(zip(names, values, strict=True))
        yield PackageFacts(**row | {"requires": tuple(row["requires"] or ())})


def _folders(connection: duckdb.DuckDBPyConnection, name: str) -> Iterable[str]:
    return (folder for (folder,) in connection.execute(_sql(f"select_{name}")).fetchall())


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text()
