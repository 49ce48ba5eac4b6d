"""From text to instructions, by BuildKit's own parser (PyPI `dockerfile`), with spans added.

That parser gives lines and meaning; where flags end and heredoc bodies lie within those lines is found here.
Reference: https://docs.docker.com/reference/dockerfile/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import dockerfile as buildkit

from imgopt_pipeline.dockerfiles.lines import split_lines
from imgopt_pipeline.dockerfiles.models import Dockerfile, Heredoc, Instruction, Stage
from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.names import printable

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(:?[-+])([^}]*))?\}|(\w+))")
_KEYWORD = re.compile(r"[A-Za-z]+")
_WORD = re.compile(r"""(?:"[^"\n]*"|'[^'\n]*'|[^\s"'])+""")
_FLAGGED = {"FROM", "RUN", "COPY", "ADD", "HEALTHCHECK", "ONBUILD"}
_UNFLAGGED = "ARG CMD ENTRYPOINT ENV EXPOSE LABEL MAINTAINER SHELL STOPSIGNAL USER VOLUME WORKDIR"
_KEYWORDS = _FLAGGED.union(_UNFLAGGED.split())
_LARGEST_CHARACTERS = 1_000_000


class DockerfileError(ImgoptError):
    """A Dockerfile that BuildKit's parser refuses, or that has no stage."""

    exit_code = 2
    kind = "dockerfile"


def parse(text: str, *, name: str = "Dockerfile") -> Dockerfile:
    """The instructions of a Dockerfile. `name` stands in the errors. Raises DockerfileError."""
    if len(text) > _LARGEST_CHARACTERS:
        raise DockerfileError(f"it has {len(text):,} characters, which no Dockerfile has.", subject=name)
    try:
        text.encode()  # the parser ends the whole process over what is no UTF-8
        commands = buildkit.parse_string(text)
    except UnicodeError as error:
        raise DockerfileError("it holds characters that UTF-8 cannot write.", subject=name) from error
    except buildkit.GoParseError as error:
        raise DockerfileError(
            f"it does not parse ({printable(str(error))}).", subject=name, hint="Does `docker build` accept it?"
        ) from error
    escape = _escape(text)
    starts = _line_starts(text)
    instructions: list[Instruction] = []
    stage = -1
    for command in commands:
        stage += str(command.cmd).upper() == "FROM"
        instructions.append(_instruction(text, escape, starts, command, stage))
    arguments = _arguments(instructions)
    _check_instructions(instructions, name)
    stages = tuple(_stages(instructions, arguments))
    newline = "\r\n" if "\r\n" in text else "\n"
    return Dockerfile(text, escape, newline, tuple(instructions), stages, arguments)


def _check_instructions(instructions: Sequence[Instruction], name: str) -> None:
    """What BuildKit refuses only after parsing. Raises DockerfileError."""
    for instruction in instructions:
        if instruction.keyword not in _KEYWORDS:
            # Its text is not quoted: it may be a file that is none of the user's business.
            raise DockerfileError(f"line {instruction.line} begins with no instruction of Docker's.", subject=name)
        if instruction.keyword == "FROM" and len(instruction.words) not in (1, 3):
            raise DockerfileError(f"line {instruction.line}: FROM takes a base and AS with a name.", subject=name)
        if instruction.stage < 0 and instruction.keyword != "ARG":
            raise DockerfileError(f"line {instruction.line}: only ARG may stand before FROM.", subject=name)
    if not any(instruction.keyword == "FROM" for instruction in instructions):
        raise DockerfileError("it has no FROM.", subject=name, hint="Is it a Dockerfile?")


