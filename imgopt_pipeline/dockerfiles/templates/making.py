"""From what a user said, and a project's folder, to the two files and what is to be said about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgopt_pipeline.dockerfiles.templates.answers import Answers, Choices
from imgopt_pipeline.dockerfiles.templates.bases import MEANINGS
from imgopt_pipeline.dockerfiles.templates.node_project import node_answers
from imgopt_pipeline.dockerfiles.templates.project_files import open_project
from imgopt_pipeline.dockerfiles.templates.python_project import python_answers
from imgopt_pipeline.dockerfiles.templates.rendering import Rendered, render


@dataclass(frozen=True, slots=True)
class Made:
    """The files, the answers they were rendered from, and what was assumed or is worth knowing."""

    rendered: Rendered
    answers: Answers
    remarks: tuple[str, ...]


def make(choices: Choices, folder: Path | None = None) -> Made:
    """Render a template for the project in a folder, or for one that is yet to be. Raises TemplateRefused."""
    project = open_project(folder) if folder is not None else None
    remarks: list[str] = [MEANINGS[choices.base]]
    read = node_answers if choices.template == "nodejs" else python_answers
    answers: Answers = read(choices, project, remarks)
    return Made(render(answers), answers, tuple(remarks))
