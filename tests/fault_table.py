"""The table of faults that the summary of a test run prints: what was done, what came of it, and what it cost.

Belongs here: collecting rows from tests and printing them. Does not belong here: the faults.
"""

from collections.abc import Iterator
from typing import Protocol

import pytest
from _pytest.terminal import TerminalReporter

_PROPERTY = "fault"
_HEADINGS = ("fault", "outcome", "service gap", "files lost")


class Record(Protocol):
    """Notes one fault of a test. `gap_seconds`: how long the service did not answer, None where it was not asked."""

    def __call__(
        self, fault: str, outcome: str, *, gap_seconds: float | None = None, files_lost: int | None = None
    ) -> None: ...


@pytest.fixture
def record_fault(request: pytest.FixtureRequest) -> Record:
    """Puts rows into the table; `files_lost` is counted by the test's own oracle, None where no files are at stake."""

    def record(fault: str, outcome: str, *, gap_seconds: float | None = None, files_lost: int | None = None) -> None:
        gap = "–" if gap_seconds is None else f"{gap_seconds:.1f} s"
        lost = "–" if files_lost is None else str(files_lost)
        request.node.user_properties.append((_PROPERTY, [fault, outcome, gap, lost]))

    return record


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the table, of passed and failed tests alike."""
    rows = list(_rows(terminalreporter))
    if not rows:
        return
    terminalreporter.section("faults")
    widths = [max(len(row[column]) for row in [_HEADINGS, *rows]) for column in range(len(_HEADINGS))]
    for row in [_HEADINGS, *rows]:
        terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rows(reporter: TerminalReporter) -> Iterator[list[str]]:
    for outcome in ("passed", "failed"):
        for report in reporter.stats.get(outcome, []):
            # Each phase of a test repeats what the phases before it noted.
            if getattr(report, "when", "") == "call":
                yield from (value for name, value in report.user_properties if name == _PROPERTY)
