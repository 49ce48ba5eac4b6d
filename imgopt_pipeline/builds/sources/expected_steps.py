"""What a Dockerfile would leave in an image's history and configuration, as patterns.

A value that only the build knew (an argument without a given value, a variable of the base) stands in a pattern as
`UNKNOWN`, which fits anything. Belongs here: which steps, with which words. The comparison is `history_match`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction, Stage

UNKNOWN = "\0"
_PART = re.compile(
    r"\$\{\w+[^{}]*\$\{[^{}]*\}[^{}]*\}"  # a default that is a variable itself
    r"|\$\{(?P<name>\w+)(?:(?P<operator>:?[-+?])(?P<word>[^{}]*))?\}|\$(?P<plain>\w+)"
    r"|(?P<escaped>[\\`].)|(?P<quote>[\"'])|.",
    re.DOTALL,
)
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Expected:
    """A step that the instruction on `line` would leave; `words` are patterns, COPY's last is its destination."""

    line: int
    keyword: str
    words: tuple[str, ...]
    json_form: bool = False

    @property
    def text(self) -> str:
        return squeezed(" ".join(self.words))


@dataclass(slots=True)
class Expectation:
    """What a build of a stage would leave: its steps oldest first, and the configuration where it sets one.

    None and missing names are what it takes from its base.
    """

    base: str = ""
    steps: list[Expected] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    user: str | None = None
    folder: str | None = None


def expectation(document: Dockerfile, stage: Stage, arguments: Mapping[str, str]) -> Expectation:
    """What building that stage with those arguments would leave, its parent stages' steps included."""
    stages = [*reversed(document.ancestors(stage)), stage]
    found = Expectation(base=_base(document, stages[0], arguments))
    for each in stages:
        scope: dict[str, str] = {}  # an ARG ends with its stage
        for instruction in each.body:
            if not instruction.onbuild:
                _add(found, instruction, scope, arguments, document.escape)
        keywords = {instruction.keyword for instruction in each.body if not instruction.onbuild}
        if "ENTRYPOINT" in keywords and "CMD" not in keywords:
            found.command = ()  # an entry point lets the command below it go
    return found


def expanded_pattern(text: str, values: Mapping[str, str], escape: str = "\\") -> str:
    """A word of an instruction as the build reads it: without quotes, variables replaced, UNKNOWN for unknown ones."""
    result: list[str] = []
    quote = ""
    for part in _PART.finditer(text):
        name = part["name"] or part["plain"]
        if quote == "'":
            result.append("" if part[0] == "'" else part[0])
            quote = "" if part[0] == "'" else quote
            if len(part[0]) > 1 and "'" in part[0]:
                return UNKNOWN  # a variable across the quote's end: too odd to read
        elif part["quote"] and quote in ("", part["quote"]):
            quote = "" if quote else part["quote"]
        elif part["escaped"] and part[0][0] == escape:
            result.append(part[0] if quote and part[0][1] not in f'"${escape}' else part[0][1])
        elif name:
            result.append(_value(values.get(name), part["operator"], part["word"]))
        else:
            result.append(UNKNOWN if part[0].startswith("${") else part[0])
    return "".join(result)


def fits(pattern: str, text: str) -> bool:
    """Whether a text is what the pattern says, UNKNOWN standing for anything."""
    first, *others = pattern.split(UNKNOWN)
    if not others:
        return text == first
    last = others.pop()
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    position, end = len(first), len(text) - len(last)
    for middle in others:
        position = text.find(middle, position, end)
        if position < 0:
            return False
        position += len(middle)
    return True


def squeezed(text: str) -> str:
    """A text with every run of white space as one space, as the builders differ there."""
    return _SPACES.sub(" ", text).strip()


def exposed_ports(words: Sequence[str]) -> frozenset[str]:
    """`8080 9090-9091/udp` as the ports of a configuration: `8080/tcp`, `9090/udp`, `9091/udp`."""
    ports: set[str] = set()
    for word in words:
        numbers, _, protocol = word.partition("/")
        first, _, last = numbers.partition("-")
        many = range(int(first), int(last) + 1) if _is_port(first) and _is_port(last) else (numbers,)
        ports |= {f"{port}/{protocol.lower() or 'tcp'}" for port in many}
    return frozenset(ports)


def _is_port(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 5


def _base(document: Dockerfile, stage: Stage, arguments: Mapping[str, str]) -> str:
    """What the first stage stands on, with given arguments before defaults."""
    declared = {word.partition("=")[0] for each in document.instructions if each.stage < 0 for word in each.words}
    given = {name: value for name, value in arguments.items() if name in declared}
    return expanded_pattern(stage.base_text, document.arguments | given, document.escape)


def _add(
    found: Expectation, instruction: Instruction, scope: dict[str, str], arguments: Mapping[str, str], escape: str
) -> None:
    keyword = instruction.keyword
    values = scope | found.environment  # ENV wins over ARG

    def expanded(text: str) -> str:
        return expanded_pattern(text, values, escape)

    words: tuple[str, ...]
    if keyword in ("ENV", "LABEL"):
        pairs = [
            (expanded(name), expanded(value))
            for name, value in zip(instruction.words[::2], instruction.words[1::2], strict=False)
        ]
        words = tuple(f"{name}={value}" for name, value in pairs)
        if keyword == "ENV":
            found.environment.update(pairs)
    elif keyword == "ARG":
        words = tuple(word.partition("=")[0] for word in instruction.words)
        scope.update({name: arguments.get(name, UNKNOWN) for name in words})
    elif keyword == "RUN":
        words = _command(instruction)
    elif keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK", "SHELL"):
        words = instruction.words
    else:
        words = tuple(expanded(word) for word in instruction.words)
    if keyword == "CMD":
        found.command = words
    elif keyword == "ENTRYPOINT":
        found.entrypoint = words
    elif keyword == "USER":
        found.user = " ".join(words)
    elif keyword == "WORKDIR":
        words = (_folder(found.folder, " ".join(words)),)
        found.folder = words[0]
    found.steps.append(Expected(instruction.line, keyword, words, instruction.json_form))


def _command(instruction: Instruction) -> tuple[str, ...]:
    """What RUN leaves: a lone heredoc is the script itself, or a file where it names its interpreter."""
    if not instruction.heredocs or instruction.json_form:
        return instruction.words
    first = instruction.heredocs[0]
    if len(instruction.heredocs) == 1 and re.fullmatch(
        rf"<<-?[\"']?{re.escape(first.name)}[\"']?", instruction.words[0]
    ):
        return (f"/dev/pipes/{first.name}",) if first.content.startswith("#!") else (first.content,)
    bodies = (f"{heredoc.content}\n{heredoc.name}" for heredoc in instruction.heredocs)
    return ("\n".join((instruction.words[0], *bodies)),)


def _folder(current: str | None, given: str) -> str:
    if given.startswith(("/", UNKNOWN)):
        return given
    return f"{UNKNOWN if current is None else current.rstrip('/')}/{given}"


def _value(known: str | None, operator: str | None, word: str | None) -> str:
    """`${NAME}`, `${NAME:-word}` and the like; unknown where the name is or where the word holds a variable."""
    if known is None or UNKNOWN in known or (operator and "$" in (word or "")):
        return UNKNOWN
    if operator in (":+", "+"):
        return (word or "") if known or operator == "+" else ""
    if operator == ":-":
        return known or word or ""
    return known
