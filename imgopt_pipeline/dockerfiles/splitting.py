"""One stage parted into two: a build stage, and a final stage on the same or a smaller base that copies what it made.

The build stage is the author's text up to the last instruction that builds; the final stage says again what
configures the image or its system, and goes on with the author's text from there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from imgopt_pipeline.dockerfiles.copied_paths import (
    Copied,
    copies_of_made,
    is_inside,
    is_temporary,
    lines_of_copies,
    with_owner,
    without_covered,
)
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import removed
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction, Stage
from imgopt_pipeline.dockerfiles.repeated_runs import Needs, Repeated, repeated
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.dockerfiles.stage_sources import WHOLE, copied_sources
from imgopt_pipeline.dockerfiles.surroundings import surroundings

_NAMES = ("build", "builder", "build-stage", "imgopt-build")
_MOVED = frozenset({"LABEL", "EXPOSE", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD", "STOPSIGNAL", "MAINTAINER"})
_LAYERS = frozenset({"RUN", "COPY", "ADD"})
_MANIFESTS = re.compile(
    r"requirements[\w.-]*\.txt|requirements|constraints[\w.-]*\.txt|Pipfile(\.lock)?|poetry\.lock\*?|uv\.lock|pyproject\.toml"
    r"|pdm\.lock|environment\.ya?ml|conda[\w.-]*\.(ya?ml|lock)|setup\.(py|cfg)"
)
_BUILD_PROGRAMS = frozenset({"uv", "uvx"})


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stage is parted: after `last`, onto `base` where that is another.

    `copies`: what the final stage takes besides what the RUNs made by the image's facts (`made`). `covered`: folders
    that those bring, so that nothing else is said of them. `edits`: further ones, in the build stage.
    """

    last: Instruction
    needs: Needs
    copies: tuple[Copied, ...] = ()
    covered: tuple[str, ...] = ()
    base: str | None = None
    edits: tuple[Edit, ...] = ()
    addition: str = ""
    made: bool = True
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """The edits that part a stage; or why it cannot be.

    `dropped`: packages that the final stage does without, `kept`: those that it installs.
    """

    edits: tuple[Edit, ...] = ()
    dropped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    copies: tuple[Copied, ...] = ()
    unclear: str = ""


@dataclass(frozen=True, slots=True)
class _Item:
    """An instruction of the final stage. `path`: where a COPY leads, `apart`: an empty line stands before it."""

    keyword: str
    text: str
    apart: bool = False
    path: str | None = None


