"""Names made safe to print come back byte for byte, and nothing unprintable is left in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.names import original, printable


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"plain/name.txt", "plain/name.txt"),
        (b"", ""),
        (b" spaces stay ", " spaces stay "),
        ("ümläut/日本/🐳".encode(), "ümläut/日本/🐳"),
        (b"back\\slash", "back\\\\slash"),
        (b"\\x1b", "\\\\x1b"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        (b"two\nlines\r\ttab\0nul\x7fdel", "two\\x0alines\\x0d\\x09tab\\x00nul\\x7fdel"),
        (b"not\xff\xfeutf8", "not\\xff\\xfeutf8"),
        (b"\xc3", "\\xc3"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        ("\u202eright to left".encode(), "\\u202eright to left"),
        ("no\u00a0break \u2028line \u0085next".encode(), "no\\u00a0break \\u2028line \\u0085next"),
        ("\U000e0001tag".encode(), "\\U000e0001tag"),
    ],
)
def test_forms(name: bytes, text: str) -> None:
    assert printable(name) == text
    assert original(text) == name


@given(st.binary())
def test_any_bytes_come_back(name: bytes) -> None:
    text = printable(name)
    assert text.isprintable()
    assert original(text) == name


@given(st.text())
def test_text_is_taken_as_well(name: str) -> None:
    assert printable(name) == printable(name.encode("utf-8", "surrogatepass")) or not name.isascii()
    assert printable(name).isprintable()


@given(st.binary(), st.binary())
def test_different_names_stay_different(one: bytes, two: bytes) -> None:
    assert (printable(one) == printable(two)) == (one == two)
