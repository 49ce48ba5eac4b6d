"""A Dockerfile as its instructions, each with its span in the text they were parsed from.

Offsets count characters of that text. An instruction's span ends before its last line's end and includes the
bodies of its heredocs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A heredoc of an instruction: `start` and `end` span its body, without the line that ends it."""

    name: str
    content: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `keyword` is upper case; that of `ONBUILD RUN …` is RUN, and `onbuild` is set.

    `words` are the parser's: of a shell form the whole command line with its continuations joined. `body_start` is
    where what follows keyword and flags begins. `line` counts from 1. `stage` is -1 before the first FROM.
    """

    keyword: str
    flags: tuple[str, ...]
    words: tuple[str, ...]
    json_form: bool
    onbuild: bool
    heredocs: tuple[Heredoc, ...]
    start: int
    end: int
    body_start: int
    line: int
    last_line: int
    stage: int

    def flag(self, name: str) -> str | None:
        """The value of the first flag of a name: `flag("from")` of `COPY --from=build` is `build`."""
        prefix = f"--{name}="
        return next((flag.removeprefix(prefix) for flag in self.flags if flag.startswith(prefix)), None)

    @property
    def meaning(self) -> tuple[object, ...]:
        """What BuildKit makes of it, whatever its layout; equal meanings build the same."""
        heredocs = tuple((heredoc.name, heredoc.content) for heredoc in self.heredocs)
        return (self.keyword, self.flags, self.words, self.json_form, self.onbuild, heredocs)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: `base` with the defaults of the ARGs before FROM put in, `base_text` as it is written."""

    number: int
    name: str | None
    base: str
    base_text: str
    instructions: tuple[Instruction, ...]

    @property
    def opening(self) -> Instruction:
        """Its FROM."""
        return self.instructions[0]

    @property
    def body(self) -> tuple[Instruction, ...]:
        """All after its FROM."""
        return self.instructions[1:]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed Dockerfile. `escape` is its escape character, `newline` what ends its lines.

    `arguments` are the defaults of the ARGs before the first FROM.
    """

    text: str
    escape: str
    newline: str
    instructions: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    arguments: dict[str, str]

    def source(self, instruction: Instruction) -> str:
        """The text of an instruction."""
        return self.text[instruction.start : instruction.end]

    def stage_named(self, name: str | None) -> Stage | None:
        """The stage that a build of target `name` makes: a name or number, the last for None."""
        if name is None:
            return self.stages[-1]
        wanted = name.lower()
        return next((s for s in self.stages if (s.name or "").lower() == wanted or str(s.number) == wanted), None)

    def ancestors(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that a stage builds on by FROM, nearest first."""
        found: list[Stage] = []
        parent = self._parent(stage)
        while parent is not None:
            found.append(parent)
            parent = self._parent(parent)
        return tuple(found)

    def _parent(self, stage: Stage) -> Stage | None:
        wanted = stage.base.lower()
        earlier = self.stages[: stage.number]
        return next((s for s in reversed(earlier) if s.name is not None and s.name.lower() == wanted), None)
