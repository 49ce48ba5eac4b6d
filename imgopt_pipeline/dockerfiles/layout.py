"""Edits of whole commands and instructions that follow the author's layout: added, taken out, joined.

A function answers None where the text is such that the edit would not be clearly right.
"""

from __future__ import annotations

import re
from itertools import pairwise

from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction
from imgopt_pipeline.dockerfiles.shell import Command, Script

_CONTINUED = r"[ \t]*\\[ \t]*\n(?:[ \t]*(?:#[^\n]*)?\n)*"
_LEADING = re.compile(rf"{_CONTINUED}(?P<indent>[ \t]*)&&[ \t]+(?:\\\n[ \t]*)?")
_TRAILING = re.compile(rf"[ \t]*(?P<operator>&&|;){_CONTINUED}(?P<indent>[ \t]*)")
_LINES = re.compile(r"\n(?:[ \t]*(?:#[^\n]*)?\n)*(?P<indent>[ \t]*)")
_INDENT = re.compile(r"\\[ \t]*\n(?P<indent>[ \t]+)(?!#)")
_BETWEEN = re.compile(r"(?:[ \t\n]|\\\n|#[^\n]*\n)*(?:&&|;)?(?:[ \t\n]|\\\n|#[^\n]*\n)*")


def followed_by(document: Dockerfile, script: Script, command: Command | None, text: str) -> Edit | None:
    """An edit that runs a further command right after one of a script, or at its end; only if that succeeded."""
    if _feeds_heredoc(document, script) or (command is not None and not command.plain):
        return None
    end = command.end if command is not None else _last_end(document, script)
    if end is None:
        return None
    at_end = command is None or command is script.commands[-1]
    last = script.commands[-1] if at_end else command
    if (
        last is not None
        and last.plain
        and last.end == end
        and last.texts[:2] == ("rm", "-rf")
        and text[:7] == "rm -rf "
    ):
        return Edit(last.words[-1].end, last.words[-1].end, text[6:])
    joint = _joint_within_line(document, script, command) or _joint(document, script, at_end=at_end)
    return Edit(end, end, f"{joint}{text}") if not at_end or _may_go_on(script, joint) else None


def preceded_by(document: Dockerfile, script: Script, command: Command, text: str) -> Edit:
    """An edit that runs a further command right before one of a script, which then runs only if that succeeded."""
    number = script.commands.index(command)
    before = script.commands[number - 1] if number else None
    joint = _joint_within_line(document, script, before) or _joint(document, script, at_end=False, alone=" && ")
    return Edit(command.start, command.start, f"{text}{joint}")


def without(document: Dockerfile, instruction: Instruction, script: Script, command: Command) -> Edit | None:
    """An edit that takes a command out, and its instruction with the last one."""
    commands = script.commands
    if not command.plain or _feeds_heredoc(document, script):
        return None
    if len(commands) == 1:
        return removed(document, instruction) if not _rest(document, script, command).strip() else None
    number = commands.index(command)
    follows_and = number + 1 < len(commands) and commands[number + 1].operator == "&&"
    # Of `a; b && c` the end of the list goes on after `a` as before, whether that failed or not.
    if number > 0 and not (command.operator != "&&" and follows_and):
        previous = commands[number - 1]
        gap = _unix(document.text[previous.end : command.start])
        if command.operator not in ("&&", ";", "\n") or not previous.plain or not _BETWEEN.fullmatch(gap):
            return None
        return Edit(previous.end, command.end, "")
    following = commands[number + 1]
    gap = _unix(document.text[command.end : following.start])
    if following.operator not in ("&&", ";", "\n") or not following.plain or not _BETWEEN.fullmatch(gap):
        return None
    return Edit(command.start, following.start, "")


def removed(document: Dockerfile, instruction: Instruction) -> Edit:
    """An edit that takes out an instruction with its line's end, and the comments that stand for it alone."""
    text = document.text
    start = text.rfind("\n", 0, instruction.start) + 1
    end = _line_end(text, instruction.end)
    above = start
    while above > 0 and text[text.rfind("\n", 0, above - 1) + 1 : above].lstrip().startswith("#"):
        above = text.rfind("\n", 0, above - 1) + 1
    below = text[end : _line_end(text, end)]
    alone_above = above == 0 or not text[text.rfind("\n", 0, above - 1) + 1 : above].strip()
    if below.strip() or above == 0:
        return Edit(start, end, "")
    if alone_above:
        # The whole paragraph goes, and one of the empty lines around it.
        return Edit(above, end + len(below), "") if below else Edit(_before_empty_line(text, above), end, "")
    return Edit(start, end, "")


