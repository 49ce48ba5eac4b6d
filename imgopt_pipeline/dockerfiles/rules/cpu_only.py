"""R1: CPU builds instead of GPU builds of Python packages, where the container can have no GPU.

The trap: a requirement met by a CPU build is met by the CUDA build of the same version as well, so that any later
pip line may bring CUDA back. Constraints on every line that could make that fail instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from imgopt_pipeline.dockerfiles.cpu_lines import PipLine, pip_lines, replaced_words, replacement, source_options
from imgopt_pipeline.dockerfiles.cpu_packages import CpuPackages, cpu_packages
from imgopt_pipeline.dockerfiles.cpu_requirements import HASHED, WITHIN, changed_files
from imgopt_pipeline.dockerfiles.drafts import NOTHING, Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.layout import followed_by, preceded_by, without
from imgopt_pipeline.dockerfiles.models import Instruction
from imgopt_pipeline.dockerfiles.python_installs import named
from imgopt_pipeline.dockerfiles.runs import runs
from imgopt_pipeline.dockerfiles.stage_sources import contributing_stages
from imgopt_pipeline.units import format_bytes

CONSTRAINTS = f"{WITHIN}/cpu-only.txt"
_WHEELS = "cpu-wheels"
_LOCKED = {
    (
        "poetry",
        "install",
    ): "poetry.lock pins the CUDA build: add the CPU index as a source to pyproject.toml and lock again",
    ("uv", "sync"): "uv.lock pins the CUDA build: name the CPU index in [tool.uv.sources] and lock again",
    ("pdm", "install"): "pdm.lock pins the CUDA build: add the CPU index as a source to pyproject.toml and lock again",
    ("pdm", "sync"): "pdm.lock pins the CUDA build: add the CPU index as a source to pyproject.toml and lock again",
    (
        "pipenv",
        "install",
    ): "Pipfile.lock pins the CUDA build: add the CPU index as a source to the Pipfile and lock again",
    ("pipenv", "sync"): "Pipfile.lock pins the CUDA build: add the CPU index as a source to the Pipfile and lock again",
}


class _PassedOver(Exception):
    """Why nothing is done."""


def propose(draft: Draft) -> Proposal:
    """The edits, where the verdict says that no GPU can be had."""
    if draft.image is None:
        return NOTHING
    cpu = cpu_packages(draft.image)
    if draft.image.gpu_verdict != "denied":
        may_use = f"a container of it may use a GPU (verdict: {draft.image.gpu_verdict or 'unknown'})"
        return Proposal(passed_over=may_use if cpu.pins or cpu.renames else "")
    if not (cpu.pins or cpu.renames):
        return Proposal(passed_over="; ".join(f"{name}: {why}" for name, why in cpu.left.items()))
    if CONSTRAINTS in draft.document.text:
        return NOTHING
    try:
        return _Rewriting(draft, cpu).proposal()
    except _PassedOver as reason:
        return Proposal(passed_over=str(reason))


class _Rewriting:
    """The edits of one draft, RUN by RUN."""

    def __init__(self, draft: Draft, cpu: CpuPackages) -> None:
        self.draft = draft
        self.cpu = cpu
        self.lines = tuple(pip_lines(draft))
        self.folders = self._folders()
        self.renamed: set[str] = set()

    def proposal(self) -> Proposal:
        cpu, lines = self.cpu, self.lines
        pinned = [line for line in lines if cpu.pins and line.brings(cpu.reaching)]
        self._refuse(pinned)
        runs_edited = {line.instruction.start: line.instruction for line in lines}
        changed = [line for line in lines if line in pinned or self._renames(line)]
        asserted = {line.instruction.start: line for line in self._asserted(changed)}
        prepared = _first_of_each_stage(self.draft, pinned)
        steps: list[Step] = []
        for start, instruction in runs_edited.items():
            within = [line for line in lines if line.instruction.start == start]
            edits = self._edits(within, pinned, start in prepared, asserted.get(start))
            if edits:
                steps.append(Step(tuple(edits), instruction.line, self._reason(within, pinned, first=not steps)))
        if not steps:
            return Proposal(passed_over=self._nowhere())
        replaces = {name: other for name, other in cpu.renames.items() if name in self.renamed and other != name}
        return Proposal(
            steps=tuple(steps),
            contexts=self.folders if pinned else {},
            replaces=replaces | dict.fromkeys(sorted(cpu.libraries), ""),
            expected=cpu.expected,
        )

    def _renames(self, line: PipLine) -> bool:
        """Whether a line asks for a package that goes by another name, or not at all."""
        words = (named(word.text) for word in line.install.packages if word.literal)
        listed = (package for _, files in line.files for each in files for package in each.packages)
        return any(package and replacement(package, self.cpu) for package in (*words, *listed))

    def _refuse(self, pinned: Sequence[PipLine]) -> None:
        """Raise where an edit would not hold, or not build."""
        sources = self.draft.sources
        named_for_certain = any(line.names is not None for line in pinned)
        if self.cpu.pins and not named_for_certain and (locked := self._locked()):
            raise _PassedOver(locked)
        if any(line.hashed for line in pinned):
            raise _PassedOver(HASHED)
        if any(line.install.verb.text == "sync" for line in pinned):
            raise _PassedOver("uv pip sync installs what its file pins: compile that again for the CPU builds")
        if pinned and sources.cpu_index is None and not self.folders and not _pages(sources.find_links):
            raise _PassedOver("no place to take CPU builds from is set: name builds.cpu_index or builds.find_links")

    def _locked(self) -> str:
        """What to do where packages come by a lock file."""
        stages = {stage.number for stage in contributing_stages(self.draft.document, self.draft.stage)}
        calls = (call for run in runs(self.draft, stages) for call in run.calls)
        return next((_LOCKED[call.program, call.does] for call in calls if (call.program, call.does) in _LOCKED), "")

    def _edits(
        self, within: Sequence[PipLine], pinned: Sequence[PipLine], prepare: bool, asserted: PipLine | None
    ) -> list[Edit]:
        """All edits of one RUN."""
        document, instruction, script = self.draft.document, within[0].instruction, within[0].script
        edits: list[Edit] = []
        before: list[str] = []
        if prepare:
            pins = " ".join(f"{name}=={version}" for name, version in self.cpu.pins.items())
            before.append(f"printf '%s\\n' {pins} > {CONSTRAINTS}")
        for line in within:
            words, changed, empty = replaced_words(document, line, self.cpu)
            gone = without(document, instruction, script, line.install.command) if empty else None
            self.renamed |= {package.name for package in changed if package.name in self.cpu.renames}
            if gone is not None:
                edits.append(gone)
                continue
            listed = changed_files(self.draft, line, self.cpu)
            if isinstance(listed, str):
                raise _PassedOver(listed)
            self.renamed |= listed.renamed
            edits += [*([] if empty else words), *listed.edits]
            before += listed.commands
            if line in pinned:
                targets = [f"{WITHIN}/{name}" for name in self.folders] + _pages(self.draft.sources.find_links)
                joined = prepare or asserted is not None or len(script.commands) > 1
                edits += source_options(
                    document, line, self.draft.sources.cpu_index, targets, CONSTRAINTS, joined=joined
                )
        # Both may stand at the same place: the mounts first, which belong to RUN.
        if self.folders and any(line in pinned for line in within):
            edits.append(_mounts(self.draft, instruction, self.folders))
        if before:
            edits.append(_before_first(self.draft, within, before))
        assertion = self._assertion(asserted) if asserted is not None else ""
        new = assertion and assertion not in document.text
        last = followed_by(document, script, None, assertion) if new else None
        return [*edits, last] if last is not None else edits

    def _folders(self) -> dict[str, str]:
        """Local folders of wheels by the name of the build context that each becomes."""
        if not self.draft.builder.named_contexts:
            return {}
        folders = [link.removeprefix("file://") for link in self.draft.sources.find_links if _is_folder(link)]
        return {f"{_WHEELS}{f'-{number}' if number > 1 else ''}": folder for number, folder in enumerate(folders, 1)}

    def _asserted(self, pinned: Sequence[PipLine]) -> list[PipLine]:
        """The last line of each chain of stages, where a pinned package is there for certain by then."""
        document = self.draft.document
        stages = sorted({line.instruction.stage for line in pinned})
        inherited = {parent.number for number in stages for parent in document.ancestors(document.stages[number])}
        leaves = [number for number in stages if number not in inherited]
        found: list[PipLine] = []
        for leaf in leaves:
            chain = {leaf, *(parent.number for parent in document.ancestors(document.stages[leaf]))}
            lines = [line for line in pinned if line.instruction.stage in chain]
            if len(leaves) > 1 and all(line.names is None for line in lines):
                continue
            install = lines[-1].install
            if install.verb.text == "install" and not install.valued("-t", "--target", "--prefix", "--root"):
                found.append(lines[-1])
        return found

    def _assertion(self, line: PipLine) -> str:
        """A command that fails where CUDA came back after all; empty where that cannot be told."""
        # Libraries that nothing requires were named by somebody: maybe where it cannot be seen.
        seen = self.cpu.libraries == self.cpu.required or all(other.names is not None for other in self.lines)
        clean = self.cpu.clean and seen and any(name.startswith("nvidia-") for name in self.cpu.libraries)
        modules = ["torch"] if "torch" in self.cpu.pins else []
        checks = ["torch.version.cuda is None"] if modules else []
        if clean:
            modules.append("importlib.util as u")
            checks.append("not u.find_spec('nvidia')")
        python = line.install.interpreter or self._interpreter()
        return f'{python} -Bc "import {", ".join(modules)}; assert {" and ".join(checks)}"' if checks else ""

    def _interpreter(self) -> str:
        """The Python that the packages are installed for."""
        packages = self.draft.image.packages if self.draft.image is not None else ()
        places = [p.location for p in packages if p.name in self.cpu.pins or p.name in self.cpu.renames]
        match = re.match(r"(?P<prefix>.*?)/?lib/python[\d.]+/", f"{places[0].strip('/')}/") if places else None
        prefix = match["prefix"] if match else "usr"
        return "python3" if prefix in ("usr", "usr/local") or "/.local" in f"/{prefix}" else f"/{prefix}/bin/python"

    def _reason(self, within: Sequence[PipLine], pinned: Sequence[PipLine], *, first: bool) -> str:
        if not first and any(line in pinned for line in within):
            return "This pip line could bring CUDA back: the constraints hold for it as well."
        if not first:
            return "The same packages for the CPU here."
        names = [" and ".join(f"{name} {version}" for name, version in self.cpu.pins.items())] if pinned else []
        for name, other in self.cpu.renames.items():
            names += [f"{other} instead of {name}" if other != name else f"{name} without CUDA"] * (
                name in self.renamed
            )
        size = self.cpu.expected
        takes = f": GPU code and its libraries take {format_bytes(size.likely_bytes)}" if size else ""
        left = "".join(f" {name} stays: {why}." for name, why in self.cpu.left.items())
        return f"{', '.join(names)}, since the container has no GPU{takes}.{left}"

    def _nowhere(self) -> str:
        names = ", ".join([*self.cpu.pins, *self.cpu.renames])
        return f"no pip line and no known requirements file installs {names}"


def _first_of_each_stage(draft: Draft, pinned: Sequence[PipLine]) -> set[int]:
    """The RUNs that have to make the constraints: the first of a stage that inherits none."""
    made: dict[int, int] = {}
    for line in pinned:
        stage = draft.document.stages[line.instruction.stage]
        if made.keys().isdisjoint({stage.number, *(parent.number for parent in draft.document.ancestors(stage))}):
            made[stage.number] = line.instruction.start
    return set(made.values())


def _before_first(draft: Draft, within: Sequence[PipLine], commands: Iterable[str]) -> Edit:
    """Commands before the first pip line of a RUN, or before all of it where that line may not run."""
    script, command = within[0].script, within[0].install.command
    first = command if command.plain else script.commands[0]
    added = ""
    for text in dict.fromkeys(commands):
        joint = preceded_by(draft.document, script, first, text).replacement.removeprefix(text)
        # In one line with these it would be too long to read.
        added += text + (" \\\n    && " if joint == " && " else joint)
    return Edit(first.start, first.start, added)


def _mounts(draft: Draft, instruction: Instruction, folders: Mapping[str, str]) -> Edit:
    start = instruction.start + len("RUN")
    text = draft.document.text
    while text[start] in " \t":
        start += 1
    mounts = [f"--mount=type=bind,from={name},target={WITHIN}/{name}" for name in folders]
    joint = " " if instruction.heredocs else " \\\n    "
    return Edit(start, start, "".join(f"{mount}{joint}" for mount in mounts))


def _is_folder(link: str) -> bool:
    return link.startswith(("/", "file:///"))


def _pages(links: Iterable[str]) -> list[str]:
    return [link for link in links if not _is_folder(link)]


RULE = Rule(
    technique="R1",
    title="CPU builds of Python packages",
    needs="the packages of the image built from it, and whether a container of it can have a GPU",
    proof="torch.version.cuda is None, no NVIDIA package is installed, every module still imports",
    propose=propose,
)
