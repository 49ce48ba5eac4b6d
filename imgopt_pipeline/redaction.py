"""Takes credentials out of text that an image or a container carries, before it is stored or shown.

Build arguments and environment values are dropped whole; elsewhere values whose name says that they
are secret, user info in URLs, authorization headers and private keys are replaced. From what a program wrote
goes also what is known of the values that it was given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote, unquote

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
_PRIVATE_KEY = re.compile(
    r"(-----BEGIN (?!CERTIFICATE|PUBLIC|X509)[A-Z0-9 ]{1,40}-----)"
    r"(?=[\s\\rn]{0,16}(?:[A-Z][A-Za-z-]{2,20}: |[A-Za-z0-9+/=]{16}))(?:[A-Za-z0-9+/=:,\s\\]|-(?!----))*+"
)
_BUILD_ARGUMENTS = re.compile(r"^((?:RUN )?\|\d+ )(.*?)(?= /\S+ -\w*c |$)", re.DOTALL)
_ENVIRONMENT = re.compile(r"^((?:/bin/sh -c #\(nop\)\s+)?(?:ENV|ARG)\s+)(.*)$", re.DOTALL)
# No name: what ends in `=`, as the last line of a key in base64 does.
_NAME = re.compile(r"(?:^|\s)([A-Za-z_]\w*)=(?!=|\s|$)")

#: No secret is shorter, and every number would go.
_LEAST_CHARACTERS = 4
_MOST_PARTS = 10_000
_LONE_USER_CHARACTERS = 16
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_LINE_BREAK = re.compile(r"[\r\n]|\\[rn]")
_USER_INFO = re.compile(r"(?i)[a-z][a-z0-9+.-]{0,31}://([^/\s\"']{1,1024})@")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*+)\"|'([^']*+)'")
_ASSIGNED = re.compile(r"(?<![\w.-])[\w.-]{1,64}\s{0,4}[=:]\s{0,4}([^\s;,&|\"'{}\[\]]++)")
_ANSI = re.compile(r"\x1b\[[0-9;?]{0,64}[ -/]{0,8}[@-~]")
#: As the lines of a key are, and neither a hash in hexadecimal digits nor most paths.
_BASE64 = re.compile(
    r"(?<![\w+/=.-])(?=[a-z0-9+/]{0,48}[A-Z])(?=[A-Z0-9+/]{0,48}[a-z])(?=[A-Za-z+/]{0,48}[0-9])"
    r"[A-Za-z0-9+/]{48,}+={0,2}(?![\w+/=.-])"
)


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
    return _SHAPES.sub(HIDDEN, _PRIVATE_KEY.sub(rf"\1{HIDDEN}", text))


def secret_parts(values: Iterable[str]) -> tuple[str, ...]:
    """What must not be seen of values that a program was given, the longest first.

    They whole, each of their lines, passwords of URLs, and what is quoted or has a name in lists and in JSON: each as
    it is and as programs quote it. Certificates are public.
    """
    parts = {part.strip() for value in values for part in _parts(_CERTIFICATE.sub("", value))}
    forms = {form for part in parts if len(part) >= _LEAST_CHARACTERS for form in _forms(part)}
    return tuple(
        sorted((form for form in forms if len(form) >= _LEAST_CHARACTERS), key=lambda form: (-len(form), form))
    )


def redact_log(text: str, parts: Sequence[str]) -> str:
    """What a program wrote, without `parts` (see `secret_parts`), without what looks like a secret and without colours.

    Nothing of it where there are more parts than can be looked for.
    """
    if len(parts) > _MOST_PARTS:
        return HIDDEN
    text = _ANSI.sub("", text)
    for part in parts:
        text = text.replace(part, HIDDEN)
    return _BASE64.sub(HIDDEN, redact_text(text))


def redact_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without the values of those whose name says that they are secret."""
    return {
        name: HIDDEN if _SECRET.search(name.rpartition("/")[2]) else redact_text(value)
        for name, value in labels.items()
    }


def _names_only(assignments: str) -> str:
    return " ".join(f"{name}={HIDDEN}" for name in _NAME.findall(assignments))


def _parts(value: str) -> Iterator[str]:
    yield value
    yield from value.splitlines()
    yield from _LINE_BREAK.split(value)
    for pattern in (_QUOTED, _ASSIGNED):
        yield from (part for match in pattern.finditer(value) for part in match.groups("") if part)
    for match in _USER_INFO.finditer(value):
        user, _, password = match[1].partition(":")
        yield from (match[1], password)
        # Beside a password it is a name, unless it is long.
        if not password or len(user) >= _LONE_USER_CHARACTERS:
            yield user


def _forms(part: str) -> set[str]:
    """A part as it is, and as programs quote it."""
    quoted = {json.dumps(part, ensure_ascii=ascii_only)[1:-1] for ascii_only in (False, True)}
    return {part, *quoted, repr(part)[1:-1], quote(part, safe=""), quote(part), unquote(part)}
