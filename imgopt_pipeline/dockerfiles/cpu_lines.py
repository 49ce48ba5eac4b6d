"""The pip lines that an image's content comes from, and the edits that make one of them take CPU builds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.cpu_packages import CpuPackages, without_cuda
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction
from imgopt_pipeline.dockerfiles.python_installs import Install, Named, installs, named
from imgopt_pipeline.dockerfiles.requirement_files import Requirements, requirements
from imgopt_pipeline.dockerfiles.runs import runs
from imgopt_pipeline.dockerfiles.shell import Script, Word
from imgopt_pipeline.dockerfiles.stage_sources import context_file, contributing_stages

_CUDA_INDEX = re.compile(r"https?://[^\s'\"]+/whl/(?:nightly/)?(?:cu\d+|rocm[\d.]+|\$\{?\w+\}?)/?")
_CUDA_BUILD = re.compile(r"(==[0-9.]+)\+(?:cu|rocm)[\w.]*")
_LINE_CHARACTERS = 110


@dataclass(frozen=True, slots=True)
class PipLine:
    """A pip command of a RUN. `names`: all packages it asks for, None where not all are known.

    `files`: its requirements files by the word that names each, as far as they are known.
    """

    instruction: Instruction
    script: Script
    install: Install
    names: frozenset[str] | None
    files: tuple[tuple[Word, tuple[Requirements, ...]], ...]

    @property
    def hashed(self) -> bool:
        """Whether it takes only files whose hashes are given."""
        return "--require-hashes" in self.install.switches or any(
            each.hashed for _, listed in self.files for each in listed
        )

    def brings(self, packages: frozenset[str]) -> bool:
        """Whether it may install one of them."""
        return self.names is None or not self.names.isdisjoint(packages)


@dataclass(frozen=True, slots=True)
class Replacement:
    """`old`, with which a requirement begins, becomes `new`; without that the requirement goes."""

    package: Named
    old: str
    new: str


def pip_lines(draft: Draft) -> Iterator[PipLine]:
    """The pip commands of every stage that the image is made of, in the order of the file."""
    stages = {stage.number for stage in contributing_stages(draft.document, draft.stage)}
    for run in runs(draft, stages):
        for install in installs(run.script):
            yield _pip_line(draft, run.instruction, run.script, install)


def replacement(package: Named, cpu: CpuPackages) -> Replacement | None:
    """What becomes of a requirement; None where it stays."""
    if package.name in cpu.libraries:
        return Replacement(package, package.text, "")
    if package.name in cpu.pins and (build := _CUDA_BUILD.match(package.rest)):
        return Replacement(package, package.text + build[0], f"{package.text}{build[1]}+cpu")
    other = cpu.renames.get(package.name)
    extras = without_cuda(package.extras)
    if other is None or (other == package.name and extras == package.extras):
        return None
    return Replacement(package, package.text, f"{other}[{','.join(extras)}]" if extras else other)


def replaced_words(document: Dockerfile, line: PipLine, cpu: CpuPackages) -> tuple[list[Edit], list[Named], bool]:
    """Edits of the packages named on the line, those packages, and whether none would be left on it."""
    edits: list[Edit] = []
    changed: list[Named] = []
    dropped = 0
    for word in line.install.packages:
        package = named(word.text) if word.literal else None
        found = replacement(package, cpu) if package is not None else None
        if package is None or found is None:
            continue
        start = document.text.find(found.old, word.start, word.end)
        if start < 0:
            continue
        changed.append(package)
        if found.new:
            edits.append(Edit(start, start + len(found.old), found.new))
        else:
            dropped += 1
            edits.append(Edit(_previous_end(line.install, word), word.end, ""))
    options = line.install.requirement_files or line.install.valued("-e", "--editable")
    return edits, changed, dropped == len(line.install.packages) > 0 and not options


def source_options(
    document: Dockerfile,
    line: PipLine,
    cpu_index: str | None,
    folders: Sequence[str],
    constraints: str,
    *,
    joined: bool,
) -> list[Edit]:
    """Edits that give a line the constraints and the places where CPU builds are, and take CUDA's places off it.

    `joined`: other commands stand in the RUN, so that the options need to be indented further than those.
    """
    install = line.install
    edits: list[Edit] = []
    placed = False
    for option in install.valued("-i", "--index-url", "--default-index", "--index", "--extra-index-url"):
        source = document.text[option.value.start : option.value.end]
        address = _CUDA_INDEX.search(source)
        if address is not None and cpu_index is not None:
            start = option.value.start + address.start()
            edits.append(Edit(start, start + len(address[0]), cpu_index))
            placed = True
        elif address is not None:
            edits.append(Edit(_word_before(install, option.start), option.end, ""))
        placed = placed or option.text == cpu_index
    for option in install.valued("--torch-backend"):
        start = option.value.end - len(option.text)
        edits.append(Edit(start, option.value.end, "cpu"))
        placed = True
    words = [f"--constraint {constraints}"]
    if cpu_index is not None and not placed and not install.switches & {"--no-index"}:
        words.append(f"--extra-index-url {cpu_index}")
        # Of several indexes uv takes the first that has a package, whatever its versions; pip looks at all.
        if install.uv and not install.valued("--index-strategy"):
            words.append("--index-strategy unsafe-best-match")
    words += [f"--find-links {folder}" for folder in folders]
    return [*edits, _options_after(document, line, words, joined=joined)]


def _options_after(document: Dockerfile, line: PipLine, words: Sequence[str], *, joined: bool) -> Edit:
    """Options after the verb: in its line, or in lines of their own where it would get too long."""
    text, verb = document.text, line.install.verb
    end = text.find("\n", verb.end)
    rest = text[verb.end : len(text) if end < 0 else end].rstrip()
    start = text.rfind("\n", 0, verb.start) + 1
    options = " ".join(words)
    if len(text[start : verb.end]) + len(rest) + len(options) < _LINE_CHARACTERS:
        return Edit(verb.end, verb.end, f" {options}")
    lead = text[start : verb.start]
    indent = lead[: len(lead) - len(lead.lstrip())]
    deeper = indent + ("        " if joined and not indent else "    ")
    if len(deeper) + len(options) > _LINE_CHARACTERS:
        options = f" \\\n{deeper}".join(words)
    following = next((word.start for word in line.install.command.words if word.start > verb.start), None)
    if following is None or "\n" in text[verb.end : following]:
        return Edit(verb.end, verb.end, f" \\\n{deeper}{options}")
    return Edit(verb.end, following, f" \\\n{deeper}{options} \\\n{deeper}")


def _pip_line(draft: Draft, instruction: Instruction, script: Script, install: Install) -> PipLine:
    # What `sync` is given are files, which name all that shall be there.
    known = install.verb.text != "sync" and not install.valued("-e", "--editable")
    names: set[str] = set()
    for word in install.packages:
        package = named(word.text) if word.literal else None
        known = known and package is not None
        names |= {package.name} if package is not None else set()
    files: list[tuple[Word, tuple[Requirements, ...]]] = []
    for option in install.requirement_files:
        listed = _listed(draft, instruction, option.text) if option.value.literal else None
        known = known and listed is not None
        if listed is not None:
            files.append((option.value, tuple(listed)))
            names |= {package.name for each in listed for package in each.packages}
    return PipLine(instruction, script, install, frozenset(names) if known else None, tuple(files))


def _listed(draft: Draft, instruction: Instruction, path: str) -> list[Requirements] | None:
    origin = context_file(draft, instruction, path)
    return requirements(origin, draft.context.texts) if origin is not None and draft.context is not None else None


def _previous_end(install: Install, word: Word) -> int:
    return max(each.end for each in install.command.words if each.end <= word.start)


def _word_before(install: Install, start: int) -> int:
    return max(each.end for each in install.command.words if each.end <= start)
