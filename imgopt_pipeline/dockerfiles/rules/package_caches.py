"""R6: what package managers downloaded does not stay in the layer."""

from __future__ import annotations

from collections.abc import Iterator

from imgopt_pipeline.dockerfiles.caches import CACHES, Cache, is_off
from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import followed_by
from imgopt_pipeline.dockerfiles.runs import Call, Run, runs
from imgopt_pipeline.units import format_bytes


def propose(draft: Draft) -> Proposal:
    """An option on the call where there is one, else a cleanup right after the last call."""
    steps: list[Step] = []
    for run in runs(draft):
        claimed = draft.claimed("R6", run.instruction)
        if claimed is not None and claimed.high_bytes == 0:
            continue
        size = f" ({format_bytes(claimed.likely_bytes or claimed.high_bytes)})" if claimed is not None else ""
        for cache in CACHES:
            edits = tuple(_edits(draft, run, cache))
            if edits:
                reason = f"{cache.program} would keep what it downloaded in the layer{size}."
                steps.append(Step(edits, run.instruction.line, reason))
    return Proposal(tuple(steps))


def _edits(draft: Draft, run: Run, cache: Cache) -> Iterator[Edit]:
    calls = [call for call in run.calls if cache.filled_by(call) and call.command.plain]
    calls = [call for call in calls if not is_off(cache, run, call) and not _is_needed(draft, call)]
    if not calls or (cache.folder and run.mounts(cache.path(run.around.values))) or _is_removed(run, cache):
        return
    if cache.option:
        for call in calls:
            if call.action is not None and not call.has(cache.option, "--cache-dir"):
                yield Edit(call.action.end, call.action.end, f" {cache.option}")
        return
    edit = followed_by(
        draft.document, run.script, calls[-1].command, f"{calls[-1].as_other}{cache.cleaning(run.around.values)}"
    )
    if edit is not None:
        yield edit


def _is_removed(run: Run, cache: Cache) -> bool:
    """Whether the same RUN cleans the cache already."""
    return any(_cleans(call, cache) for call in run.calls)


def _is_needed(draft: Draft, call: Call) -> bool:
    """Whether what it installs may lie in the cache: a later yarn than 1 loads packages from there."""
    if call.program != "yarn":
        return False
    if call.does == "global" or call.has("--frozen-lockfile", "--pure-lockfile", "--production", "--prod"):
        return False
    context = draft.context
    return context is None or context.has(".yarnrc.yml") or '"yarn@1' not in context.texts.get("package.json", "")


def _cleans(call: Call, cache: Cache) -> bool:
    texts = [word.text for word in call.arguments]
    if call.program == cache.program:
        return call.does == "clean" or (call.does == "cache" and any(t in ("clean", "purge", "clear") for t in texts))
    if call.program not in ("rm", "find"):
        return False
    known = (cache.folder.rpartition("/")[2], f".{cache.program}", f"{cache.program}/pkgs", "pypoetry")
    words = [*texts, call.does]
    return any("cache" in text.lower() or name in text for name in known if name for text in words)


RULE = Rule(
    technique="R6",
    title="no package caches",
    needs="",
    proof="the folders of the caches are empty, and the installed packages are the same",
    propose=propose,
)
