"""R4: apt installs what is asked for and what that depends on, not what is merely recommended."""

from __future__ import annotations

from collections.abc import Sequence

from imgopt_pipeline.dockerfiles import apt
from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import line_indent
from imgopt_pipeline.dockerfiles.models import Dockerfile
from imgopt_pipeline.dockerfiles.runs import Call, runs
from imgopt_pipeline.dockerfiles.shell import Word
from imgopt_pipeline.units import format_bytes

_OPTION = "--no-install-recommends"
_CONFIRMING = {"-y", "--yes", "--assume-yes", "-qq", "-q", "-yq", "-qy", "-yqq", "-qqy"}


def propose(draft: Draft) -> Proposal:
    """Adds the option, and names packages that only came by recommendation and are needed."""
    document = draft.document
    if "apt::install-recommends" in document.text.lower():
        return Proposal(passed_over="the Dockerfile already says what apt does about recommended packages")
    base = draft.lineage[-1].base
    installed: set[str] = set()
    steps: list[Step] = []
    for run in runs(draft):
        calls = [call for call in apt.installs(run) if not call.has(_OPTION, "--install-recommends")]
        names = {name for call in apt.installs(run) for name in apt.installed_names(call)}
        claimed = draft.claimed("R4", run.instruction)
        if calls and (claimed is None or claimed.high_bytes > 0):
            missing = [
                name for name in apt.needs_besides(names, installed, base) if _comes_by_recommendation(draft, name)
            ]
            edits = [edit for call in calls for edit in _edits(document, call, missing)]
            size = f" ({format_bytes(claimed.likely_bytes or claimed.high_bytes)})" if claimed is not None else ""
            also = f"; {' and '.join(missing)} came by recommendation and is named now" if missing else ""
            reason = f"apt installs packages that are only recommended{size}{also}."
            steps.append(Step(tuple(edits), run.instruction.line, reason))
        installed |= names
    return Proposal(tuple(steps))


def _comes_by_recommendation(draft: Draft, name: str) -> bool:
    """As the image says; where it does not know, as Debian's packages have it."""
    found = draft.image.of("debian").get(name) if draft.image is not None else None
    return found.only_recommended if found is not None else draft.image is None


def _edits(document: Dockerfile, call: Call, missing: list[str]) -> list[Edit]:
    assert call.action is not None
    last = call.action
    for word in call.arguments:
        if word.text not in _CONFIRMING or "\n" in document.text[last.end : word.start]:
            break
        last = word
    edits = [Edit(last.end, last.end, f" {_OPTION}")]
    # Named once, by the first call that lacks them, which is the one they came with.
    packages = apt.package_words(call)
    for name in missing if packages else ():
        edits.append(_named(document, packages, name))
    missing.clear()
    return _merged(edits)


def _named(document: Dockerfile, packages: Sequence[Word], name: str) -> Edit:
    """Its place is that of the alphabet where the others are sorted, else the end."""
    texts = [word.text for word in packages]
    after = [word for word in packages if word.text > name] if texts == sorted(texts) else []
    word = after[0] if after else packages[-1]
    indent = line_indent(document, word.start)
    separator = " " if indent is None else f" \\\n{indent}"
    if after:
        return Edit(word.start, word.start, f"{name}{separator}")
    return Edit(word.end, word.end, f"{separator}{name}")


def _merged(edits: list[Edit]) -> list[Edit]:
    """Insertions at one place as one, in the order given."""
    merged: dict[tuple[int, int], str] = {}
    for edit in edits:
        merged[edit.start, edit.end] = merged.get((edit.start, edit.end), "") + edit.replacement
    return [Edit(start, end, text) for (start, end), text in merged.items()]


RULE = Rule(
    technique="R4",
    title="apt without recommended packages",
    needs="",
    proof="the packages that went were only recommended, and the application starts and answers as before",
    propose=propose,
)
