"""The check `python-modules`: what the image in use can import, a candidate can import."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources

import orjson

from imgopt_pipeline.builds.checks.application import Usage
from imgopt_pipeline.builds.checks.image_paths import ImagePaths
from imgopt_pipeline.builds.checks.isolation import Isolation, Refused
from imgopt_pipeline.builds.checks.packages import explained_removals, normalised
from imgopt_pipeline.builds.checks.side_by_side import SideBySide
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.checks.surroundings import Surroundings
from imgopt_pipeline.builds.checks.suspects import every_suspect
from imgopt_pipeline.builds.models import FAILED, PASSED, UNVERIFIED, CheckResult
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_text
from imgopt_pipeline.units import count

NAME = "python-modules"
_LOCATION = re.compile(r"^(?P<prefix>.*?)/?lib/(?P<python>python\d\.\d+)/(?:site|dist)-packages$")
_SYSTEM_LOCATION = "usr/lib/python3/dist-packages"
_TAKING_SYSTEM_PACKAGES = ("R3", "R4", "R8", "R16", "R18")
_MODULE_SECONDS = 60.0
_TOTAL_SECONDS = 240.0
_RETRIES = 20
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class _Imports:
    """What one interpreter imports: an error by module, empty where there is none; who owns a module.

    `system`: modules that the distribution's own packages bring, `left`: those that were not tried in time.
    """

    errors: Mapping[str, str]
    owners: Mapping[str, list[str]]
    system: frozenset[str]
    left: frozenset[str]


def check_python_modules(
    isolation: Isolation, pair: SideBySide, old: Subject, new: Subject, usage: Usage, context: CheckContext
) -> CheckResult:
    """Whether every top-level module that an interpreter of the image in use imports still imports."""

    def found(subject: Subject) -> list[str]:
        with isolation.created(subject.image_id) as name:
            return interpreters(ImagePaths(isolation, name), subject, usage)

    before, after = pair(found, old, new)
    if not before:
        return CheckResult(NAME, UNVERIFIED, detail="The image in use has no Python that is found.")
    if not after and context.applied(*_TAKING_SYSTEM_PACKAGES) and not _own_packages(old):
        words = "The Python that the distribution's packages brought went with them."
        return CheckResult(NAME, PASSED, ", ".join(map(printable, before)), "none", words)
    if not after:
        why = "The candidate has no Python."
        return CheckResult(
            NAME, FAILED, ", ".join(map(printable, before)), "none", why, suspects=context.applied("R3", "R8")
        )
    results = [
        _compared(
            isolation,
            pair,
            (old, interpreter),
            (new, interpreter if interpreter in after else after[0]),
            usage,
            context,
        )
        for interpreter in before
    ]
    worst = min(results, key=lambda result: (FAILED, UNVERIFIED, PASSED).index(result.outcome))
    return replace(
        worst,
        old="; ".join(dict.fromkeys(result.old for result in results)),
        new="; ".join(dict.fromkeys(result.new for result in results)),
    )


def _own_packages(subject: Subject) -> bool:
    """Whether it has Python packages besides those of the distribution."""
    return any(row["ecosystem"] == "python" and row["location"] != _SYSTEM_LOCATION for row in subject.packages)


def interpreters(paths: ImagePaths, subject: Subject, usage: Usage) -> list[str]:
    """The interpreters of an image, one per folder: that of its PATH first, then those beside its packages."""
    words = ("python3", "python")
    on_path = (paths.command(word, subject.environment, usage.workdir_of(subject)) for word in words)
    first = next((found.named for found in on_path if found), None)
    places = {} if first is None else {posixpath.dirname(first): first}
    for candidate in _candidates(subject):
        folder = posixpath.dirname(candidate)
        if folder not in places and (found := paths.find(candidate)) and not found.folder:
            places[folder] = candidate
    return list(places.values())


def _candidates(subject: Subject) -> Iterator[str]:
    locations = dict.fromkeys(str(row["location"]) for row in subject.packages if row["ecosystem"] == "python")
    for location in locations:
        if location == _SYSTEM_LOCATION:
            yield "/usr/bin/python3"
        elif match := _LOCATION.match(location):
            prefix = "/" + match["prefix"].removesuffix("/local" if location.endswith("dist-packages") else "\0")
            for name in (match["python"], "python3", "python"):
                yield f"{prefix.rstrip('/')}/bin/{name}"


def _compared(
    isolation: Isolation,
    pair: SideBySide,
    old: tuple[Subject, str],
    new: tuple[Subject, str],
    usage: Usage,
    context: CheckContext,
) -> CheckResult:
    """One interpreter of the image in use, beside that of the candidate that stands for it."""
    interpreter = {old[0].image_id: old[1], new[0].image_id: new[1]}
    before, after = pair(
        lambda subject: _imports(isolation, subject, interpreter[subject.image_id], usage), old[0], new[0]
    )
    shown = printable(old[1])
    if isinstance(before, str):
        return CheckResult(NAME, UNVERIFIED, detail=f"{shown} of the image in use does not tell: {before}.")
    imported = [name for name, error in before.errors.items() if not error]
    if isinstance(after, str):
        suspects = every_suspect(after, context)
        why = f"{printable(new[1])} of the candidate does not tell: {after}."
        return CheckResult(NAME, FAILED, f"{count(len(imported), 'module')} import", after, why, suspects=suspects)
    gone = explained_removals(old[0], new[0], context)
    lost = {name: after.errors.get(name, "is not there") for name in imported if after.errors.get(name, "?")}
    # Which packages of the distribution may go, the check `packages` says.
    with_the_system = before.system if context.applied(*_TAKING_SYSTEM_PACKAGES) else frozenset()
    lost = {
        name: error
        for name, error in lost.items()
        if not _explained(before.owners.get(name, []), gone)
        and not (name in with_the_system and name not in after.errors)
    }
    late = {name for name in lost if name in after.left}
    wrong = {name: error for name, error in lost.items() if name not in late}
    words = f"{count(len(imported), 'module')} import with {shown}"
    if wrong:
        said = "; ".join(f"{printable(name)} ({_short(error)})" for name, error in list(wrong.items())[:_SHOWN])
        why = f"{count(len(wrong), 'module')} of the image in use do not import any more: {said}."
        suspects = every_suspect("\n".join(f"{name} {error}" for name, error in wrong.items()), context)
        return CheckResult(NAME, FAILED, words, f"{len(imported) - len(wrong)} of them", why, suspects=suspects)
    if late or before.left:
        why = f"{count(len(late | before.left), 'module')} were not tried in {_TOTAL_SECONDS:g} s."
        return CheckResult(NAME, UNVERIFIED, words, "", why)
    return CheckResult(NAME, PASSED, words, "all of them" if len(lost) == 0 else f"all but {len(lost)}")


def _imports(isolation: Isolation, subject: Subject, interpreter: str, usage: Usage) -> _Imports | str:
    """What it imports; in words why that is not known where it does not tell."""
    program = resources.files(__package__).joinpath("inside/import_modules.py").read_text()
    limits = {"seconds": _MODULE_SECONDS, "total_seconds": _TOTAL_SECONDS, "retries": _RETRIES}
    given = Surroundings(environment=usage.environment, user=usage.user, workdir=usage.workdir)
    command = [interpreter, "-c", program, orjson.dumps(limits).decode()]
    try:
        ran = isolation.run(subject.image_id, command, seconds=_TOTAL_SECONDS + 2 * _MODULE_SECONDS, given=given)
    except Refused as error:
        return error.message
    try:
        told = orjson.loads(ran.output)
        return _Imports(
            {str(name): str(error) for name, error in told["modules"].items()},
            {str(name): [str(owner) for owner in owners] for name, owners in told["owners"].items()},
            frozenset(map(str, told["system"])),
            frozenset(map(str, told["left"])),
        )
    except (orjson.JSONDecodeError, KeyError, AttributeError, TypeError):
        ended = "it takes too long" if ran.exit_code is None else f"exit code {ran.exit_code}"
        return f"{ended} {redact_text(ran.last_line)}".strip()


def _explained(owners: Sequence[str], gone: frozenset[str]) -> bool:
    """Whether all packages that bring a module are gone as the rules say."""
    return bool(owners) and all(normalised(owner) in gone for owner in owners)


def _short(error: str) -> str:
    return printable(redact_text(error)[:200])
