"""How a Python application starts and is asked whether it is well."""

from __future__ import annotations

import re

from imgopt_pipeline.dockerfiles.templates.answers import Choices, Serving, TemplateRefused
from imgopt_pipeline.dockerfiles.templates.project_files import ProjectFolder
from imgopt_pipeline.dockerfiles.templates.python_application import Application, find_fastapi, find_script
from imgopt_pipeline.dockerfiles.templates.python_dependencies import PythonDependencies

_PORT, _STREAMLIT_PORT, _GRADIO_PORT = 8000, 8501, 7860
_TARGET = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)(\(\))?", re.ASCII)
_START_SECONDS, _MODEL_SECONDS = 20, 120


def python_serving(
    choices: Choices, project: ProjectFolder | None, found: PythonDependencies, remarks: list[str]
) -> tuple[Serving, str]:
    """How it starts, and the folder of its sources ('' or 'src'). Raises TemplateRefused where nobody says."""
    seconds = _MODEL_SECONDS if choices.template == "python-ml" else _START_SECONDS
    if choices.command:
        return _asked(choices, choices.command, _PORT, seconds, remarks), _source_folder(project)
    application = _application(choices, project, remarks)
    if application is not None:
        port = _port(choices, _PORT, remarks)
        health = choices.health_path or application.health_path
        if health is None:
            remarks.append("no health route was found: any answer of / below 500 counts as healthy; --health PATH")
        command = _server(application, port, found, remarks)
        return Serving(command, port, health or "/", health is not None, seconds), application.folder
    script = find_script(project) if project is not None else None
    if script is None or choices.template == "fastapi":
        raise TemplateRefused(
            "no FastAPI() was found in the project's sources."
            if choices.template == "fastapi"
            else "nothing was found that starts the application.",
            hint="Say --app MODULE:NAME or --command.",
        )
    if "streamlit" in found.names:
        port = choices.port or _STREAMLIT_PORT
        options = ("--server.headless=true", "--browser.gatherUsageStats=false")
        where = ("--server.address=0.0.0.0", f"--server.port={port}")
        command = ("streamlit", "run", script, *where, *options)
        return Serving(command, port, choices.health_path or "/_stcore/health", True, seconds), ""
    if "gradio" in found.names:
        port = choices.port or _GRADIO_PORT
        variables = (("GRADIO_SERVER_NAME", "0.0.0.0"), ("GRADIO_SERVER_PORT", str(port)))  # noqa: S104
        return Serving(("python", script), port, choices.health_path or "/", True, seconds, variables), ""
    if choices.port is None:
        remarks.append(f"{script} is run; it is not known to open a port, so that there is no HEALTHCHECK; --port")
    return _asked(choices, ("python", script), None, seconds, remarks), ""


def _asked(
    choices: Choices, command: tuple[str, ...], default: int | None, seconds: int, remarks: list[str]
) -> Serving:
    """A command of which no more is known than what the user says."""
    port = choices.port or (_port(choices, default, remarks) if default else None)
    path = (choices.health_path or "/") if port else None
    return Serving(command, port, path, choices.health_path is not None, seconds)


def _application(choices: Choices, project: ProjectFolder | None, remarks: list[str]) -> Application | None:
    found = find_fastapi(project) if project is not None else []
    if choices.application is not None:
        match = _TARGET.fullmatch(choices.application)
        if match is None:
            raise TemplateRefused(f"{choices.application!r} is not MODULE:NAME.", hint="For example app.main:app.")
        known = next((item for item in found if item.target == f"{match[1]}:{match[2]}"), None)
        return known or Application(match[1], match[2], _source_folder(project), factory=match[3] is not None)
    if project is None:
        remarks.append("the application app.main:app assumed; --app MODULE:NAME")
        return Application("app.main", "app")
    if len(found) > 1:
        others = ", ".join(item.target for item in found[1:4])
        remarks.append(f"the application {found[0].target} taken, of several ({others}); --app MODULE:NAME")
    return found[0] if found else None


def _source_folder(project: ProjectFolder | None) -> str:
    return "src" if project is not None and project.has_folder("src") and not project.has("src/__init__.py") else ""


def _port(choices: Choices, default: int, remarks: list[str]) -> int:
    if choices.port is None:
        remarks.append(f"port {default} assumed; --port")
    return choices.port or default


def _server(item: Application, port: int, found: PythonDependencies, remarks: list[str]) -> tuple[str, ...]:
    address = "0.0.0.0"  # noqa: S104  (of the container)
    factory = ("--factory",) if item.factory else ()
    bundled = found.extras_of("fastapi") & {"standard", "all"}
    if "uvicorn" not in found.names and not bundled:
        if "hypercorn" in found.names:
            return ("hypercorn", item.target + ("()" if item.factory else ""), "--bind", f"{address}:{port}")
        if "granian" in found.names:
            return ("granian", "--interface", "asgi", "--host", address, "--port", str(port), *factory, item.target)
        remarks.append("uvicorn is not among the dependencies, and the image cannot start without it: add it")
    return ("uvicorn", item.target, "--host", address, "--port", str(port), *factory)
