"""Edits by span, the proof of them, the origins of lines, and the diff."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from imgopt_pipeline.dockerfiles.diff import unified_diff
from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit, edited, line_origins
from imgopt_pipeline.dockerfiles.facts import ImageFacts
from imgopt_pipeline.dockerfiles.parsing import DockerfileError, parse
from imgopt_pipeline.dockerfiles.rewriting import chosen_rules, rewrite
from imgopt_pipeline.errors import SettingsError

TEXT = "FROM a\n# why\nRUN b && \\\n    c\nCMD d\n"


def at(part: str, replacement: str, text: str = TEXT) -> Edit:
    start = text.index(part)
    return Edit(start, start + len(part), replacement)


def test_only_the_span_changes() -> None:
    assert edited(parse(TEXT), [at("b", "e -f")]).text == TEXT.replace("b", "e -f")
    assert edited(parse(TEXT), [at("d", "x"), at("b", "y")]).text == TEXT.replace("b", "y").replace("d", "x")


def test_new_lines_end_as_the_files_do() -> None:
    document = parse(TEXT.replace("\n", "\r\n"))
    assert edited(
        document, [Edit(document.instructions[1].end, document.instructions[1].end, " \\\n    && e")]
    ).text == (TEXT.replace("    c", "    c \\\n    && e").replace("\n", "\r\n"))


def test_an_edit_may_add_to_the_end_of_an_instruction() -> None:
    end = TEXT.index("\nCMD")
    assert "c && e\nCMD" in edited(parse(TEXT), [Edit(end, end, " && e")]).text


@pytest.mark.parametrize(
    "edit",
    [at("    c", "    c \\"), at("# why\n", "RUN <<EOF\n"), at("# why", "NONSENSE")],
    ids=["swallowed", "heredoc", "nonsense"],
)
def test_an_edit_that_would_change_another_instruction_is_refused(edit: Edit) -> None:
    with pytest.raises(DockerfileError):
        edited(parse(TEXT), [edit])


def test_a_comment_above_may_become_another() -> None:
    assert "# since\nRUN" in edited(parse(TEXT), [at("# why", "# since")]).text


def test_edits_that_overlap_are_refused() -> None:
    with pytest.raises(DockerfileError, match="overlap"):
        edited(parse(TEXT), [at("b &&", "x"), at("&&", "y")])


def test_lines_know_the_line_they_came_from() -> None:
    edits = [at("# why\n", ""), at("c", "c \\\n    && e")]
    after = edited(parse(TEXT), edits).text
    origins = line_origins(TEXT, range(1, 7), edits, "\n")
    assert dict(zip(after.split("\n"), origins, strict=False)) == {
        "FROM a": 1,
        "RUN b && \\": 3,
        "    c \\": 4,
        "    && e": 4,
        "CMD d": 5,
    }


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n"])
@pytest.mark.parametrize(
    ("before", "after"), [("a\nb\nc", "a\nx\nc"), ("a", "a\nb"), ("a\nb", "b"), ("a\n\x0cb", "\x0cb")]
)
def test_patch_applies_the_diff(tmp_path: Path, before: str, after: str, newline: str, last: str) -> None:
    old, new = (f"{text}{last}".replace("\n", newline) for text in (before, after))
    assert patched(tmp_path, old, unified_diff(old, new, "Dockerfile")) == new.encode()


def test_equal_texts_differ_in_nothing() -> None:
    assert unified_diff(TEXT, TEXT, "Dockerfile") == ""


def patched(folder: Path, text: str, diff: str) -> bytes:
    """What the program `patch` makes of a text."""
    file = folder / "Dockerfile"
    file.write_bytes(text.encode())
    command = ["patch", "--quiet", "--binary", "--strip=1"]
    subprocess.run(command, cwd=folder, input=diff.encode(), check=True, timeout=20)
    return file.read_bytes()


def rule(technique: str, propose: object, needs: str = "") -> Rule:
    return Rule(technique, "title", needs, "proof", propose)  # type: ignore[arg-type]


def replacing(part: str, replacement: str) -> Rule:
    def propose(draft: Draft) -> Proposal:
        if part not in draft.document.text:
            return Proposal(passed_over="nothing there")
        return Proposal((Step((at(part, replacement, draft.document.text),), 1, "Because of a test."),))

    return rule(f"R{ord(part[0])}", propose)


def test_each_rule_sees_what_those_before_it_left() -> None:
    result = rewrite(TEXT, [replacing("b", "z"), replacing("z", "y"), replacing("b", "x")])
    assert result.text == TEXT.replace("b", "y")
    assert result.techniques == ("R98", "R122")
    assert result.left_out == {"R98": "nothing there"}


def test_a_rule_whose_edits_do_harm_is_left_out_and_the_others_hold() -> None:
    result = rewrite(TEXT, [replacing("d\n", "d \\\nRUN"), replacing("FROM", "FORM"), replacing("b", "z")])
    assert result.text == TEXT.replace("b", "z").replace("d\n", "d \\\nRUN")
    assert list(result.left_out) == ["R70"]


def test_a_rule_that_needs_facts_is_not_asked_without_them() -> None:
    def never(draft: Draft) -> Proposal:
        assert draft.image is not None
        return Proposal()

    assert rewrite(TEXT, [rule("R3", never, "the layers")]).left_out == {"R3": "needs the layers"}
    assert rewrite(TEXT, [rule("R3", never, "the layers")], image=ImageFacts("a", 1, "none")).left_out == {}


def test_unknown_rules_levels_and_stages_are_refused() -> None:
    with pytest.raises(SettingsError):
        chosen_rules("bold")
    with pytest.raises(SettingsError):
        chosen_rules(rules=["R99"])
    with pytest.raises(DockerfileError):
        rewrite(TEXT, [], stage="none")


def test_levels_contain_each_other() -> None:
    safe, balanced, aggressive = (
        {rule.technique for rule in chosen_rules(level)} for level in ("safe", "balanced", "aggressive")
    )
    assert safe < balanced < aggressive
    assert "R4" not in {rule.technique for rule in chosen_rules(without=["R4"])}
    assert [rule.technique for rule in chosen_rules(rules=["R15", "R4"])] == ["R15", "R4"]
