"""What can be reached in a graph, such as all that a package needs, directly or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def reachable(starts: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """`starts` and whatever `following` leads to from them."""
    found = set(starts)
    waiting = list(found)
    while waiting:
        for name in following(waiting.pop()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found
