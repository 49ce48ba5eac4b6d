"""What of a folder goes to the builder: .dockerignore, sizes, and contexts that cannot be used."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from imgopt_pipeline.builds.builder.contexts import (
    ContextUnreadable,
    context_entries,
    effective_ignore_text,
    measure_context,
    write_context,
)
from imgopt_pipeline.dockerfiles.ignore_file import ignore_file
from imgopt_pipeline.errors import LimitExceeded

FILES = (
    "a.md",
    "b.md",
    "docs/c.md",
    "docs/deep/d.md",
    "node_modules/x/e.js",
    "src/node_modules/f.js",
    "src/g.py",
    ".env",
)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for number, name in enumerate(FILES, start=1):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(number))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", set(FILES)),
        ("# a comment\n\n  \n", set(FILES)),
        ("*.md", set(FILES) - {"a.md", "b.md"}),
        ("**/*.md", {name for name in FILES if not name.endswith(".md")}),
        ("node_modules", set(FILES) - {"node_modules/x/e.js"}),
        ("node_modules/", set(FILES) - {"node_modules/x/e.js"}),
        ("/node_modules", set(FILES) - {"node_modules/x/e.js"}),
        ("**/node_modules", {name for name in FILES if "node_modules" not in name}),
        ("docs\n!docs/deep", set(FILES) - {"docs/c.md"}),
        ("docs/*\n!docs/deep/d.md", set(FILES) - {"docs/c.md"}),
        ("*\n!src/**/*.py\n!src/*.py", {"src/g.py"}),
        ("!a.md\n*.md", set(FILES) - {"a.md", "b.md"}),
        ("./docs/../docs/deep", set(FILES) - {"docs/deep/d.md"}),
        ("?.md", set(FILES) - {"a.md", "b.md"}),
        ("[ab].md\n.env\r\n", set(FILES) - {"a.md", "b.md", ".env"}),
    ],
)
def test_dockerignore(context: Path, text: str, left: set[str]) -> None:
    entries = context_entries(context, ignore_file(text.splitlines()))
    assert {path for path, entry in entries if entry.is_file()} == left


def test_sizes_follow_dockerignore(context: Path) -> None:
    (context / ".dockerignore").write_text("**/node_modules\n.*\n")
    assert measure_context(context, None, 1_000).size_bytes == 1 + 2 + 3 + 4 + 7
    assert measure_context(context, "", 1_000).files == len(FILES) + 1


def test_a_large_context_names_who_is_to_blame(context: Path) -> None:
    with (context / "src/data.bin").open("wb") as file:
        file.truncate(50_000_000_000)
    with pytest.raises(LimitExceeded, match=r"50 GB would go to the builder.*mostly src \(50 GB\)") as raised:
        measure_context(context, None, 10_000_000_000)
    assert "`/src`" in raised.value.hint
    assert measure_context(context, "src/*.bin", 10_000_000_000).files == len(FILES)


@pytest.mark.parametrize("name", ["missing", "a.md"])
def test_no_folder(context: Path, name: str) -> None:
    with pytest.raises(ContextUnreadable):
        measure_context(context / name, None, 1_000)


def test_links_are_not_followed(context: Path) -> None:
    (context / "loop").symlink_to(context)
    (context / "out").symlink_to("/etc")
    assert measure_context(context, None, 1_000_000).files == len(FILES)


def test_the_dockerfiles_own_ignore_file_wins(context: Path) -> None:
    (context / ".dockerignore").write_text("a.md")
    dockerfile = context / "api.Dockerfile"
    assert effective_ignore_text(context, dockerfile) == "a.md"
    (context / "api.Dockerfile.dockerignore").write_text("b.md")
    assert effective_ignore_text(context, dockerfile) == "b.md"
    assert effective_ignore_text(context) == "a.md"


def test_the_tar_for_the_classic_builder(context: Path) -> None:
    os.symlink("a.md", context / "link")
    target = io.BytesIO()
    write_context(context, "docs\n", {".imgopt.Dockerfile": "FROM scratch\n"}, target)
    target.seek(0)
    with tarfile.open(fileobj=target) as tar:
        names = {member.name for member in tar if not member.isdir()}
        hidden = tar.extractfile(".dockerignore")
        assert hidden is not None and hidden.read() == b"docs\n\n.imgopt.Dockerfile\n"
        assert tar.getmember("link").linkname == "a.md"
    added = {".imgopt.Dockerfile", ".dockerignore", "link"}
    assert names == {name for name in FILES if not name.startswith("docs")} | added