def split(draft: Draft, plan: Plan) -> Split:
    """The edits that make two stages of the one that becomes the image."""
    document, stage = draft.document, draft.stage
    unclear = _why_not(draft, stage)
    if unclear:
        return Split(unclear=unclear)
    before = [instruction for instruction in stage.body if instruction.start <= plan.last.start]
    after = [instruction for instruction in stage.body if instruction.start > plan.last.start]
    parted: dict[int, Repeated] = {}
    copies: list[Copied] = list(plan.copies)
    moved_positions: set[int] = set()
    needs = plan.needs
    found_runs = {run.instruction.start: run for run in runs(draft, {stage.number})}
    for instruction in before:
        if instruction.keyword != "RUN" or instruction.onbuild:
            continue
        run = found_runs.get(instruction.start)
        if run is None:
            return Split(unclear=f"the commands of line {draft.origin(instruction)} are not understood")
        found = parted[instruction.start] = repeated(draft, run, needs)
        if found.unclear:
            return Split(unclear=found.unclear)
        # Named once, by the first list.
        needs = replace(needs, extra=tuple(name for name in needs.extra if name not in found.kept))
        if found.moved and plan.made:
            step = draft.step(instruction)
            if step is None:
                return Split(unclear=f"what line {draft.origin(instruction)} made is not known")
            moved_positions.add(step.position)
            made = copies_of_made(step.made, plan.needs.used, run.around)
            if made is None:
                return Split(unclear=f"line {draft.origin(instruction)} makes files whose names no COPY can say")
            copies += [copied for copied in made if not _is_covered(copied.target, plan.covered)]
    owners = {path: owner for found in parted.values() for path, owner in found.owners.items()}
    copies = without_covered([with_owner(copied, owners) for copied in copies])
    if not copies:
        return Split(unclear="nothing is known of what its build makes")
    chowned, later_edits = _chowned_later(document, copies, found_runs, after)
    copies = [with_owner(copied, chowned) for copied in copies]
    folders = [copied.target for copied in copies if not copied.file and copied.whole]
    items: list[_Item] = []
    marker = 0
    moved_texts: list[Edit] = []
    for instruction in before:
        apart = _stands_apart(document, instruction)
        if instruction.onbuild or instruction.keyword in _MOVED:
            items.append(_Item("", _with_comments(document, instruction), apart))
            moved_texts.append(removed(document, instruction))
        elif instruction.keyword == "RUN":
            found = parted[instruction.start]
            if found.text is not None:
                items.append(_Item("RUN", found.text, apart))
            if found.moved:
                marker = len(items)
        elif instruction.keyword in ("COPY", "ADD"):
            path = surroundings(draft, instruction).path(instruction.words[-1]) if instruction.words else None
            if _is_needed(draft, plan, instruction, path, [*before, *after], folders):
                hidden = _hidden_by(draft, instruction, moved_positions)
                if hidden:
                    return Split(unclear=f"its build deletes files that line {draft.origin(instruction)} brings")
                items.append(_Item("COPY", _owned(document, instruction, path, owners), apart, path))
        else:
            items.append(_Item(instruction.keyword, _unix(document.source(instruction)), apart))
    marker = _hoisted(items, marker, copies)
    airy = any(_stands_apart(document, instruction) for instruction in before)
    items.insert(marker, _Item("COPY", "\n".join(lines_of_copies(copies, _build_name(document))), airy))
    if plan.settings:
        items.insert(marker, _Item("ENV", plan.settings))
    if needs.extra:
        layers = (n for n, item in enumerate(items) if item.keyword in (*_LAYERS, "USER"))
        items.insert(next(layers, len(items)), _Item("RUN", install_line(needs.extra), airy))
    items = _tidied(items, after, document)
    text = _final_stage(document, stage, plan, items)
    end = plan.last.end
    edits = [
        _renamed(document, stage),
        *moved_texts,
        *plan.edits,
        *later_edits,
        Edit(end, end, f"{plan.addition}{text}"),
    ]
    dropped = tuple(dict.fromkeys(name for found in parted.values() for name in found.dropped))
    kept = tuple(dict.fromkeys([*needs.extra, *(name for found in parted.values() for name in found.kept)]))
    return Split(tuple(edits), dropped, kept, tuple(copies))


def install_line(names: Sequence[str]) -> str:
    """A RUN that installs packages of Debian and leaves nothing else."""
    return (
        f"RUN apt-get update \\\n    && apt-get install -y --no-install-recommends {' '.join(names)} \\\n"
        "    && rm -rf /var/lib/apt/lists/*"
    )


def _why_not(draft: Draft, stage: Stage) -> str:
    document = draft.document
    if draft.stage_name is not None and draft.stage_name.isdigit():
        return "its target is a stage's number, which would change"
    later = document.stages[stage.number + 1 :]
    names = {name.lower() for name in (stage.name, str(stage.number)) if name}
    for other in later:
        for instruction in other.instructions:
            named = {(instruction.flag("from") or "").lower()}
            named |= set(re.findall(r"from=([\w.-]+)", " ".join(instruction.flags).lower()))
            if instruction.keyword == "FROM":
                named.add(other.base.lower())
            if not names.isdisjoint(named):
                return f"the stage {other.name or other.number} takes from it"
            if any(name.isdigit() for name in named):
                return "stages are named by their number"
    return ""


