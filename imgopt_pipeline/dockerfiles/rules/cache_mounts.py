"""R11: caches of package managers lie in BuildKit's cache mounts: in no layer, and there at the next build."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgopt_pipeline.dockerfiles.caches import BUILD_CACHES, CACHES, Cache, is_off
from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import line_indent, without
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.units import format_bytes

# Frontends that are older know no mounts.
_OLD_SYNTAX = re.compile(r"#\s*syntax\s*=\s*docker/dockerfile:1\.[01](?:[.-]\S*)?\s*$", re.IGNORECASE | re.MULTILINE)
_NO_CACHE = ("--no-cache-dir", "--no-cache")


def propose(draft: Draft) -> Proposal:
    """A mount for each cache that a RUN fills; options and commands that would empty it go."""
    if not draft.builder.cache_mounts:
        return Proposal(passed_over="the builder has no cache mounts")
    if _OLD_SYNTAX.search(draft.document.text):
        return Proposal(passed_over="the syntax that the Dockerfile asks for has no cache mounts")
    steps: list[Step] = []
    for run in runs(draft, _stages(draft)):
        claimed = draft.claimed("R11", run.instruction)
        if claimed is not None and claimed.high_bytes == 0:
            continue
        caches = [cache for cache in (*CACHES, *BUILD_CACHES) if _is_wanted(run, cache)]
        targets = list(dict.fromkeys(cache.path(run.around.values) for cache in caches))
        if not targets or not _runs_as_root(draft, run):
            continue
        size = f" keeps {format_bytes(claimed.likely_bytes)} of it and" if claimed is not None else ""
        steps.append(
            Step(
                (_mounted(draft, run, targets), *_uncleaned(draft, run, caches)),
                run.instruction.line,
                f"What {caches[0].program} downloads goes to a cache mount: the layer{size} is free of it,"
                " and the next build finds it.",
            )
        )
    return Proposal(tuple(steps))


def _stages(draft: Draft) -> set[int]:
    """The lineage; where nothing says what saves bytes, the stages it copies from too."""
    numbers = {stage.number for stage in draft.lineage}
    if draft.image is None:
        for stage in draft.lineage:
            for instruction in stage.body:
                source = draft.document.stage_named(instruction.flag("from")) if instruction.flag("from") else None
                if source is not None:
                    numbers |= {source.number, *(other.number for other in draft.document.ancestors(source))}
    return numbers


def _runs_as_root(draft: Draft, run: Run) -> bool:
    """As far as is known: the text may leave the user to the base."""
    return run.around.as_root and (
        bool(run.around.user) or draft.image is None or draft.image.user in ("", "root", "0")
    )


def _is_wanted(run: Run, cache: Cache) -> bool:
    if not cache.mountable or not cache.folder or run.mounts(cache.path(run.around.values)):
        return False
    calls = [call for call in run.calls if cache.filled_by(call)]
    switched = [call for call in calls if is_off(cache, run, call)]
    return bool(calls) and not switched and not any(call.has("--cache-dir") for call in calls)


def _mounted(draft: Draft, run: Run, targets: list[str]) -> Edit:
    instruction = run.instruction
    indent = line_indent(draft.document, instruction.body_start)
    joint = " " if run.script.heredoc else f" \\\n{'    ' if indent is None else indent}"
    text = "".join(f"--mount=type=cache,target={target}{joint}" for target in targets)
    return Edit(instruction.body_start, instruction.body_start, text)


def _uncleaned(draft: Draft, run: Run, caches: list[Cache]) -> Iterator[Edit]:
    """Without the options that leave the cache alone and the commands that empty it."""
    for cache in caches:
        for call in run.calls:
            if cache.filled_by(call):
                for word in (*call.options, *call.arguments):
                    if word.text in _NO_CACHE:
                        before = draft.document.text[: word.start]
                        yield Edit(len(before.rstrip(" \t")), word.end, "")
            elif call.program == cache.program and call.does == "cache":
                edit = without(draft.document, run.instruction, run.script, call.command)
                if edit is not None:
                    yield edit


RULE = Rule(
    technique="R11",
    title="cache mounts",
    needs="",
    proof="it builds, and the folders of the caches are empty in the image",
    propose=propose,
)
