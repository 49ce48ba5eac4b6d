"""Every guarantee of docs/guide/guarantees.md names tests, and these exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PAGE = TOP / "docs/guide/guarantees.md"
HEADING = ["guaranteed", "how far", "tests"]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def tables() -> Iterator[list[list[str]]]:
    """The page's tables, each as rows of cells, the heading first."""
    for lines in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.M):
        yield [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()]


def guarantees() -> Iterator[list[str]]:
    """What is guaranteed, how far, and by which tests."""
    for _, _, *rows in tables():
        yield from rows


@cache
def defined_in(file: str) -> frozenset[str]:
    """The tests that a file defines."""
    tree = ast.parse((TOP / file).read_text())
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_each_kind_of_action_has_a_table() -> None:
    assert [heading for heading, *_ in tables()] == [HEADING] * 4


@pytest.mark.parametrize("row", list(guarantees()), ids=lambda row: row[0])
def test_a_guarantee_names_tests_that_exist(row: list[str]) -> None:
    assert len(row) == len(HEADING) and all(row)
    named = NAMED.findall(row[2])
    assert ", ".join(f"`{file}::{name}`" for file, name in named) == row[2], "nothing but tests, and at least one"
    for file, name in named:
        assert name in defined_in(file), f"{file} has no {name}"
