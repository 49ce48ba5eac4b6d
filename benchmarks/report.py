"""The table of figures, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `met` is None where nothing was promised or nothing could be measured."""

    name: str
    target: str
    reached: str
    met: bool | None
    how: str

    @property
    def verdict(self) -> str:
        return {True: "met", False: "missed", None: "–"}[self.met]


def print_figures(figures: Iterable[Figure]) -> None:
    """Show the table in the terminal."""
    table = Table("figure", "target", "reached", "", title="imgopt beside its peers")
    for figure in figures:
        colour = {True: "green", False: "red", None: "none"}[figure.met]
        table.add_row(figure.name, figure.target, figure.reached, f"[{colour}]{figure.verdict}", end_section=True)
    Console(width=130).print(table)


SECTION = "## Optimized applications"
"""What `make scenarios` writes."""


def write_document(
    path: Path, figures: Sequence[Figure], machine: Mapping[str, str], versions: Mapping[str, str]
) -> None:
    """The last run, with the machine it ran on."""
    lines = [
        "# Benchmarks",
        "",
        "The last run of `make bench`; the command writes this page. Every ratio is of one run on one machine,",
        "the peers taking turns with imgopt. Seconds are wall time of whole processes, medians; peaks are the",
        "worst run's, in MB of 1,000,000 bytes.",
        "",
        *_rows(("figure", "target", "reached", ""), [(f.name, f.target, f.reached, f.verdict) for f in figures]),
        "",
        "## How each was measured",
        "",
        *(f"- **{figure.name}**: {figure.how}" for figure in figures if figure.how),
        "",
        "## The machine",
        "",
        *_rows(("", ""), machine.items()),
        "",
        "## Versions",
        "",
        *_rows(("", ""), versions.items()),
        "",
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + _section(path))


def write_section(path: Path, text: str) -> None:
    """Put a section of its own, which `write_document` leaves alone, at the end of the page."""
    page = path.read_text() if path.exists() else ""
    path.write_text(f"{page.removesuffix(_section(path)).rstrip()}\n\n{SECTION}\n\n{text.strip()}\n")


def _section(path: Path) -> str:
    """What stands there of that section, with the line feed before it."""
    _, found, rest = path.read_text().partition(f"\n{SECTION}\n") if path.exists() else ("", "", "")
    return found + rest


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
