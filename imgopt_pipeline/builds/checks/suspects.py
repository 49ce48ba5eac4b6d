"""Which rules a failure points at, by what it says."""

from __future__ import annotations

import re

from imgopt_pipeline.builds.checks.subjects import CheckContext

_SIGNS = (
    (r"libcu\w+\.so|libnv\w+\.so|libtorch_cuda|triton|\bcuda|nvidia", ("R1", "R18", "R16")),
    (r"\btests?\b|\btesting\b|conftest|\bdocs?\b|_tests?\b|\.pyc\b", ("R9",)),
    (
        r"\.so[.\d]*\b.*(?:cannot open|not found|no such)|shared (?:object|library)|GLIBC|symbol",
        ("R3", "R8", "R4", "R16", "R14"),
    ),
    (r"\bELF\b|invalid ELF header|relocation", ("R14", "R8")),
    (r"\b(?:g?cc|g\+\+|c\+\+|clang|nvcc|ninja|make)\b|\.h\b|compiler|header", ("R15", "R3", "R16", "R4")),
    (r"Cannot find (?:module|package)|ERR_MODULE_NOT_FOUND|MODULE_NOT_FOUND", ("R7", "R13", "R10", "R3")),
    (r"ModuleNotFoundError|No module named|ImportError|PackageNotFoundError", ("R9", "R3", "R1", "R2", "R10")),
    (r"certificate|\bCA\b|SSL", ("R4", "R3", "R8")),
    (r"Permission denied|EACCES|PermissionError|Operation not permitted", ("R12", "R3", "R8")),
    (r"No such file|FileNotFoundError|ENOENT|not found|does not exist", ("R3", "R10", "R4", "R9", "R13", "R8", "R7")),
)
_ANY = ("R9", "R13", "R3", "R15", "R14", "R16", "R8", "R4", "R1", "R7", "R10", "R18", "R2", "R12", "R17")


def suspects_of(text: str, context: CheckContext) -> tuple[str, ...]:
    """The applied rules that such a text points at, the likeliest first; empty where it points at none."""
    pointed = (rule for pattern, rules in _SIGNS if re.search(pattern, text, re.IGNORECASE) for rule in rules)
    return context.applied(*dict.fromkeys(pointed))


def every_suspect(text: str, context: CheckContext) -> tuple[str, ...]:
    """The same, and after them the other applied rules that can keep an application from running."""
    return tuple(dict.fromkeys((*suspects_of(text, context), *context.applied(*_ANY))))
