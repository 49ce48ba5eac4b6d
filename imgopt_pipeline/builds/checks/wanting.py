"""What an application that does not start says it lacks: a variable, or a host it looked for.

Reads the end of a log, which may hold anything. Only names come out of it, never values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_VARIABLE = r"([A-Z][A-Z0-9_]{1,80})"
_HOST = r"([A-Za-z0-9](?:[A-Za-z0-9_.-]{0,100}[A-Za-z0-9])?)"
_VARIABLES = (
    rf"KeyError: ['\"]{_VARIABLE}['\"]",
    rf"(?i:environment variable)s?[ :]+['\"`]?{_VARIABLE}\b",
    rf"{_VARIABLE}['\"`]? (?i:environment variable)",
    rf"process\.env\.{_VARIABLE}",
    rf"(?i:set the|missing|required|must set|must provide|no) ['\"`]?{_VARIABLE}['\"`]?(?: (?i:setting|variable)|\b)",
    rf"['\"`]?{_VARIABLE}['\"`]?:? (?i:is not set|is not defined|is required|is missing|not set|is unset|undefined)",
    rf"['\"`]?{_VARIABLE}['\"`]?:? (?i:must be set|must not be empty|must be provided)",
    rf"(?m)^\s*{_VARIABLE}: (?i:unbound variable|parameter not set|parameter null or not set)",
    rf": {_VARIABLE}: (?i:unbound variable|parameter not set|parameter null or not set)",
    rf"(?i:UndefinedValueError: ){_VARIABLE}\b",
)
_FIELD = re.compile(r"(?m)^([A-Za-z_]\w{0,80})\r?\n\s+Field required")
_HOSTS = (
    rf"getaddrinfo (?:ENOTFOUND|EAI_AGAIN) {_HOST}",
    rf"could not translate host name ['\"]{_HOST}['\"]",
    rf"(?i:unknown (?:mysql server )?host):? ['\"]?{_HOST}",
    rf"lookup {_HOST}(?: on [\d.:]+)?: (?:no such host|server misbehaving|dial)",
    rf"(?i:failed to resolve) ['\"]{_HOST}['\"]",
    rf"(?i:could not resolve host|cannot resolve|unable to resolve host):? ['\"]?{_HOST}",
    rf"bad address '{_HOST}",
    rf"host='{_HOST}', port=\d+",
    rf"Can't connect to (?:MySQL )?server on '{_HOST}",
    rf"(?i:connecting to) {_HOST}:\d+\. Name or service not known",
    rf"(?i:connection to server at|connect to host) ['\"]{_HOST}['\"]",
    rf"{_HOST}:\d{{2,5}}: \[Errno -[235]\]",
)
_REFUSED = re.compile(rf"(?:ECONNREFUSED|connect: connection refused|dial tcp) (?:::1|{_HOST}):(\d{{2,5}})")
_UNNAMED_HOST = re.compile(
    r"Name or service not known|Temporary failure in name resolution|getaddrinfo failed|bad address"
)
_DULL = {"localhost", "error", "host", "at", "the", "is", "a"}
_WORDS = {
    "ERROR",
    "NOT",
    "NO",
    "FOUND",
    "PATH",
    "INFO",
    "WARNING",
    "SSL",
    "URL",
    "API",
    "HTTP",
    "JSON",
    "CRITICAL",
    "FATAL",
}
_LOOK_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names of variables and of hosts. `services`: ports of its own machine that refused it; `unnamed`: a host that
    its log does not name."""

    variables: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    unnamed: bool = False

    def __bool__(self) -> bool:
        return bool(self.variables or self.hosts or self.services or self.unnamed)


def wanted_by(log: str) -> Wanted:
    """What the end of a log asks for."""
    text = log[-_LOOK_BYTES:]
    variables = dict.fromkeys(name for pattern in _VARIABLES for name in re.findall(pattern, text))
    variables |= dict.fromkeys(name.upper() for name in _FIELD.findall(text))
    hosts = dict.fromkeys(name for pattern in _HOSTS for name in re.findall(pattern, text))
    refused = {(host, port) for host, port in _REFUSED.findall(text)}
    named = tuple(name for name in hosts if name.lower() not in _DULL and not _numeric(name))
    return Wanted(
        tuple(name for name in variables if name not in _WORDS),
        named,
        tuple(sorted({port for host, port in refused if not host or host == "localhost" or _numeric(host)})),
        unnamed=not named and bool(_UNNAMED_HOST.search(text)),
    )


def advice(wanted: Wanted, reference: str) -> str:
    """In words what was asked for, and how settings give a stand-in."""
    said = []
    if wanted.variables:
        said.append(f"the variable {' and '.join(wanted.variables[:5])}")
    if wanted.hosts:
        said.append(f"the host {' and '.join(wanted.hosts[:5])}")
    if wanted.services and not wanted.hosts:
        said.append(f"a service on port {' and '.join(wanted.services[:5])} of its own machine")
    if wanted.unnamed:
        said.append("a host by a name that its log does not tell")
    settings = []
    if wanted.variables:
        values = ", ".join(f"{name}: …" for name in wanted.variables[:5])
        settings.append(f"environment: {{{values}}}")
    if wanted.hosts or wanted.services or wanted.unnamed:
        names = wanted.hosts[:5] or ("NAME",)
        doubles = ", ".join(f"{name}: {{image: {_double(name)}}}" for name in names)
        settings.append(f"doubles: {{{doubles}}}")
    return (
        f"It asked for {', and '.join(said)}, which isolation does not have; give a stand-in in imgopt.yaml:"
        f' targets: {{"{reference}": {{{", ".join(settings)}}}}}'
    )


def _double(name: str) -> str:
    lowered = name.lower()
    known = {
        "redis": "redis:7",
        "cache": "redis:7",
        "mysql": "mysql:8",
        "maria": "mariadb:11",
        "mongo": "mongo:7",
        "rabbit": "rabbitmq:3",
    }
    known |= {"postgres": "postgres:16", "pg": "postgres:16", "db": "postgres:16", "database": "postgres:16"}
    return next((image for word, image in known.items() if word in lowered), "IMAGE")


def _numeric(name: str) -> bool:
    return name.replace(".", "").isdecimal()
