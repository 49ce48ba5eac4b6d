"""Actions are told apart by the first entry of their journals, and named by what a person calls them."""

from dataclasses import dataclass
from pathlib import Path

from imgopt_pipeline.journal.actions import actions_of, decided, is_of, named
from imgopt_pipeline.journal.journal import BEGUN, NOTED, Journal
from imgopt_pipeline.journal.outcomes import ACTION


@dataclass(frozen=True)
class Action:
    journal: Journal
    names: set[str]


def begun(folder: Path, action_id: str, kind: str) -> Journal:
    journal = Journal(folder / action_id)
    journal.append(ACTION, NOTED, kind=kind, host="local")
    return journal


def test_only_journals_of_the_kind_are_found(tmp_path: Path) -> None:
    begun(tmp_path, "first", "deploy")
    begun(tmp_path, "second", "clean")
    Journal(tmp_path / "third").append("switch", BEGUN, kind="deploy")
    assert [journal.action_id for journal in actions_of(tmp_path, "deploy")] == ["first"]
    assert not is_of(Journal(tmp_path / "none"), "deploy")


def test_the_last_decision_counts(tmp_path: Path) -> None:
    journal = begun(tmp_path, "first", "migrate")
    journal.append(ACTION, NOTED, kind="migrate", host="other")
    assert decided(journal) == {"host": "other"}


def test_a_name_or_the_beginning_of_an_id_means_them(tmp_path: Path) -> None:
    found = [Action(begun(tmp_path, f"1234{letter}", "deploy"), {"web", f"web-{letter}"}) for letter in "ab"]
    assert named(found, "web") == found
    assert named(found, "web-b") == found[1:]
    assert named(found, "1234a") == found[:1]
    assert named(found, "1234") == found
    assert named(found, "123") == [], "too short to be meant as an ID"
