"""R16: the runtime variant of a CUDA image instead of its devel variant, where nothing compiles when it runs."""

from __future__ import annotations

from imgopt_pipeline.dockerfiles.base_images import runtime_tag, with_tag
from imgopt_pipeline.dockerfiles.cuda_bases import calling_nvcc, only_installs_wheels
from imgopt_pipeline.dockerfiles.drafts import NOTHING, Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.final_stages import can_be_had, last_builder, needs_of
from imgopt_pipeline.dockerfiles.splitting import Plan, split
from imgopt_pipeline.units import format_bytes


def propose(draft: Draft) -> Proposal:
    """Changes the base of the final stage; what is compiled stays on the devel variant, in a build stage."""
    claimed = draft.claimed("R16")
    stage = draft.stage
    if draft.image is None or claimed is None or claimed.high_bytes == 0:
        return NOTHING
    base = with_tag(stage.base_text, stage.base, runtime_tag)
    runtime = with_tag(stage.base, stage.base, runtime_tag)
    if base is None or runtime is None:
        return NOTHING
    if not can_be_had(draft, runtime):
        return Proposal(passed_over=f"{runtime} cannot be had")
    compiling = calling_nvcc(draft.image)
    if compiling:
        return Proposal(passed_over=f"{', '.join(compiling)} may call nvcc when it runs")
    last = last_builder(draft)
    size = format_bytes(claimed.likely_bytes or claimed.high_bytes)
    reason = f"the devel variant has compilers, headers and tools of CUDA ({size}), and nothing compiles when it runs"
    if last is None or only_installs_wheels(draft):
        at = stage.opening.start + draft.document.source(stage.opening).index(stage.base_text)
        edits: tuple[Edit, ...] = (Edit(at, at + len(stage.base_text), base),)
    else:
        parted = split(draft, Plan(last, needs_of(draft, last, trims="none"), base=base))
        if parted.unclear:
            return Proposal(passed_over=parted.unclear)
        edits = parted.edits
        reason += "; what is compiled stays on it, in a build stage"
    return Proposal((Step(edits, stage.opening.line, f"{reason}."),), replaces=_gone(draft))


def _gone(draft: Draft) -> dict[str, str]:
    assert draft.image is not None
    base = draft.image.base_position if draft.image.base_position is not None else 0
    return {name: "" for name, package in draft.image.of("debian").items() if 0 < (package.position or 0) <= base}


RULE = Rule(
    technique="R16",
    title="CUDA's runtime image instead of its devel image",
    needs="the layers of the image built from it",
    proof="every library that the old image found is found, and a GPU call answers where a GPU is",
    propose=propose,
)
