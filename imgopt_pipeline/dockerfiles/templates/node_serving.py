"""How a Node application starts and is asked whether it is well."""

from __future__ import annotations

import re
import shlex
from typing import Any

from imgopt_pipeline.contents.npm_manifests import text_map
from imgopt_pipeline.dockerfiles.templates.answers import Choices, Serving, TemplateRefused
from imgopt_pipeline.dockerfiles.templates.project_files import ProjectFolder
from imgopt_pipeline.names import printable

_PORT = 3000
_SUFFIXES = (".js", ".cjs", ".mjs", ".ts", ".mts", ".cts")
_PORTS = (
    re.compile(r"\bPORT\b['\"\]]*\s*\)?\s*(?:\|\||\?\?)\s*['\"]?(\d{2,5})\b"),
    re.compile(r"\.listen\(\s*(\d{2,5})\b"),
    re.compile(r"\bport\s*[:=]\s*(\d{2,5})\b"),
)
_HEALTH = re.compile(
    r"\.get\(\s*['\"`](/(?:api/)?(?:health|healthz|healthcheck|livez|readyz|ready|ping|status))/?['\"`]"
)
_NEXT_HEALTH = re.compile(
    r"(?:src/)?(?:app/(?P<app>(?:api/)?(?:health|healthz|healthcheck))/route\.[jt]s"
    r"|pages/(?P<pages>api/(?:health|healthz|healthcheck))(?:/index)?\.[jt]s)"
)
_ENTRIES = ("index.js", "server.js", "app.js", "main.js", "index.mjs", "server.mjs", "src/index.js", "src/server.js")
_SHELL = re.compile(r"[&|;<>$`*?()\n\\]")
_DEVELOPMENT_TOOLS = frozenset({"ts-node", "tsx", "nodemon", "ts-node-dev", "babel-node", "vite", "nest"})
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=([\w./:-]*)", re.ASCII)


def next_serving(choices: Choices, project: ProjectFolder, remarks: list[str]) -> Serving:
    """The standalone server that Next.js builds."""
    found = (_NEXT_HEALTH.fullmatch(path) for path, _ in project.sources(".js", ".ts"))
    route = next((match["app"] or match["pages"] for match in found if match), None)
    return _asked(choices, ("node", "server.js"), None, f"/{route}" if route else None, remarks)


def node_serving(
    choices: Choices,
    project: ProjectFolder | None,
    manifest: dict[str, Any],
    production: frozenset[str],
    remarks: list[str],
) -> Serving:
    """How package.json says it starts. Raises TemplateRefused where nobody says."""
    sources = [text for _, text in project.sources(*_SUFFIXES)] if project is not None else []
    ports = (match[1] for pattern in _PORTS for text in sources for match in pattern.finditer(text))
    port = next((number for text in ports if 0 < (number := int(text)) <= 65535), None)
    health = next((match[1] for text in sources if (match := _HEALTH.search(text))), None)
    if choices.command:
        return _asked(choices, choices.command, port, health, remarks)
    start = text_map(manifest.get("scripts")).get("start")
    if start is not None:
        command, variables = _direct(start, production, remarks)
        return _asked(choices, command, port, health, remarks, variables)
    return _asked(choices, ("node", _entry(project, manifest, remarks)), port, health, remarks)


def _asked(
    choices: Choices,
    command: tuple[str, ...],
    port: int | None,
    health: str | None,
    remarks: list[str],
    variables: tuple[tuple[str, str], ...] = (),
) -> Serving:
    if choices.port is None and port is None:
        remarks.append(f"port {_PORT} assumed; --port")
    health = choices.health_path or health
    if health is None:
        remarks.append("no health route was found: any answer of / below 500 counts as healthy; --health PATH")
    return Serving(command, choices.port or port or _PORT, health or "/", health is not None, environment=variables)


def _direct(
    script: str, production: frozenset[str], remarks: list[str]
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """A start script without the shell and without npm, neither of which passes signals on, and its variables."""
    try:
        words = [] if _SHELL.search(script) else shlex.split(script)
    except ValueError:
        words = []
    if words and words[0] in ("cross-env", "env"):
        words = words[1:]
    variables = []
    while words and (match := _ASSIGNMENT.fullmatch(words[0])):
        words = words[1:]
        if match[1] not in ("NODE_ENV", "PORT"):
            variables.append((match[1], match[2]))
    if not words:
        remarks.append(
            f"the start script is a line for a shell ({printable(script[:200])}): npm runs it, and may not pass signals"
            " on; --command names the program itself"
        )
        return ("npm", "start"), ()
    if words[0] in _DEVELOPMENT_TOOLS and not production & {words[0], "@nestjs/cli"}:
        raise TemplateRefused(
            f"the start script runs {words[0]}, a development dependency that the image will not hold.",
            hint="Say what starts the built application: --command.",
        )
    program = words[0] if words[0] == "node" or "/" in words[0] else f"node_modules/.bin/{words[0]}"
    return (program, *words[1:]), tuple(variables)


def _entry(project: ProjectFolder | None, manifest: dict[str, Any], remarks: list[str]) -> str:
    if project is None:
        remarks.append("node server.js assumed; --command")
        return "server.js"
    main = manifest.get("main")
    if isinstance(main, str) and (project.has(main) or "build" in text_map(manifest.get("scripts"))):
        return main.removeprefix("./")
    found = project.first(*_ENTRIES)
    if found is None:
        raise TemplateRefused("package.json says nothing of how to start.", hint="Say it: --command.")
    return found
