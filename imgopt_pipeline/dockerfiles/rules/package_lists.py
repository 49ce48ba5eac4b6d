"""R5: package lists and package files of the distribution go in the RUN that fetched them."""

from __future__ import annotations

from collections.abc import Iterator

from imgopt_pipeline.dockerfiles import apt_lists
from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import followed_by, without
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.units import format_bytes

_CLEANUPS = {
    "dnf": "dnf clean all",
    "microdnf": "microdnf clean all",
    "yum": "yum clean all",
    "zypper": "zypper clean --all",
}
_FETCHING = {"install", "update", "upgrade", "makecache", "groupinstall", "localinstall", "in", "refresh"}


def propose(draft: Draft) -> Proposal:
    """apt's lists, apk's index, and what dnf, yum and zypper keep."""
    steps = [*apt_lists.steps(draft)]
    for run in runs(draft):
        claimed = draft.claimed("R5", run.instruction)
        if claimed is None or claimed.low_bytes > 0:
            size = f" ({format_bytes(claimed.likely_bytes)})" if claimed is not None else ""
            steps += _apk(draft, run, size)
            steps += _others(draft, run, size)
    return Proposal(tuple(steps))


def _apk(draft: Draft, run: Run, size: str) -> Iterator[Step]:
    """`apk add --no-cache` fetches the index itself and keeps nothing, so that `apk update` goes."""
    calls = [call for call in run.calls if call.program == "apk"]
    if not calls or run.mounts("/var/cache/apk") or run.mounts("/etc/apk/cache"):
        return
    if any("/var/cache/apk" in word.text for call in run.calls if call.program == "rm" for word in call.command.words):
        return
    installing = [call for call in calls if call.does in ("add", "upgrade")]
    if any(not call.command.plain for call in calls):
        return
    edits: list[Edit] = []
    for call in installing:
        assert call.action is not None
        if call.has("--no-cache"):
            continue
        fetching = [word for word in (*call.options, *call.arguments) if word.text in ("-U", "--update")]
        if fetching:
            edits.append(Edit(fetching[0].start, fetching[0].end, "--no-cache"))
        else:
            edits.append(Edit(call.action.end, call.action.end, " --no-cache"))
    for call in calls:
        if call.does == "update" and installing:
            edit = without(draft.document, run.instruction, run.script, call.command)
            edits += [edit] if edit is not None else []
    if edits:
        yield Step(tuple(edits), run.instruction.line, f"apk would keep its package index in the layer{size}.")


def _others(draft: Draft, run: Run, size: str) -> Iterator[Step]:
    for program, cleanup in _CLEANUPS.items():
        calls = run.plain_calls({program}, _FETCHING)
        if not calls or any(call.program == program and call.does == "clean" for call in run.calls):
            continue
        if run.mounts(f"/var/cache/{program}") or run.mounts("/var/cache/zypp"):
            continue
        edit = followed_by(draft.document, run.script, calls[-1].command, f"{calls[-1].as_other}{cleanup}")
        if edit is not None:
            reason = f"{program} would keep package lists and packages in the layer{size}."
            yield Step((edit,), run.instruction.line, reason)


RULE = Rule(
    technique="R5",
    title="no package lists",
    needs="",
    proof="the folders of the package lists are empty, and the installed packages are the same",
    propose=propose,
)
