"""The facts of one audit that a plan is made from, as frozen values. Reads the warehouse; judges nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from typing import Any

import duckdb

from imgopt_pipeline.warehouse.store import fetch_rows

LEVELS = ("low", "likely", "high")
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ClaimGroup:
    """Bytes of one layer that the same techniques claim, each from the level (index in LEVELS) that it counts at."""

    position: int
    levels: Mapping[str, int]
    size_bytes: int
    files: int
    example: str


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """A layer of an image; `size_bytes` is None where it could not be read."""

    position: int
    chain_id: str
    created_by: str | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """The GPU verdict on an image over all its containers; empty words where none was made."""

    verdict: str = ""
    confidence: str = ""
    explanation: str = ""
    build: str = "none"
    gpu_bytes: int = 0
    need: str = "unknown"
    granted: bool | None = None
    used: bool | None = None


@dataclass(frozen=True, slots=True)
class GpuPackage:
    """A package that has to do with GPUs, and what a GPU build is to it."""

    name: str
    version: str
    gpu_role: str


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """A container, running or not."""

    name: str
    image_id: str
    image_reference: str
    state: str
    running: bool
    compose_project: str | None
    compose_service: str | None
    compose_working_dir: str | None
    compose_config_files: tuple[str, ...]
    log_driver: str
    log_bytes: int | None


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image of the host. `size_bytes` is None where its layers could not be read, `problem` then may say why."""

    image_id: str
    name: str
    references: tuple[str, ...]
    digests: tuple[str, ...]
    dangling: bool
    reported_bytes: int | None
    base_image_id: str | None
    chain_id: str
    created_at: datetime | None
    labels: Mapping[str, str]
    size_bytes: int | None
    problem: str | None
    gpu: GpuFacts
    layers: tuple[LayerFacts, ...] = ()
    claims: tuple[ClaimGroup, ...] = ()
    gpu_packages: tuple[GpuPackage, ...] = ()
    containers: tuple[ContainerFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """A data directory; see the table `data_directories`."""

    path: str
    kind: str
    volume: str | None
    containers: tuple[str, ...]
    compose_project: str | None
    running: bool
    size_bytes: int | None
    contents: str
    contents_bytes: Mapping[str, int]
    unused_bytes: int | None
    idle_days: int
    filesystem: str
    remote: bool
    in_use_by: tuple[str, ...] | None
    complete: bool


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """A volume and how many containers mount it."""

    name: str
    driver: str
    mountpoint: str
    size_bytes: int | None
    containers: int
    anonymous: bool


@dataclass(frozen=True, slots=True)
class FindingFacts:
    """A finding, as far as a plan refers to it."""

    rule_id: str
    technique: str | None
    subject_kind: str
    subject: str
    image_id: str | None
    path: str | None
    high_bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    """How often a technique was kept and dropped, and its measured bytes per likely byte; None where none was."""

    kept: int = 0
    dropped: int = 0
    measured_per_likely: float | None = None


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """All facts of an audit. `chain_bytes`: what each stored layer takes, by chain ID; `records`: by technique."""

    engine_kind: str
    image_store: str
    gpus_known: bool
    has_gpu: bool
    host: str = ""
    images: tuple[ImageFacts, ...] = ()
    containers: tuple[ContainerFacts, ...] = ()
    directories: tuple[DirectoryFacts, ...] = ()
    volumes: tuple[VolumeFacts, ...] = ()
    build_cache_bytes: int = 0
    build_cache_reclaimable_bytes: int = 0
    findings: tuple[FindingFacts, ...] = ()
    chain_bytes: Mapping[str, int] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)

    @property
    def has_engine(self) -> bool:
        """Whether an engine keeps the images; a folder of archives with containers described stands for one."""
        return self.engine_kind not in ("archives", "") or bool(self.containers)

    @property
    def optimizes(self) -> bool:
        """Whether `imgopt optimize` can build there: it takes an engine with BuildKit."""
        return self.engine_kind == "docker"

    @property
    def keeps_digests(self) -> bool:
        """Whether the store gives a repository digest to each image that it pulls, and to none that it builds."""
        return self.engine_kind == "docker" and self.image_store == "overlay2"

    @property
    def usage_known(self) -> bool:
        """Whether it shows which images are in use: a host that runs nothing may keep all of them on purpose."""
        return bool(self.containers)


