"""Added and joined commands, run by a real shell: they do what was meant, also where something fails."""

from __future__ import annotations

import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from imgopt_pipeline.dockerfiles.editing import edited
from imgopt_pipeline.dockerfiles.facts import ByteRange, Hidden, ImageFacts, StepFacts
from imgopt_pipeline.dockerfiles.layout import followed_by, preceded_by, removed, without
from imgopt_pipeline.dockerfiles.parsing import parse
from imgopt_pipeline.dockerfiles.rewriting import rewrite
from imgopt_pipeline.dockerfiles.rules import merged_runs
from imgopt_pipeline.dockerfiles.shell import script_of

COMMANDS = (
    "true", "false", "echo a", "echo b > /dev/null", "false || echo c", "(false; echo d)", "X=1", 'echo "$X"',
    "cd /usr", "set -e", "set -eu", "if true; then echo e; fi", "{ false && echo f; }", "echo g | cat", "export Y=2",
    "rm -rf /nowhere",
)  # fmt: skip
JOINTS = (" && ", "; ", " || ", " && \\\n    ", "; \\\n  ", " \\\n    && ")


@st.composite
def shell_texts(draw: st.DrawFn) -> str:
    commands = draw(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=4))
    joints = draw(st.lists(st.sampled_from(JOINTS), min_size=len(commands) - 1, max_size=len(commands) - 1))
    return "".join(part for pair in zip(commands, [*joints, ""], strict=True) for part in pair)


def outcome(text: str) -> tuple[bool, str]:
    """Whether it succeeds as RUN would see it, and what it prints."""
    done = subprocess.run(["sh", "-c", text.replace("\\\n", "")], cwd="/", capture_output=True, timeout=20, check=False)
    return done.returncode == 0, done.stdout.decode()


@given(shell_texts(), st.booleans())
@example("set -e; false && (false; echo d)", False)
@settings(max_examples=150, deadline=None)
def test_a_command_at_the_end_runs_only_if_all_went_well(text: str, heredoc: bool) -> None:
    text = text.replace("; \\\n  ", "\n") if heredoc else text
    document = parse(f"FROM a\nRUN <<EOF\n{text}\nEOF" if heredoc else f"FROM a\nRUN {text}")
    script = script_of(document, document.instructions[1])
    assert script is not None
    edit = followed_by(document, script, None, "echo end")
    if edit is None:
        assert "set -e" in text
        return
    after = edited(document, [edit])
    whole = script_of(after, after.instructions[1])
    assert whole is not None
    went_well, printed = outcome(text)
    assert outcome(after.text[whole.start : whole.end]) == (went_well, f"{printed}end\n" if went_well else printed)


@given(shell_texts(), shell_texts())
@settings(max_examples=200, deadline=None)
def test_joined_steps_do_what_they_did_one_after_the_other(first: str, second: str) -> None:
    size = ByteRange(10**7, 10**7, 10**7)
    image = ImageFacts(
        "sha256:a",
        10**8,
        "none",
        claims={"R17": size},
        steps={2: StepFacts(1, 10**7), 3 + first.count("\n"): StepFacts(2, 0)},
        hidden=(Hidden(1, 2, "deleted", 10**7),),
    )
    result = rewrite(f"FROM a\nRUN {first}\nRUN {second}", [merged_runs.RULE], image=image)
    if not result.changes:
        return
    (joined,) = parse(result.text).stages[0].body
    went_well, printed = outcome(first)
    then = outcome(second) if went_well else (False, "")
    assert outcome(result.text[joined.body_start : joined.end]) == (then[0], printed + then[1])


def test_a_command_before_another_decides_whether_that_runs() -> None:
    document = parse("FROM a\nRUN x; \\\n  y")
    script = script_of(document, document.instructions[1])
    assert script is not None
    edit = preceded_by(document, script, script.commands[1], "z")
    assert edited(document, [edit]).text == "FROM a\nRUN x; \\\n  z && \\\n  y"


def test_a_command_is_taken_out_with_what_joins_it() -> None:
    for run, number, expected in (
        ("RUN a && b && c", 0, "RUN b && c"),
        ("RUN a && b && c", 1, "RUN a && c"),
        ("RUN a && \\\n    b \\\n    && c", 2, "RUN a && \\\n    b"),
        ("RUN <<EOF\na\nb\nEOF", 1, "RUN <<EOF\na\nEOF"),
    ):
        document = parse(f"FROM a\n{run}")
        script = script_of(document, document.instructions[1])
        assert script is not None
        edit = without(document, document.instructions[1], script, script.commands[number])
        assert edit is not None
        assert edited(document, [edit]).text == f"FROM a\n{expected}"


def test_an_instruction_goes_with_the_comments_that_are_its_alone() -> None:
    for text, expected in (
        ("FROM a\n\n# why\nRUN x\n\nCMD b\n", "FROM a\n\nCMD b\n"),
        ("FROM a\n\n# of both\nRUN x\nCMD b\n", "FROM a\n\n# of both\nCMD b\n"),
        ("FROM a\nRUN x\n\nCMD b\n", "FROM a\n\nCMD b\n"),
        ("FROM a\nRUN x", "FROM a\n"),
        ("FROM a\n\n# why\nRUN x\n", "FROM a\n"),
    ):
        document = parse(text)
        assert edited(document, [removed(document, document.instructions[1])]).text == expected
