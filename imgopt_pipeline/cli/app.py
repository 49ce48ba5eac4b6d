"""The `imgopt` program: its commands, and the way every foreseeable error is told."""

from __future__ import annotations

import errno
import gc
import sys
from typing import Annotated, NoReturn

import typer

from imgopt_pipeline import __version__
from imgopt_pipeline.cli import (
    audits,
    builds,
    cleaning,
    contents,
    demos,
    deployments,
    file_archives,
    gpus,
    images,
    inspection,
    migrations,
    planning,
    rewriting,
    templates,
    upkeep,
)
from imgopt_pipeline.cli.output import errors, make_output_safe, told
from imgopt_pipeline.errors import ImgoptError, Interrupted
from imgopt_pipeline.interrupts import raise_interrupts

_GARBAGE_OBJECTS = 100_000

app = typer.Typer(
    name="imgopt",
    help="Finds what fills a Docker host, proves it from the image layers, and keeps the history in DuckDB.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
for group in (
    audits,
    demos,
    planning,
    builds,
    deployments,
    migrations,
    file_archives,
    cleaning,
    rewriting,
    templates,
    images,
    contents,
    gpus,
    inspection,
    upkeep,
):
    group.register(app)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    """Options of the program itself."""
    if version:
        typer.echo(__version__)
        raise typer.Exit()


def run() -> NoReturn:
    """Run the program. Exit codes: 0 fine, 1 a gate failed, 2 usage, 3 a host or its data could not be read."""
    raise_interrupts()
    make_output_safe()
    # A layer is tens of thousands of small objects, none of which refers back to another.
    gc.set_threshold(_GARBAGE_OBJECTS)
    try:
        app(prog_name="imgopt")
    except ImgoptError as error:
        errors().print(f"imgopt: {told(error)}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except Interrupted:
        _end_interrupted()
    except RuntimeError as error:
        # DuckDB's way to tell that a signal came while it worked.
        if not isinstance(error.__cause__, Interrupted):
            raise
        _end_interrupted()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        if error.errno == errno.ENOSPC:
            errors().print(f"imgopt: the output cannot be written ({error.strerror}).", markup=False)
            sys.exit(3)
        # The reader of our output went away (`| head`); there is nobody to tell.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(0)


def _end_interrupted() -> NoReturn:
    errors().print("imgopt: interrupted; nothing is left behind.", markup=False)
    sys.exit(130)
