"""Sizes, shares and durations as people write and read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.units import format_bytes, format_percent, format_seconds, parse_bytes


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1049, "1.05 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (8_770_000_000, "8.77 GB"),
        (-1500, "-1.5 kB"),
        (10**21, "1e+03 EB"),
        (None, "–"),
    ],
)
def test_sizes_to_read(size_bytes: int | None, text: str) -> None:
    assert format_bytes(size_bytes) == text


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("2GB", 2_000_000_000),
        ("2 gb", 2_000_000_000),
        ("2g", 2_000_000_000),
        ("500MB", 500_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("1KiB", 1024),
        ("12", 12),
        ("12B", 12),
        ("  7 kB ", 7000),
        (42, 42),
    ],
)
def test_sizes_as_written(text: str | int, size_bytes: int) -> None:
    assert parse_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["", "big", "-1GB", "1.GB", "GB", "1 XB", "1,5GB", "1e3", "٣GB", "1GB 2GB", "1\0GB"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(SettingsError, match="is not a size") as caught:
        parse_bytes(text)
    assert "2GB" in caught.value.hint


@given(st.integers(0, 10**18))
def test_a_size_read_again_is_near(size_bytes: int) -> None:
    assert abs(parse_bytes(format_bytes(size_bytes)) - size_bytes) <= size_bytes * 0.005 + 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (75.2, "1 min 15 s"), (119.7, "2 min 0 s"), (3725, "1 h 2 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(None, "–"), (0.0, "0 %"), (0.8298, "82.9 %"), (0.99999, "99.9 %"), (1.0, "100 %")]
)
def test_shares_are_rounded_down(share: float | None, text: str) -> None:
    assert format_percent(share) == text