def _is_needed(
    draft: Draft,
    plan: Plan,
    instruction: Instruction,
    path: str | None,
    others: Sequence[Instruction],
    folders: Sequence[str],
) -> bool:
    """Whether the final stage needs a COPY of the build stage as well."""
    sources = instruction.words[:-1]
    if path is not None and (is_temporary(path) or _is_covered(path, (*plan.covered, *folders))):
        return False
    names = {posixpath.basename(source.rstrip("/")) for source in sources}
    if instruction.flag("from") is not None:
        return not names <= _BUILD_PROGRAMS or not names.isdisjoint(plan.needs.used)
    if names and all(_MANIFESTS.fullmatch(name) for name in names):
        return False
    return not any(_brings_it(draft, instruction, path, other) for other in others if other.start > instruction.start)


def _brings_it(draft: Draft, instruction: Instruction, path: str | None, later: Instruction) -> bool:
    """Whether a later COPY of the whole context brings the same files to the same place."""
    if later.keyword != "COPY" or path is None or not copied_sources(instruction):
        return False
    if not set(copied_sources(later)) & WHOLE:
        return False
    target = surroundings(draft, later).path(later.words[-1])
    if target is None:
        return False
    for source in copied_sources(instruction):
        place = posixpath.normpath(posixpath.join(target, source.removeprefix("./").lstrip("/")))
        if place not in (path, posixpath.join(path, posixpath.basename(source.rstrip("/")))):
            return False
    return True


def _hidden_by(draft: Draft, instruction: Instruction, positions: set[int]) -> bool:
    """Whether a RUN that is not said again deletes what a COPY brings."""
    step = draft.step(instruction)
    if step is None or draft.image is None:
        return False
    return any(
        hidden.position == step.position and hidden.killed_by in positions and hidden.reason in ("deleted", "opaque")
        for hidden in draft.image.hidden
    )


def _owned(document: Dockerfile, instruction: Instruction, path: str | None, owners: dict[str, str]) -> str:
    """A COPY with the owner that a later `chown -R` gave to where it leads."""
    text = _unix(document.source(instruction))
    owner = next((owner for folder, owner in owners.items() if path is not None and is_inside(path, folder)), "")
    if not owner or instruction.flag("chown") is not None:
        return text
    keyword = re.match(r"\w+\s+", text)
    at = keyword.end() if keyword is not None else 0
    return f"{text[:at]}--chown={owner} {text[at:]}"


def _chowned_later(
    document: Dockerfile, copies: Sequence[Copied], found: dict[int, Run], after: Sequence[Instruction]
) -> tuple[dict[str, str], list[Edit]]:
    """Owners that `chown -R` gives later to folders that now come by COPY, and the edits that spare its `-R`.

    The bytes would be stored twice; the folder itself still needs its owner.
    """
    owners: dict[str, str] = {}
    edits: list[Edit] = []
    copied_there = False
    for instruction in after:
        if instruction.keyword in ("COPY", "ADD"):
            copied_there = copied_there or instruction.flag("chown") is None
        run = found.get(instruction.start)
        for call in run.plain_calls(("chown",)) if run is not None and not copied_there else ():
            recursive = [word for word in (*call.options, *call.arguments) if word.text in ("-R", "--recursive")]
            words = [word.text for word in call.command.words[1:] if not word.text.startswith("-")]
            paths = [run.around.path(text) if run is not None else None for text in words[1:]]
            whole = {copied.target for copied in copies if not copied.file}
            if recursive and paths and all(path in whole for path in paths):
                owners |= {path: words[0] for path in paths if path is not None}
                edits.append(Edit(recursive[0].start, recursive[0].end + 1, ""))
    return owners, edits


