"""Takes credentials out of text that an image or a container carries, before it is stored or shown.

Build arguments and environment values are dropped whole; elsewhere values whose name says that they
are secret, user info in URLs, and authorization headers are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "***"

_SECRET_WORDS = (
    "token(?!iz) secret password passwd passphrase pwd credential auth(?!or) authoriz signature"
    " api[_-]?key access[_-]?key private[_-]?key license[_-]?key db_pass"
)
_SECRET_WORD = f"(?:{'|'.join(_SECRET_WORDS.split())})"
_SECRET = re.compile(_SECRET_WORD, re.IGNORECASE)
_VALUE = r"\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|[^\s;&|]+"
# Every repetition before a value has an end: text of megabytes must not take minutes.
_ASSIGNMENT = re.compile(
    rf"({_SECRET_WORD}[\w.-]{{0,64}}\\?[\"']?\s{{0,8}}(?:=(?!=)|:)\s{{0,8}})(?:{_VALUE})", re.IGNORECASE
)
_OPTION = re.compile(
    rf"((?<![\w.-])--?[\w.-]{{0,64}}?{_SECRET_WORD}[\w.-]{{0,64}}[\"']?[\s,]{{1,8}})(?!-)(?:{_VALUE})", re.IGNORECASE
)
_USER = re.compile(r"((?<!\S)(?:-u|--user)(?:\s{1,8}|=)[\"']?[^\s:\"']{1,256}:)[^\s\"']+")
_URL_USER = re.compile(r"(?i)([a-z][a-z0-9+.-]{0,31}://)[^/\s\"']{1,1024}@")
_HEADER = re.compile(r"(?i)(authorization\s{0,8}[:=]\s{0,8})[^\"'\r\n]+")
_BEARER = re.compile(r"(?i)\b((?:bearer|basic)\s{1,8})[a-z0-9+/=._~-]{8,}")
_SHAPES = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|xox[abprs]-[\w-]{10,}|A[KS]IA[0-9A-Z]{16}|AIza[\w-]{30,}|sk_live_\w{10,}"
    r"|npm_\w{30,}|hf_\w{30,}|pypi-[\w-]{30,}|sk-[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{4,}\.[\w-]{4,})"
)
_BUILD_ARGUMENTS = re.compile(r"^((?:RUN )?\|\d+ )(.*?)(?= /\S+ -\w*c |$)", re.DOTALL)
_ENVIRONMENT = re.compile(r"^((?:/bin/sh -c #\(nop\)\s+)?(?:ENV|ARG)\s+)(.*)$", re.DOTALL)
# No name: what ends in `=`, as the last line of a key in base64 does.
_NAME = re.compile(r"(?:^|\s)([A-Za-z_]\w*)=(?!=|\s|$)")


def redact_history(line: str) -> str:
    """A history line of an image (`created_by`) without build arguments, ENV values or credentials."""
    for pattern in (_BUILD_ARGUMENTS, _ENVIRONMENT):
        line = pattern.sub(lambda match: match[1] + _names_only(match[2]), line)
    return redact_text(line)


def redact_text(text: str) -> str:
    """Free text without values that look like credentials."""
    text = _URL_USER.sub(rf"\1{HIDDEN}@", text)
    for pattern in (_HEADER, _BEARER, _USER, _OPTION, _ASSIGNMENT):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return _SHAPES.sub(HIDDEN, text)


def redact_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without the values of those whose name says that they are secret."""
    return {
        name: HIDDEN if _SECRET.search(name.rpartition("/")[2]) else redact_text(value)
        for name, value in labels.items()
    }


def _names_only(assignments: str) -> str:
    return " ".join(f"{name}={HIDDEN}" for name in _NAME.findall(assignments))
