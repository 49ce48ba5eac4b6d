"""apt's package lists: fetched in each RUN that installs, and removed in it.

A RUN that only fetches them goes, and each later one that relied on it fetches its own. A RUN that only removes them
goes as well: it frees nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imgopt_pipeline.dockerfiles import apt
from imgopt_pipeline.dockerfiles.drafts import Draft, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import followed_by, preceded_by, removed
from imgopt_pipeline.dockerfiles.models import Instruction
from imgopt_pipeline.dockerfiles.runs import Call, Run, runs
from imgopt_pipeline.units import format_bytes

_INSTALLS = re.compile(r"\b(?:apt|apt-get|aptitude)\b[^\n&|;]*\binstall\b")
_FETCHES = re.compile(r"\b(?:apt|apt-get|aptitude)\b[^\n&|;]*\bupdate\b")
_OTHER_SCRIPT = re.compile(r"#![^\n]*\b(?:python|perl|ruby|node)")
_MAY_INSTALL = re.compile(r"\b(?:apt|apt-get|aptitude)\b|\b(?:eval|source)\b|\.sh\b|playwright|--with-deps")
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
    if _installs_unclearly(draft, first):
        return
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


def _installs_unclearly(draft: Draft, after: int) -> bool:
    """Whether a later RUN whose shell text is not understood may install with lists fetched before it."""
    stages = {stage.number for stage in draft.document.stages if _builds_on(draft, stage.number)}
    understood = {run.instruction.start for run in runs(draft, stages)}
    return any(
        instruction.keyword == "RUN"
        and not instruction.onbuild
        and instruction.stage in stages
        and instruction.start > after
        and instruction.start not in understood
        and _installs_at_once(draft, instruction)
        for instruction in draft.document.instructions
    )


def _installs_at_once(draft: Draft, instruction: Instruction) -> bool:
    """Whether text that is not understood names an installation before any fetching of lists."""
    if any(_OTHER_SCRIPT.match(heredoc.content) for heredoc in instruction.heredocs):
        return False
    text = draft.document.source(instruction)
    install = _INSTALLS.search(text)
    return install is not None and not _FETCHES.search(text[: install.start()])


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
    last = _anchor(draft, run, calls)
    as_other = calls[-1].as_other if calls else ""
    cleanup = f"{as_other}{apt.REMOVE_LISTS}"
    if claimed is not None and claimed.likely_bytes > _ONLY_LISTS_BYTES:
        cleanup = f"{as_other}apt-get clean && {cleanup}"
    edit = followed_by(document, run.script, last.command if last else None, cleanup)
    if edit is not None:
        yield Step((*edits, edit), line, f"Its layer keeps {kept}, which nothing reads afterwards.")


def _with_own_lists(draft: Draft, run: Run) -> Iterator[Step]:
    calls = run.plain_calls(apt.APT)
    edits = [_fetching(draft, run)]
    if not apt.removes_lists(run):
        anchor = _anchor(draft, run, calls)
        removing = f"{calls[-1].as_other}{apt.REMOVE_LISTS}"
        cleanup = followed_by(draft.document, run.script, anchor.command if anchor else None, removing)
        edits += [cleanup] if cleanup is not None else []
    reason = "It installs with lists of an earlier layer, which are removed there now, and fetches its own."
    yield Step(tuple(edits), run.instruction.line, reason)


def _anchor(draft: Draft, run: Run, calls: Sequence[Call]) -> Call | None:
    """The call behind which the lists can go; None for the end of the RUN, where something may still need them."""
    if not calls or _MAY_INSTALL.search(draft.document.text[calls[-1].command.end : run.script.end]):
        return None
    return calls[-1]


def _fetching(draft: Draft, run: Run) -> Edit:
    call = apt.installs(run)[0]
    return preceded_by(draft.document, run.script, call.command, f"{call.as_other}{call.program} update")
