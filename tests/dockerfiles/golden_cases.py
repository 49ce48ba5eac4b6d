"""The golden pairs: folders of golden/ with a Dockerfile before and after, and in case.json what is known beside it.

case.json, all of it optional: `level`, `rules`, `without`, `stage`, and the facts `image`, `context`, `builder`,
`sources` by their fields. Keys of `steps` are first lines of instructions in before.Dockerfile; a number stands
for a range of bytes that is known exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from imgopt_pipeline.dockerfiles.facts import BuilderFacts, ContextFacts, ImageFacts, PackageSources
from imgopt_pipeline.dockerfiles.parsing import parse
from imgopt_pipeline.dockerfiles.rewriting import Rewrite, chosen_rules, rewrite

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True, slots=True)
class Known:
    """What stands in case.json."""

    level: str = "safe"
    rules: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    stage: str | None = None
    image: ImageFacts | None = None
    context: ContextFacts | None = None
    builder: BuilderFacts | None = None
    sources: PackageSources | None = None


_KNOWN = TypeAdapter(Known)


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """A folder of golden/."""

    name: str
    before: str
    after: str
    known: Known


def golden_cases() -> list[GoldenCase]:
    """All of them, by name. Line ends are kept."""
    return [_read(folder) for folder in sorted(GOLDEN.iterdir()) if folder.is_dir()]


def rewritten(text: str, known: Known) -> Rewrite:
    """A text rewritten with what is known."""
    return rewrite(
        text,
        chosen_rules(known.level, known.rules, known.without),
        stage=known.stage,
        image=known.image,
        context=known.context,
        builder=known.builder,
        sources=known.sources,
    )


def known_after(known: Known, result: Rewrite) -> Known:
    """The same facts, said of the rewritten text: each step at the instruction that came of it."""
    if known.image is None:
        return known
    steps: dict[int, Any] = {}
    taken: set[int] = set()
    for instruction in parse(result.text).instructions:
        origin = result.origins[instruction.line - 1]
        if origin in known.image.steps and origin not in taken:
            taken.add(origin)
            steps[instruction.line] = known.image.steps[origin]
    return replace(known, image=replace(known.image, steps=steps))


def _read(folder: Path) -> GoldenCase:
    case = folder / "case.json"
    known = json.loads(case.read_text(), object_hook=_with_ranges) if case.exists() else {}
    return GoldenCase(
        folder.name,
        (folder / "before.Dockerfile").read_bytes().decode(),
        (folder / "after.Dockerfile").read_bytes().decode(),
        _KNOWN.validate_python(known),
    )


def _with_ranges(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object of the JSON, with the numbers in its claims as ranges."""
    if "claims" not in values:
        return values
    claims = {
        technique: {"low_bytes": size, "likely_bytes": size, "high_bytes": size} if isinstance(size, int) else size
        for technique, size in values["claims"].items()
    }
    return {**values, "claims": claims}
