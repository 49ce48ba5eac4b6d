"""What a Python distribution requires: names out of Requires-Dist and requires.txt, by what was selected.

Grammar of requirements: PEP 508. Only markers about extras and about other operating systems are judged;
all others are taken to hold, since what they exclude is mostly not installed either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']*)["']|["']([^"']*)["']\s*==\s*extra""")
_SYSTEM = re.compile(r"""(?:sys_platform|platform_system|os_name)\s*==\s*["']([^"']*)["']""")
_LINUX = frozenset({"linux", "linux2", "Linux", "posix"})
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Requirement:
    """`name`, normalised, with the `extras` of it that are wanted; it counts if one of `only_with` is selected."""

    name: str
    extras: tuple[str, ...]
    only_with: tuple[str, ...]


def normalised(name: str) -> str:
    """A name as distributions are compared by (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_requirement(text: str, *, extra: str = "") -> Requirement | None:
    """One requirement; None where it is none, or one of another operating system.

    `extra`: the extra it belongs to, where the marker does not say so.
    """
    stated, _, marker = text.partition(";")
    match = _REQUIREMENT.match(stated)
    if match is None:
        return None
    systems = _SYSTEM.findall(marker)
    if systems and " or " not in marker and not _LINUX.issuperset(systems):
        return None
    extras = tuple(normalised(name.strip()) for name in (match[2] or "").split(",") if name.strip())
    only_with = [normalised(first or second) for first, second in _EXTRA.findall(marker)]
    return Requirement(normalised(match[1]), extras, tuple(only_with + ([normalised(extra)] if extra else [])))


def egg_requirements(text: str) -> Iterator[Requirement]:
    """The requirements of a requires.txt (setuptools): sections `[extra]`, `[:marker]` and `[extra:marker]`."""
    extra = marker = ""
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            extra, _, marker = line[1:-1].partition(":")
        elif line and (found := parse_requirement(f"{line};{marker}" if marker else line, extra=extra)):
            yield found


def required_names(distributions: Sequence[tuple[str, Sequence[Requirement]]]) -> list[tuple[str, ...]]:
    """What each distribution, given by normalised name, requires, in the same order.

    An extra counts as selected where an installed distribution asks for it; what a person selected on a
    command line is recorded nowhere.
    """
    selected: dict[str, set[str]] = {}
    for _ in range(_ROUNDS):
        grown = False
        for name, requirements in distributions:
            for requirement in _in_force(requirements, selected.get(name, ())):
                wanted = selected.setdefault(requirement.name, set()) if requirement.extras else set()
                if not wanted.issuperset(requirement.extras):
                    wanted.update(requirement.extras)
                    grown = True
        if not grown:
            break
    return [
        tuple(dict.fromkeys(item.name for item in _in_force(requirements, selected.get(name, ()))))
        for name, requirements in distributions
    ]


def _in_force(requirements: Sequence[Requirement], selected: Iterable[str]) -> list[Requirement]:
    return [item for item in requirements if not item.only_with or any(extra in selected for extra in item.only_with)]
