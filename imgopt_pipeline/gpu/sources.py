"""Whether an application's own Python sources need a GPU.

Chooses the sources among an image's documents, parses them, and weighs what they say: a GPU written into
code that something calls is a need, unless the code asks first. Nothing is executed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from imgopt_pipeline.gpu.device_mentions import Function, Mention, ModuleDevices, devices_of
from imgopt_pipeline.gpu.evidence import Evidence
from imgopt_pipeline.gpu.expressions import parse
from imgopt_pipeline.layers.documents import LIBRARIES
from imgopt_pipeline.names import printable
from imgopt_pipeline.units import count

SOURCE_BYTES = 250_000
"""Larger sources are passed over: they are data or generated, and Python's parser is slow on some of them."""

_SOURCES = 5_000
_ALL_BYTES = 50_000_000
_SECONDS = 20.0
_EVIDENCE = 30
_TEXT_CHARACTERS = 200

_LIBRARY = re.compile(LIBRARIES)
_NOT_RUN = re.compile(
    r"(?:^|/)(?:tests?|testing|examples?|docs?|benchmarks?|notebooks|vendor|_vendor|third_party|\.?venv|env|build|dist|\.git)/"
    r"|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest|setup)\.py$"
)
_WORTH_PARSING = re.compile(rb"cuda|gpu|device|compute_type|accelerator", re.IGNORECASE)
_IDENTIFIER = re.compile(rb"[A-Za-z_]\w*")

_MEANING = {
    "hard": ("required", "high"),
    "default": ("default", "medium"),
    "half": ("likely", "medium"),
    "fallback": ("optional", "high"),
    "auto": ("optional", "high"),
    "environment": ("configurable", "high"),
    "cpu": ("none", "medium"),
    "hidden": ("none", "high"),
}


@dataclass(frozen=True, slots=True)
class SourceEvidence:
    """What the sources say about the need of a GPU. `sources`: how many were looked at."""

    evidence: tuple[Evidence, ...] = ()
    sources: int = 0
    warnings: tuple[str, ...] = ()


def source_evidence(documents: Mapping[str, bytes]) -> SourceEvidence:
    """Look through the Python sources among an image's documents, by path in the form of `names.printable`."""
    names = [path for path in documents if path.endswith(".py") and not _LIBRARY.search(path)]
    chosen = sorted(path for path in names if not _NOT_RUN.search(path))
    passed_over: list[str] = []
    modules: dict[str, ModuleDevices] = {}
    others: set[str] = set()
    left_bytes, deadline = _ALL_BYTES, time.monotonic() + _SECONDS
    looked_at = 0
    for path in chosen[:_SOURCES]:
        content = documents[path]
        left_bytes -= len(content)
        if left_bytes < 0 or time.monotonic() > deadline:
            break
        looked_at += 1
        if not _WORTH_PARSING.search(content):
            others.update(name.decode() for name in _IDENTIFIER.findall(content[:SOURCE_BYTES]))
            continue
        if len(content) > SOURCE_BYTES:
            passed_over.append(f"{path} is too large to be parsed; what it says of devices is not known.")
            continue
        tree = parse(content)
        if tree is None:
            passed_over.append(f"{path} is no Python that can be parsed; what it says of devices is not known.")
        else:
            modules[path] = devices_of(tree)
    evidence = list(_evidence(modules, others))[:_EVIDENCE]
    if looked_at < len(chosen):
        left = f"{count(len(chosen) - looked_at, 'Python source')} of {len(chosen):,} {_were(len(chosen) - looked_at)}"
        passed_over.insert(0, f"{left} not looked at.")
        statement = f"{left} not looked at: what the code needs may be incomplete"
        evidence.insert(0, Evidence("need", statement, chosen[looked_at], "weak", "unknown"))
    return SourceEvidence(tuple(evidence), looked_at, tuple(passed_over[:_EVIDENCE]))


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _evidence(modules: Mapping[str, ModuleDevices], others: set[str]) -> Iterator[Evidence]:
    """The weightiest first, one for each line."""
    called = _called(list(modules.values()), others)
    rows = [
        _judged(path, mention, mention.function is None or id(module.functions[mention.function]) in called)
        for path, module in modules.items()
        for mention in module.mentions
    ]
    order = {
        value: rank
        for rank, value in enumerate(("required", "likely", "default", "optional", "configurable", "none", "unknown"))
    }
    seen: set[tuple[str, str]] = set()
    for row in sorted(rows, key=lambda row: order[row.value]):
        if (row.source, row.value) not in seen:
            seen.add((row.source, row.value))
            yield row


def _judged(path: str, mention: Mention, is_called: bool) -> Evidence:
    value, weight = _MEANING[mention.kind]
    statement = printable(mention.text[:_TEXT_CHARACTERS])
    if not is_called and value in ("required", "likely", "default"):
        value, weight, statement = "unknown", "weak", f"{statement}, in a function that nothing seems to call"
    return Evidence("need", statement, f"{path}:{mention.line}", weight, value)


def _called(modules: Sequence[ModuleDevices], others: set[str]) -> set[int]:
    """Identities of the functions that something may call, judged by names alone: rather one too many."""
    by_name: dict[str, list[Function]] = {}
    names = set(others)
    called: set[int] = set()
    for module in modules:
        names |= module.references
        for function in module.functions:
            by_name.setdefault(_called_as(function), []).append(function)
            if function.open or not _called_as(function):
                called.add(id(function))
                names |= function.references
    waiting = list(names)
    while waiting:
        for function in by_name.pop(waiting.pop(), ()):
            called.add(id(function))
            waiting += function.references
    return called


def _called_as(function: Function) -> str:
    """The name whose mention calls it: that of the class for `__init__` and its like."""
    return function.owner if function.name.startswith("__") else function.name
