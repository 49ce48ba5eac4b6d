"""A Dockerfile rewritten by rules, one after the other, each on the text that those before it left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import edited, line_origins
from imgopt_pipeline.dockerfiles.facts import (
    BuilderFacts,
    ByteRange,
    ContextFacts,
    ImageFacts,
    PackageSources,
)
from imgopt_pipeline.dockerfiles.parsing import DockerfileError, parse
from imgopt_pipeline.dockerfiles.rules import RULES
from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.planning.techniques import LEVELS

LEAST_BYTES = 10_000
"""A rule that would free less of an image is not worth a changed line."""

_ABOUT_TIME = ("R2", "R11")


@dataclass(frozen=True, slots=True)
class Change:
    """One change: its rule, the line in the original (0: the .dockerignore), the reason."""

    technique: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Applied:
    """A rule that changed something, and what shows that it held.

    `expected`: what it frees where that is not what the claims on the image say.
    """

    technique: str
    title: str
    level: str
    proof: str
    expected: ByteRange | None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The rewritten text beside the original, and everything that a build of it has to know.

    `left_out`: per rule in words why it changed nothing, where that is worth telling. `ignore_lines` are to be added
    to the context's .dockerignore. `origins`: for each line of the text, its line in the original.
    """

    original: str
    text: str
    applied: tuple[Applied, ...]
    changes: tuple[Change, ...]
    left_out: Mapping[str, str]
    ignore_lines: tuple[str, ...] = ()
    contexts: Mapping[str, str] = field(default_factory=dict)
    explains: tuple[str, ...] = ()
    replaces: Mapping[str, str] = field(default_factory=dict)
    origins: tuple[int, ...] = ()

    @property
    def techniques(self) -> tuple[str, ...]:
        """IDs of the rules that changed something."""
        return tuple(applied.technique for applied in self.applied)


def chosen_rules(level: str = "safe", rules: Collection[str] = (), without: Collection[str] = ()) -> list[Rule]:
    """The rules of a level, or those named, without some. Raises SettingsError for an unknown ID or level."""
    known = {rule.technique for rule in RULES}
    for name in (*rules, *without):
        if name not in known:
            raise SettingsError(f"there is no rule {name!r}.", hint=f"Known: {', '.join(r.technique for r in RULES)}.")
    if level not in LEVELS:
        raise SettingsError(f"there is no level {level!r}.", hint=f"Known: {', '.join(LEVELS)}.")
    highest = LEVELS.index(level)
    return [
        rule
        for rule in RULES
        if rule.technique not in without and (rule.technique in rules if rules else LEVELS.index(rule.level) <= highest)
    ]


def rewrite(
    text: str,
    rules: Sequence[Rule],
    *,
    name: str = "Dockerfile",
    stage: str | None = None,
    image: ImageFacts | None = None,
    context: ContextFacts | None = None,
    builder: BuilderFacts | None = None,
    sources: PackageSources | None = None,
    packages: Sequence[str] = (),
) -> Rewrite:
    """The text as these rules leave it; `packages` of the distribution are known to be missing without them.

    Raises DockerfileError where the original does not parse.

    A rule whose result would not parse, or would change more than it says, is left out and named in `left_out`.
    """
    document = parse(text, name=name)
    origins = tuple(range(1, text.count("\n") + 2))
    draft = Draft(
        document,
        origins,
        image,
        context,
        builder or BuilderFacts(),
        sources or PackageSources(),
        stage_name=stage,
        packages=tuple(packages),
    )
    if stage is not None and document.stage_named(stage) is None:
        raise DockerfileError(f"it has no stage {stage!r}.", subject=name)
    applied: list[Applied] = []
    changes: list[Change] = []
    proposals: list[Proposal] = []
    left_out: dict[str, str] = {}
    for rule in rules:
        if rule.needs and image is None:
            left_out[rule.technique] = f"needs {rule.needs}"
            continue
        proposal = rule.propose(draft)
        if not proposal.changes_something:
            if proposal.passed_over:
                left_out[rule.technique] = proposal.passed_over
            continue
        if _hardly_pays(draft, rule, proposal):
            left_out[rule.technique] = f"would free less than {LEAST_BYTES // 1000} kB"
            continue
        try:
            after = _applied(draft, proposal.steps)
        except DockerfileError as error:
            left_out[rule.technique] = error.message
            continue
        applied.append(
            Applied(
                rule.technique,
                rule.title,
                rule.level,
                rule.proof,
                proposal.expected,
            )
        )
        changes += [Change(rule.technique, draft.origins[step.line - 1], step.reason) for step in proposal.steps]
        if proposal.ignore_lines:
            changes.append(Change(rule.technique, 0, proposal.ignore_reason))
        proposals.append(proposal)
        draft = after
    return Rewrite(
        original=text,
        text=draft.document.text,
        applied=tuple(applied),
        changes=tuple(changes),
        left_out=left_out,
        ignore_lines=tuple(line for proposal in proposals for line in proposal.ignore_lines),
        contexts={name: value for proposal in proposals for name, value in proposal.contexts.items()},
        explains=tuple(dict.fromkeys(field for proposal in proposals for field in proposal.explains)),
        replaces={name: value for proposal in proposals for name, value in proposal.replaces.items()},
        origins=draft.origins,
    )


def _hardly_pays(draft: Draft, rule: Rule, proposal: Proposal) -> bool:
    """Whether the image shows that a rule which is about bytes would free next to none."""
    claimed = proposal.expected or draft.claimed(rule.technique)
    return claimed is not None and rule.technique not in _ABOUT_TIME and claimed.high_bytes < LEAST_BYTES


def _applied(draft: Draft, steps: Sequence[Step]) -> Draft:
    edits = [edit for step in steps for edit in step.edits]
    if not edits:
        return draft
    document = edited(draft.document, edits)
    return draft.with_document(
        document, line_origins(draft.document.text, draft.origins, edits, draft.document.newline)
    )
