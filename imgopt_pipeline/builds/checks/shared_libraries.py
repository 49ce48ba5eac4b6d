"""The check `shared-libraries`: every library that a file of the image in use finds, it finds in a candidate."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from importlib import resources

from imgopt_pipeline.builds.checks.isolation import Isolation, Refused
from imgopt_pipeline.builds.checks.side_by_side import SideBySide
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.checks.surroundings import Surroundings
from imgopt_pipeline.builds.checks.suspects import every_suspect
from imgopt_pipeline.builds.models import FAILED, PASSED, UNVERIFIED, CheckResult
from imgopt_pipeline.names import printable
from imgopt_pipeline.units import count

NAME = "shared-libraries"
_SECONDS = 180.0
_NO_TOOLS = 96
_SHOWN = 8
_NOT_FOUND = re.compile(r"^\s+(\S+) => not found|^Error loading shared library ([^:]+):")
_VERSION = re.compile(r"version [`'](\S+)' not found")
_SAFE = re.compile(r"[\w.+-]+", re.ASCII)
Missing = Mapping[str, frozenset[str]]


def check_shared_libraries(
    isolation: Isolation, pair: SideBySide, old: Subject, new: Subject, context: CheckContext
) -> CheckResult:
    """Whether the dynamic linker misses nothing in a candidate that it finds in the image in use."""
    before, after = pair(lambda subject: _missing(isolation, subject), old, new)
    if isinstance(before, str):
        return CheckResult(NAME, UNVERIFIED, detail=f"The image in use cannot be asked: {before}.")
    words = f"{count(len(before), 'file')} read"
    if isinstance(after, str):
        return CheckResult(NAME, UNVERIFIED, words, "", f"The candidate cannot be asked: {after}.")
    new_gaps = {path: names - before[path] for path, names in after.items() if path in before and names - before[path]}
    if not new_gaps:
        return CheckResult(NAME, PASSED, words, f"{count(len(after), 'file')} read")
    libraries = sorted({name for names in new_gaps.values() for name in names})
    packages = _owners(isolation, old, libraries)
    users = ", ".join(printable(path) for path in sorted(new_gaps)[:_SHOWN])
    owned = (
        f" In the image in use {', '.join(packages)} {'has' if len(packages) == 1 else 'have'} it." if packages else ""
    )
    named = ", ".join(map(printable, libraries[:_SHOWN]))
    why = f"{named} {'is' if len(libraries) == 1 else 'are'} not found any more by {users}.{owned}"
    suspects = every_suspect("\n".join(f"{name}: cannot open shared object file" for name in libraries), context)
    return CheckResult(NAME, FAILED, words, f"{named} missing", why, suspects=suspects, packages=packages)


def parse_missing(text: str) -> Missing:
    """By file, the libraries (and versions of symbols) that it does not find."""
    missing: dict[str, set[str]] = {}
    path = ""
    for line in text.splitlines():
        if line.startswith("/") and line.endswith(":"):
            path = line[:-1]
            missing.setdefault(path, set())
        elif path:
            found, version = _NOT_FOUND.match(line), _VERSION.search(line)
            if version:
                missing.setdefault(path, set()).add(version[1])
            elif found:
                missing[path].add(found[1] or found[2])
    return {path: frozenset(names) for path, names in missing.items()}


def _missing(isolation: Isolation, subject: Subject) -> Missing | str:
    """What its files do not find; in words why that is not known."""
    script = resources.files(__package__).joinpath("inside/find_libraries.sh").read_text()
    try:
        ran = isolation.run(subject.image_id, ["sh", "-c", script], seconds=_SECONDS, given=Surroundings(user="0"))
    except Refused:
        return "it has no shell"
    if ran.exit_code == _NO_TOOLS:
        return "it has no dynamic linker, or no find and grep"
    if ran.exit_code != 0:
        return "that takes too long" if ran.exit_code is None else ran.last_line
    return parse_missing(ran.output)


def _owners(isolation: Isolation, old: Subject, libraries: list[str]) -> tuple[str, ...]:
    """The Debian packages of the image in use that have files of these names."""
    names = [name for name in libraries if _SAFE.fullmatch(name)][:_SHOWN]
    patterns = [part for name in names for part in ("-e", f"/{name}")]
    if not patterns:
        return ()
    script = 'cd /var/lib/dpkg/info && for list in *.list; do grep -qF "$@" "$list" && echo "$list"; done; exit 0'
    command = ["sh", "-c", script, "owners", *patterns]
    try:
        ran = isolation.run(old.image_id, command, seconds=_SECONDS, given=Surroundings(user="0"))
    except Refused:
        return ()
    lists = (posixpath.basename(line).removesuffix(".list").partition(":")[0] for line in ran.output.splitlines())
    return tuple(dict.fromkeys(name for name in lists if _SAFE.fullmatch(name)))
