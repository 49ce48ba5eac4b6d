"""R12: COPY gives files their owner or mode, so that no later `chown -R` or `chmod -R` stores them again.

The recursive command becomes one for folders alone, which has no bytes: those that WORKDIR and mkdir made stay
writable. Where it makes the user too, its RUN moves above the COPY.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import followed_by, removed
from imgopt_pipeline.dockerfiles.models import Instruction
from imgopt_pipeline.dockerfiles.parsing import expanded
from imgopt_pipeline.dockerfiles.runs import Call, Run, runs
from imgopt_pipeline.dockerfiles.surroundings import above, surroundings
from imgopt_pipeline.units import format_bytes

_MODE = re.compile(r"0?[0-7]{3}")
_OWNER = re.compile(r"[A-Za-z_0-9][\w.-]*(:[\w.-]*)?")
_OPTIONS = re.compile(r"-[RhvfcLP]+|--recursive")
_MAKING_USERS = {"useradd", "adduser", "groupadd", "addgroup", "usermod", "mkdir", "chown", "chmod", "install"}
_ELSEWHERE = {
    *_MAKING_USERS, "apt-get", "apt", "apk", "dnf", "yum", "rm", "set", "pip", "ldconfig", "update-ca-certificates",
}  # fmt: skip
_USERS_OF_BASES = {"node": "node", "nginx": "nginx", "postgres": "postgres", "redis": "redis"}
_USERS_OF_ALL = {"root", "daemon", "bin", "nobody", "www-data", "mail", "games"}


@dataclass(frozen=True, slots=True)
class _Taking:
    """One recursive command: what it gives to all below its paths, in the words of `COPY --flag=value`."""

    run: Run
    call: Call
    flag: str
    value: str
    paths: tuple[str, ...]


def propose(draft: Draft) -> Proposal:
    """Per RUN with a recursive chown or chmod of what was copied in the same stage."""
    steps: list[Step] = []
    passed_over: list[str] = []
    taken: set[tuple[int, str]] = set()
    all_runs = list(runs(draft))
    for run in all_runs:
        if _stored_again(draft, run) != 0:
            takings = [taking for call in run.plain_calls({"chown", "chmod"}) if (taking := _taking(draft, run, call))]
            steps += _steps(draft, all_runs, run, takings, passed_over, taken)
    return Proposal(tuple(steps), passed_over="; ".join(dict.fromkeys(passed_over)))


def _taking(draft: Draft, run: Run, call: Call) -> _Taking | None:
    recursive = any("R" in word.text or word.text == "--recursive" for word in call.options)
    if not recursive or not all(_OPTIONS.fullmatch(word.text) for word in call.options) or call.action is None:
        return None
    value = expanded(call.does, run.around.values)
    if call.program == "chmod":
        flag, fits = "chmod", bool(_MODE.fullmatch(value)) and draft.builder.copy_chmod
    else:
        flag, fits = "chown", bool(_OWNER.fullmatch(value))
        user, colon, group = value.partition(":")
        # chown leaves the group alone where it is not named, and takes the user's own after a colon.
        value = f"{user}:{group or (user if colon else 'root')}"
    paths = tuple(run.around.path(word.text) for word in call.arguments)
    known = tuple(path for path in paths if path is not None and path.count("/") >= 1 and path != "/")
    return _Taking(run, call, flag, value, known) if fits and paths and len(known) == len(paths) else None


def _stored_again(draft: Draft, run: Run) -> int | None:
    """Bytes that a RUN stores again only for their owner or mode; None where that is not known."""
    step = draft.step(run.instruction)
    if step is None or draft.image is None:
        return None
    return sum(h.size_bytes for h in draft.image.hidden if h.killed_by == step.position and h.reason == "metadata")


def _steps(
    draft: Draft,
    all_runs: list[Run],
    run: Run,
    takings: list[_Taking],
    passed_over: list[str],
    taken: set[tuple[int, str]],
) -> Iterator[Step]:
    """The changes for one RUN; `taken` are the COPYs that have a flag by now."""
    copied = [(taking, _copies(draft, taking)) for taking in takings]
    passed_over += [reason for _, reason in copied if isinstance(reason, str)]
    given = [(taking, copies) for taking, copies in copied if not isinstance(copies, str) and copies]
    if not given:
        return
    wanted = [(copy.start, taking.flag) for taking, copies in given for copy in copies]
    if len(set(wanted)) < len(wanted) or taken & set(wanted):
        passed_over.append(f"line {draft.origin(run.instruction)} takes files that another command takes as well")
        return
    written = _written_by_runs(draft, all_runs, run, [taking for taking, _ in given])
    if isinstance(written, str):
        passed_over.append(written)
        return
    edits = [_flagged(copy, taking) for taking, copies in given for copy in copies]
    inside = [edit for taking, _ in given for edit in _folders_only(draft, all_runs, taking)]
    first = min((copy for _, copies in given for copy in copies), key=lambda copy: copy.start)
    owners = [taking.value for taking, _ in given if taking.flag == "chown"]
    if not all(_exists(draft, owner, first) for owner in owners):
        made = _made_users(draft, run.instruction)
        movable = (
            len(given) == len(takings)
            and all(_exists(draft, owner, first, made) for owner in owners)
            and _folders_exist(draft, all_runs, run, [taking for taking, _ in given], first)
        )
        moved = _moved(draft, run, first, inside) if movable else None
        if moved is None:
            passed_over.append("the user that owns the files is made after they are copied")
            return
        inside = moved
    taken |= set(wanted)
    stored = _stored_again(draft, run)
    size = f"{format_bytes(stored)} are" if stored else "what was copied is"
    flags = " and ".join(dict.fromkeys(f"--{taking.flag}" for taking, _ in given))
    reason = f"COPY {flags} stores files once; with the recursive command {size} stored again."
    yield Step((*edits, *written, *inside), run.instruction.line, reason)


def _copies(draft: Draft, taking: _Taking) -> list[Instruction] | str:
    """The COPYs that put files below its paths, without those that give them the same already."""
    found: list[Instruction] = []
    for other in above(draft, taking.run.instruction):
        if other.keyword not in ("COPY", "ADD") or other.onbuild or len(other.words) < 2:
            continue
        target = surroundings(draft, other).path(other.words[-1])
        if target is None:
            return f"where line {draft.origin(other)} copies to is not known"
        for path in taking.paths:
            if path.startswith(f"{target.rstrip('/')}/"):
                return f"line {draft.origin(other)} copies to a folder above {path}"
            if target == path or target.startswith(f"{path}/"):
                if other.keyword == "ADD" or other.stage != taking.run.instruction.stage:
                    return f"line {draft.origin(other)} may bring files of other owners"
                if (given := other.flag(taking.flag)) is None:
                    found.append(other)
                elif given != taking.value:
                    return f"line {draft.origin(other)} gives another owner or mode"
    return found


def _flagged(copy: Instruction, taking: _Taking) -> Edit:
    offset = copy.start + len("COPY")
    return Edit(offset, offset, f" --{taking.flag}={taking.value}")


def _written_by_runs(draft: Draft, all_runs: list[Run], run: Run, takings: list[_Taking]) -> list[Edit] | str:
    """Edits that give what RUNs wrote below the paths its owner where it is written."""
    earlier = [other for other in all_runs if other.script.start < run.script.start]
    step = draft.step(run.instruction)
    if step is None or draft.image is None:
        strange = next((other for other in earlier if not _writes_elsewhere(other)), None)
        return f"line {draft.origin(strange.instruction)} may write files there too" if strange else []
    edits: list[Edit] = []
    for position in {h.position for h in draft.image.hidden if h.killed_by == step.position and h.reason == "metadata"}:
        made_by = draft.image.step_at(position)
        if made_by is None:
            return "files of the base image are stored again as well"
        writer = next((other for other in earlier if draft.step(other.instruction) == made_by), None)
        if writer is None:
            continue
        for taking in takings:
            made = [m.path for m in made_by.made if any(_below(m.path, path) for path in taking.paths)]
            text = f"{taking.call.program} -R {taking.call.does} {' '.join(made)}"
            edit = followed_by(draft.document, writer.script, None, text) if made else None
            exists = taking.flag == "chmod" or _exists(draft, taking.value, writer.instruction)
            if edit is None or not exists:
                return f"line {draft.origin(writer.instruction)} writes files there too"
            edits.append(edit)
    return edits


def _writes_elsewhere(run: Run) -> bool:
    """Whether all its commands are such that they write nothing into the application's folder."""
    return (
        ">" not in " ".join(run.instruction.words)
        and len(run.calls) == len(run.script.commands)
        and all(call.program in _ELSEWHERE and not call.has("-e", "-t", "--target", "--editable") for call in run.calls)
    )


