"""One stage parted into two: a build stage, and a final stage on the same or a smaller base that copies what it made.

The build stage is the author's text up to the last instruction that builds; the final stage says again what
configures the image or its system, and goes on with the author's text from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imgopt_pipeline.dockerfiles.copied_paths import (
    Copied,
    copies_of_made,
    is_inside,
    lines_of_copies,
    with_owner,
    without_covered,
)
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import removed
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction, Stage
from imgopt_pipeline.dockerfiles.repeated_copies import is_deleted, is_needed, owned
from imgopt_pipeline.dockerfiles.repeated_runs import Repeated, repeated
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.dockerfiles.stage_items import (
    LAYERS,
    Item,
    can_be_owner,
    place_of_copies,
    stands_apart,
    text_of,
    tidied,
    unix,
    with_comments,
)
from imgopt_pipeline.dockerfiles.surroundings import surroundings
from imgopt_pipeline.dockerfiles.trimmed_lists import Needs

_NAMES = ("build", "builder", "build-stage", *(f"build-{number}" for number in range(2, 100)))
_MOST_COPIES = 24
_MOVED = frozenset({"LABEL", "EXPOSE", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD", "STOPSIGNAL", "MAINTAINER"})


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stage is parted: after `last`, onto `base` where that is another.

    `copies`: what the final stage takes besides what the RUNs made by the image's facts (`made`). `covered`: folders
    that those bring, so that nothing else is said of them. `edits`: further ones, in the build stage. `settings`: an
    ENV for the final stage.
    """

    last: Instruction
    needs: Needs
    copies: tuple[Copied, ...] = ()
    covered: tuple[str, ...] = ()
    base: str | None = None
    edits: tuple[Edit, ...] = ()
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
    unclear: str = ""


@dataclass(frozen=True, slots=True)
class _Parted:
    """What becomes of the RUNs of the build stage, by where they begin, and what is to be copied of them."""

    runs: Mapping[int, Repeated]
    copies: tuple[Copied, ...]
    positions: frozenset[int]
    missing: tuple[str, ...]

    @property
    def owners(self) -> dict[str, str]:
        """Owners that a `chown -R` gave to folders."""
        return {path: owner for found in self.runs.values() for path, owner in found.owners.items()}

    def names(self, which: str) -> tuple[str, ...]:
        """The packages that are `kept` or `dropped`."""
        return tuple(dict.fromkeys(name for found in self.runs.values() for name in getattr(found, which)))


def split(draft: Draft, plan: Plan) -> Split:
    """The edits that make two stages of the one that becomes the image."""
    document, stage = draft.document, draft.stage
    unclear = _why_not(draft, stage)
    if unclear:
        return Split(unclear=unclear)
    found_runs = {run.instruction.start: run for run in runs(draft, {stage.number})}
    parted = _parted(draft, plan, found_runs)
    if isinstance(parted, str):
        return Split(unclear=parted)
    copies = without_covered([with_owner(copied, parted.owners) for copied in (*plan.copies, *parted.copies)])
    if not copies:
        return Split(unclear="nothing is known of what its build makes")
    if len(copies) > _MOST_COPIES:
        return Split(unclear=f"what its build makes lies in {len(copies)} places among files of the base")
    items, first = _items(draft, plan, parted, copies)
    if any(not item.text for item in items):
        return Split(unclear="its build deletes files that it was given")
    after = [instruction for instruction in stage.body if instruction.start > plan.last.start]
    chowned, sparing = _chowned_later(copies, found_runs, after, items)
    copies = [with_owner(copied, chowned) for copied in copies]
    airy = any(stands_apart(document, one) for one in stage.body if one.start <= plan.last.start)
    name = _build_name(document)
    place = place_of_copies(items, first, copies)
    items.insert(place, Item("COPY", "\n".join(lines_of_copies(copies, name)), airy))
    if plan.settings:
        items.insert(place, Item("ENV", plan.settings))
    if parted.missing:
        layers = (n for n, item in enumerate(items) if item.keyword in (*LAYERS, "USER"))
        items.insert(next(layers, len(items)), Item("RUN", install_line(document, parted.missing), airy))
    opening = unix(document.source(stage.opening)).rstrip()
    if plan.base is not None:
        opening = opening.replace(stage.base_text, plan.base, 1)
    text = text_of(tidied(items, after, document), opening)
    moved = [one for one in stage.body if one.start <= plan.last.start and (one.onbuild or one.keyword in _MOVED)]
    edits = (
        _renamed(document, stage, name),
        *(removed(document, instruction) for instruction in moved),
        *plan.edits,
        *sparing,
        Edit(plan.last.end, plan.last.end, text),
    )
    return Split(edits, parted.names("dropped"), (*parted.missing, *parted.names("kept")))


