"""The labels of a candidate: what it was made from, by which rules, and the annotations that others read.

Nothing that changes from one build to the next stands in them: the same build gives the same image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from imgopt_pipeline import __version__
from imgopt_pipeline.planning.candidates import SOURCE_LABEL

RULES_LABEL = "imgopt.rules"
VERSION_LABEL = "imgopt.version"
BASE_NAME_LABEL = "org.opencontainers.image.base.name"
BASE_DIGEST_LABEL = "org.opencontainers.image.base.digest"

_LONGEST, _MOST_CHARACTERS = 30_000, 300_000
"""What Linux lets stand on a command line is 131,072 bytes a word and 2 MB in all."""

OWN_LABELS = frozenset({SOURCE_LABEL, RULES_LABEL, VERSION_LABEL, BASE_NAME_LABEL, BASE_DIGEST_LABEL})
"""The labels that a candidate has and the image in use need not have."""


def candidate_labels(
    source_image_id: str, rules: Iterable[str], *, base_reference: str | None = None, base_digest: str | None = None
) -> dict[str, str]:
    """The labels for a build; `base_digest` is the registry's of the base, where it is known."""
    labels = {SOURCE_LABEL: source_image_id, RULES_LABEL: " ".join(sorted(set(rules))), VERSION_LABEL: __version__}
    if base_reference and base_reference != "scratch":
        labels[BASE_NAME_LABEL] = base_reference
    if base_digest:
        labels[BASE_DIGEST_LABEL] = base_digest
    return labels


def inherited_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of the image in use, for the build of its candidate: compose and pipelines set some that no
    Dockerfile names."""
    inherited = {name: value for name, value in labels.items() if name not in OWN_LABELS and _can_be_given(name, value)}
    return inherited if sum(len(name) + len(value) for name, value in inherited.items()) < _MOST_CHARACTERS else {}


def _can_be_given(name: str, value: str) -> bool:
    """Whether it can stand on a command line as `name=value`."""
    return bool(name) and "=" not in name and "\0" not in name + value and len(value) < _LONGEST