def load_facts(connection: duckdb.DuckDBPyConnection, audit_id: str) -> AuditFacts:
    """The facts of an audit, all in the same order whenever they are loaded."""

    def rows(name: str) -> Rows:
        text = resources.files(__package__).joinpath(f"select_{name}.sql").read_text()
        return fetch_rows(connection, text, audit_id=audit_id)

    (host,) = rows("host")
    usage = {row["kind"]: row for row in rows("usage")}
    cache = usage.get("build cache", {"size_bytes": 0, "reclaimable_bytes": 0})
    containers = tuple(
        ContainerFacts(**row | {"compose_config_files": tuple(row["compose_config_files"])})
        for row in rows("containers")
    )
    layers = rows("layers")
    return AuditFacts(
        **host,
        images=_images(rows("images"), layers, rows("claims"), rows("gpu_packages"), containers),
        containers=containers,
        directories=tuple(map(_directory, rows("directories"))),
        volumes=tuple(VolumeFacts(**row) for row in rows("volumes")),
        build_cache_bytes=cache["size_bytes"],
        build_cache_reclaimable_bytes=min(cache["reclaimable_bytes"], cache["size_bytes"]),
        findings=tuple(FindingFacts(**row) for row in rows("findings")),
        chain_bytes={row["chain_id"]: row["size_bytes"] for row in layers if row["size_bytes"] is not None},
        records=load_records(connection),
    )


def load_records(connection: duckdb.DuckDBPyConnection) -> dict[str, Record]:
    """What builds so far teach about each technique."""
    text = resources.files(__package__).joinpath("select_records.sql").read_text()
    return {row.pop("technique"): Record(**row) for row in fetch_rows(connection, text)}


def claim_levels(claims: Iterable[str]) -> dict[str, int]:
    """`["R1:low", "R9:high"]` as levels by technique, the surest of each; what has no such form is passed over."""
    levels: dict[str, int] = {}
    for claim in claims:
        technique, _, level = claim.partition(":")
        if level in LEVELS:
            levels[technique] = min(LEVELS.index(level), levels.get(technique, len(LEVELS)))
    return levels


def _images(
    images: Rows, layers: Rows, claims: Rows, packages: Rows, containers: Iterable[ContainerFacts]
) -> tuple[ImageFacts, ...]:
    layers_of: dict[str, list[LayerFacts]] = defaultdict(list)
    claims_of: dict[str, list[ClaimGroup]] = defaultdict(list)
    packages_of: dict[str, list[GpuPackage]] = defaultdict(list)
    containers_of: dict[str, list[ContainerFacts]] = defaultdict(list)
    for row in layers:
        layers_of[row.pop("image_id")].append(LayerFacts(**row))
    for row in claims:
        claims_of[row.pop("image_id")].append(ClaimGroup(levels=claim_levels(row.pop("claims")), **row))
    for row in packages:
        packages_of[row.pop("image_id")].append(GpuPackage(**row))
    for container in containers:
        containers_of[container.image_id].append(container)
    return tuple(
        ImageFacts(
            image_id=image_id,
            name=row["name"],
            references=tuple(row["image_references"]),
            digests=tuple(row["digests"]),
            dangling=row["dangling"],
            reported_bytes=row["reported_bytes"],
            base_image_id=row["base_image_id"],
            chain_id=row["chain_id"],
            created_at=row["created_at"],
            labels=_mapping(row["labels"]),
            size_bytes=row["size_bytes"],
            problem=row["problem"],
            gpu=_gpu(row),
            layers=tuple(layers_of[image_id]),
            claims=tuple(claims_of[image_id]),
            gpu_packages=tuple(packages_of[image_id]),
            containers=tuple(containers_of[image_id]),
        )
        for row in images
        for image_id in (row["image_id"],)
    )


def _gpu(row: Mapping[str, Any]) -> GpuFacts:
    return GpuFacts(
        verdict=row["verdict"] or "",
        confidence=row["confidence"] or "",
        explanation=row["explanation"] or "",
        build=row["build"] or "none",
        gpu_bytes=row["gpu_bytes"] or 0,
        need=row["need"] or "unknown",
        granted=row["granted"],
        used=row["used"],
    )


def _directory(row: dict[str, Any]) -> DirectoryFacts:
    in_use_by = row["in_use_by"]
    return DirectoryFacts(
        **row
        | {
            "containers": tuple(row["containers"]),
            "contents_bytes": _mapping(row["contents_bytes"]),
            "in_use_by": None if in_use_by is None else tuple(in_use_by),
        }
    )


def _mapping(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in entries}
