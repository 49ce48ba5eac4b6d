"""A third party's image as one layer, checked like any other candidate: only where a person asks for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from imgopt_pipeline import __version__
from imgopt_pipeline.builds.attempting import subject_of
from imgopt_pipeline.builds.builder.cleaning_up import ATTEMPT_REPOSITORY, built_before, remove_attempts, sweep_attempts
from imgopt_pipeline.builds.builder.disk_space import check_disk_space, needed_bytes
from imgopt_pipeline.builds.builder.flattening import flatten
from imgopt_pipeline.builds.builder.labels import candidate_labels
from imgopt_pipeline.builds.checks.candidate import check_candidate
from imgopt_pipeline.builds.checks.subjects import CheckContext
from imgopt_pipeline.builds.image_facts import stored_bytes
from imgopt_pipeline.builds.keeping import keep
from imgopt_pipeline.builds.models import FAILED
from imgopt_pipeline.builds.preparing import InUse
from imgopt_pipeline.builds.rows import Rows, check_row, gain_words
from imgopt_pipeline.builds.sources.finding import target_of
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.examining import Examination, examine_image
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.inventory import utc
from imgopt_pipeline.hosts.models import Image
from imgopt_pipeline.interrupts import interrupts_deferred
from imgopt_pipeline.planning.candidates import candidate_reference
from imgopt_pipeline.settings import Settings, TargetSettings

LEAST_SHARE = 0.01


def flatten_rows(settings: Settings, host: EngineHost, in_use: InUse, patterns: Sequence[str], build_id: str) -> Rows:
    """Make, check and keep a flattened image; rows of builds, build_attempts and build_checks.

    Raises SettingsError for an unknown pattern, NotEnoughSpace, HostUnreachable, ImgoptError.
    """
    started_at, begun = datetime.now(UTC), time.monotonic()
    image = in_use.image
    old = _examined(settings, host, image)
    old_bytes = stored_bytes(old)
    check_disk_space(host, needed_bytes(old_bytes, 0))
    folder = settings.paths.builds / build_id
    sweep_attempts(host)
    before = built_before(host)
    tag = f"{ATTEMPT_REPOSITORY}:{build_id[:12]}-1"
    labels = candidate_labels(image.image_id, [f"flatten:{name}" for name in sorted(patterns)] or ["flatten"])
    reference: str | None = None
    try:
        built_at = time.monotonic()
        image_id = flatten(host, image, patterns, tag, labels=labels)
        build_seconds = time.monotonic() - built_at
        new = _examined(settings, host, host.image(image_id))
        checks = check_candidate(
            host,
            subject_of(host, image.image_id, old),
            subject_of(host, image_id, new),
            _context(settings, host, in_use),
        )
        failed = [check for check in checks if check.outcome == FAILED]
        if not failed:
            reference = candidate_reference(next(iter(image.references), None), image.image_id)
            keep(host, image_id, reference)
    finally:
        with interrupts_deferred():
            remove_attempts(host, [tag], before)
    new_bytes = stored_bytes(new)
    detail = "; ".join(f"{check.check}: {check.detail}" for check in failed)
    gain_bytes = max(0, old_bytes - new_bytes)
    build: dict[str, Any] = {
        "build_id": build_id,
        "host": host.name,
        "reference": image.name,
        "kind": "flatten",
        "outcome": "failed" if failed else "kept",
        "source_image_id": image.image_id,
        "candidate_image_id": None if failed else image_id,
        "candidate_reference": reference,
        "origin": "its own merged tree",
        "dockerfile": None,
        "level": ", ".join(sorted(patterns)) or "hidden bytes only",
        "techniques": [],
        "dropped": [],
        "old_bytes": old_bytes,
        "new_bytes": None if failed else new_bytes,
        "low_bytes": gain_bytes,
        "likely_bytes": gain_bytes,
        "high_bytes": gain_bytes,
        "attempts": 1,
        "started_at": utc(started_at),
        "seconds": time.monotonic() - begun,
        "folder": str(folder),
        "summary": f"No candidate was kept: {detail}" if failed else f"{gain_words(old_bytes, new_bytes)}, flattened.",
        "remarks": ["Layers that it shares with other images are stored anew in it."],
        "imgopt_version": __version__,
    }
    attempt: dict[str, Any] = {
        "build_id": build_id,
        "attempt": 1,
        "techniques": [],
        "outcome": "check failed" if failed else "passed",
        "failed_checks": [check.check for check in failed],
        "detail": detail,
        "image_id": image_id,
        "size_bytes": new_bytes,
        "build_seconds": build_seconds,
        "check_seconds": sum(check.seconds for check in checks),
        "log_file": "",
    }
    return {
        "builds": [build],
        "build_attempts": [attempt],
        "build_rules": [],
        "build_checks": [check_row(build_id, 1, check) for check in checks],
    }


def _examined(settings: Settings, host: EngineHost, image: Image) -> Examination:
    return examine_image(host, image, settings.paths.layers, verify_bytes=settings.limits.verify_bytes)


def _context(settings: Settings, host: EngineHost, in_use: InUse) -> CheckContext:
    container = None
    if in_use.containers:
        with engine_errors("the container is gone", missing=ImageNotFound):
            container = host.client.inspect_container(in_use.containers[0].container_id)
    return CheckContext(
        reference=in_use.image.name,
        target=target_of(in_use.image.references, settings.targets) or TargetSettings(),
        builds=settings.builds,
        container=container,
        host_gpu=bool(host.gpus().devices),
    )
