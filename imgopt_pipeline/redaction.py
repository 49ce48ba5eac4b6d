"""Takes credentials out of text that an image or a container carries, before it is stored or shown.

Build arguments and environment values are dropped whole; elsewhere values whose name says that they
are secret, user info in URLs, and authorization headers are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "***"

_SECRET_WORDS = "token secret password passwd pwd credential auth api[_-]?key access[_-]?key private[_-]?key"
_SECRET_NAME = rf"[\w.-]*(?:{'|'.join(_SECRET_WORDS.split())})[\w.-]*"
_ASSIGNMENT = re.compile(rf"(?i)\b({_SECRET_NAME})(\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s;&|]+)")
_OPTION = re.compile(rf"(?i)(--?{_SECRET_NAME})(\s+)(\"[^\"]*\"|'[^']*'|[^\s;&|-][^\s;&|]*)")
_URL_USER = re.compile(r"(?i)([a-z][a-z0-9+.-]*://)[^/\s:@]*(?::[^/\s@]*)?@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9+/=._~-]{8,}")
_BUILD_ARGUMENTS = re.compile(r"^((?:RUN )?\|\d+ )(.*?)(?= /\S+ -\w*c |$)", re.DOTALL)
_ENVIRONMENT = re.compile(r"^((?:/bin/sh -c #\(nop\)\s+)?(?:ENV|ARG)\s+)(.*)$", re.DOTALL)
_NAME = re.compile(r"(?:^|\s)([A-Za-z_]\w*)=")
_SECRET = re.compile(rf"(?i){_SECRET_NAME}")


def redact_history(line: str) -> str:
    """A history line of an image (`created_by`) without build arguments, ENV values or credentials."""
    for pattern in (_BUILD_ARGUMENTS, _ENVIRONMENT):
        line = pattern.sub(lambda match: match[1] + _names_only(match[2]), line)
    return redact_text(line)


def redact_text(text: str) -> str:
    """Free text without values that look like credentials."""
    text = _URL_USER.sub(rf"\1{HIDDEN}@", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _OPTION.sub(rf"\1\2{HIDDEN}", text)
    return _ASSIGNMENT.sub(rf"\1\2{HIDDEN}", text)


def redact_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without the values of those whose name says that they are secret."""
    return {
        name: HIDDEN if _SECRET.fullmatch(name.rpartition("/")[2]) else redact_text(value)
        for name, value in labels.items()
    }


def _names_only(assignments: str) -> str:
    return " ".join(f"{name}={HIDDEN}" for name in _NAME.findall(assignments))
