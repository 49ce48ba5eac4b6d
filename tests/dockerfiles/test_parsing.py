"""The cases of Dockerfiles that parsers get wrong."""

from __future__ import annotations

import pytest

from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction
from imgopt_pipeline.dockerfiles.parsing import DockerfileError, expanded, parse


def only(text: str) -> tuple[Dockerfile, Instruction]:
    """A Dockerfile and its second instruction, the first being FROM."""
    document = parse(f"FROM scratch\n{text}")
    return document, document.instructions[1]


def body(text: str) -> str:
    document, instruction = only(text)
    return document.text[instruction.body_start : instruction.end]


def test_spans_hold_the_whole_instruction_and_nothing_else() -> None:
    document = parse("# first\nFROM a\n\n  RUN b \\\n    c\n# last\nCMD d")
    assert [document.source(instruction) for instruction in document.instructions] == [
        "FROM a",
        "RUN b \\\n    c",
        "CMD d",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN make", "make"),
        ("run\tmake  ", "make  "),
        ("RUN --mount=type=cache,target=/a --network=none make", "make"),
        ("RUN --mount=type=cache,target=/a \\\n  # why\n\n  make", "make"),
        ("RUN \\\n    make", "make"),
        ('COPY --from=build --chown=1:1 ["a b", "c"]', '["a b", "c"]'),
        ("ONBUILD RUN --network=none make", "make"),
        ("ONBUILD copy --chown=a:b . .", ". ."),
        ("RUN --mount=type=secret,id=a <<EOF\nmake\nEOF", "<<EOF\nmake\nEOF"),
    ],
)
def test_the_body_begins_behind_keyword_and_flags(text: str, expected: str) -> None:
    assert body(text) == expected


def test_flags_are_read_of_onbuild_too() -> None:
    _, instruction = only("ONBUILD COPY --from=build --chown=a:b /x /y")
    assert (instruction.keyword, instruction.onbuild) == ("COPY", True)
    assert instruction.flag("from") == "build"
    assert instruction.flag("chown") == "a:b"
    assert instruction.flag("chmod") is None


def test_heredocs_are_spanned_without_the_line_that_ends_them() -> None:
    document, instruction = only("COPY <<A <<-'B' /x/\none # two\n\nA\n\tthree\n\tB\nRUN true")
    assert [(h.name, document.text[h.start : h.end]) for h in instruction.heredocs] == [
        ("A", "one # two\n\n"),
        ("B", "\tthree\n"),
    ]
    assert document.source(instruction).endswith("\tB")


def test_an_empty_heredoc_has_an_empty_span() -> None:
    document, instruction = only("RUN <<EOF\nEOF\nCMD a")
    heredoc = instruction.heredocs[0]
    assert (heredoc.start, heredoc.end) == (document.text.index("EOF\nCMD"),) * 2


def test_a_heredoc_may_hold_lines_that_look_like_instructions() -> None:
    document = parse("FROM a\nRUN <<EOF\nFROM b\nCOPY c d\nEOF\nCMD e\n")
    assert [instruction.keyword for instruction in document.instructions] == ["FROM", "RUN", "CMD"]


def test_windows_line_ends_stand_in_no_span() -> None:
    document = parse("FROM a\r\nRUN b && \\\r\n    c\r\nCMD d\r\n")
    assert document.newline == "\r\n"
    assert [document.source(i) for i in document.instructions] == ["FROM a", "RUN b && \\\r\n    c", "CMD d"]


def test_the_escape_character_is_the_directives() -> None:
    document = parse("# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN b `\n  c \\\nCMD d")
    assert document.escape == "`"
    assert document.source(document.instructions[1]) == "RUN b `\n  c \\"


def test_a_comment_is_no_directive_once_another_line_stood_before() -> None:
    assert parse("# only words\n# escape=`\nFROM a\nRUN b").escape == "\\"
    assert parse("\n# escape=`\nFROM a\nRUN b").escape == "\\"


def test_characters_that_are_no_line_ends_stay_in_their_lines() -> None:
    document = parse("FROM a\nRUN echo '\u2028\x0c\x85 é 🙂'\nCMD b")
    assert document.source(document.instructions[1]) == "RUN echo '\u2028\x0c\x85 é 🙂'"


def test_arguments_before_from_name_its_base() -> None:
    document = parse(
        'ARG A=3.11\nARG B="${A}-slim"\nARG C\nFROM --platform=linux/amd64 python:${B} AS base\n'
        "ARG A\nFROM base\nFROM python:${C:-3} as last"
    )
    assert [(s.name, s.base, s.base_text) for s in document.stages] == [
        ("base", "python:3.11-slim", "python:${B}"),
        (None, "base", "base"),
        ("last", "python:3", "python:${C:-3}"),
    ]
    assert document.ancestors(document.stages[1]) == (document.stages[0],)
    assert document.stage_named("LAST") == document.stages[2]
    assert document.stage_named("1") == document.stages[1]
    assert document.stage_named("none") is None


def test_a_stage_may_be_called_like_the_image_it_builds_on() -> None:
    document = parse("FROM python AS python\nFROM python\n")
    assert document.ancestors(document.stages[0]) == ()
    assert document.ancestors(document.stages[1]) == (document.stages[0],)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A/${B}/$C", "1//$C"),
        ("${A:-x} ${B:-x} ${B-x} ${C-x}", "1 x  x"),
        ("${A:+x}|${B:+x}|${B+x}|${C+x}", "x||x|"),
        ("a$Ab", "a$Ab"),
    ],
)
def test_variables_are_put_in(text: str, expected: str) -> None:
    assert expanded(text, {"A": "1", "B": ""}) == expected


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "RUN a", "FROM", "FROM a\nNONSENSE b", "FROM a\nRUN <<EOF\nno end"]
)
def test_what_docker_refuses_is_refused(text: str) -> None:
    with pytest.raises(DockerfileError):
        parse(text)


def test_a_file_that_is_no_dockerfile_by_its_size_is_refused() -> None:
    with pytest.raises(DockerfileError, match="1,000,0"):
        parse("FROM a\n" + "#" * 1_000_000)
