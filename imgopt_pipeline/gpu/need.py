"""Whether a GPU is needed: what code and packages say, and what settings tell the program.

Belongs here: the meaning of evidence about need. Which settings are read at all stands in
`hosts.gpu_settings`; what the sources say in `sources`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from imgopt_pipeline.gpu.evidence import Evidence

_HIDING = frozenset({"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"})
_HIDDEN = frozenset({"", "-1", "none", "void"})
_DEVICE = re.compile(r"(?:^|_)DEVICE(?:_TYPE|_NAME)?$", re.IGNORECASE)
_WISH = re.compile(r"(?:^|_)(?:(USE|ENABLE|FORCE|WITH)|(NO|DISABLE))_(GPU|CUDA|CPU)$", re.IGNORECASE)
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})
_GPU = re.compile(r"(?:cuda|gpu|hip|rocm)(?::\d+)?", re.IGNORECASE)


TOLD = frozenset({"cpu", "gpu", "gpu if there is one", "hidden"})
"""Values of evidence that come from settings; the others come from code and packages."""

_REASONS = {
    "cpu": "it is told to use the CPU",
    "hidden": "GPUs are hidden from it",
    "none": "its code asks for the CPU",
    "optional": "its code goes on without one",
    "configurable": "its code takes the device that it is told",
    "gpu if there is one": "it is told to use one only where there is one",
}
_DEMANDS = frozenset({"required", "gpu"})


def told_by_environment(environment: Mapping[str, str], whose: str) -> Iterator[Evidence]:
    """What a program is told by its environment. `whose`: in words, whose environment that is."""
    for name, value in environment.items():
        meaning = _meaning(name, value)
        if meaning:
            shown = f"{name}={value}" if value else f"{name} set to nothing"
            yield Evidence(
                "need", f"{whose} has {shown}: {_TOLD_WORDS[meaning]}", f"environment {name}", "high", meaning
            )


def told_by_arguments(arguments: Sequence[str]) -> Iterator[Evidence]:
    """What it is told by arguments of its command, in the form `--device cpu`."""
    for argument in arguments:
        option, _, value = argument.partition(" ")
        meaning = _meaning(option.lstrip("-").replace("-", "_").upper(), value or "true")
        if meaning:
            yield Evidence("need", f"its command has {argument}: {_TOLD_WORDS[meaning]}", "command", "high", meaning)


def need_of(evidence: Iterable[Evidence], build: str) -> str:
    """required, likely, optional, none or unknown, from all pieces about need.

    Arguments go before the environment. Being told to use the CPU contradicts code that demands a GPU: then
    a person has to look (likely).
    """
    pieces = [piece for piece in evidence if piece.aspect == "need"]
    code = {piece.value for piece in pieces if piece.value not in TOLD}
    by_command = {piece.value for piece in pieces if piece.value in TOLD and piece.source == "command"}
    told = by_command or {piece.value for piece in pieces if piece.value in TOLD}
    if "gpu" in told:
        return "likely" if "optional" in code else "required"
    if "cpu" in told:
        return "likely" if "required" in code else "none"
    if "required" in code:
        # Some places ask first and others do not: which of them run cannot be told from the text.
        return "likely" if "optional" in code else "required"
    if "hidden" in told:
        return "none"
    if "likely" in code or ("default" in code and "optional" not in code):
        return "likely"
    if code & {"optional", "configurable"} or "gpu if there is one" in told:
        return "optional"
    return "none" if "none" in code or build in ("cpu", "none") else "unknown"


def reason_without(need: str, evidence: Sequence[Evidence]) -> str:
    """Why it does without a GPU, in words that go on after `and`; `need` is none, optional or unknown."""
    values = {piece.value for piece in evidence if piece.aspect == "need"}
    if need == "unknown":
        return "nothing was found that demands one"
    fitting = _REASONS if need == "none" else dict(list(_REASONS.items())[3:])
    return next((words for value, words in fitting.items() if value in values), "nothing in it asks for one")


def demand(evidence: Iterable[Evidence]) -> str:
    """Where a GPU is demanded, as an addition in brackets; empty where nothing demands one."""
    pieces = [piece for piece in evidence if piece.aspect == "need" and piece.value in _DEMANDS]
    return f" ({pieces[0].source})" if pieces else ""


def _meaning(name: str, value: str) -> str:
    text = value.strip().lower()
    if name.upper() in _HIDING:
        return "hidden" if text in _HIDDEN else ""
    if _DEVICE.search(name):
        return "cpu" if text == "cpu" else "gpu" if _GPU.fullmatch(text) else ""
    if name.upper() in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME"):
        return "cpu" if text == "cpu" else ""
    wish = _WISH.search(name)
    if wish is None or text not in _YES | _NO:
        return ""
    wants = (text in _YES) == bool(wish[1])
    if wish[3].upper() == "CPU":
        return "cpu" if wants else ""
    return "gpu if there is one" if wants else "cpu"


_TOLD_WORDS = {
    "cpu": "it is told to use the CPU",
    "hidden": "GPUs are hidden from it",
    "gpu": "it is told to use a GPU",
    "gpu if there is one": "it is told to use a GPU where there is one",
}
