"""R18: one CUDA instead of two: the base is the plain system where the Python packages bring their own libraries."""

from __future__ import annotations

from imgopt_pipeline.dockerfiles.base_images import plain_system, reference
from imgopt_pipeline.dockerfiles.build_tools import install_calls, package_words
from imgopt_pipeline.dockerfiles.cuda_bases import (
    calling_nvcc,
    loading_system_cuda,
    only_installs_wheels,
    speaks_of_cuda,
)
from imgopt_pipeline.dockerfiles.drafts import NOTHING, Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.facts import ByteRange
from imgopt_pipeline.dockerfiles.final_stages import can_be_had, named_packages
from imgopt_pipeline.dockerfiles.layout import line_indent
from imgopt_pipeline.dockerfiles.runs import runs
from imgopt_pipeline.units import format_bytes

_DRIVER = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
_DOWNLOADERS = {"curl", "wget", "git"}


def propose(draft: Draft) -> Proposal:
    """Changes the base, keeping what the CUDA image says to the driver."""
    claimed = draft.claimed("R18")
    stage = draft.stage
    if draft.image is None or claimed is None or claimed.high_bytes == 0:
        return NOTHING
    parts = reference(stage.base)
    plain = plain_system(parts.official, parts.tag)
    if plain is None or draft.document.ancestors(stage):
        return NOTHING
    why_not = _why_not(draft, plain)
    if why_not:
        return Proposal(passed_over=why_not)
    at = stage.opening.start + draft.document.source(stage.opening).index(stage.base_text)
    values = {
        name: value
        for name, value in _DRIVER.items()
        if not any(instruction.keyword == "ENV" and name in instruction.words for instruction in stage.body)
    }
    edits = [Edit(at, at + len(stage.base_text), plain)]
    if values:
        settings = " \\\n    ".join(f"{name}={value}" for name, value in values.items())
        edits.append(Edit(stage.opening.end, stage.opening.end, f"\n\nENV {settings}"))
    edits += _certificates(draft)
    size = claimed.likely_bytes or claimed.high_bytes
    reason = (
        f"the Python packages bring CUDA's libraries themselves: {format_bytes(size)} of them are there twice, and"
        f" {plain} has none; the settings for NVIDIA's driver are kept."
    )
    base = draft.image.base_position if draft.image.base_position is not None else -1
    in_base = {name: one for name, one in draft.image.of("debian").items() if 0 < (one.position or 0) <= base}
    all_bytes = sum(package.size_bytes for package in in_base.values())
    return Proposal(
        (Step(tuple(edits), stage.opening.line, reason),),
        explains=("env", "labels", "entrypoint"),
        replaces=dict.fromkeys(in_base, ""),
        expected=ByteRange(claimed.low_bytes, max(claimed.likely_bytes, all_bytes), max(claimed.high_bytes, all_bytes)),
    )


def _why_not(draft: Draft, plain: str) -> str:
    assert draft.image is not None
    if not can_be_had(draft, plain):
        return f"{plain} cannot be had"
    compiling = calling_nvcc(draft.image)
    if compiling:
        return f"{', '.join(compiling)} may call nvcc when it runs"
    loading = loading_system_cuda(draft.image)
    if loading:
        return f"{', '.join(loading)} may load the base's CUDA"
    said = speaks_of_cuda(draft)
    if said is not None:
        return f"the Dockerfile speaks of {said}"
    return "" if only_installs_wheels(draft) else "something is compiled, maybe against the base's CUDA"


def _certificates(draft: Draft) -> list[Edit]:
    """The CUDA image has certificates, plain systems do not: named where something is downloaded."""
    named = named_packages(draft)
    if "ca-certificates" in named or named.isdisjoint(_DOWNLOADERS):
        return []
    for run in runs(draft, {draft.stage.number}):
        for call in install_calls(run.calls):
            words = package_words(call)
            if words:
                indent = line_indent(draft.document, words[0].start)
                separator = " " if indent is None else f" \\\n{indent}"
                return [Edit(words[0].start, words[0].start, f"ca-certificates{separator}")]
    return []


RULE = Rule(
    technique="R18",
    title="one CUDA instead of two",
    needs="the files of the image built from it",
    proof="every module still imports, and a GPU call answers where a GPU is",
    propose=propose,
)
