"""What an image's history says of each build step, whichever builder wrote it.

BuildKit writes `RUN /bin/sh -c make # buildkit`, the legacy builder and buildah `/bin/sh -c make` and `/bin/sh -c
#(nop) CMD …`, kaniko the instruction itself; build arguments stand before a command as `|2 A=b C=d`.
Belongs here: reading such lines, and which layer each step made. What a Dockerfile would leave is `expected_steps`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BUILDKIT = " # buildkit"
_NOTHING = re.compile(r"\S+(?: -\S+)* #\(nop\)\s+")
_KEYWORDS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD"}
    | {"RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
_LAYERED = frozenset({"RUN", "COPY", "ADD", "WORKDIR", ""})
_MOST_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """One build step: `keyword` is that of its instruction, '' where none can be told; `text` is what follows.

    `layer` is the position of the layer it made, None where it made none or where that cannot be told. The text may
    hold secrets: `redaction.redact_history` before it is shown.
    """

    keyword: str
    text: str
    layer: int | None = None


def history_steps(history: Sequence[Mapping[str, Any]], layer_count: int) -> tuple[HistoryStep, ...]:
    """The build steps of an image, oldest first, from the answer of `GET /images/{name}/history`, newest first."""
    lines = [str(item.get("CreatedBy") or "")[:_MOST_CHARACTERS] for item in reversed(history)]
    sizes = [item.get("Size") or 0 for item in reversed(history)]
    told = [_instruction(line) for line in lines]
    positions = _positions([keyword for keyword, _ in told], sizes, layer_count)
    return tuple(HistoryStep(*step, position) for step, position in zip(told, positions, strict=True))


def _instruction(line: str) -> tuple[str, str]:
    """The keyword and text of a history line."""
    if metadata := _NOTHING.match(line):
        line = line[metadata.end() :]
    elif line.endswith(_BUILDKIT):
        line = line.removesuffix(_BUILDKIT)
    keyword, _, text = line.partition(" ")
    if keyword in _KEYWORDS:
        return keyword, text.strip()
    return ("RUN", line) if line and not line.startswith("#") else ("", line)


def _positions(keywords: Sequence[str], sizes: Sequence[int], layer_count: int) -> list[int | None]:
    """The position of the layer that each step made, None where it made none or where that cannot be told.

    The API does not say. Metadata never makes a layer and bytes always do; of the others the legacy builder spares a
    RUN that changed nothing, and some builders a WORKDIR that existed. Between steps that may or may not have made
    one nothing is guessed.
    """
    possible = [size > 0 or keyword in _LAYERED for keyword, size in zip(keywords, sizes, strict=True)]
    certain = [size > 0 for size in sizes]
    for spared in (set[str](), {"RUN"}, {"WORKDIR"}, {"RUN", "WORKDIR"}):
        made = [
            bytes_made or (can and keyword not in spared)
            for keyword, can, bytes_made in zip(keywords, possible, certain, strict=True)
        ]
        if sum(made) == layer_count:
            possible = certain = made
            break
    return _bounded(possible, certain, layer_count)


def _bounded(possible: Sequence[bool], certain: Sequence[bool], layer_count: int) -> list[int | None]:
    """Positions of the certain steps, where the count of layers leaves one only."""
    doubtful = sum(possible) - sum(certain)
    made = layer_count - sum(certain)  # of the doubtful ones
    positions: list[int | None] = []
    certain_before = doubtful_before = 0
    for can, is_certain in zip(possible, certain, strict=True):
        least = max(0, made - (doubtful - doubtful_before))
        most = min(doubtful_before, made)
        positions.append(certain_before + least if is_certain and least == most else None)
        certain_before += is_certain
        doubtful_before += can and not is_certain
    return positions
