"""Facts of a build context from its folder, and what of it need not be copied in."""

import os
import time
from pathlib import Path

import pytest

from imgopt_pipeline.dockerfiles.context import ContextError, read_context
from imgopt_pipeline.dockerfiles.facts import ByteRange, ContextFacts, ImageFacts, StepFacts
from imgopt_pipeline.dockerfiles.rewriting import Rewrite, rewrite
from imgopt_pipeline.dockerfiles.rules.kept_out import RULE

COPIED = "FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\n"


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_sizes_are_those_of_what_is_sent(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            ".dockerignore": "*.log\n.git\ndata/*\n!data/keep\n",
            ".git/HEAD": "x" * 100,
            "data/big": "x" * 1000,
            "data/keep/a": "x" * 10,
            "app.log": "x",
            "src/a/b.py": "x" * 20,
            "src/c.py": "x" * 5,
        },
    )
    facts = read_context(tmp_path)
    assert facts.ignored == ("*.log", ".git", "data/*", "!data/keep")
    assert facts.folders == {".dockerignore": 29, "data": 10, "src": 25}


def test_the_dockerfile_s_own_ignore_file_counts_first(tmp_path: Path) -> None:
    _write(tmp_path, {".dockerignore": "a", "docker/api.Dockerfile.dockerignore": "b", "a": "1", "b": "1"})
    assert set(read_context(tmp_path, "docker/api.Dockerfile").folders) == {".dockerignore", "a", "docker"}
    assert set(read_context(tmp_path).folders) == {".dockerignore", "b", "docker"}
    absolute = read_context(tmp_path, str(tmp_path / "docker/api.Dockerfile"))
    assert absolute.ignored == ("b",)


def test_texts_say_how_it_installs(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "requirements.txt": "-r deps/more.list\n-c ../../outside\nflask\n",
            "deps/more.list": "numpy\n",
            "package.json": "{}",
            "web/package.json": '{"name": "web"}',
            "node_modules/left-pad/package.json": "{}",
            "package-lock.json": "x" * 9000,
            ".npmrc": "//registry/:_authToken=secret",
            "pyproject.toml": "x" * 300_000,
        },
    )
    facts = read_context(tmp_path)
    assert facts.texts["deps/more.list"] == "numpy\n"
    assert facts.texts["web/package.json"] == '{"name": "web"}'
    assert len(facts.texts["package-lock.json"]) == 4000
    assert facts.texts[".npmrc"] == ""
    assert facts.texts["pyproject.toml"] == ""
    assert not any("node_modules" in path or "outside" in path for path in facts.texts)
    assert facts.has("package.json")
    assert "secret" not in repr(facts)


def test_hostile_contexts_are_read_within_bounds(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    _write(outside, {"requirements.txt": "secret"})
    context = tmp_path / "context"
    _write(context, {"a/b": "x", "more.txt": "x"})
    os.mkfifo(context / "requirements.txt")
    (context / "requirements-link.txt").symlink_to(outside / "requirements.txt")
    (context / "loop").symlink_to(".")
    (context / "round").symlink_to("round")
    (context / "linked").symlink_to(outside)
    _write(context, {"requirements-dev.txt": "-r linked/requirements.txt\n-r round/x\n-r loop/more.txt\n-r a\\0\n"})
    (context / os.fsdecode(b"\xff\n")).write_text("x")
    facts = read_context(context)
    assert facts.texts["requirements.txt"] == ""
    assert "secret" not in repr(facts)
    assert facts.folders["loop"] == 0
    assert facts.folders["linked"] == 0


def test_the_walk_ends(tmp_path: Path) -> None:
    _write(tmp_path, {f"d/{number}": "x" for number in range(50)})
    assert sum(read_context(tmp_path, entries=10).folders.values()) < 10
    began = time.monotonic()
    read_context(tmp_path, seconds=0)
    assert time.monotonic() - began < 1


def test_a_missing_context_is_said(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="cannot be read"):
        read_context(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(ContextError, match="no folder"):
        read_context(tmp_path / "file")


def _kept_out(text: str, context: ContextFacts | None, image: ImageFacts | None = None) -> Rewrite:
    result = rewrite(text, [RULE], context=context, image=image)
    assert result.text == text
    return result


def test_what_can_be_made_again_and_secrets_are_kept_out() -> None:
    folders = {".git": 90_000_000, ".venv": 400_000_000, "__pycache__": 5000, ".env": 100, "app.py": 100, "src": 1}
    result = _kept_out(COPIED, ContextFacts(folders=folders))
    assert result.ignore_lines == (".git", ".venv", "**/__pycache__", "**/*.pyc", ".env")
    assert "490 MB" in result.changes[0].reason
    assert ".env may hold secrets" in result.changes[0].reason


@pytest.mark.parametrize(
    ("text", "context"),
    [
        (COPIED, None),
        (COPIED, ContextFacts(folders={"app.py": 5})),
        ("FROM a\nCOPY src /app\n", ContextFacts(folders={".git": 10**9})),
        ("FROM a\nCOPY . /app\nCOPY .git/HEAD /app/rev\n", ContextFacts(folders={".git": 10**9})),
        ("FROM a\nCOPY . /app\nRUN git rev-parse HEAD > rev\n", ContextFacts(folders={".git": 10**9})),
        ("FROM a\nCOPY . /app\nRUN cp .git/HEAD rev\n", ContextFacts(folders={".git": 10**9})),
        (COPIED, ContextFacts(folders={".git": 10**9}, texts={"pyproject.toml": 'requires = ["setuptools-scm"]'})),
        ("FROM a\nCOPY . /app\n", ContextFacts(folders={"node_modules": 10**9, ".venv": 10**9})),
        (COPIED, ContextFacts(ignored=("*", "!.git/HEAD"), folders={".git": 10**9})),
        ("FROM a\nRUN npm ci\nCOPY . .\nCOPY ./node_modules/x /x\n", ContextFacts(folders={"node_modules": 10**9})),
        ("FROM node\nCOPY . .\nRUN npm ci && npm run build\n", ContextFacts(folders={".env": 100})),
        ("FROM other AS b\nCOPY . .\nFROM a\nRUN true\n", ContextFacts(folders={".git": 10**9})),
    ],
)
def test_what_may_be_needed_stays(text: str, context: ContextFacts | None) -> None:
    assert _kept_out(text, context).ignore_lines == ()


def test_a_stage_that_is_copied_from_counts() -> None:
    text = "FROM node AS b\nCOPY . .\nRUN npm ci\nFROM node\nCOPY --from=b /app /app\n"
    assert _kept_out(text, ContextFacts(folders={"node_modules": 10**9})).ignore_lines == ("**/node_modules",)


def test_data_is_told_and_left() -> None:
    result = _kept_out(COPIED, ContextFacts(folders={"data": 1_200_000_000, "src": 10**9}))
    assert result.ignore_lines == ()
    assert "data (1.2 GB)" in result.left_out["R10"]


def test_bytes_in_the_image_are_told_where_the_context_is_not_known() -> None:
    steps = {3: StepFacts(2, 10**9, {"R10": ByteRange(1, 80_000_000, 90_000_000)})}
    result = _kept_out(COPIED, None, ImageFacts("app", 10**9, "granted", steps=steps))
    assert "80 MB" in result.left_out["R10"]
