"""Which of several changes breaks a candidate: drop suspects, then by risk, then halve; within a budget of builds.

Pure: what an attempt is, the caller knows. The idea of halving is that of delta debugging (Zeller and Hildebrandt,
Simplifying and Isolating Failure-Inducing Input, IEEE TSE 28(2), 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Techniques = frozenset[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended. `suspects`: changes that its failure points at, the likeliest first."""

    passed: bool
    suspects: tuple[str, ...] = ()


@dataclass(slots=True)
class Search:
    """The search for the largest set of changes that passes. `tried` holds every attempt, in order."""

    attempt: Callable[[Techniques], Verdict]
    budget: int
    tried: dict[Techniques, Verdict] = field(default_factory=dict)

    @property
    def exhausted(self) -> bool:
        """Whether no attempt is left."""
        return len(self.tried) >= self.budget

    def verdict(self, techniques: Techniques) -> Verdict | None:
        """The verdict on a set, tried now if need be; None where nothing may be tried any more."""
        if techniques not in self.tried:
            if self.exhausted:
                return None
            self.tried[techniques] = self.attempt(techniques)
        return self.tried[techniques]

    def passes(self, techniques: Techniques) -> bool:
        """Whether a set is known to pass, or passes now."""
        verdict = self.verdict(techniques)
        return verdict is not None and verdict.passed


def largest_passing(search: Search, techniques: Sequence[str], risks: Mapping[str, int]) -> Techniques | None:
    """The set of changes to keep, None where none passes within the budget.

    `techniques` stand in the order of their worth, `risks` grow with the risk. Without changes nothing is tried.
    """
    everything = frozenset(techniques)
    if not everything:
        return None
    if search.passes(everything):
        return everything
    kept = _without_suspects(search, everything)
    if kept is None:
        kept = _without_risks(search, everything, risks)
    if kept is None:
        kept = frozenset()
    dropped = [technique for technique in techniques if technique not in kept]
    if len(dropped) > 1:
        kept = _with_innocent(search, kept, dropped)
    return kept or None


def _without_suspects(search: Search, techniques: Techniques) -> Techniques | None:
    """Follow what the failures point at, one change after the other."""
    current = techniques
    while (verdict := search.verdict(current)) is not None and not verdict.passed:
        suspect = next((suspect for suspect in verdict.suspects if suspect in current), None)
        if suspect is None or len(current) == 1:
            return None
        current -= {suspect}
    return current if verdict is not None else None


def _without_risks(search: Search, techniques: Techniques, risks: Mapping[str, int]) -> Techniques | None:
    """Drop the riskiest first, all of a grade together."""
    current = techniques
    for grade in sorted({risks[technique] for technique in techniques}, reverse=True):
        current = frozenset(technique for technique in current if risks[technique] < grade)
        if not current:
            return None
        if search.passes(current):
            return current
    return None


def _with_innocent(search: Search, kept: Techniques, dropped: Sequence[str]) -> Techniques:
    """Take back, half by half, what was dropped along with the guilty."""
    if search.exhausted or not dropped:
        return kept
    if len(dropped) == 1:
        both = kept | {dropped[0]}
        return both if search.passes(both) else kept
    middle = (len(dropped) + 1) // 2
    first, second = dropped[:middle], dropped[middle:]
    if search.passes(kept | frozenset(first)):
        return _with_innocent(search, kept | frozenset(first), second)
    if len(first) > 1:
        kept = _with_innocent(search, kept, first)
    if search.passes(kept | frozenset(second)):
        return kept | frozenset(second)
    return _with_innocent(search, kept, second) if len(second) > 1 else kept