def install_line(document: Dockerfile, names: Sequence[str]) -> str:
    """A RUN that installs packages of Debian and leaves nothing else."""
    line = (
        f"RUN apt-get update \\\n    && apt-get install -y --no-install-recommends {' '.join(names)} \\\n"
        "    && rm -rf /var/lib/apt/lists/*"
    )
    # Versions are not pinned, which would break with the base's next release; other lists show that that is known.
    return line if "apt-get install" in document.text else f"# hadolint ignore=DL3008\n{line}"


def _parted(draft: Draft, plan: Plan, found_runs: Mapping[int, Run]) -> _Parted | str:
    """What becomes of the RUNs up to the last that builds; why it is not clear, in words."""
    needs = plan.needs
    parted: dict[int, Repeated] = {}
    copies: list[Copied] = []
    positions: set[int] = set()
    for instruction in draft.stage.body:
        if instruction.keyword != "RUN" or instruction.onbuild or instruction.start > plan.last.start:
            continue
        run = found_runs.get(instruction.start)
        if run is None:
            return f"the commands of line {draft.origin(instruction)} are not understood"
        found = parted[instruction.start] = repeated(draft, run, needs)
        if found.unclear:
            return found.unclear
        # Named once, by the first list.
        needs = replace(needs, extra=tuple(name for name in needs.extra if name not in found.kept))
        if not found.moved or not plan.made:
            continue
        step = draft.step(instruction)
        if step is None:
            return f"what line {draft.origin(instruction)} made is not known"
        positions.add(step.position)
        made = copies_of_made(step.made, needs.used, run)
        if made is None:
            return f"line {draft.origin(instruction)} makes files whose names no COPY can say"
        copies += [one for one in made if not any(is_inside(one.target, folder) for folder in plan.covered)]
    return _Parted(parted, tuple(copies), frozenset(positions), needs.extra)


def _items(draft: Draft, plan: Plan, parted: _Parted, copies: Sequence[Copied]) -> tuple[list[Item], int]:
    """What the final stage says up to the last that builds, and where the first of that stood.

    An item without text stands for a COPY of which the build deletes something.
    """
    document, stage = draft.document, draft.stage
    covered = (*plan.covered, *(copied.target for copied in copies if not copied.file and copied.whole))
    items: list[Item] = []
    first: int | None = None
    for instruction in stage.body:
        if instruction.start > plan.last.start:
            break
        apart = stands_apart(document, instruction)
        if instruction.onbuild or instruction.keyword in _MOVED:
            items.append(Item("", with_comments(document, instruction), apart))
        elif instruction.keyword == "RUN":
            found = parted.runs[instruction.start]
            if found.text is not None:
                items.append(Item("RUN", found.text, apart))
            if found.moved and first is None:
                first = len(items)
            if found.afterwards is not None:
                items.append(Item("RUN", found.afterwards, apart and found.text is None))
        elif instruction.keyword in ("COPY", "ADD"):
            path = surroundings(draft, instruction).path(instruction.words[-1]) if instruction.words else None
            later = [other for other in stage.body if other.start > instruction.start]
            if is_needed(draft, instruction, path, used=plan.needs.used, covered=covered, later=later):
                text = owned(document, instruction, path, parted.owners)
                items.append(
                    Item("COPY", "" if is_deleted(draft, instruction, parted.positions) else text, apart, path)
                )
        else:
            items.append(Item(instruction.keyword, unix(document.source(instruction)), apart))
    return items, len(items) if first is None else first


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


def _chowned_later(
    copies: Sequence[Copied], found: Mapping[int, Run], after: Sequence[Instruction], items: Sequence[Item]
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
            if recursive and paths and all(path in whole for path in paths) and can_be_owner(words[0], items):
                owners |= {path: words[0] for path in paths if path is not None}
                edits.append(Edit(recursive[0].start, recursive[0].end + 1, ""))
    return owners, edits


def _renamed(document: Dockerfile, stage: Stage, name: str) -> Edit:
    """The edit that gives the author's FROM the build stage's name."""
    source = document.source(stage.opening).rstrip()
    end = stage.opening.start + len(source)
    if stage.name is not None:
        return Edit(end - len(source.split()[-1]), end, name)
    return Edit(end, end, f" {'as' if source.startswith('from') else 'AS'} {name}")


def _build_name(document: Dockerfile) -> str:
    taken = {(stage.name or "").lower() for stage in document.stages} | {
        stage.base.lower() for stage in document.stages
    }
    return next(name for name in _NAMES if name not in taken)
