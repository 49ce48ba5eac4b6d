r"""Names from images, made safe to store and to print without losing a byte.

A path or label in an image may hold any bytes: terminal escapes, line breaks, invalid UTF-8. Every
name passes through `printable` where it is read, so that tables, terminals and pages only ever meet
printable text. The form is reversible: a backslash stands doubled, a raw byte or an ASCII control
character as `\xNN`, every other unprintable character as `\uNNNN` or `\UNNNNNNNN`.
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\(?:(\\)|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def printable(name: str | bytes) -> str:
    """`name` with everything a terminal or a table could trip over written as an escape."""
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_escape, text))


def original(text: str) -> bytes:
    """The bytes `printable` was given."""
    return _ESCAPED.sub(_unescape, text).encode("utf-8", "surrogateescape")


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return "\\"
    code = int(match[2] or match[3] or match[4], 16)
    return chr(code + 0xDC00) if match[2] and code >= 0x80 else chr(code)
