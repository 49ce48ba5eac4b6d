"""What templates are rendered from. A value that a user or a project did not give is a default, said as a remark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from imgopt_pipeline.errors import ImgoptError

Template = Literal["python-ml", "fastapi", "nodejs"]
Base = Literal["debian", "alpine", "wolfi"]
Installer = Literal["pip", "uv", "poetry"]
NodeManager = Literal["npm", "pnpm", "yarn", "yarn-berry"]
Method = Literal["requirements", "pyproject", "project", "lock"]
Torch = Literal["none", "cpu", "cuda"]

TEMPLATES: tuple[Template, ...] = get_args(Template)
BASES: tuple[Base, ...] = get_args(Base)
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


class TemplateRefused(ImgoptError):
    """A template does not fit the project or the other answers, or would overwrite a file."""

    exit_code = 2
    kind = "template"


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user said; None, or an empty tuple, is to be read from the project or assumed."""

    template: Template
    base: Base = "debian"
    version: str | None = None
    manager: str | None = None
    application: str | None = None
    command: tuple[str, ...] = ()
    port: int | None = None
    health_path: str | None = None
    gpu: bool = False
    torch_index: str = TORCH_INDEX
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Serving:
    """How the application starts, and how a health check asks it: over HTTP where `path` is given, else nothing.

    `known_path`: it is a route of the application's own, so that "not found" is a failure.
    """

    command: tuple[str, ...]
    port: int | None = None
    path: str | None = None
    known_path: bool = False
    start_seconds: int = 20
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PythonAnswers:
    """A Python service.

    `files` are copied before dependencies are installed, by `method`; `sources_first` where these need the whole
    project. `installs_project`: the project is a package of its own and goes into the environment
    too. `compiles`: some dependency is built from source. `packages` are Debian's, for the final stage.
    """

    serving: Serving
    base: Base = "debian"
    version: str = "3.13"
    installer: Installer = "pip"
    method: Method = "requirements"
    files: tuple[str, ...] = ("requirements.txt",)
    sources_first: bool = False
    installs_project: bool = False
    source_folder: str = ""
    compiles: bool = False
    packages: tuple[str, ...] = ()
    torch: Torch = "none"
    torch_index: str = TORCH_INDEX
    keeps_models: bool = False


@dataclass(frozen=True, slots=True)
class NodeAnswers:
    """A Node.js service.

    `files` and `folders` are copied before dependencies are installed. `locked`: there is a lock file.
    `needs_development`: building, or a script that runs while installing, needs development dependencies.
    `depends`: there are production dependencies. `next_folder` is where Next.js builds to, None for other
    applications; `sets_standalone` where its configuration does not ask for standalone output. `build_arguments`:
    variables that are read while building.
    """

    serving: Serving
    base: Base = "debian"
    version: str = "24"
    manager: NodeManager = "npm"
    manager_version: str | None = None
    files: tuple[str, ...] = ("package.json", "package-lock.json")
    folders: tuple[str, ...] = ()
    locked: bool = True
    depends: bool = True
    build_script: str | None = None
    needs_development: bool = False
    next_folder: str | None = None
    sets_standalone: bool = False
    build_arguments: tuple[str, ...] = ()
    secret_npmrc: bool = False
    compiles: bool = False
    packages: tuple[str, ...] = ()


Answers = PythonAnswers | NodeAnswers
