"""What a .dockerignore keeps out, by examples from Docker's own reference and a naive model."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.dockerfiles.ignore_file import ignore_file


@pytest.mark.parametrize(
    ("lines", "kept_out", "sent"),
    [
        ("# comment\n\n*.log", ["a.log"], ["logs/a.log", "# comment"]),
        ("/docs/", ["docs", "docs/a/b"], ["src/docs"]),
        ("**/node_modules", ["node_modules", "a/b/node_modules/c"], ["node_modules2"]),
        ("*/temp*", ["a/temporary.txt", "a/temp"], ["temp", "a/b/temp"]),
        ("temp?", ["tempa"], ["temp", "tempab"]),
        ("./src/../build", ["build/x"], ["src/build"]),
        ("*.md\n!README.md", ["NEWS.md"], ["README.md"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["README-secret.md"], ["README.md"]),
        ("*\n!src", ["Dockerfile", ".git/HEAD"], ["src", "src/main.py"]),
        ("docs\n!docs/api/*.md", ["docs/a.md", "docs/api/a/b.txt"], ["docs/api/a.md"]),
        ("\ufeffsecret", ["secret"], []),
    ],
)
def test_as_docker_says(lines: str, kept_out: list[str], sent: list[str]) -> None:
    rules = ignore_file(lines.splitlines())
    assert [path for path in kept_out if not rules.ignores(path)] == []
    assert [path for path in sent if rules.ignores(path)] == []


@pytest.mark.parametrize("line", ["[", "\\", "[z-a]", "!", "..", "!../x", "a\0b"])
def test_lines_that_match_nothing_harm_nothing(line: str) -> None:
    rules = ignore_file([line, "secret"])
    assert not rules.ignores("x")
    assert rules.ignores("secret")


def test_a_folder_is_looked_into_only_where_something_in_it_may_be_sent() -> None:
    rules = ignore_file(["node_modules", ".git", "docs", "!docs/api/*.md"])
    assert rules.ignores_all_below("node_modules")
    assert not rules.ignores_all_below("docs")
    assert not rules.ignores_all_below("docs/api")
    assert rules.ignores_all_below("docs/other")
    assert not ignore_file([".git", "!**/keep"]).ignores_all_below(".git")


_NAMES = st.sampled_from(["a", "b", "ab"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_PARTS = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "?", "[ab]"])
_PATTERNS = st.builds(
    lambda anywhere, parts: ("**/" if anywhere else "") + "/".join(parts),
    st.booleans(),
    st.lists(_PARTS, min_size=1, max_size=3),
)


@given(st.lists(st.tuples(st.booleans(), _PATTERNS), max_size=4), _PATHS)
def test_a_pattern_holds_for_all_below_what_it_matches_and_the_last_one_counts(
    lines: list[tuple[bool, str]], path: str
) -> None:
    parts = path.split("/")
    expected = False
    for brings_back, pattern in lines:
        if any(_matches(parts[:length], pattern) for length in range(1, len(parts) + 1)):
            expected = not brings_back
    rules = ignore_file(f"!{pattern}" if brings_back else pattern for brings_back, pattern in lines)
    assert rules.ignores(path) == expected
    parent = path.rpartition("/")[0]
    if parent and rules.ignores_all_below(parent):
        assert expected


def _matches(parts: list[str], pattern: str) -> bool:
    wanted = pattern.removeprefix("**/").split("/")
    if pattern.startswith("**/"):
        parts = parts[-len(wanted) :]
    return len(parts) == len(wanted) and all(fnmatchcase(part, each) for part, each in zip(parts, wanted, strict=True))
