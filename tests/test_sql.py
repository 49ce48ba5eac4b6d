"""Literals mean the same to DuckDB as the values they came from, also hostile ones."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.sql import literal, with_values

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), TEXT))
def test_round_trip(value: str | int | bool | None) -> None:
    assert duckdb.execute(f"SELECT {literal(value)}").fetchall() == [(value,)]


def test_times() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678)
    assert duckdb.execute(f"SELECT {literal(moment)}").fetchall() == [(moment,)]


def test_names_are_replaced_whole() -> None:
    assert with_values("$a, $ab", {"a": 1, "ab": "it's"}) == "1, 'it''s'"
    with pytest.raises(KeyError):
        with_values("$missing", {})


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        literal("a\0b")
