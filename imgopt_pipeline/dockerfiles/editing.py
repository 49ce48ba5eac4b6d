"""Edits of a Dockerfile by span, and the proof that nothing but them changed.

Every byte outside the edits stays identical. The result is parsed again: each instruction that no edit touches
must mean what it meant, in its order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from imgopt_pipeline.dockerfiles.lines import split_lines
from imgopt_pipeline.dockerfiles.models import Dockerfile
from imgopt_pipeline.dockerfiles.parsing import DockerfileError, parse


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces the characters from `start` up to `end`; an insertion where both are equal."""

    start: int
    end: int
    replacement: str


def edited(document: Dockerfile, edits: Sequence[Edit]) -> Dockerfile:
    """The Dockerfile with these edits, which may not overlap.

    Raises DockerfileError where the result does not parse, or an instruction besides those edited would change.
    """
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.end))
    pieces: list[str] = []
    offset = 0
    for edit in ordered:
        if edit.start < offset or edit.end < edit.start:
            raise DockerfileError("two edits of it overlap.")
        pieces += [document.text[offset : edit.start], edit.replacement.replace("\n", document.newline)]
        offset = edit.end
    text = "".join([*pieces, document.text[offset:]])
    result = parse(text)
    _check_untouched(document, ordered, result)
    return result


def _check_untouched(before: Dockerfile, edits: Sequence[Edit], after: Dockerfile) -> None:
    """Raise DockerfileError where an instruction that no edit touches is not found again at its place."""
    newline = before.newline
    growth = [0, *accumulate(len(e.replacement.replace("\n", newline)) - (e.end - e.start) for e in edits)]
    ends = [edit.end for edit in edits]
    found = {instruction.start: instruction for instruction in after.instructions}
    for instruction in before.instructions:
        # Edits that end before it begins, or stand where it begins, move it; others that overlap it touch it.
        moved_by = bisect_right(ends, instruction.start)
        touched = moved_by < len(edits) and _touches(edits[moved_by], instruction.end)
        same = found.get(instruction.start + growth[moved_by])
        if not touched and (same is None or same.meaning != instruction.meaning):
            raise DockerfileError(f"an edit would change line {instruction.line} as well.")


def _touches(edit: Edit, end: int) -> bool:
    """Whether an edit reaches an instruction that ends there: what is put right behind it goes on with it."""
    return edit.start < end or (edit.start == end and not edit.replacement.startswith("\n"))


def line_origins(text: str, origins: Sequence[int], edits: Sequence[Edit], newline: str) -> tuple[int, ...]:
    """For each line of the edited text, the line it had before all edits, as `origins` says for the lines of `text`.

    Lines that an edit adds count to the line where it begins.
    """
    result: list[int] = []
    offset, line = 0, 0
    at_start = True  # of a line of the result
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        kept = text[offset : edit.start]
        for part in split_lines(kept):
            if at_start:
                result.append(origins[line])
            at_start = part.endswith("\n")
            line += at_start
        for part in split_lines(edit.replacement.replace("\n", newline)):
            if at_start:
                result.append(origins[min(line, len(origins) - 1)])
            at_start = part.endswith("\n")
        line += text[edit.start : edit.end].count("\n")
        offset = edit.end
    for part in split_lines(text[offset:]):
        if at_start:
            result.append(origins[line])
        at_start = part.endswith("\n")
        line += at_start
    return tuple(result)
