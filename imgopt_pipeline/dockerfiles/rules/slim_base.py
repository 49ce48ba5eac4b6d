"""R8: the slim variant of an official base image, with the few packages named that the final stage still needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from imgopt_pipeline.dockerfiles.base_images import reference, slim_tag, with_tag
from imgopt_pipeline.dockerfiles.build_tools import install_calls
from imgopt_pipeline.dockerfiles.drafts import NOTHING, Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.final_stages import (
    can_be_had,
    last_builder,
    missing_on_slim,
    named_packages,
    needs_of,
)
from imgopt_pipeline.dockerfiles.layout import removed
from imgopt_pipeline.dockerfiles.repeated_runs import repeated
from imgopt_pipeline.dockerfiles.runs import runs
from imgopt_pipeline.dockerfiles.splitting import Plan, install_line, split
from imgopt_pipeline.dockerfiles.trimmed_lists import Needs
from imgopt_pipeline.units import format_bytes

_HEADER = ("ARG", "ENV", "WORKDIR", "LABEL", "SHELL", "MAINTAINER", "EXPOSE", "STOPSIGNAL", "VOLUME")


def propose(draft: Draft) -> Proposal:
    """Gives the final stage the slim base; where that stage builds, the full one stays below a build stage."""
    claimed = draft.claimed("R8")
    if draft.image is None or claimed is None or claimed.high_bytes == 0:
        return NOTHING
    stage = draft.stage
    if draft.document.ancestors(stage):
        root = draft.lineage[-1]
        if slim_tag(reference(root.base).official, reference(root.base).tag):
            return Proposal(passed_over=f"other stages may build on {root.base} as well as the last one")
        return NOTHING
    base = with_tag(stage.base_text, stage.base, slim_tag)
    if base is None:
        if reference(stage.base).pinned and slim_tag(reference(stage.base).official, reference(stage.base).tag):
            return Proposal(passed_over=f"{stage.base.partition('@')[0]} is pinned by its digest")
        return NOTHING
    slim = with_tag(stage.base, stage.base, slim_tag)
    if slim is None or not can_be_had(draft, slim):
        return Proposal(passed_over=f"{slim or base} cannot be had")
    last = last_builder(draft)
    missing = missing_on_slim(draft, last)
    named = named_packages(draft)
    added = [name for name in missing if name not in named]
    size = format_bytes(claimed.likely_bytes or claimed.high_bytes)
    reason = f"{slim} has the same {reference(slim).official} without the {size} of packages of the full image"
    # What the full image had anyway would be installed anew.
    needs = replace(needs_of(draft, last, trims="base"), extra=missing)
    if last is not None:
        parted = split(draft, Plan(last, needs, base=base))
        if parted.unclear:
            return Proposal(passed_over=parted.unclear)
        edits = parted.edits
        reason += "; the full one stays below a build stage"
    else:
        trimming = _trimming(draft, needs, added)
        if isinstance(trimming, str):
            return Proposal(passed_over=trimming)
        at = stage.opening.start + draft.document.source(stage.opening).index(stage.base_text)
        edits = (Edit(at, at + len(stage.base_text), base), *trimming)
    if added:
        reason += f", and {' and '.join(added)} {'is' if len(added) == 1 else 'are'} named"
    replaces = {
        package.name: ""
        for package in draft.image.packages
        if package.ecosystem == "debian" and 0 < (package.position or 0) <= (draft.image.base_position or 0)
    }
    return Proposal((Step(edits, stage.opening.line, f"{reason}."),), replaces=replaces)


def _trimming(draft: Draft, needs: Needs, added: Sequence[str]) -> list[Edit] | str:
    """Edits of the stage's lists of packages: without what only builds, with what is missing; why not, in words."""
    document = draft.document
    edits: list[Edit] = []
    wanted = tuple(added)
    for run in runs(draft, {draft.stage.number}):
        if not install_calls(run.calls):
            continue
        found = repeated(draft, run, replace(needs, extra=wanted if run.around.as_root else ()))
        if found.unclear:
            return found.unclear
        instruction = run.instruction
        if found.text is None:
            edits.append(removed(document, instruction))
        elif found.dropped or set(wanted) & set(found.kept):
            edits.append(Edit(instruction.start, instruction.end, found.text))
        wanted = tuple(name for name in wanted if name not in found.kept)
    if wanted:
        place = draft.stage.opening
        for instruction in draft.stage.body:
            if instruction.keyword not in _HEADER or instruction.onbuild:
                break
            place = instruction
        edits.append(Edit(place.end, place.end, f"\n{install_line(document, wanted)}"))
    return edits


RULE = Rule(
    technique="R8",
    title="slim base image",
    needs="the packages of the image built from it",
    proof="every library and module that the old image found is found, and it answers as before",
    propose=propose,
)
