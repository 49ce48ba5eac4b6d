"""Which actions there are: the journals of a kind, and those that a name means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from imgopt_pipeline.journal.journal import NOTED, Journal, journals
from imgopt_pipeline.journal.outcomes import ACTION

_SHORTEST_ID = 4


class Named(Protocol):
    """An action that a person can name."""

    @property
    def journal(self) -> Journal: ...
    @property
    def names(self) -> set[str]: ...


AnyNamed = TypeVar("AnyNamed", bound=Named)


def actions_of(actions_folder: Path, kind: str) -> Iterator[Journal]:
    """The journals of the actions of a kind, the oldest first."""
    return (journal for journal in journals(actions_folder) if is_of(journal, kind))


def is_of(journal: Journal, kind: str) -> bool:
    """Whether a journal is one of that kind of action, as its first entry says."""
    if not journal.entries:
        return False
    first = journal.entries[0]
    return (first.step, first.event, first.facts.get("kind")) == (ACTION, NOTED, kind)


def decided(journal: Journal) -> dict[str, Any]:
    """What was decided on last, as the action's own kind wrote it."""
    return {name: value for name, value in journal.facts(ACTION, NOTED).items() if name != "kind"}


def named(found: Iterable[AnyNamed], name: str) -> list[AnyNamed]:
    """Those that a name or the beginning of an ID means, in their order."""
    by_id = len(name) >= _SHORTEST_ID
    return [one for one in found if name in one.names or (by_id and one.journal.action_id.startswith(name))]