def _hoisted(items: Sequence[_Item], marker: int, copies: Sequence[Copied]) -> int:
    """A place before COPYs of the context to other folders, so that a change of the sources leaves it cached."""
    while marker > 0:
        item = items[marker - 1]
        if item.keyword != "COPY" or item.path is None:
            break
        if any(is_inside(copied.target, item.path) or is_inside(item.path, copied.target) for copied in copies):
            break
        marker -= 1
    return marker


def _tidied(items: Sequence[_Item], after: Sequence[Instruction], document: Dockerfile) -> list[_Item]:
    """Without folders, users and arguments that nothing in the final stage stands on."""
    rest = [_Item(other.keyword, document.source(other)) for other in after]
    kept: list[_Item] = []
    for number, item in enumerate(items):
        following = [*items[number + 1 :], *rest]
        if item.keyword == "ARG" and not _argument_used(item.text, following):
            continue
        if item.keyword in ("WORKDIR", "USER") and _superseded(item, following):
            continue
        kept.append(item)
    return kept


def _superseded(item: _Item, following: Sequence[_Item]) -> bool:
    for other in following:
        if other.keyword == item.keyword:
            absolute = re.match(r"\w+\s+[\"']?/", other.text) is not None
            return item.keyword == "USER" or absolute
        if other.keyword in _LAYERS or (item.keyword == "USER" and other.keyword == "WORKDIR"):
            return False
    return False


def _argument_used(text: str, following: Sequence[_Item]) -> bool:
    names = re.findall(r"(?:^|\s)(\w+)(?:=|\s|$)", text.partition(" ")[2])
    for item in following:
        if any(re.search(rf"\$\{{?{re.escape(name)}\b", item.text) for name in names):
            return True
        if item.keyword == "RUN" and any(name.startswith("DEBIAN_") for name in names):
            return True
    return False


def _final_stage(document: Dockerfile, stage: Stage, plan: Plan, items: Sequence[_Item]) -> str:
    opening = _unix(document.source(stage.opening)).rstrip()
    if plan.base is not None:
        opening = opening.replace(stage.base_text, plan.base, 1)
    lines = ["", "", opening]
    for item in items:
        if item.apart and lines[-1]:
            lines.append("")
        lines.append(item.text)
    return "\n".join(lines)


def _renamed(document: Dockerfile, stage: Stage) -> Edit:
    """The edit that gives the author's FROM the build stage's name."""
    source = document.source(stage.opening)
    name = _build_name(document)
    if stage.name is not None:
        at = stage.opening.start + source.rstrip().rfind(_written_name(source))
        return Edit(at, stage.opening.start + len(source.rstrip()), name)
    as_word = "as" if source.startswith("from") else "AS"
    end = stage.opening.start + len(source.rstrip())
    return Edit(end, end, f" {as_word} {name}")


def _written_name(source: str) -> str:
    return source.split()[-1]


def _build_name(document: Dockerfile) -> str:
    taken = {(stage.name or "").lower() for stage in document.stages} | {
        stage.base.lower() for stage in document.stages
    }
    free = (name for name in (*_NAMES, *(f"build-{number}" for number in range(2, 100))) if name not in taken)
    return next(free)


def _is_covered(path: str, folders: Sequence[str]) -> bool:
    return any(is_inside(path, folder) for folder in folders)


def _with_comments(document: Dockerfile, instruction: Instruction) -> str:
    """An instruction with the comments that stand right above it."""
    text = document.text
    start = text.rfind("\n", 0, instruction.start) + 1
    while start > 0:
        above = text.rfind("\n", 0, start - 1) + 1
        if not text[above:start].lstrip().startswith("#"):
            break
        start = above
    return _unix(text[start : instruction.end])


def _stands_apart(document: Dockerfile, instruction: Instruction) -> bool:
    """Whether an empty line stands above an instruction and its comments."""
    lines = document.text[: instruction.start].split("\n")[:-1]
    while lines and lines[-1].lstrip().startswith("#"):
        lines.pop()
    return bool(lines) and not lines[-1].strip()


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
