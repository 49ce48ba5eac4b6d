"""Requirements files whose GPU builds go by another name for the CPU: what a RUN does about them before its pip line.

The user's files stay as they are: pip is given a changed copy, or, where one names others beside it, those are
changed where they were copied to.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.cpu_lines import PipLine, replacement
from imgopt_pipeline.dockerfiles.cpu_packages import CpuPackages
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.models import Instruction
from imgopt_pipeline.dockerfiles.requirement_files import Requirements, sed_script
from imgopt_pipeline.dockerfiles.stage_sources import mounted_sources
from imgopt_pipeline.dockerfiles.surroundings import surroundings

WITHIN = "/tmp"  # noqa: S108  (a folder of the image)
HASHED = "requirements with hashes pin the files of the GPU build: compile them again for the CPU builds"


@dataclass(frozen=True, slots=True)
class ChangedFiles:
    """Edits of a pip line's `-r` options, commands to run before it, and the packages that go by another name."""

    edits: tuple[Edit, ...]
    commands: tuple[str, ...]
    renamed: frozenset[str]


def changed_files(draft: Draft, line: PipLine, cpu: CpuPackages) -> ChangedFiles | str:
    """What to do about the requirements files of a pip line, or why nothing can be done."""
    edits: list[Edit] = []
    commands: list[str] = []
    renamed: set[str] = set()
    for word, listed in line.files:
        changes = {each.path: _sed_scripts(each, cpu) for each in listed}
        if not any(changes.values()):
            continue
        if line.hashed:
            return HASHED
        source = draft.document.text[word.start : word.end]
        name = re.sub(r"^--requirements?=|^-r", "", word.text)
        start = word.start + source.find(name)
        if len(listed) == 1 and listed[0].movable:
            copy = f"{WITHIN}/{posixpath.basename(name).removesuffix('.txt')}.cpu.txt"
            commands.append(f"sed {_quoted(changes[listed[0].path])} {name} > {copy}")
            edits.append(Edit(start, start + len(name), copy))
        elif _writable(draft, line.instruction):
            commands += [
                f"sed -i {_quoted(scripts)} {_beside(name, listed[0].path, path)}"
                for path, scripts in changes.items()
                if scripts
            ]
        else:
            return f"{listed[0].path} names other files and cannot be changed where it is used"
        renamed |= {p.name for each in listed for p in each.packages if p.name in cpu.renames and replacement(p, cpu)}
    if all(command in draft.document.text for command in commands):
        return ChangedFiles((), (), frozenset())
    return ChangedFiles(tuple(edits), tuple(commands), frozenset(renamed))


def _sed_scripts(listed: Requirements, cpu: CpuPackages) -> list[str]:
    found = [(package, replacement(package, cpu)) for package in listed.packages]
    nvidia = [change for package, change in found if package.text.startswith("nvidia-")]
    together = len(nvidia) > 1 and all(change is not None and not change.new for change in nvidia)
    scripts: list[str] = []
    for package, change in found:
        if change is not None:
            dropped = together and package.text.startswith("nvidia-")
            scripts.append("/^nvidia-/d" if dropped else sed_script(package, change.old, change.new))
    return list(dict.fromkeys(scripts))


def _writable(draft: Draft, instruction: Instruction) -> bool:
    return surroundings(draft, instruction).as_root and not any(mounted_sources(instruction))


def _quoted(scripts: Sequence[str]) -> str:
    return " ".join(f"-e '{script}'" for script in scripts) if len(scripts) > 1 else f"'{scripts[0]}'"


def _beside(word: str, path: str, other: str) -> str:
    """Where another file of the context stands, as the command line names the first one."""
    relative = posixpath.relpath(other, posixpath.dirname(path) or ".")
    return posixpath.normpath(posixpath.join(posixpath.dirname(word), relative))
