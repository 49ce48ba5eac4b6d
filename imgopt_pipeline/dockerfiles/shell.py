"""The commands of a RUN's shell text, each word with its span in the Dockerfile, by tree-sitter's bash grammar.

What Docker takes out before the shell sees it (comments and empty lines between continued lines) is masked with
spaces of the same length, so that offsets stay those of the Dockerfile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from imgopt_pipeline.dockerfiles.lines import split_lines
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction

_GROUPING = {"program", "list", "redirected_statement", "heredoc_body"}
_SCRIPT = re.compile(r"<<-?\s*([\"']?)(\w+)\1\s*$")
_SHELLS = re.compile(r"^#!\s*(/usr)?/bin/(env\s+)?(ba|da|a|z)?sh\b")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command. `text` has its quotes taken off; `literal` is False where the shell would expand it."""

    text: str
    start: int
    end: int
    literal: bool


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command: `words` begin with its name, `assignments` stand before that.

    `operator` joins it with the one before: `&&`, `||`, `;`, `|`, a line feed, empty for the first. `plain`:
    it runs once and always, being within no condition, loop, function or subshell. `end` includes its redirections.
    """

    words: tuple[Word, ...]
    assignments: tuple[str, ...]
    start: int
    end: int
    operator: str
    plain: bool

    @property
    def name(self) -> str:
        """Its name without a folder; empty for assignments alone."""
        return self.words[0].text.rpartition("/")[2] if self.words else ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of its words."""
        return tuple(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Script:
    """The shell text of a RUN: its commands in order, and its span. `heredoc`: it stands in a heredoc."""

    commands: tuple[Command, ...]
    start: int
    end: int
    heredoc: bool


def script_of(document: Dockerfile, instruction: Instruction) -> Script | None:
    """The shell text of a RUN; None for the JSON form, for other interpreters, and where it does not parse."""
    if instruction.keyword != "RUN" or instruction.json_form or document.escape == "`":
        return None
    heredoc = _whole_script(instruction)
    if heredoc is not None:
        body = document.text[heredoc[0] : heredoc[1]]
        if body.startswith("#!") and not _SHELLS.match(body):
            return None
        commands = _commands(body, heredoc[0])
        return None if commands is None else Script(commands, *heredoc, heredoc=True)
    body = _masked(document.text[instruction.body_start : instruction.end], bool(instruction.heredocs))
    commands = _commands(body, instruction.body_start)
    return None if commands is None else Script(commands, instruction.body_start, instruction.end, heredoc=False)


def _whole_script(instruction: Instruction) -> tuple[int, int] | None:
    """The body of `RUN <<EOF`, where that is all the instruction says."""
    if len(instruction.heredocs) != 1 or not instruction.words:
        return None
    if not _SCRIPT.fullmatch(instruction.words[0].strip()):
        return None
    return instruction.heredocs[0].start, instruction.heredocs[0].end


def _masked(body: str, has_heredoc: bool) -> str:
    """Continued lines joined and comments between them blanked, character for character."""
    result: list[str] = []
    continued = False
    lines = split_lines(body)
    for number, line in enumerate(lines):
        stripped = line.strip()
        if continued and (not stripped or stripped.startswith("#")):
            result.append(" " * len(line))
            continue
        match = re.search(r"\\[ \t]*(\r?\n)$", line)
        continued = match is not None
        if match is not None:
            line = line[: match.start()] + " " * (len(line) - match.start())
        elif has_heredoc:
            # What follows is the heredoc's body, which Docker leaves alone.
            return "".join([*result, line, *lines[number + 1 :]])
        result.append(line)
    return "".join(result)


@lru_cache(maxsize=512)  # Each rule asks for the same ones again.
def _commands(body: str, offset: int) -> tuple[Command, ...] | None:
    source = body.encode("utf-8", "surrogateescape")
    tree = _parser().parse(source)
    if tree.root_node.has_error or _goes_on_behind_heredoc(tree.root_node):
        return None
    ascii_only = len(source) == len(body)

    def character(position: int) -> int:
        return offset + (position if ascii_only else len(source[:position].decode("utf-8", "surrogateescape")))

    commands = _walk(tree.root_node, source, character, [""], plain=True)
    # The grammar has no token for the line feed between two commands.
    return tuple(
        replace(command, operator="\n") if number and command.plain and not command.operator else command
        for number, command in enumerate(commands)
    )


def _goes_on_behind_heredoc(node: Node) -> bool:
    """Whether commands stand behind `<<WORD` in its line, which the grammar keeps within the redirection."""
    if node.type == "heredoc_redirect":
        return any(child.is_named and not child.type.startswith(("heredoc", "file_d")) for child in node.children)
    return any(_goes_on_behind_heredoc(child) for child in node.children)


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bash.language()))


