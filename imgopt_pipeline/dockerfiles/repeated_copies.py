"""Which COPYs of a build stage the final stage needs as well, and whose their files are there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence

from imgopt_pipeline.dockerfiles.copied_paths import is_inside, is_temporary
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction
from imgopt_pipeline.dockerfiles.stage_items import unix
from imgopt_pipeline.dockerfiles.stage_sources import WHOLE, copied_sources
from imgopt_pipeline.dockerfiles.surroundings import surroundings

_MANIFESTS = re.compile(
    r"requirements[\w.-]*\.txt|requirements|constraints[\w.-]*\.txt|Pipfile(\.lock)?|poetry\.lock\*?|uv\.lock|pyproject\.toml"
    r"|pdm\.lock|environment\.ya?ml|conda[\w.-]*\.(ya?ml|lock)|setup\.(py|cfg)"
)
"""Files of Python projects that only installers read."""

_BUILD_PROGRAMS = frozenset({"uv", "uvx"})


def is_needed(
    draft: Draft,
    instruction: Instruction,
    path: str | None,
    *,
    used: Collection[str],
    covered: Sequence[str],
    later: Sequence[Instruction],
) -> bool:
    """Whether the final stage needs a COPY of the build stage, which leads to `path`, as well.

    `used`: programs that the final image runs, `covered`: folders that come whole, `later`: what follows it.
    """
    if path is not None and (is_temporary(path) or any(is_inside(path, folder) for folder in covered)):
        return False
    names = {posixpath.basename(source.rstrip("/")) for source in instruction.words[:-1]}
    if instruction.flag("from") is not None:
        return not names <= _BUILD_PROGRAMS or not names.isdisjoint(used)
    if names and all(_MANIFESTS.fullmatch(name) for name in names):
        return False
    return not any(_brings_it(draft, instruction, path, other) for other in later)


def is_deleted(draft: Draft, instruction: Instruction, positions: Collection[int]) -> bool:
    """Whether one of these layers deletes what a COPY brings."""
    step = draft.step(instruction)
    if step is None or draft.image is None:
        return False
    return any(
        hidden.position == step.position and hidden.killed_by in positions and hidden.reason in ("deleted", "opaque")
        for hidden in draft.image.hidden
    )


def owned(document: Dockerfile, instruction: Instruction, path: str | None, owners: Mapping[str, str]) -> str:
    """The text of a COPY with the owner that a later `chown -R` gave to where it leads."""
    text = unix(document.source(instruction))
    owner = next((owner for folder, owner in owners.items() if path is not None and is_inside(path, folder)), "")
    keyword = re.match(r"\w+\s+", text)
    if not owner or keyword is None or instruction.flag("chown") is not None:
        return text
    return f"{text[: keyword.end()]}--chown={owner} {text[keyword.end() :]}"


def _brings_it(draft: Draft, instruction: Instruction, path: str | None, later: Instruction) -> bool:
    """Whether a later COPY of the whole context brings the same files to the same place."""
    sources = copied_sources(instruction)
    if later.keyword != "COPY" or path is None or not sources or not WHOLE & set(copied_sources(later)):
        return False
    target = surroundings(draft, later).path(later.words[-1])
    if target is None:
        return False
    for source in sources:
        place = posixpath.normpath(posixpath.join(target, source.removeprefix("./").lstrip("/")))
        if place not in (path, posixpath.join(path, posixpath.basename(source.rstrip("/")))):
            return False
    return True
