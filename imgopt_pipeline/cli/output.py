"""How commands print: tables for people, JSON for programs, errors and progress on standard error."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console, RenderableType
from rich.text import Text

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.names import printable
from imgopt_pipeline.progress import reporting

_WIDE_COLUMNS = 100
_WIDTH = 140


def make_output_safe() -> None:
    """Print what a terminal's encoding lacks as escapes, and into nothing where output is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (for the rest of the process)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def errors() -> Console:
    """Standard error."""
    return Console(stderr=True)


def told(error: ImgoptError) -> str:
    """An error as it may be printed: its subject may be anything that somebody typed, on one line.

    Its message and hint keep their lines.
    """
    if error.subject and not error.subject.isprintable():
        shown = printable(error.subject)
        error.message, error.hint = (text.replace(error.subject, shown) for text in (error.message, error.hint))
        error.subject = shown
    return "\n".join(line if line.isprintable() else printable(line) for line in str(error).split("\n"))


def show(*parts: RenderableType) -> None:
    """Print for a person. Never as markup: much of it was written by whoever made an image.

    Text that may not wrap, such as a command to copy, is one line however long it is.
    """
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else _WIDTH)
    for part in parts:
        whole = isinstance(part, str) or (isinstance(part, Text) and part.no_wrap is True)
        if terminal:
            console.print(part, highlight=False, markup=False, soft_wrap=whole)
            continue
        with console.capture() as printed:
            console.print(part, highlight=False, markup=False, soft_wrap=whole)
        # Tables fill their lines with spaces, which nobody wants in a file.
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))


def program() -> str:
    """How this program is called here: by its name alone where the shell would find it."""
    called = sys.argv[0]
    if os.path.basename(called) != "imgopt" or shutil.which("imgopt") is not None:
        return "imgopt"
    near = os.path.relpath(called)
    return os.path.abspath(called) if near.startswith("..") else near


def narrow() -> bool:
    """Whether a table with every column has no room on this terminal."""
    return sys.stdout.isatty() and Console().width < _WIDE_COLUMNS


def print_json(value: Any) -> None:
    """Print for a program."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS
    sys.stdout.write(orjson.dumps(value, option=options).decode() + "\n")


@contextmanager
def shown_progress() -> Iterator[None]:
    """Progress with bytes and time left, on a terminal; silence elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    bar = _Bar(errors())
    with bar.display, reporting(bar):
        yield


class _Bar:
    """A `Progress` on the terminal."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        self.display = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self.display.add_task("", total=None, visible=False)

    def start(self, what: str, total_bytes: int | None = None) -> None:
        self.display.reset(self._task, description=what[:60], total=total_bytes, visible=True)

    def advance(self, done_bytes: int) -> None:
        self.display.advance(self._task, done_bytes)

    def note(self, message: str) -> None:
        self.display.console.print(message, markup=False, style="yellow")


def rows_of(cursor: Any) -> list[dict[str, Any]]:
    """A DuckDB result as dictionaries."""
    names: Sequence[str] = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