def _walk(
    node: Node, source: bytes, character: Callable[[int], int], operator: list[str], *, plain: bool
) -> Iterator[Command]:
    """The simple commands below a node; `operator` holds what was last seen between two of them."""
    if node.type in ("command", "declaration_command", "variable_assignment", "variable_assignments"):
        yield _command(node, source, character, operator[0], plain=plain)
        operator[0] = ""
        return
    if node.type == "redirected_statement":
        body = node.child_by_field_name("body")
        if body is not None and body.type == "command":
            yield _command(body, source, character, operator[0], plain=plain, whole=node)
            operator[0] = ""
            return
        # The grammar gives the redirection of a list's last command to the whole list.
        commands = list(_walk_children(node, source, character, operator, plain=plain))
        yield from commands[:-1]
        yield from (replace(last, end=character(node.end_byte)) for last in commands[-1:])
        return
    yield from _walk_children(node, source, character, operator, plain=plain)


def _walk_children(
    node: Node, source: bytes, character: Callable[[int], int], operator: list[str], *, plain: bool
) -> Iterator[Command]:
    inside = plain and node.type in _GROUPING
    failed = False
    for child in node.children:
        if child.is_named:
            # What follows `||` runs only where something failed.
            yield from _walk(child, source, character, operator, plain=inside and not failed)
        elif child.type in ("&&", "||", ";", "|", "|&", "&", "\n", ";;"):
            operator[0] = child.type
            failed = failed or child.type == "||"
    if node.type not in _GROUPING:
        operator[0] = ""


def _command(
    node: Node, source: bytes, character: Callable[[int], int], operator: str, *, plain: bool, whole: Node | None = None
) -> Command:
    words: list[Word] = []
    assignments: list[str] = []
    for child in node.children:
        if child.type == "variable_assignment":
            assignments.append(_text(child, source))
        elif child.is_named and "redirect" not in child.type:
            part = child.children[0] if child.type == "command_name" and child.children else child
            words.append(
                Word(_unquoted(part, source), character(part.start_byte), character(part.end_byte), _is_literal(part))
            )
    if node.type == "variable_assignment":
        assignments, words = [_text(node, source)], []
    span = whole or node
    return Command(
        tuple(words), tuple(assignments), character(span.start_byte), character(span.end_byte), operator, plain
    )


def _text(node: Node, source: bytes) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "surrogateescape")


def _unquoted(node: Node, source: bytes) -> str:
    text = _text(node, source)
    if node.type in ("string", "raw_string") and len(text) >= 2:
        return text[1:-1]
    if node.type == "concatenation":
        return "".join(_unquoted(child, source) for child in node.children)
    return text


def _is_literal(node: Node) -> bool:
    if node.type in ("word", "raw_string", "string_content", "number", "test_operator", '"'):
        return not any(character in _raw(node) for character in "*?") if node.type == "word" else True
    if node.type in ("string", "concatenation"):
        return all(_is_literal(child) for child in node.children)
    return False


def _raw(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "surrogateescape")
