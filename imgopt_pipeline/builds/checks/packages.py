"""The check `packages`: what a candidate has not any more, or in another version, is what its rules explain."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from imgopt_pipeline.builds.checks.subjects import CheckContext, Row, Subject
from imgopt_pipeline.builds.models import FAILED, PASSED, UNVERIFIED, CheckResult
from imgopt_pipeline.names import printable
from imgopt_pipeline.units import count

NAME = "packages"
Key = tuple[str, str]
_SHOWN = 10
_SYSTEMS = ("debian", "alpine")
_COMPILER = re.compile(
    r"(?:gcc|g\+\+|cpp|c\+\+|clang|llvm|gfortran|gnat|binutils|build-essential|build-base|make|cmake|ninja-build|autoconf|automake"
    r"|autotools-dev|libtool|m4|pkg-config|pkgconf|patch|dpkg-dev|fakeroot|rustc|cargo|golang|git|git-man|mercurial|subversion"
    r"|python3-dev|python3-distutils|libc-dev-bin|linux-libc-dev|musl-dev|linux-headers|manpages)(?:$|[-\d.:].*)|.*-(?:dev|headers|static|devel)(?:$|[-:].*)"
)
_CUDA_TOOLS = re.compile(r"(?:cuda|libcu|libnv|libnccl|libcudnn|libnpp|nsight|gds-tools).*")
_WITHIN_TESTS = re.compile(r"(?:^|/)tests?(?:/|$)")
_BUILD_TOOLS = {
    "pip",
    "setuptools",
    "wheel",
    "uv",
    "poetry",
    "poetry-core",
    "build",
    "hatchling",
    "cython",
    "virtualenv",
    "npm",
    "corepack",
}
_BUILD_SECTIONS = {"devel", "libdevel", "vcs"}
_SOURCES: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("R1", lambda row: bool(row["gpu_role"])),
    ("R3", lambda row: row["ecosystem"] in _SYSTEMS and _builds(row)),
    ("R3", lambda row: row["ecosystem"] in ("python", "node") and normalised(row["name"]) in _BUILD_TOOLS),
    # What somebody asked apt for stays, and so does all that it requires.
    ("R4", lambda row: row["ecosystem"] in _SYSTEMS and (row["only_recommended"] or row["requested"] is False)),
    ("R7", lambda row: bool(row["development"])),
    ("R8", lambda row: row["ecosystem"] in _SYSTEMS),
    ("R9", lambda row: row["ecosystem"] in ("python", "node") and bool(_WITHIN_TESTS.search(row["location"] or ""))),
    ("R13", lambda row: row["ecosystem"] == "node"),
    ("R16", lambda row: row["ecosystem"] in _SYSTEMS and (_builds(row) or bool(_CUDA_TOOLS.fullmatch(row["name"])))),
    ("R18", lambda row: row["gpu_role"] == "library"),
)
"""Which packages a rule takes away; those that only they require go with them."""


def check_packages(old: Subject, new: Subject, context: CheckContext) -> CheckResult:
    """Whether every package that is gone is one that the rules explain.

    Packages in another version, that no rule explains, come from building today what was built then: that is told
    and counts as unverified.
    """
    before, after = _versions(old), _versions(new)
    gone = _gone(old, new)
    unexplained = sorted(gone - _explained(old, new, context))
    changed = sorted(
        # One of several copies that went is no other version.
        key
        for key in before.keys() & after.keys()
        if not after[key] <= before[key] and not _may_change(key, old, context)
    )
    words = (count(len(before), "package"), count(len(after), "package"))
    if unexplained:
        number = f"{count(len(unexplained), 'package')} {_are(unexplained)}"
        why = f"No rule explains that {number} gone: {_named(unexplained)}."
        suspects = context.applied(*_suspects(unexplained))
        debian = tuple(name for ecosystem, name in unexplained if ecosystem == "debian")
        return CheckResult(NAME, FAILED, *words, why, suspects=suspects, packages=debian)
    ours = [key for key in changed if key[0] not in _SYSTEMS]
    if ours:
        versions = [
            f"{printable(name)} {_words(before[kind, name])} → {_words(after[kind, name])}" for kind, name in ours
        ]
        more = f" and {len(versions) - _SHOWN} more" if len(versions) > _SHOWN else ""
        why = (
            f"{count(len(ours), 'package')} {_are(ours)} in another version, as the build asks for no fixed one:"
            f" {', '.join(versions[:_SHOWN])}{more}."
        )
        return CheckResult(NAME, UNVERIFIED, *words, why)
    updated = (
        f"{count(len(changed), 'package')} of the distribution {_are(changed)} in another version." if changed else ""
    )
    return CheckResult(NAME, PASSED, *words, updated)


def explained_removals(old: Subject, new: Subject, context: CheckContext) -> frozenset[str]:
    """Normalised names of the Python packages that are gone as the rules say."""
    gone = _gone(old, new) & _explained(old, new, context)
    return frozenset(name for ecosystem, name in gone if ecosystem == "python")


def normalised(name: str) -> str:
    """A Python package's name as Python compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _gone(old: Subject, new: Subject) -> set[Key]:
    return _versions(old).keys() - _versions(new).keys()


