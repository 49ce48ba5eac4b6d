"""Which Debian packages are there for whom: dependencies resolved among the installed packages.

Syntax: deb-control(5), Debian policy 7. Versions and architectures are not compared: what is installed
together satisfied them when it was installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from imgopt_pipeline.contents.closure import reachable

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9+.-]*)")
_PROVIDERS = 50
"""No more packages count for one virtual name."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed package as its stanza has it: the fields Depends with Pre-Depends, Recommends, Provides.

    `root`: somebody asked for it, or the system cannot be without it.
    """

    name: str
    depends: str
    recommends: str
    provides: str
    root: bool


@dataclass(frozen=True, slots=True)
class Needs:
    """Names of installed packages that each package depends on and recommends; which came only by the latter."""

    depends: Mapping[str, tuple[str, ...]]
    recommends: Mapping[str, tuple[str, ...]]
    only_recommended: frozenset[str]


def resolve_needs(packages: Iterable[Installed]) -> Needs:
    """Of several alternatives all installed ones count, as for `apt-get autoremove`; virtual names by Provides."""
    installed = list(packages)
    providers: dict[str, dict[str, None]] = {}
    for package in installed:
        for name in (package.name, *_names(package.provides)):
            known = providers.setdefault(name, {})
            if len(known) < _PROVIDERS:
                known[package.name] = None
    depends: dict[str, tuple[str, ...]] = {}
    recommends: dict[str, tuple[str, ...]] = {}
    for package in installed:
        # A name may stand twice, once per architecture.
        for kind, text in ((depends, package.depends), (recommends, package.recommends)):
            names = dict.fromkeys(kind.get(package.name, ()))
            for alternative in dict.fromkeys(_names(text)):
                names |= providers.get(alternative, {})
            names.pop(package.name, None)
            kind[package.name] = tuple(names)
    roots = [package.name for package in installed if package.root]
    needed = reachable(roots, lambda name: depends.get(name, ()))
    wanted = reachable(roots, lambda name: (*depends.get(name, ()), *recommends.get(name, ())))
    return Needs(depends, recommends, frozenset(wanted - needed))


def _names(text: str) -> Iterator[str]:
    """`a (>= 1), b:any | c` → a, b, c."""
    return (match[1] for part in text.replace("|", ",").split(",") if (match := _NAME.match(part)))
