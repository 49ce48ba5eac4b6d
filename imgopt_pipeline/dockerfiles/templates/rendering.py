"""From answers to the texts of a Dockerfile and a .dockerignore."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from imgopt_pipeline.dockerfiles.templates.answers import Answers, NodeAnswers, PythonAnswers, Serving, TemplateRefused
from imgopt_pipeline.names import printable

_UID, _NODE_UID, _WOLFI_UID = 10001, 1000, 65532
_PINS = {"uv": "0.13.9", "poetry": "2.5.1", "yarn": "1.22.22"}
_FILE = re.compile(r"(?!-)[\w.@+-]+(?:/[\w.@+-]+)*", re.ASCII)
_VERSION = re.compile(r"\d+(?:\.\d+){0,2}", re.ASCII)
_MANAGER_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[\w.]+)?", re.ASCII)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]*(?:=[\w.:~+*-]+)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PATH = re.compile(r"/[\w./~%-]*(?:\?[\w=&.~%-]*)?", re.ASCII)
_ADDRESS = re.compile(r"[\w:/.@%~+-]+", re.ASCII)
_MACHINE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The two files."""

    dockerfile: str
    ignore: str


@dataclass(frozen=True, slots=True)
class _Images:
    """What the stages start from; the arguments are defaults of build arguments, where the images are given by such."""

    build: str
    final: str
    build_argument: str | None = None
    final_argument: str | None = None


def render(answers: Answers) -> Rendered:
    """The files for these answers. Raises TemplateRefused for one that has no place in a Dockerfile."""
    python = isinstance(answers, PythonAnswers)
    _check(answers)
    values = _python_values(answers) if isinstance(answers, PythonAnswers) else _node_values(answers)
    values |= {"answers": answers, "images": _images(answers), "wolfi": answers.base == "wolfi", "pins": _PINS}
    # On Wolfi the build is not root's, and writes beside what was copied.
    values["chown"] = f" --chown={_WOLFI_UID}:{_WOLFI_UID}" if answers.base == "wolfi" else ""
    name = "python" if python else "nodejs"
    return Rendered(_text(f"{name}.Dockerfile.j2", values), _text(f"{name}.dockerignore.j2", values))


def _python_values(answers: PythonAnswers) -> dict[str, Any]:
    home = "/home/nonroot" if answers.base == "wolfi" else "/root"
    folder = {"pip": "pip", "uv": "uv", "poetry": "pypoetry"}[answers.installer]
    wolfi = answers.base == "wolfi"
    return {
        "venv": f"{home}/venv" if wolfi else "/opt/venv",
        "workdir": f"{home}/app" if wolfi else "/app",
        "uid": _WOLFI_UID if wolfi else _UID,
        "uv": "/tmp/uv/bin/uv" if wolfi else "uv",  # noqa: S108  (of the build stage)
        "cache": _cache(f"{home}/.cache/{folder}", wolfi),
        "torch_index": answers.torch_index if answers.torch == "cpu" else None,
        "health": ("python", "-c", _python_health(answers.serving)),
    }


def _node_values(answers: NodeAnswers) -> dict[str, Any]:
    wolfi = answers.base == "wolfi"
    cache = "/tmp/cache" if wolfi else "/root/.npm" if answers.manager == "npm" else "/root/.cache"  # noqa: S108
    return {
        "workdir": "/home/node/app" if wolfi else "/app",
        "modules": "/tmp/node_modules" if wolfi else "/node_modules",  # noqa: S108  (both of the build stage)
        "uid": _WOLFI_UID if wolfi else _NODE_UID,
        "cache_folder": cache,
        "cache": _cache(cache, wolfi),
        "health": ("node", "-e", _node_health(answers.serving)),
    }


def _images(answers: Answers) -> _Images:
    image = "python" if isinstance(answers, PythonAnswers) else "node"
    match answers.base:
        case "debian":
            # The full image has compilers, headers and git, and only building ever sees it.
            build = f"{image}:{answers.version}" + ("" if answers.compiles else "-slim")
            return _Images(build, f"{image}:{answers.version}-slim")
        case "alpine":
            return _Images(*[f"{image}:{answers.version}-alpine"] * 2)
    source = f"cgr.dev/chainguard/{image}"
    return _Images("${BUILD_IMAGE}", "${FINAL_IMAGE}", f"{source}:latest-dev", f"{source}:latest")


def _cache(folder: str, wolfi: bool) -> str:
    return f"--mount=type=cache,target={folder}" + (f",uid={_WOLFI_UID},gid={_WOLFI_UID}" if wolfi else "")


def _python_health(serving: Serving) -> str:
    return (
        f"import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', {serving.port}, timeout=4);"
        f" c.request('GET', '{serving.path}'); sys.exit(c.getresponse().status >= {_failing(serving)})"
    )


def _node_health(serving: Serving) -> str:
    return (
        f"fetch('http://127.0.0.1:{serving.port}{serving.path}', {{redirect: 'manual'}})"
        f".then(r => process.exit(r.status < {_failing(serving)} ? 0 : 1), () => process.exit(1))"
    )


def _failing(serving: Serving) -> int:
    """From which status on the application is not well: what answers only somehow may not know the path."""
    return 400 if serving.known_path else 500


def _check(answers: Answers) -> None:
    """Refuse what could end a word, a line or a string of the result: much of it comes from files."""
    names: list[tuple[str, re.Pattern[str], Iterable[str]]] = [
        ("version", _VERSION, [answers.version]),
        ("file", _FILE, answers.files),
        ("package", _PACKAGE, answers.packages),
        ("path", _PATH, [answers.serving.path or "/"]),
    ]
    if isinstance(answers, PythonAnswers):
        names += [("file", _FILE, [answers.source_folder or "src"]), ("address", _ADDRESS, [answers.torch_index])]
        if "@" in answers.torch_index:
            raise TemplateRefused(
                "the index carries a password, which would stand in the file.", hint="Give it when building."
            )
    else:
        names += [
            ("folder", _FILE, [*answers.folders, answers.next_folder or ".next"]),
            ("version", _MANAGER_VERSION, [answers.manager_version or "1.0.0"]),
            ("variable", _VARIABLE, answers.build_arguments),
        ]
    for what, pattern, values in names:
        for value in values:
            if not pattern.fullmatch(value):
                raise TemplateRefused(f"{printable(value)!r} is no {what} that a Dockerfile can name.")
    for word in answers.serving.command:
        if _MACHINE.search(word):
            raise TemplateRefused(f"the command has a control character: {printable(word)}")


def _text(template: str, values: dict[str, Any]) -> str:
    text = _environment().get_template(template).render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("imgopt_pipeline.dockerfiles", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=select_autoescape(default_for_string=False),
    )
    environment.filters |= {"exec_form": _exec_form, "shell": shlex.quote, "by_folder": _by_folder}
    return environment


def _exec_form(words: Sequence[str]) -> str:
    return json.dumps(list(words))


def _by_folder(files: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Files that one COPY can take, by the folder that they go to: '' or `requirements/`."""
    folders: dict[str, list[str]] = {}
    for file in files:
        folder, slash, _ = file.rpartition("/")
        folders.setdefault(folder + slash, []).append(file)
    return list(folders.items())