def _explained(old: Subject, new: Subject, context: CheckContext) -> set[Key]:
    """Packages that may be gone: those of the rules, those replaced, and those that only such ones require."""
    named = {normalised(name) for name in (*context.removed_packages, *context.cpu_replacements)}
    sources = [takes for rule, takes in _SOURCES if rule in context.rules]
    rows = {_key(row): row for row in old.packages if row["name"]}
    explained = {
        key for key, row in rows.items() if normalised(row["name"]) in named or any(takes(row) for takes in sources)
    }
    required_by: dict[Key, set[Key]] = defaultdict(set)
    for key, row in rows.items():
        for name in row["requires"] or ():
            required_by[key[0], _plain(key[0], name)].add(key)
    gone = _gone(old, new)
    while True:
        orphans = {key for key in gone - explained if required_by[key] and required_by[key] <= explained & gone}
        if not orphans:
            return explained
        explained |= orphans


def _may_change(key: Key, old: Subject, context: CheckContext) -> bool:
    """Whether a rule explains another version: that of a CPU variant."""
    roles = {_key(row): row["gpu_role"] for row in old.packages}
    named = {normalised(name) for pair in context.cpu_replacements.items() for name in pair}
    return bool(context.applied("R1") and (roles.get(key) or key[1] in named))


def _versions(subject: Subject) -> Mapping[Key, frozenset[str]]:
    versions: dict[Key, set[str]] = defaultdict(set)
    for row in subject.packages:
        if row["name"]:
            versions[_key(row)].add(str(row["version"]))
    return {key: frozenset(values) for key, values in versions.items()}


def _key(row: Row) -> Key:
    return str(row["ecosystem"]), _plain(str(row["ecosystem"]), str(row["name"]))


def _plain(ecosystem: str, name: str) -> str:
    return normalised(name) if ecosystem == "python" else name


def _builds(row: Row) -> bool:
    return row["section"].rpartition("/")[2] in _BUILD_SECTIONS or bool(_COMPILER.fullmatch(row["name"]))


def _suspects(keys: Iterable[Key]) -> dict[str, None]:
    rules = {
        "debian": ("R4", "R3", "R8"),
        "alpine": ("R3", "R8"),
        "node": ("R7", "R13", "R3"),
        "python": ("R3", "R1", "R2", "R9"),
    }
    return dict.fromkeys(rule for ecosystem, _ in keys for rule in rules.get(ecosystem, ()))


def _named(keys: list[Key]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(printable(name) for _, name in keys[:_SHOWN]) + more


def _words(versions: Iterable[str]) -> str:
    return printable("/".join(sorted(versions)))[:60]


def _are(keys: list[Key]) -> str:
    return "is" if len(keys) == 1 else "are"