def _folders_only(draft: Draft, all_runs: list[Run], taking: _Taking) -> Iterator[Edit]:
    """The recursive command for the folders alone: those it names, and those that WORKDIR and mkdir made in them."""
    text = draft.document.text
    for word in taking.call.options:
        kept = word.text.replace("R", "") if not word.text.startswith("--") else "-"
        end = taking.call.command.words[1 + taking.call.command.texts.index(word.text)].start
        yield Edit(word.start, end, f"{kept}{text[word.end : end]}" if kept != "-" else "")
    made = [folder for folder in _made_folders(draft, all_runs, taking.run) if folder not in taking.paths]
    below = sorted({folder for folder in made if any(_below(folder, path) for path in taking.paths)})
    if below:
        last = taking.call.arguments[-1].end
        yield Edit(last, last, "".join(f" {folder}" for folder in below))


def _made_folders(draft: Draft, all_runs: list[Run], run: Run, before: Instruction | None = None) -> Iterator[str]:
    """Those that WORKDIR, VOLUME and mkdir made before it or another instruction, with the folders above them."""
    for path in _named_folders(draft, all_runs, run, before or run.instruction):
        while path != "/":
            yield path
            path = posixpath.dirname(path)


def _folders_exist(
    draft: Draft, all_runs: list[Run], run: Run, takings: list[_Taking], instruction: Instruction
) -> bool:
    """Whether all folders that the command names exist where an instruction begins, or are made by its own RUN."""
    earlier = [other for other in all_runs if other.script.start < instruction.start or other == run]
    named = {folder for taking in takings for folder in taking.paths}
    later = {f for f in _made_folders(draft, all_runs, run) if any(_below(f, path) for path in named)}
    return later | named <= set(_made_folders(draft, earlier, run, instruction))


