"""What a rule is given and what it answers: a draft to look at, a proposal of edits with reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.facts import (
    BuilderFacts,
    ByteRange,
    ContextFacts,
    ImageFacts,
    PackageSources,
    StepFacts,
)
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction, Stage
from imgopt_pipeline.dockerfiles.shell import Script, script_of
from imgopt_pipeline.planning.techniques import level_of


@dataclass(frozen=True, slots=True)
class Draft:
    """The Dockerfile as the rules before left it, and what is known beside it; None where nothing is known.

    `origins`: for each line of the text, its line in the original. `stage_name`: the target of the build.
    `packages`: packages of the distribution that an earlier candidate turned out to miss.
    """

    document: Dockerfile
    origins: tuple[int, ...]
    image: ImageFacts | None = None
    context: ContextFacts | None = None
    builder: BuilderFacts = field(default_factory=BuilderFacts)
    sources: PackageSources = field(default_factory=PackageSources)
    stage_name: str | None = None
    packages: tuple[str, ...] = ()

    @property
    def stage(self) -> Stage:
        """The stage that becomes the image."""
        return self.document.stage_named(self.stage_name) or self.document.stages[-1]

    @property
    def lineage(self) -> tuple[Stage, ...]:
        """That stage and those it builds on by FROM: their instructions are the image's layers."""
        return (self.stage, *self.document.ancestors(self.stage))

    def scripts(self, *, every_stage: bool = False) -> Iterator[tuple[Instruction, Script]]:
        """The RUN instructions whose shell text is understood: of the lineage, or of all stages."""
        numbers = {stage.number for stage in (self.document.stages if every_stage else self.lineage)}
        for instruction in self.document.instructions:
            if instruction.stage in numbers and not instruction.onbuild:
                script = script_of(self.document, instruction)
                if script is not None:
                    yield instruction, script

    def origin(self, instruction: Instruction) -> int:
        """The line of an instruction in the original text."""
        return self.origins[instruction.line - 1]

    def step(self, instruction: Instruction) -> StepFacts | None:
        """Facts of the layer that an instruction made; None where they are not known."""
        return self.image.steps.get(self.origin(instruction)) if self.image is not None else None

    def claimed(self, technique: str, instruction: Instruction | None = None) -> ByteRange | None:
        """Bytes that a technique would free in an instruction's layer, or in the image; None where not known."""
        if self.image is None:
            return None
        if instruction is None:
            return self.image.claims.get(technique, ByteRange())
        step = self.step(instruction)
        return step.claims.get(technique, ByteRange()) if step is not None else None

    def with_document(self, document: Dockerfile, origins: tuple[int, ...]) -> Draft:
        """The draft with a later text."""
        return replace(self, document=document, origins=origins)


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a proposal: edits that belong together, at an instruction, with the reason in a sentence."""

    edits: tuple[Edit, ...]
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a rule would do. `steps` change the Dockerfile, `ignore_lines` the .dockerignore used for the build.

    `contexts`: named contexts the build then needs. `explains`: fields of the image's configuration that change on
    purpose (`command`, `env`, …). `replaces`: packages that another one stands in for, or that go ('' as the other).
    `passed_over`: why the rule does nothing although it could pay. `expected` where it is not the sum of the claims.
    """

    steps: tuple[Step, ...] = ()
    ignore_lines: tuple[str, ...] = ()
    ignore_reason: str = ""
    contexts: Mapping[str, str] = field(default_factory=dict)
    explains: tuple[str, ...] = ()
    replaces: Mapping[str, str] = field(default_factory=dict)
    expected: ByteRange | None = None
    passed_over: str = ""

    @property
    def changes_something(self) -> bool:
        """Whether there is anything to apply."""
        return bool(self.steps or self.ignore_lines)


NOTHING = Proposal()


@dataclass(frozen=True, slots=True)
class Rule:
    """A unit of rewriting, R1 to R18 of planning/techniques.py.

    `needs`: the facts without which it does nothing, in words, empty where the
    text alone justifies it. `proof`: what shows afterwards that it held. `propose` is pure.
    """

    technique: str
    title: str
    needs: str
    proof: str
    propose: Callable[[Draft], Proposal]

    @property
    def level(self) -> str:
        """From which on it is used."""
        return level_of(self.technique)
