"""A Dockerfile is told from another one by the history that real builders wrote, and its lines find their layers.

The history lines were written by BuildKit 0.22 and by the legacy builder of Engine 28.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.builds.sources.expected_steps import UNKNOWN, expanded_pattern, exposed_ports, fits
from imgopt_pipeline.builds.sources.history_match import Comparison, compare_history
from imgopt_pipeline.builds.sources.history_steps import _bounded, history_steps
from imgopt_pipeline.dockerfiles.parsing import DockerfileError, parse

DOCKERFILE = r"""ARG BASE=python:3.11
FROM $BASE AS build
RUN pip wheel .

FROM $BASE
ARG VERSION=1.2
ENV A=1 B="two words" PATH=/x:$PATH
WORKDIR /app
WORKDIR sub
COPY a.txt ./
COPY --chown=1:1 a.txt b*.txt /dest-$VERSION/
RUN echo one && \
    # a comment
    echo   two \
      && echo "$VERSION" > /v
RUN ["echo", "exec form"]
USER 1000
EXPOSE 8080 9090/udp
COPY --from=build /built /built
ENTRYPOINT ["python3","-m"]
CMD ["app", "--port=80"]
"""
HEREDOCS = """FROM a
RUN <<EOF
echo a
echo "b c"
EOF
RUN <<EOF cat > /x && echo done
line
EOF
RUN <<-X
\techo tabs
\tX
RUN <<EOF
#!/bin/sh
x
EOF
COPY <<one <<two /etc/d/
1
one
2
two
"""
BASE = [("/bin/sh -c #(nop) ADD file:1 in / ", 100), ('/bin/sh -c #(nop)  CMD ["bash"]', 0)]
BUILDKIT = [
    ("ARG VERSION=1.2", 0),
    ("ENV A=1 B=two words PATH=/x:/usr/local/bin:/bin", 0),
    ("WORKDIR /app", 0),
    ("WORKDIR /app/sub", 0),
    ("COPY a.txt ./ # buildkit", 2),
    ("COPY --chown=1:1 a.txt b*.txt /dest-9/ # buildkit", 6),
    ('RUN |1 VERSION=9 /bin/sh -c echo one &&     echo   two       && echo "$VERSION" > /v # buildkit', 2),
    ("RUN |1 VERSION=9 echo exec form # buildkit", 0),
    ("USER 1000", 0),
    ("EXPOSE map[8080/tcp:{} 9090/udp:{}]", 0),
    ("COPY /built /built # buildkit", 3),
    ('ENTRYPOINT ["python3" "-m"]', 0),
    ('CMD ["app" "--port=80"]', 0),
]
LEGACY = [
    ("/bin/sh -c #(nop)  ARG VERSION=1.2", 0),
    ("/bin/sh -c #(nop)  ENV A=1 B=two words PATH=/x:/usr/local/bin:/bin", 0),
    ("/bin/sh -c #(nop) WORKDIR /app", 0),
    ("/bin/sh -c #(nop) WORKDIR /app/sub", 0),
    ("/bin/sh -c #(nop) COPY file:a596f0888def06c3cad1442667ede22d419985a1c8a3155b838b650c4cf52ecc in ./ ", 2),
    (
        "/bin/sh -c #(nop) COPY --chown=1:1 multi:dab18f7814bc3bd99eb0f4f5cef565e194aea1d99ff186318026645 in /dest-9/ ",
        6,
    ),
    ('|1 VERSION=9 /bin/sh -c echo one &&     echo   two       && echo "$VERSION" > /v', 2),
    ("|1 VERSION=9 echo exec form", 0),
    ("/bin/sh -c #(nop)  USER 1000", 0),
    ("/bin/sh -c #(nop)  EXPOSE 8080 9090/udp", 0),
    ("/bin/sh -c #(nop) COPY file:3af984518be3472edd1e8ce4254940304e7cf1db1b9af0fcaa69deb7496bfa6e in /built ", 3),
    ('/bin/sh -c #(nop)  ENTRYPOINT ["python3" "-m"]', 0),
    ('/bin/sh -c #(nop)  CMD ["app" "--port=80"]', 0),
]
CONFIG = {
    "Env": ["PATH=/x:/usr/local/bin:/bin", "A=1", "B=two words"],
    "Entrypoint": ["python3", "-m"],
    "Cmd": ["app", "--port=80"],
    "User": "1000",
    "WorkingDir": "/app/sub",
    "ExposedPorts": {"8080/tcp": {}, "9090/udp": {}},
}


def api(lines: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """History lines, oldest first, as the API answers."""
    return [{"CreatedBy": line, "Size": size} for line, size in reversed(lines)]


def compared(
    text: str,
    lines: list[tuple[str, int]],
    layer_count: int,
    config: dict[str, Any] | None = None,
    **options: Any,
) -> Comparison:
    document = parse(text)
    stage = document.stage_named(options.pop("stage", None))
    assert stage is not None
    return compare_history(document, stage, history_steps(api(lines), layer_count), config or CONFIG, **options)


@pytest.mark.parametrize("arguments", [{}, {"VERSION": "9"}])
@pytest.mark.parametrize("lines", [BUILDKIT, LEGACY], ids=["buildkit", "legacy"])
def test_a_dockerfile_agrees_with_the_history_of_either_builder(
    lines: list[tuple[str, int]], arguments: dict[str, str]
) -> None:
    found = compared(DOCKERFILE, [*BASE, *lines], 8, arguments=arguments)

    assert found == Comparison(True, 1.0, (), {8: 1, 9: 2, 10: 3, 11: 4, 12: 5, 16: 6, 19: 7})


def test_a_run_that_changed_nothing_made_no_layer_with_the_legacy_builder() -> None:
    found = compared(DOCKERFILE, [*BASE, *LEGACY], 7)

    assert found.layers == {8: 1, 9: 2, 10: 3, 11: 4, 12: 5, 19: 6}


def test_an_edited_dockerfile_is_still_the_images() -> None:
    edited = DOCKERFILE.replace("echo   two", "echo three").replace("USER 1000", "USER app")

    found = compared(edited, [*BASE, *BUILDKIT], 8)

    assert found.agrees
    assert found.layers[12] == 5
    assert any("line 12" in remark and "differs" in remark for remark in found.remarks)
    assert "the image's user is 1000, this Dockerfile's app" in found.remarks


def test_another_command_is_another_image() -> None:
    found = compared(DOCKERFILE.replace('"app", ', '"worker", '), [*BASE, *BUILDKIT], 8)

    assert not found.agrees
    assert "the image runs python3 -m app --port=80, this Dockerfile python3 -m worker --port=80" in found.remarks


def test_other_steps_are_another_image() -> None:
    other = "FROM node:22\nWORKDIR /app\nCOPY package.json .\nRUN npm ci\nCOPY . .\nRUN npm run build\n"

    found = compared(other, [*BASE, *BUILDKIT], 8)

    assert not found.agrees
    assert found.layers == {2: 1}


def test_other_values_of_arguments_differ_where_they_are_given() -> None:
    found = compared(DOCKERFILE, [*BASE, *BUILDKIT], 8, arguments={"VERSION": "10"})

    assert found.agrees
    assert found.remarks == ("line 11: COPY a.txt b*.txt /dest-10/ differs; the image has COPY a.txt b*.txt /dest-9/",)


def test_an_image_without_a_history_is_judged_by_its_configuration() -> None:
    told = "the image tells no build steps, so that only its configuration was compared"

    assert compared(DOCKERFILE, [], 8) == Comparison(True, 0.0, (told,))
    assert not compared(DOCKERFILE.replace("--port=80", "--port=81"), [], 8).agrees


def test_secrets_are_not_told() -> None:
    text = 'FROM a\nENV TOKEN=s3cr3t-one\nRUN curl --password s3cr3t-two https://u:s3cr3t-three@host\nCMD ["x"]\n'

    found = compared(text, [*BASE, *BUILDKIT], 8, {"Cmd": ["y"], "Env": ["TOKEN=s3cr3t-four"]})

    assert len(found.remarks) >= 4
    assert "s3cr3t" not in " ".join(found.remarks)


def test_what_an_image_says_cannot_reach_the_terminal() -> None:
    hostile = [("RUN /bin/sh -c echo \x1b[31m" + "x " * 5_000 + " # buildkit", 5)] * 1_000

    found = compared('FROM a\nRUN make\nCMD ["x"]\n', hostile, 1_000, {"Cmd": ["\x1b]0;x"]})

    assert all(remark.isprintable() and len(remark) < 400 for remark in found.remarks)


def test_an_instruction_without_words_is_no_step_of_the_image() -> None:
    lines = [("/bin/sh -c #(nop) COPY dir:1 in /app ", 5), ("COPY a /app # buildkit", 5)]

    assert compared("FROM a\nCOPY\nENV\nCMD\n", [*BASE, *lines], 3, {}).share == 0


def test_the_steps_of_a_parent_stage_belong_to_the_image() -> None:
    text = "FROM a AS one\nRUN make one\nFROM one\nRUN make two\n"
    lines = [("RUN /bin/sh -c make one # buildkit", 1), ("RUN /bin/sh -c make two # buildkit", 1)]

    assert compared(text, [*BASE, *lines], 3, {}).layers == {2: 1, 4: 2}
    assert compared(text, [*BASE, *lines], 3, {}).share == 1
    assert compared(text, [*BASE, *lines], 3, {}, stage="one").share < 1


def test_heredocs_are_what_they_run() -> None:
    text = HEREDOCS
    lines = [
        ('RUN /bin/sh -c echo a\necho "b c"\n # buildkit', 1),
        ("RUN /bin/sh -c <<EOF cat > /x && echo done\nline\nEOF # buildkit", 1),
        ("RUN |3 A=1 B=c d SRC=a.txt /bin/sh -c echo tabs\n # buildkit", 1),
        ("RUN /bin/sh -c /dev/pipes/EOF # buildkit", 1),
        ("COPY <<one <<two /etc/d/ # buildkit", 1),
    ]

    found = compared(text, [*BASE, *lines], 6, {})

    assert (found.share, found.remarks) == (1.0, ())
    assert list(found.layers.values()) == [1, 2, 3, 4, 5]


def test_the_base_is_told_by_its_layers() -> None:
    layers = ["sha256:1", "sha256:2", "sha256:3"]
    text = "FROM python:3.11\nRUN make\n"
    lines = [*BASE, ("RUN /bin/sh -c make # buildkit", 1), ("RUN /bin/sh -c make # buildkit", 1)]

    def with_base(base: list[str]) -> Comparison:
        return compared(text, lines, 3, {}, image_layers=layers, base_layers={"python:3.11": base})

    assert with_base(layers[:2]) == Comparison(True, 1.0, (), {2: 2})
    assert with_base(layers[:1]).share < 1
    assert "python:3.11 is not what the image stands on" in with_base(["sha256:9"]).remarks[0]


@given(st.lists(st.sampled_from([(False, False), (True, False), (True, True)]), max_size=8), st.data())
def test_positions_are_told_where_only_one_is_possible(steps: list[tuple[bool, bool]], data: st.DataObject) -> None:
    possible, certain = [can for can, _ in steps], [sure for _, sure in steps]
    count = data.draw(st.integers(sum(certain), sum(possible)))
    choices = [(True,) if sure else (False, True) if can else (False,) for can, sure in steps]
    worlds = [world for world in product(*choices) if sum(world) == count]

    for number, position in enumerate(_bounded(possible, certain, count)):
        told = {sum(world[:number]) for world in worlds}
        assert position == (told.pop() if certain[number] and len(told) == 1 else None)


@given(st.text("ab\0", max_size=6), st.text("ab", max_size=8))
def test_patterns_fit_as_a_regular_expression_would(pattern: str, text: str) -> None:
    expression = ".*".join(re.escape(part) for part in pattern.split(UNKNOWN))
    assert fits(pattern, text) == (re.fullmatch(expression, text) is not None)


@given(st.lists(st.text("abc &|;$\"'\\{}", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=6))
def test_what_builders_write_of_commands_is_found_again(commands: list[str]) -> None:
    commands = [f"x{command.strip()}y" for command in commands]
    text = "FROM a\n" + "".join(f"RUN {command}\n" for command in commands)
    for lines in (
        [(f"RUN /bin/sh -c {command} # buildkit", 1) for command in commands],
        [(f"|1 A=b c /bin/sh -c {command}", 1) for command in commands],
    ):
        found = compared(text, lines, len(lines), {})
        assert found.share == 1
        assert found.layers == {number + 2: number for number in range(len(commands))}


_ODD = st.text("aAs \"'$\\{}:-+[]|=,/\0\n\x1b", max_size=12)
_KEYWORDS = st.sampled_from(
    (
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "LABEL",
        "ONBUILD",
        "RUN",
        "SHELL",
        "USER",
        "|2",
    )
)


@given(st.lists(st.tuples(_KEYWORDS, _ODD), max_size=6), st.lists(st.tuples(_KEYWORDS, _ODD), max_size=6))
def test_no_dockerfile_and_no_history_is_too_odd(
    instructions: list[tuple[str, str]], steps: list[tuple[str, str]]
) -> None:
    text = "\n".join(["FROM a", *(f"{keyword} {words}" for keyword, words in instructions)])
    try:
        parse(text)
    except DockerfileError:
        return
    found = compared(text, [(f"{keyword} {words}", len(words) % 2) for keyword, words in steps], 3)

    assert 0 <= found.share <= 1
    assert all(remark.isprintable() for remark in found.remarks)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ('"two words"', "two words"),
        ("a\\ b", "a b"),
        ("'$A \"x\"'", '$A "x"'),
        ('"it\'s $A"', "it's 1"),
        ("\\$A", "$A"),
        ("${A}b$A", "1b1"),
        ("$MISSING/x", f"{UNKNOWN}/x"),
        ("${EMPTY:-d}", "d"),
        ("${A:+yes}", "yes"),
        ("${A:-${B}}/x", f"{UNKNOWN}/x"),
        ("", ""),
    ],
)
def test_words_are_expanded_as_the_build_does(text: str, pattern: str) -> None:
    assert expanded_pattern(text, {"A": "1", "EMPTY": ""}) == pattern


def test_ports_are_those_of_the_configuration() -> None:
    assert exposed_ports(["80", "7000-7002/UDP", "x"]) == {"80/tcp", "7000/udp", "7001/udp", "7002/udp", "x/tcp"}