def _named_folders(draft: Draft, all_runs: list[Run], run: Run, before: Instruction) -> Iterator[str]:
    for other in above(draft, before):
        if other.keyword in ("WORKDIR", "VOLUME"):
            around = surroundings(draft, other)
            yield from (path for word in other.words if (path := around.path(word)) is not None)
    for earlier in all_runs:
        if earlier.script.start <= run.script.start:
            for call in earlier.calls:
                if call.program == "mkdir":
                    words = [*([call.action] if call.action else []), *call.arguments]
                    paths = (earlier.around.path(word.text) for word in words if not word.text.startswith("-"))
                    yield from (path for path in paths if path is not None)


def _exists(draft: Draft, owner: str, instruction: Instruction, besides: Collection[str] = ()) -> bool:
    """Whether user and group exist where an instruction begins, as far as the text tells; numbers always do."""
    names = [name for name in owner.split(":") if name and not name.isdigit()]
    known = {*_USERS_OF_ALL, *besides}
    for other in above(draft, instruction):
        if other.keyword == "FROM":
            base = re.split("[:@]", posixpath.basename(other.words[0]))[0]
            known |= {_USERS_OF_BASES[base]} if base in _USERS_OF_BASES else set()
        elif other.keyword == "RUN" and not other.onbuild:
            known |= _made_users(draft, other)
    return all(name in known for name in names)


def _made_users(draft: Draft, instruction: Instruction) -> set[str]:
    script = " ".join(instruction.words) + " ".join(heredoc.content for heredoc in instruction.heredocs)
    if not re.search(r"\b(user|group)add\b|\badd(user|group)\b", script):
        return set()
    return set(expanded(script, surroundings(draft, instruction).values).split())


def _moved(draft: Draft, run: Run, first: Instruction, inside: list[Edit]) -> list[Edit] | None:
    """The RUN with its edits above the first COPY, where nothing between them matters to it."""
    document, instruction = draft.document, run.instruction
    if instruction.heredocs or len(run.calls) != len(run.script.commands):
        return None
    if not all(call.program in _MAKING_USERS and call.command.plain for call in run.calls):
        return None
    text = document.source(instruction)
    between = [o for o in document.stages[instruction.stage].body if first.start <= o.start < instruction.start]
    for other in between:
        names = other.words[::2] if other.keyword == "ENV" else [word.partition("=")[0] for word in other.words]
        used = other.keyword in ("ENV", "ARG") and any(re.search(rf"\$\{{?{re.escape(n)}\b", text) for n in names)
        if used or other.keyword in ("USER", "SHELL"):
            return None
    for edit in sorted(inside, key=lambda edit: edit.start, reverse=True):
        start, end = edit.start - instruction.start, edit.end - instruction.start
        text = f"{text[:start]}{edit.replacement}{text[end:]}"
    gone = removed(document, instruction)
    place = _above_comments(document.text, first.start)
    comments = _above_comments(document.text, instruction.start)
    gone = Edit(min(gone.start, comments), gone.end, "")
    moved = f"{document.text[comments : instruction.start]}{text}\n"
    parted = ("\n\n", "\n\r\n")
    apart = document.text[:comments].endswith(parted)
    above_it = "\n" if apart and not document.text[:place].endswith(parted) else ""
    below_it = "\n" if apart else ""
    return [Edit(place, place, f"{above_it}{moved}{below_it}".replace("\r\n", "\n")), gone]


def _above_comments(text: str, offset: int) -> int:
    """The beginning of the comments that stand right above an instruction, or of its line."""
    start = text.rfind("\n", 0, offset) + 1
    while start > 0:
        previous = text.rfind("\n", 0, start - 1) + 1
        if not text[previous:start].lstrip().startswith("#"):
            break
        start = previous
    return start


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


RULE = Rule(
    technique="R12",
    title="COPY with owner and mode",
    needs="",
    proof="files have the same owners and modes as before",
    propose=propose,
)
