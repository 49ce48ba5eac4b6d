"""R3: compilers, headers and git stay in a build stage; the final one copies what they made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imgopt_pipeline.dockerfiles.build_tools import (
    closure,
    compiles_at_run_time,
    distribution,
    install_calls,
    is_build_tool,
    package_name,
    package_words,
)
from imgopt_pipeline.dockerfiles.drafts import NOTHING, Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.final_stages import last_builder, needs_of
from imgopt_pipeline.dockerfiles.layout import removed
from imgopt_pipeline.dockerfiles.repeated_runs import repeated
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.dockerfiles.splitting import Plan, split
from imgopt_pipeline.dockerfiles.trimmed_lists import Needs
from imgopt_pipeline.units import format_bytes

_SMALLEST_BYTES = 1_000_000


def propose(draft: Draft) -> Proposal:
    """Parts the stage, or only trims its package lists where it builds nothing itself."""
    image = draft.image
    claimed = draft.claimed("R3")
    if image is None or claimed is None or claimed.high_bytes < _SMALLEST_BYTES:
        return NOTHING
    stage = draft.stage
    tools = _tools(list(runs(draft, {stage.number})))
    if not tools:
        above = {other.number for other in draft.lineage} - {stage.number}
        inherited = _tools(list(runs(draft, above)))
        if inherited:
            return Proposal(passed_over=f"{_named(inherited)} come with a stage that others build on")
        return NOTHING
    compiling = compiles_at_run_time(image)
    if compiling:
        return Proposal(passed_over=f"{_named(compiling)} may compile when it runs")
    last = last_builder(draft)
    needs = needs_of(draft, last)
    size = format_bytes(claimed.likely_bytes or claimed.high_bytes)
    if last is None:
        return _trimmed_only(draft, needs, size)
    parted = split(draft, Plan(last, needs))
    if parted.unclear:
        return Proposal(passed_over=parted.unclear)
    later = _trimmed(draft, replace(needs, extra=()), after=last.start)
    dropped = dict.fromkeys([*parted.dropped, *later.dropped])
    if not dropped:
        return NOTHING
    reason = (
        f"{_named(tuple(dropped))} only build: they stay in a build stage, with all that came with them ({size}),"
        " and what they made is copied."
    )
    step = Step((*parted.edits, *later.edits), stage.opening.line, reason)
    return Proposal((step,), replaces=_gone(draft, tuple(dropped), (*parted.kept, *later.kept)))


@dataclass(frozen=True, slots=True)
class _Trimming:
    """Edits of lists of packages, by instruction, with the packages that they drop and leave."""

    by_line: Mapping[int, Edit]
    dropped: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All of them."""
        return tuple(self.by_line.values())


def _trimmed(draft: Draft, needs: Needs, *, after: int = -1) -> _Trimming:
    """The stage's lists of packages without what only builds, where nothing is built after `after`."""
    edits: dict[int, Edit] = {}
    dropped: list[str] = []
    kept: list[str] = []
    for run in runs(draft, {draft.stage.number}):
        instruction = run.instruction
        found = repeated(draft, run, needs) if instruction.start > after else None
        if found is None or found.unclear or not found.dropped:
            continue
        if found.text is None:
            edits[instruction.line] = removed(draft.document, instruction)
        else:
            edits[instruction.line] = Edit(instruction.start, instruction.end, found.text)
        dropped += found.dropped
        kept += found.kept
        needs = replace(needs, extra=tuple(name for name in needs.extra if name not in found.kept))
    return _Trimming(edits, tuple(dropped), tuple(kept))


def _trimmed_only(draft: Draft, needs: Needs, size: str) -> Proposal:
    found = _trimmed(draft, needs)
    reason = f"{_named(found.dropped)} only build, which this stage does not ({size} with all that came with them)."
    steps = tuple(Step((edit,), line, reason) for line, edit in found.by_line.items())
    return Proposal(steps, replaces=_gone(draft, found.dropped, found.kept)) if steps else NOTHING


def _tools(found: list[Run]) -> list[str]:
    """Build tools that these steps install by name."""
    return [
        name
        for run in found
        for call in install_calls(run.calls)
        for name in map(package_name, package_words(call))
        if is_build_tool(name)
    ]


def _gone(draft: Draft, dropped: Sequence[str], kept: Sequence[str]) -> dict[str, str]:
    """The packages that nothing else in the image needs once these are gone."""
    image = draft.image
    assert image is not None
    gone: dict[str, str] = {}
    for ecosystem in ("debian", "alpine"):
        packages = image.of(ecosystem)
        base = image.base_position if image.base_position is not None else -1
        stay = {name for name, package in packages.items() if (package.position or 0) <= base}
        for run in runs(draft, {stage.number for stage in draft.lineage}):
            for call in install_calls(run.calls):
                if distribution(call) == ecosystem:
                    stay |= set(map(package_name, package_words(call))) - set(dropped)
        needed = closure({*stay, *kept}, packages)
        gone |= dict.fromkeys((name for name in packages if name not in needed), "")
    return gone


def _named(names: Sequence[str]) -> str:
    shown = list(dict.fromkeys(names))
    if len(shown) > 4:
        return f"{', '.join(shown[:3])} and {len(shown) - 3} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


RULE = Rule(
    technique="R3",
    title="build tools in a stage of their own",
    needs="the layers of the image built from it",
    proof="every library that the old image found is found, every module still imports, and it answers as before",
    propose=propose,
)