def expanded(text: str, values: dict[str, str]) -> str:
    """`$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}` replaced; unknown names stay as they are."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[4]
        known, operator, word = values.get(name), match[2] or "", match[3] or ""
        if operator.endswith("-"):
            return known if known or (known is not None and operator == "-") else word
        if operator.endswith("+"):
            return word if known or (known is not None and operator == "+") else ""
        return match[0] if known is None else known

    return _VARIABLE.sub(value, text)


def _escape(text: str) -> str:
    """The escape character: directives stand before everything else, comments included."""
    for line in text.splitlines():
        match = _DIRECTIVE.match(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape":
            return match[2]
    return "\\"


def _line_starts(text: str) -> list[int]:
    """Offsets of all lines, as the parser counts them: a line ends with a line feed and nothing else."""
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _instruction(text: str, escape: str, starts: Sequence[int], command: Any, stage: int) -> Instruction:
    line, last_line = int(command.start_line), int(command.end_line)
    start = _skipped(text, starts[line - 1], escape)
    limit = starts[last_line] - 1 if last_line < len(starts) else len(text)
    end = limit - 1 if limit > start and text[limit - 1 : limit] == "\r" else limit
    keyword = str(command.cmd).upper()
    onbuild = keyword == "ONBUILD"
    body = _after_keyword(text, start, escape)
    if onbuild:
        body = _after_keyword(text, body, escape)
    flags: list[str] = []
    # Read here and not taken from the parser, which leaves out those of ONBUILD's instruction.
    while keyword in _FLAGGED and (word := _WORD.match(text, body)) and word[0].startswith("--"):
        flags.append(word[0])
        body = _skipped(text, word.end(), escape)
        if word[0] == "--":
            break
    return Instruction(
        keyword=str(command.sub_cmd or "").upper() if onbuild else keyword,
        flags=tuple(flags),
        words=tuple(str(word) for word in command.value),
        json_form=bool(command.json),
        onbuild=onbuild,
        heredocs=tuple(_heredocs(text, starts, line, last_line, command.heredocs)),
        start=start,
        end=end,
        body_start=min(body, end),
        line=line,
        last_line=last_line,
        stage=stage,
    )


def _after_keyword(text: str, start: int, escape: str) -> int:
    word = _KEYWORD.match(text, start)
    return _skipped(text, word.end() if word else start, escape)


def _skipped(text: str, offset: int, escape: str) -> int:
    """Past spaces, continued lines, and the comments and empty lines between those."""
    gap = re.compile(rf"[ \t\ufeff]+|{re.escape(escape)}[ \t]*\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
    while match := gap.match(text, offset):
        offset = match.end()
    return offset


def _heredocs(text: str, starts: Sequence[int], line: int, last_line: int, given: Sequence[Any]) -> Iterator[Heredoc]:
    """Their bodies stand one after the other at the end of the instruction, each ended by a line with its name."""
    if not given:
        return
    lines = [len(split_lines(str(heredoc.content))) + 1 for heredoc in given]
    first = last_line - sum(lines) + 1
    for heredoc, count in zip(given, lines, strict=True):
        yield Heredoc(str(heredoc.name), str(heredoc.content), starts[first - 1], starts[first + count - 2])
        first += count


def _arguments(instructions: Sequence[Instruction]) -> dict[str, str]:
    values: dict[str, str] = {}
    for instruction in instructions:
        if instruction.stage >= 0:
            break
        for word in instruction.words if instruction.keyword == "ARG" else ():
            name, equals, default = word.partition("=")
            if equals:
                values[name] = expanded(_unquoted(default), values)
    return values


def _stages(instructions: Sequence[Instruction], arguments: dict[str, str]) -> Iterator[Stage]:
    openings = [number for number, instruction in enumerate(instructions) if instruction.keyword == "FROM"]
    ends = [*openings[1:], len(instructions)][: len(openings)]
    for number, (first, after) in enumerate(zip(openings, ends, strict=True)):
        words = instructions[first].words
        named = len(words) == 3 and words[1].upper() == "AS"
        base = words[0] if words else ""
        yield Stage(
            number, words[2] if named else None, expanded(base, arguments), base, tuple(instructions[first:after])
        )


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
