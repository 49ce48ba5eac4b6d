"""What holds for every Dockerfile: made-up ones, put together from what people write."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.dockerfiles.diff import unified_diff
from imgopt_pipeline.dockerfiles.editing import Edit, edited
from imgopt_pipeline.dockerfiles.parsing import parse
from imgopt_pipeline.dockerfiles.rewriting import chosen_rules, rewrite
from imgopt_pipeline.dockerfiles.shell import script_of
from tests.dockerfiles.test_editing import patched

COMMANDS = (
    "apt-get update", "apt-get install -y curl", "apt-get -y install gcc  \\\n      git", "pip install uv",
    "rm -rf /var/lib/apt/lists/*", "pip install -r requirements.txt", "pip3 install --no-cache-dir 'a>=1' b==1.*",
    "npm ci", "npm cache clean --force", "apk update", "apk add --update bash", "set -eux", "cd /opt",
    "dnf -y install a", "make > log 2>&1", "yarn install --frozen-lockfile", "rm -rf /tmp/x",
    "export A=é", "true || false", "(cd /x; make)", "if test -e a; then apt-get install -y b; fi", "echo '#' \"$A\"",
    "useradd app", "chown -R app:app /app", "chown -R 1000 /app", "poetry install", "go build ./...", "chmod -R 755 .",
)  # fmt: skip
JOINTS = (" && ", " && \\\n    ", " \\\n && ", "; ", "; \\\n\t", " \\\n    # why 'not\n    && ", " || ", " | ")
OTHERS = (
    "FROM python:3.12-slim", "FROM node:20 AS build", "FROM build", "FROM debian", "COPY . /app", "COPY a b ./",
    "WORKDIR /app", "ENV A=1 \\\n    B=2", "USER app", "USER root", "# a comment", "", "ARG X=é", 'CMD ["a"]',
    'RUN ["apt-get", "update"]', "ONBUILD RUN apt-get update", "COPY <<EOF /x\nRUN apt-get update\nEOF",
    'SHELL ["/bin/bash", "-c"]', "ENV PIP_NO_CACHE_DIR=1", "COPY --from=build /x /y",
)  # fmt: skip


@st.composite
def scripts(draw: st.DrawFn) -> str:
    """A RUN of several commands, as a heredoc at times."""
    commands = draw(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=4))
    flags = draw(st.sampled_from(("", "", "--network=host ", "--mount=type=cache,target=/root/.cache \\\n    ")))
    if draw(st.integers(0, 5)) == 0:
        return "\n".join([f"RUN {flags}<<EOF", *commands, "EOF"])
    joints = draw(st.lists(st.sampled_from(JOINTS), min_size=len(commands), max_size=len(commands)))
    text = "".join(f"{command}{joint}" for command, joint in zip(commands, joints, strict=True))
    return f"RUN {flags}{text.removesuffix(joints[-1])}"


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    """One that parses, with either line end and with or without the last."""
    lines = draw(st.lists(st.one_of(scripts(), scripts(), st.sampled_from(OTHERS)), max_size=9))
    text = "\n".join(["FROM debian:12", *lines]) + draw(st.sampled_from(("", "\n")))
    return text.replace("\n", draw(st.sampled_from(("\n", "\n", "\r\n"))))


@given(dockerfiles())
@settings(max_examples=250, deadline=None)
def test_rewriting_twice_is_rewriting_once(text: str) -> None:
    rules = chosen_rules("aggressive")
    once = rewrite(text, rules)
    again = rewrite(once.text, rules)
    assert again.text == once.text, again.changes
    assert len(once.origins) >= once.text.count("\n")


@given(dockerfiles())
@settings(max_examples=150, deadline=None)
def test_what_no_rule_may_touch_means_what_it_meant(text: str) -> None:
    """All but RUN and COPY, in their order; and no rule does what the proof refuses."""
    result = rewrite(text, chosen_rules("safe"))
    before, after = (
        [i.meaning for i in parse(t).instructions if i.keyword not in ("RUN", "COPY") or i.onbuild]
        for t in (text, result.text)
    )
    assert after == before
    assert not [reason for reason in result.left_out.values() if "an edit" in reason or "two edits" in reason]


@given(dockerfiles())
@settings(max_examples=60, deadline=None)
def test_patch_makes_the_result_of_the_diff(text: str) -> None:
    result = rewrite(text, chosen_rules("aggressive"))
    with TemporaryDirectory() as folder:
        assert patched(Path(folder), text, unified_diff(text, result.text, "Dockerfile")) == result.text.encode()


@given(dockerfiles(), st.data())
@settings(max_examples=150, deadline=None)
def test_edits_are_what_cutting_and_pasting_makes(text: str, data: st.DataObject) -> None:
    """Against a naive model: one edit after the other from the end, the others' meanings compared one by one."""
    document = parse(text)
    names = [
        command.words[-1]
        for instruction in document.instructions
        if (script := script_of(document, instruction)) is not None
        for command in script.commands
        if command.words and command.words[-1].literal
    ]
    chosen = [word for word in names if data.draw(st.booleans())]
    expected = text
    for word in reversed(chosen):
        expected = f"{expected[: word.start]}other-word{expected[word.end :]}"
    result = edited(document, [Edit(word.start, word.end, "other-word") for word in chosen])
    assert result.text == expected
    kept = [i for i in document.instructions if not any(i.start <= word.start < i.end for word in chosen)]
    assert [i.meaning for i in kept] == [
        after.meaning for i, after in zip(document.instructions, result.instructions, strict=True) if i in kept
    ]


@given(dockerfiles())
@settings(max_examples=150, deadline=None)
def test_words_and_commands_stand_where_they_say(text: str) -> None:
    document = parse(text)
    for instruction in document.instructions:
        script = script_of(document, instruction)
        for command in script.commands if script is not None else ():
            assert instruction.start < command.start <= command.end <= instruction.end
            for word in command.words:
                assert command.start <= word.start < word.end <= command.end
                source = text[word.start : word.end]
                assert source == word.text or source[0] in "\"'"
