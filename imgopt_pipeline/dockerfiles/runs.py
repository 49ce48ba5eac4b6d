"""The RUN instructions a rule may edit, and which package managers they call with which words.

What each manager means by its words stands with the rules; here is only how they are called: through `sudo`, by
`python -m`, with options before the action.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.models import Instruction
from imgopt_pipeline.dockerfiles.shell import Command, Script, Word, script_of
from imgopt_pipeline.dockerfiles.surroundings import Surroundings, surroundings

_PIP = re.compile(r"pip[\d.]*")
_PYTHON = re.compile(r"(python|pypy)[\d.]*(\$\w+|\$\{\w+\})?")
_ASSIGNMENT = re.compile(r"\w+=")
_WITH_VALUE = {"-o", "-c", "-t", "-C", "--timeout", "--prefix", "--cwd", "--dir", "--directory", "--project", "--root"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a program: `action` is its first word that is no option, `arguments` follow that.

    `program` has no version: `pip` for `pip3.11` and `python3 -m pip`, `uv pip` for that. `first` is its own word.
    `options` are those before the action.
    """

    program: str
    first: Word
    action: Word | None
    arguments: tuple[Word, ...]
    options: tuple[Word, ...]
    command: Command

    @property
    def does(self) -> str:
        """The action's text, empty where there is none."""
        return self.action.text if self.action is not None else ""

    @property
    def as_other(self) -> str:
        """`sudo ` where it is called so, to call another program likewise."""
        return "sudo " if self.command.name == "sudo" else ""

    @property
    def named(self) -> tuple[Word, ...]:
        """The arguments that are no options, values of options among them."""
        return tuple(word for word in self.arguments if not word.text.startswith("-"))

    def has(self, *options: str) -> bool:
        """Whether one of these options stands on it, with or without a value."""
        given = {word.text.partition("=")[0] for word in (*self.options, *self.arguments)}
        return not given.isdisjoint(options)


@dataclass(frozen=True, slots=True)
class Run:
    """A RUN whose shell text is understood, with its calls and what holds there."""

    instruction: Instruction
    script: Script
    around: Surroundings
    calls: tuple[Call, ...]

    def plain_calls(self, programs: Collection[str], actions: Collection[str] = ()) -> list[Call]:
        """Its calls of some programs that run once and always."""
        return [
            call
            for call in self.calls
            if call.program in programs and call.command.plain and (not actions or call.does in actions)
        ]

    def mounts(self, folder: str) -> bool:
        """Whether it mounts a cache or a bind on a folder or on one above or below it."""
        targets = re.findall(r"(?:target|dst|destination)=([^,\s]+)", " ".join(self.instruction.flags))
        return any(f"{folder}/".startswith(f"{t.rstrip('/')}/") or t.startswith(f"{folder}/") for t in targets)


def runs(draft: Draft, stages: Collection[int] | None = None) -> Iterator[Run]:
    """The RUN instructions of the lineage, or of some stages, in the order of the text."""
    numbers = {stage.number for stage in draft.lineage} if stages is None else stages
    for instruction in draft.document.instructions:
        if instruction.keyword != "RUN" or instruction.onbuild or instruction.stage not in numbers:
            continue
        script = script_of(draft.document, instruction)
        if script is None or not script.commands:
            continue
        around = surroundings(draft, instruction)
        if around.posix_shell:
            calls = tuple(call for command in script.commands if (call := call_of(command)) is not None)
            yield Run(instruction, script, around, calls)


def call_of(command: Command) -> Call | None:
    """What a command calls; None for assignments alone."""
    words = list(command.words)
    while words and (words[0].text in ("sudo", "env", "exec", "time", "nice") or _ASSIGNMENT.match(words[0].text)):
        words.pop(0)
        while words and words[0].text.startswith("-"):
            words.pop(0)
    if not words:
        return None
    first = words.pop(0)
    program = first.text.rpartition("/")[2]
    if _PYTHON.fullmatch(program) and len(words) > 1 and words[0].text == "-m":
        program = words[1].text
        words = words[2:]
    if _PIP.fullmatch(program):
        program = "pip"
    options, action, arguments = _parted(words)
    if program == "uv" and action is not None and action.text == "pip":
        inner, action, arguments = _parted(arguments)
        program, options = "uv pip", [*options, *inner]
    return Call(program, first, action, tuple(arguments), tuple(options), command)


def _parted(words: list[Word]) -> tuple[list[Word], Word | None, list[Word]]:
    """Options before the action, the action, and what follows it."""
    number = 0
    while number < len(words) and words[number].text.startswith("-"):
        number += 2 if words[number].text in _WITH_VALUE else 1
    if number >= len(words):
        return words, None, []
    return words[:number], words[number], words[number + 1 :]
