"""`imgopt template`: a Dockerfile and a .dockerignore for a project, printed or written."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from imgopt_pipeline.cli.output import errors
from imgopt_pipeline.dockerfiles.templates.answers import BASES, TEMPLATES, TORCH_INDEX, Choices, TemplateRefused
from imgopt_pipeline.names import printable
from imgopt_pipeline.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("template")(template)


def template(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(TEMPLATES)}.")],
    project: Annotated[Path | None, typer.Option("--from", help="Read this project's files.", metavar="DIR")] = None,
    base: Annotated[str, typer.Option(help=f"One of {', '.join(BASES)}.")] = "debian",
    python: Annotated[str | None, typer.Option(help="Python version, like 3.13.", metavar="VERSION")] = None,
    node: Annotated[str | None, typer.Option(help="Node version, like 24.", metavar="VERSION")] = None,
    package_manager: Annotated[
        str | None, typer.Option(help="pip, uv or poetry; npm, pnpm or yarn.", metavar="NAME")
    ] = None,
    app: Annotated[str | None, typer.Option(help="The FastAPI application.", metavar="MODULE:NAME")] = None,
    command: Annotated[str | None, typer.Option(help="What starts the application.")] = None,
    port: Annotated[int | None, typer.Option(help="The port it listens on.", min=1, max=65535)] = None,
    health: Annotated[str | None, typer.Option(help="The path that says that it is well.", metavar="PATH")] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Keep PyTorch's CUDA build: it will run with a GPU.")] = False,
    package: Annotated[
        list[str] | None, typer.Option(help="A Debian package for the final image, like ffmpeg=7:*.", metavar="NAME")
    ] = None,
    dockerignore: Annotated[bool, typer.Option("--dockerignore", help="Print the .dockerignore, too.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write both files into the project's folder.")] = False,
    into: Annotated[Path | None, typer.Option(help="Write them into this folder.", metavar="DIR")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files, with a backup beside.")] = False,
) -> None:
    """Print a multi-stage Dockerfile for a project that is read, or that is yet to be."""
    from imgopt_pipeline.dockerfiles.templates.making import make
    from imgopt_pipeline.dockerfiles.templates.writing import write as write_files

    template_name = next((known for known in TEMPLATES if known == name), None)
    base_name = next((known for known in BASES if known == base), None)
    if template_name is None or base_name is None:
        wrong, known = (name, TEMPLATES) if template_name is None else (base, BASES)
        what = "template" if template_name is None else "base"
        raise TemplateRefused(f"there is no {what} {wrong!r}.", hint=f"There are {', '.join(known)}.")
    foreign = python if template_name == "nodejs" else node
    if foreign is not None:
        raise TemplateRefused(f"--{'python' if template_name == 'nodejs' else 'node'} is not a question of {name}.")
    folder = into or project
    if (into is not None or force) and not write:
        raise TemplateRefused("--into and --force are about writing.", hint="Say --write as well.")
    if write and folder is None:
        raise TemplateRefused("--write needs a folder.", hint="Say --from DIR or --into DIR.")
    choices = Choices(
        template=template_name,
        base=base_name,
        version=node if template_name == "nodejs" else python,
        manager=package_manager,
        application=app,
        command=_words(command),
        port=port,
        health_path=health,
        gpu=gpu,
        torch_index=load_settings().builds.cpu_index or TORCH_INDEX,
        packages=tuple(package or ()),
    )
    made = make(choices, project)
    for remark in made.remarks:
        _say(remark)
    if write and folder is not None:
        for line in write_files(made.rendered, folder, overwrite=force):
            _say(line)
        return
    sys.stdout.write(made.rendered.dockerfile)
    if dockerignore:
        sys.stdout.write(f"\n# .dockerignore\n{made.rendered.ignore}")


def _words(command: str | None) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command)) if command is not None else ()
    except ValueError as error:
        raise TemplateRefused(f"the command does not end ({error}).", subject=printable(command or "")) from error


def _say(line: str) -> None:
    errors().print(f"imgopt: {line}", markup=False, highlight=False, soft_wrap=True)
