"""The check `gpu`: a candidate sees of a GPU what the image in use sees, or needs none as planned.

Without a GPU in the machine nothing that needs one is ever called passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from typing import Any

import orjson

from imgopt_pipeline.builds.checks.application import Usage
from imgopt_pipeline.builds.checks.image_paths import ImagePaths
from imgopt_pipeline.builds.checks.isolation import Isolation, Refused
from imgopt_pipeline.builds.checks.packages import normalised
from imgopt_pipeline.builds.checks.python_modules import interpreters
from imgopt_pipeline.builds.checks.side_by_side import SideBySide
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.checks.surroundings import Surroundings
from imgopt_pipeline.builds.checks.suspects import every_suspect
from imgopt_pipeline.builds.models import FAILED, PASSED, UNVERIFIED, CheckResult
from imgopt_pipeline.names import printable

NAME = "gpu"
_SECONDS = 120.0
_DENIED = "denied"
_LIBRARIES = ("library", "compiler", "plugin")
_SHOWN = 5


def check_gpu(
    isolation: Isolation, pair: SideBySide, old: Subject, new: Subject, usage: Usage, context: CheckContext
) -> CheckResult:
    """Whether the CPU build is one (R1), or the GPU is seen as before."""
    built = [row for row in old.packages if row["gpu_role"]]
    if not built:
        return CheckResult(NAME, PASSED, "no GPU build", "no GPU build")
    if context.applied("R1"):
        return _cpu_only(isolation, new, usage, context)
    if context.gpu_verdict == _DENIED:
        return CheckResult(NAME, PASSED, "a GPU build that has no GPU", "the same")
    if not context.host_gpu:
        why = "The image may use a GPU, and this host has none to try it with."
        return CheckResult(NAME, UNVERIFIED, detail=" ".join(filter(None, (why, _compiler_gone(old, new)))))
    with_gpu = replace(usage, gpu=True)
    before, after = pair(lambda subject: _seen(isolation, subject, with_gpu), old, new)
    words = (_words(before), _words(after))
    if isinstance(before, str) or not before.get("available"):
        return CheckResult(NAME, UNVERIFIED, *words, "The image in use sees no GPU in isolation.")
    if isinstance(after, str) or after.get("available") != before["available"]:
        suspects = context.applied("R18", "R16", "R15", "R8", "R3") or every_suspect("cuda", context)
        why = f"The image in use sees a GPU ({words[0]}), the candidate does not ({words[1]})."
        return CheckResult(NAME, FAILED, *words, why, suspects=suspects)
    return CheckResult(NAME, PASSED, *words)


def _compiler_gone(old: Subject, new: Subject) -> str:
    """What Triton, which torch.compile uses, would miss: it compiles small C programs when it runs on a GPU."""
    compilers = [any(row["name"] in ("gcc", "clang") for row in subject.packages) for subject in (old, new)]
    if compilers == [True, False] and any(normalised(str(row["name"])) == "triton" for row in new.packages):
        return (
            "torch.compile and Triton would find no C compiler any more; keep it with --without R3,R8 if they are used."
        )
    return ""


def _cpu_only(isolation: Isolation, new: Subject, usage: Usage, context: CheckContext) -> CheckResult:
    left = [
        str(row["name"])
        for row in new.packages
        if row["gpu_role"] in _LIBRARIES and row["ecosystem"] in ("python", "conda") and not _kept(row)
    ]
    if left:
        why = f"Packages for GPUs are in the CPU build: {', '.join(map(printable, left[:_SHOWN]))}."
        return CheckResult(NAME, FAILED, "a GPU build", "still one", why, suspects=context.applied("R1"))
    if not any(normalised(str(row["name"])) == "torch" for row in new.packages):
        return CheckResult(NAME, PASSED, "a GPU build", "a CPU build")
    seen = _seen(isolation, new, replace(usage, gpu=False))
    if isinstance(seen, str):
        why = f"torch of the candidate does not say what it was built for: {seen}."
        return CheckResult(NAME, FAILED, "a GPU build", "", why, suspects=context.applied("R1"))
    if seen.get("cuda") or seen.get("hip"):
        why = "torch of the candidate is built for a GPU still."
        return CheckResult(NAME, FAILED, "a GPU build", _words(seen), why, suspects=context.applied("R1"))
    return CheckResult(NAME, PASSED, "a GPU build", "a CPU build, torch.version.cuda is None")


def _kept(row: Mapping[str, Any]) -> bool:
    """Whether a package of a compiler for GPUs may stay: some frameworks require triton whatever they run on."""
    return str(row["gpu_role"]) == "compiler"


def _seen(isolation: Isolation, subject: Subject, usage: Usage) -> Mapping[str, Any] | str:
    """What the frameworks of an image say of GPUs; in words why that is not known."""
    with isolation.created(subject.image_id) as name:
        found = interpreters(ImagePaths(isolation, name), subject, usage)
    program = resources.files(__package__).joinpath("inside/see_gpu.py").read_text()
    given = Surroundings(environment=usage.environment, user=usage.user, gpu=usage.gpu)
    said = "it has no Python"
    for interpreter in found:
        try:
            ran = isolation.run(subject.image_id, [interpreter, "-c", program], seconds=_SECONDS, given=given)
        except Refused as error:
            said = error.message
            continue
        try:
            told = orjson.loads(ran.output)
        except orjson.JSONDecodeError:
            said = ran.last_line or "it does not tell"
            continue
        if isinstance(told, dict) and told.get("framework"):
            return told
        said = "no framework that can be asked"
    return said


def _words(seen: Mapping[str, Any] | str) -> str:
    if isinstance(seen, str):
        return seen
    return printable(
        f"{seen.get('framework')} cuda {seen.get('cuda')}, GPU {'seen' if seen.get('available') else 'not seen'}"
    )[:200]
