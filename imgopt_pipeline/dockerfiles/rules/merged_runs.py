"""R17: RUNs that follow each other become one where a later one deletes or overwrites what an earlier one made."""

from __future__ import annotations

import re
from itertools import pairwise

from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.layout import exits_at_failure, in_strict_rows, joined
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.units import format_bytes

# apt and ldconfig rewrite small files of their own at each call.
_FLOOR_BYTES = 1_000_000
_ENDS_OR_CHANGES_SHELL = {"exit", "exec", "return", "source", ".", "umask", "alias", "trap", "ulimit", "unset"}
_WITHOUT_FOLDER = {"apt-get", "apt", "apk", "dnf", "yum", "dpkg", "conda", "ldconfig", "true", "rm", "npm", "yarn"}

_SEVERAL = re.compile(r"[({;]|\b(if|for|while|until|case)\b")


def propose(draft: Draft) -> Proposal:
    """Joins all RUNs from the one that made the bytes to the one that hides them."""
    if draft.image is None:
        return Proposal()
    chains = _chains(draft)
    wasted: dict[int, int] = {}
    apart = 0
    for hidden in draft.image.hidden:
        if hidden.reason == "metadata":
            continue
        numbers = _between(draft, chains, hidden.position, hidden.killed_by)
        if not numbers:
            apart += hidden.size_bytes
        for number in numbers:
            wasted[number] = wasted.get(number, 0) + hidden.size_bytes
    steps: list[Step] = []
    head: Run | None = None
    for number, size_bytes in sorted(wasted.items()):
        first, second = chains[number]
        if size_bytes < _FLOOR_BYTES:
            continue
        if head is None or chains[number - 1][1] != first or number - 1 not in wasted:
            head = first
        edit = joined(draft.document, first.instruction, first.script, second.instruction, styled_as=head.script)
        if edit is not None:
            size = format_bytes(size_bytes)
            reason = f"In one layer with the RUN above, {size} that are deleted or overwritten are never stored."
            steps.append(Step((edit,), second.instruction.line, reason))
    passed_over = (
        f"{format_bytes(apart)} are deleted or overwritten by steps that cannot be joined with those that made them"
        if apart >= _FLOOR_BYTES and not steps
        else ""
    )
    return Proposal(tuple(steps), passed_over=passed_over)


def _chains(draft: Draft) -> list[tuple[Run, Run]]:
    """Pairs of RUNs with nothing between them that may be joined, in order."""
    instructions = draft.document.instructions
    return [
        (first, second)
        for first, second in pairwise(runs(draft))
        if instructions.index(second.instruction) == instructions.index(first.instruction) + 1
        and _may_join(first, second)
    ]


def _between(draft: Draft, chains: list[tuple[Run, Run]], position: int, killed_by: int) -> list[int]:
    """The pairs that lead from the step of one layer to that of another; empty where one is missing."""
    found: list[int] = []
    for number, (first, second) in enumerate(chains):
        start, end = draft.step(first.instruction), draft.step(second.instruction)
        if start is None or end is None:
            continue
        if start.position == position or (found and chains[found[-1]][1] == first):
            found.append(number)
            if end.position == killed_by:
                return found
    return []


def _may_join(first: Run, second: Run) -> bool:
    """Whether the second does the same in the shell of the first, and fails where it failed."""
    before, after = first.script, second.script
    if first.instruction.flags != second.instruction.flags or before.heredoc or after.heredoc:
        return False
    if any(call.program in _ENDS_OR_CHANGES_SHELL for call in first.calls):
        return False
    if any(command.operator == "&" for command in (*before.commands, *after.commands)):
        return False
    text = " ".join(second.instruction.words)
    names = [
        assignment.partition("=")[0].rpartition(" ")[2]
        for command in before.commands
        if not command.words or command.name == "export"
        for assignment in command.assignments
    ]
    if "PATH" in names or any(re.search(rf"\$\{{?{re.escape(name)}\b", text) for name in names):
        return False
    if any(call.program in ("cd", "pushd") for call in first.calls) and not _needs_no_folder(second):
        return False
    options = " ".join(word for call in first.calls if call.program == "set" for word in call.command.texts[1:])
    if re.search(r"-\w*u|nounset|pipefail", options) and re.search(r"[$|]", text) and not exits_at_failure(after):
        return False
    # Behind `&&` an `||` would also catch what fails before it; behind `;` the first's `set -e` holds in it too.
    same_when_strict = exits_at_failure(after) or not _SEVERAL.search(text)
    return _is_one_list(second) or (in_strict_rows(before) and same_when_strict)


def _is_one_list(run: Run) -> bool:
    """Whether it is commands joined by `&&` alone, so that it can stand behind another `&&`."""
    return all(command.operator in ("", "&&", "|") for command in run.script.commands) and not re.search(
        r"\|\||;", " ".join(run.instruction.words)
    )


def _needs_no_folder(run: Run) -> bool:
    """Whether it does the same in every working directory."""
    for call in run.calls:
        words = [*([call.action] if call.action is not None else []), *call.arguments]
        relative = [word for word in words if not word.text.startswith(("-", "/", "~", "$"))]
        if call.program not in _WITHOUT_FOLDER or (call.program == "rm" and relative):
            return False
    return True


RULE = Rule(
    technique="R17",
    title="joined RUN steps",
    needs="the layers of the image built from it",
    proof="the same files with the same content",
    propose=propose,
)
