"""apt's package lists: fetched in each RUN that installs, and removed in it.

A RUN that only fetches them goes, and each later one that relied on it fetches its own. A RUN that only removes them
goes as well: it frees nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from imgopt_pipeline.dockerfiles import apt
from imgopt_pipeline.dockerfiles.drafts import Draft, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import followed_by, preceded_by, removed
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.units import format_bytes

_CLEANING = {"clean", "autoclean", "distclean"}
_CLEANED = ("/var/lib/apt", "/var/cache/apt")
# Lists of one release take less than this; beyond it apt's configuration lets it keep the packages too.
_ONLY_LISTS_BYTES = 60_000_000


def steps(draft: Draft) -> Iterator[Step]:
    """The changes, none where a later RUN may rely on lists in a way that is not understood."""
    lineage = {stage.number for stage in draft.lineage}
    chain = [
        run
        for run in runs(draft, {stage.number for stage in draft.document.stages if _builds_on(draft, stage.number)})
        if any(call.program in apt.APT for call in run.calls) or _only_cleans(run) or _claims(draft, run)
    ]
    keeping = [run for run in chain if run.instruction.stage in lineage and _keeps_lists(draft, run, chain)]
    if not keeping or any(_relies_hidden(run) for run in chain if run.script.start > keeping[0].script.start):
        return
    first = keeping[0].instruction.start
    for run in chain:
        if run in keeping:
            yield from _cleaned(draft, run)
        elif run.instruction.start > first and _relies(run):
            yield from _with_own_lists(draft, run)
        elif run.instruction.start > first and run.instruction.stage in lineage and _only_cleans(run):
            yield Step(
                (removed(draft.document, run.instruction),),
                run.instruction.line,
                "apt lists are removed where they are fetched; removing them in a later layer frees nothing.",
            )


def _builds_on(draft: Draft, number: int) -> bool:
    """Whether a stage is of the lineage, or builds on one of it."""
    stage = draft.document.stages[number]
    numbers = {other.number for other in draft.lineage}
    return bool(numbers & {other.number for other in (stage, *draft.document.ancestors(stage))})


def _claims(draft: Draft, run: Run) -> bool:
    claimed = draft.claimed("R5", run.instruction)
    return claimed is not None and claimed.low_bytes > 0


def _keeps_lists(draft: Draft, run: Run, chain: list[Run]) -> bool:
    if apt.removes_lists(run):
        return False
    claimed = draft.claimed("R5", run.instruction)
    if claimed is not None and claimed.low_bytes > 0:
        return run.around.as_root
    if not any(call.command.plain for call in apt.updates(run)):
        return False
    # Lists that a later RUN removes are no claim of this rule, but that RUN is in its way.
    return claimed is None or any(_only_cleans(later) for later in chain if later.script.start > run.script.start)


def _relies(run: Run) -> bool:
    """Whether it installs with lists fetched before."""
    install = next(iter(apt.installs(run)), None)
    fetched = [call for call in apt.updates(run) if install and call.command.start < install.command.start]
    return install is not None and install.command.plain and not fetched and not run.mounts(apt.LISTS)


def _relies_hidden(run: Run) -> bool:
    """Whether it installs without fetching in a condition or a loop, where no command can be added."""
    first = min((call.command.start for call in apt.updates(run)), default=run.script.end)
    return any(not call.command.plain and call.command.start < first for call in apt.installs(run, plain=False))


def _only_cleans(run: Run) -> bool:
    """Whether removing apt's lists and packages is all it does."""
    for command, call in zip(run.script.commands, run.calls, strict=False):
        paths = [word.text for word in command.words[1:] if not word.text.startswith("-")]
        cleaning = call.program in apt.APT and call.does in _CLEANING
        removing = command.name == "rm" and bool(paths) and all(path.startswith(_CLEANED) for path in paths)
        if not command.plain or not (cleaning or removing):
            return False
    return len(run.calls) == len(run.script.commands)


def _cleaned(draft: Draft, run: Run) -> Iterator[Step]:
    document, line = draft.document, run.instruction.line
    claimed = draft.claimed("R5", run.instruction)
    size = format_bytes(claimed.likely_bytes) if claimed is not None and claimed.likely_bytes else ""
    kept = f"{size} of apt lists" if size else "apt's lists"
    if len(run.script.commands) == 1 and apt.updates(run):
        reason = f"A layer of its own keeps {kept}; each RUN that installs fetches and removes them."
        yield Step((removed(document, run.instruction),), line, reason)
        return
    calls = run.plain_calls(apt.APT)
    edits: list[Edit] = []
    if _relies(run):
        edits.append(_fetching(draft, run))
    last = calls[-1] if calls else None
    cleanup = f"{last.as_other if last else ''}{apt.REMOVE_LISTS}"
    if claimed is not None and claimed.likely_bytes > _ONLY_LISTS_BYTES:
        cleanup = f"{last.as_other if last else ''}apt-get clean && {cleanup}"
    edit = followed_by(document, run.script, last.command if last else None, cleanup)
    if edit is not None:
        yield Step((*edits, edit), line, f"Its layer keeps {kept}, which nothing reads afterwards.")


def _with_own_lists(draft: Draft, run: Run) -> Iterator[Step]:
    calls = run.plain_calls(apt.APT)
    edits = [_fetching(draft, run)]
    if not apt.removes_lists(run):
        cleanup = followed_by(draft.document, run.script, calls[-1].command, f"{calls[-1].as_other}{apt.REMOVE_LISTS}")
        edits += [cleanup] if cleanup is not None else []
    reason = "It installs with lists of an earlier layer, which are removed there now, and fetches its own."
    yield Step(tuple(edits), run.instruction.line, reason)


def _fetching(draft: Draft, run: Run) -> Edit:
    call = apt.installs(run)[0]
    return preceded_by(draft.document, run.script, call.command, f"{call.as_other}{call.program} update")
