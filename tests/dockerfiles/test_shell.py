"""The commands of RUN's shell text and where they stand."""

from __future__ import annotations

import pytest

from imgopt_pipeline.dockerfiles.parsing import parse
from imgopt_pipeline.dockerfiles.shell import Command, script_of


def commands(run: str) -> list[Command]:
    document = parse(f"FROM a\n{run}")
    script = script_of(document, document.instructions[1])
    assert script is not None
    return list(script.commands)


def sources(run: str) -> list[str]:
    text = f"FROM a\n{run}"
    return [text[command.start : command.end] for command in commands(run)]


def test_continued_lines_and_comments_between_them_are_read_over() -> None:
    run = "RUN apt-get update && \\\n    # it's a comment\n\n    apt-get install -y \\\n\tcurl \\\n  # 'another\n\tgit"
    assert [command.texts for command in commands(run)] == [
        ("apt-get", "update"),
        ("apt-get", "install", "-y", "curl", "git"),
    ]


def test_windows_line_ends_are_read_over() -> None:
    assert [c.texts for c in commands("RUN a b && \\\r\n    # c\r\n    d\r\nCMD e\r\n")] == [("a", "b"), ("d",)]


def test_offsets_count_characters_and_not_bytes() -> None:
    assert sources("RUN echo 'é🙂' && pip install ü; x") == ["echo 'é🙂'", "pip install ü", "x"]


def test_operators_are_those_between_two_commands() -> None:
    assert [c.operator for c in commands("RUN a && b; c || d")] == ["", "&&", ";", "||"]
    assert [c.operator for c in commands("RUN <<EOF\na\nb && c\nd; e\nEOF\nCMD x")] == ["", "\n", "&&", "\n", ";"]


@pytest.mark.parametrize(
    ("run", "plain"),
    [
        ("RUN a && b; c", [True, True, True]),
        ("RUN a || b", [True, False]),
        ("RUN a || b && c", [True, False, True]),
        ("RUN if a; then b; fi; c", [False, False, True]),
        ("RUN for x in 1 2; do a; done && b", [False, True]),
        ("RUN (a; b) && c", [False, False, True]),
        ("RUN a | b && c", [False, False, True]),
        ("RUN a > log 2>&1 && b", [True, True]),
        ("RUN f() { a; }; b", [False, True]),
        ("RUN a $(b)", [True]),
    ],
)
def test_plain_is_what_runs_once_and_always(run: str, plain: list[bool]) -> None:
    assert [command.plain for command in commands(run)] == plain


def test_a_redirection_belongs_to_its_command() -> None:
    assert sources("RUN a && b > log 2>&1") == ["a", "b > log 2>&1"]
    assert sources("RUN a; echo x >> /etc/y; c") == ["a", "echo x >> /etc/y", "c"]


def test_words_have_their_quotes_taken_off_and_say_whether_the_shell_expands_them() -> None:
    (command,) = commands("""RUN A=1 /usr/bin/pip install "a[b]>=1" 'c d' e==1.* $F "$G" "h"i""")
    assert command.name == "pip"
    assert command.assignments == ("A=1",)
    assert [(word.text, word.literal) for word in command.words[2:]] == [
        ("a[b]>=1", True),
        ("c d", True),
        ("e==1.*", False),
        ("$F", False),
        ("$G", False),
        ("hi", True),
    ]


def test_a_heredoc_is_the_script_where_it_is_all_that_runs() -> None:
    document = parse(
        "FROM a\nRUN --mount=type=cache,target=/a <<-EOF\n\tset -e\n\tpip install b \\\n\t  c\n\tEOF\nCMD d"
    )
    script = script_of(document, document.instructions[1])
    assert script is not None
    assert script.heredoc
    assert document.text[script.start : script.end] == "\tset -e\n\tpip install b \\\n\t  c\n"
    assert [command.texts for command in script.commands] == [("set", "-e"), ("pip", "install", "b", "c")]


@pytest.mark.parametrize(
    "text",
    [
        'RUN ["apt-get", "update"]',
        "RUN <<EOF\n#!/usr/bin/env python3\nprint(1)\nEOF",
        "RUN if a; then",
        "RUN echo 'no end",
        "COPY a b",
    ],
)
def test_what_is_no_shell_text_is_left_alone(text: str) -> None:
    document = parse(f"FROM a\n{text}\n")
    assert script_of(document, document.instructions[1]) is None


def test_powershell_behind_a_backtick_is_left_alone() -> None:
    document = parse("# escape=`\nFROM a\nRUN b `\n && c\n")
    assert script_of(document, document.instructions[1]) is None