def joined(
    document: Dockerfile, first: Instruction, script: Script, second: Instruction, styled_as: Script
) -> Edit | None:
    """An edit that makes one RUN of two that follow each other, comments between them kept.

    `styled_as`: the script whose layout it follows, the first of all those that are joined.
    """
    end = _last_end(document, script)
    if end is None or first.heredocs or second.heredocs:
        return None
    between = _unix(document.text[first.end : document.text.rfind("\n", 0, second.start) + 1])
    ends_list = script.commands[-1].operator == "&&"
    joint = _joint(document, styled_as, at_end=True, ends_list=ends_list)
    if not _may_go_on(script, joint):
        return None
    before, _, after = joint.partition("\n")
    indent = after[: len(after) - len(after.lstrip())]
    comments = "".join(f"{indent}{line.strip()}\n" for line in between.split("\n") if line.strip())
    return Edit(end, second.body_start, f"{before}\n{comments}{after}")


def exits_at_failure(script: Script) -> bool:
    """Whether it begins with `set -e`, so that commands in a row may stand for `&&`."""
    if not script.commands:
        return False
    first = script.commands[0]
    if first.name != "set" or not first.plain:
        return False
    return any(word.startswith("-") and not word.startswith("--") and "e" in word for word in first.texts) or (
        "errexit" in first.texts
    )


def in_strict_rows(script: Script) -> bool:
    """Whether `set -e` holds and its commands stand one after the other behind `;`."""
    rows = [command.operator for command in script.commands[1:] if command.plain]
    return exits_at_failure(script) and bool(rows) and all(operator == ";" for operator in rows)


def line_indent(document: Dockerfile, offset: int) -> str | None:
    """The white space before `offset` where nothing else stands before it in its line, else None."""
    start = document.text.rfind("\n", 0, offset) + 1
    indent = document.text[start:offset]
    return indent if not indent.strip() else None


def _joint_within_line(document: Dockerfile, script: Script, command: Command | None) -> str:
    """What stands between a command and the next one where both are in one line, else nothing."""
    following = [other for other in script.commands if command is not None and other.start >= command.end]
    if command is None or not following or "\n" in document.text[command.end : following[0].start]:
        return ""
    return "; " if following[0].operator == ";" and exits_at_failure(script) else " && "


def _joint(
    document: Dockerfile, script: Script, *, at_end: bool, alone: str = "", ends_list: bool | None = None
) -> str:
    """What stands between two commands of this script, as its author writes it; `alone` where nothing shows that."""
    commands = script.commands
    gaps = [_unix(document.text[earlier.end : later.start]) for earlier, later in pairwise(commands)]
    if ends_list is None:
        # What is in a subshell at the end may belong to a list that began before it.
        in_group = not commands[-1].plain and any(command.operator == "&&" for command in commands)
        ends_list = commands[-1].operator == "&&" or in_group
    # `set -e` lets `a && b` fail at `a` and go on: such a list must stay the last, or go on with `&&`.
    strict = exits_at_failure(script) and not (at_end and ends_list)
    for gap in reversed(gaps):
        if found := _LEADING.fullmatch(gap):
            return f" \\\n{found['indent']}&& "
        if found := _TRAILING.fullmatch(gap):
            operator = ";" if found["operator"] == ";" and strict else " &&"
            return f"{operator} \\\n{found['indent']}"
        if script.heredoc and (found := _LINES.fullmatch(gap)):
            # Without `set -e` a heredoc ends as its last command does, which must stay the one that tells.
            return f"\n{found['indent']}" if strict or not at_end else f" \\\n{found['indent'] or '    '}&& "
    if script.heredoc and len(commands) > 1:
        return "\n" if strict or not at_end else " \\\n    && "
    continued = _INDENT.search(_unix(document.text[script.start : script.end]))
    indent = continued["indent"] if continued else "    "
    rows = strict and in_strict_rows(script)
    if alone and not rows:
        return alone
    return f"; \\\n{indent}" if rows else f" \\\n{indent}&& "


def _last_end(document: Dockerfile, script: Script) -> int | None:
    """Where a script's text ends; None where nothing can be added there."""
    if not script.commands:
        return None
    end = script.start + len(document.text[script.start : script.end].rstrip())
    rest = document.text[script.commands[-1].end : end]
    if "#" in rest or "<<" in rest or rest.endswith((";", "&", "|", "\\")):
        return None
    return end


def _may_go_on(script: Script, joint: str) -> bool:
    """Whether this may follow a script's end: within what stands before `&&`, `set -e` no longer holds."""
    strict = any(command.name == "set" for command in script.commands)
    return "&&" not in joint or not strict or script.commands[-1].plain


def _feeds_heredoc(document: Dockerfile, script: Script) -> bool:
    """Whether one of its commands reads a heredoc, whose body then stands behind all of them."""
    return not script.heredoc and "<<" in document.text[script.start : script.end]


def _rest(document: Dockerfile, script: Script, command: Command) -> str:
    """What a script holds besides a command."""
    return document.text[script.start : command.start] + document.text[command.end : script.end]


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end + 1


def _before_empty_line(text: str, offset: int) -> int:
    start = text.rfind("\n", 0, max(offset - 1, 0)) + 1
    return start if start < offset and not text[start:offset].strip() else offset


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
