"""An `Image` from an image's configuration document, as archives and blobs carry it.

Source: OCI image specification, config.md; the Docker image configuration has the same fields.
Everything in the document may be hostile: wrong types end in UnreadableArchive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from imgopt_pipeline.errors import LimitExceeded, UnreadableArchive
from imgopt_pipeline.hosts.gpu_settings import gpu_environment
from imgopt_pipeline.hosts.models import Image, with_chain_ids
from imgopt_pipeline.limits import Limits
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_history, redact_labels, redact_text

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_BASE_NAME = "org.opencontainers.image.base.name"
_FRACTION = re.compile(r"(\.\d{6})\d+")


def is_digest(text: object) -> bool:
    """Whether it is `sha256:` and 64 lower-case hexadecimal digits, safe to become a file name."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def image_from_config(
    document: Mapping[str, Any],
    *,
    image_id: str,
    references: Sequence[str],
    digests: Sequence[str],
    source: str,
    limits: Limits,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """The image that a configuration describes.

    Raises UnreadableArchive for a malformed document, LimitExceeded for too many layers.
    """
    try:
        diff_ids = list(document["rootfs"]["diff_ids"])
        if not all(is_digest(diff_id) for diff_id in diff_ids):
            raise ValueError("a diff ID is no sha256 digest")
        check_layer_count(len(diff_ids), limits)
        config = document.get("config") or {}
        labels = {str(key): str(value) for key, value in (config.get("Labels") or {}).items()}
        base = (annotations or {}).get(_BASE_NAME) or labels.get(_BASE_NAME)
        return Image(
            image_id=image_id,
            references=tuple(printable(reference) for reference in references),
            digests=tuple(printable(digest) for digest in digests),
            layers=with_chain_ids(diff_ids, history_of_layers(document.get("history"), len(diff_ids))),
            architecture=printable(str(document.get("architecture") or "")),
            os=printable(str(document.get("os") or "")),
            variant=printable(str(document.get("variant") or "")),
            created_at=parse_time(document.get("created")),
            labels=printable_labels(labels),
            base_reference=printable(redact_text(str(base))) if base else None,
            user=printable(str(config.get("User") or "")),
            has_healthcheck=has_healthcheck(config.get("Healthcheck")),
            env_names=env_names(config.get("Env")),
            gpu_environment=gpu_environment(config.get("Env")),
            source=source,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableArchive(
            f"the image configuration is malformed ({type(error).__name__}: {printable(str(error))}).",
            subject=source,
            hint="The archive is damaged or holds no container image.",
        ) from error


def check_layer_count(count: int, limits: Limits) -> None:
    """Raise LimitExceeded where an image claims more layers than are read."""
    if count > limits.layers:
        raise LimitExceeded(
            f"the image has {count:,} layers; at most {limits.layers:,} are read (engines allow 127).",
            hint="Do not use this image, or raise limits.layers in imgopt.yaml.",
        )


def history_of_layers(history: object, layer_count: int) -> list[str | None]:
    """`created_by` of each layer; all None where the history does not fit the layers, instead of a guess."""
    steps = history if isinstance(history, list) else []
    lines = [
        printable(redact_history(str(step.get("created_by") or "")))
        for step in steps
        if isinstance(step, dict) and not step.get("empty_layer")
    ]
    return list(lines) if len(lines) == layer_count else [None] * layer_count


def has_healthcheck(healthcheck: object) -> bool:
    """Whether a `Healthcheck` says how to check; `NONE` switches an inherited one off."""
    test = healthcheck.get("Test") if isinstance(healthcheck, dict) else None
    return bool(test) and test != ["NONE"]


def env_names(environment: object) -> tuple[str, ...]:
    """Names of the environment variables; values are never kept, but for those of `gpu_settings`."""
    entries = environment if isinstance(environment, list) else []
    return tuple(printable(str(entry).partition("=")[0]) for entry in entries)


def printable_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without credentials, safe to store and to print."""
    return {printable(key): printable(value) for key, value in redact_labels(labels).items()}


def parse_time(text: object) -> datetime | None:
    """An RFC 3339 time in UTC; None where it is missing, malformed, out of range or Go's zero time."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        if moment.tzinfo is None or moment.year == 1:
            return None
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def familiar(reference: str) -> str:
    """The name people type: without `docker.io/` and `docker.io/library/`."""
    return reference.removeprefix("docker.io/").removeprefix("library/")
