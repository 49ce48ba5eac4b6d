"""Answers for a Python project: what the user chose, else what the project says, else a default and a remark."""

from __future__ import annotations

import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from imgopt_pipeline.dockerfiles.templates.answers import Choices, PythonAnswers, TemplateRefused, Torch
from imgopt_pipeline.dockerfiles.templates.bases import check_base, compiled, debian_packages
from imgopt_pipeline.dockerfiles.templates.project_files import ProjectFolder
from imgopt_pipeline.dockerfiles.templates.python_dependencies import PythonDependencies, admits, read_dependencies
from imgopt_pipeline.dockerfiles.templates.python_serving import python_serving
from imgopt_pipeline.gpu.variants import cpu_variant

_VERSIONS = ("3.13", "3.14", "3.12", "3.11", "3.10")
"""The newest that nearly everything has wheels for, then the others as they are tried."""

_SELF_CONTAINED = frozenset({"binary", "and-cuda"})


def python_answers(choices: Choices, project: ProjectFolder | None, remarks: list[str]) -> PythonAnswers:
    """The answers for `python-ml` or `fastapi`. Raises TemplateRefused where they cannot be had, or do not fit."""
    found = _assumed(choices, remarks) if project is None else read_dependencies(project, choices.manager, remarks)
    if choices.base == "wolfi" and found.installer == "poetry":
        raise TemplateRefused("Poetry is not handled on Wolfi.", hint="`poetry export` writes a requirements.txt.")
    # psycopg[binary] and the like carry their libraries with them.
    plain = {name for name in found.names if not found.extras_of(name) & _SELF_CONTAINED}
    packages = (*debian_packages(plain), *choices.packages)
    check_base(choices.base, "python", found.names, packages)
    torch = _torch(choices, found, remarks)
    _remark_on_variants(choices, found, remarks)
    serving, folder = python_serving(choices, project, found, remarks)
    return PythonAnswers(
        serving=serving,
        base=choices.base,
        version=_version(choices, project, found, remarks),
        installer=found.installer,
        method=found.method,
        files=tuple(found.files),
        sources_first=found.sources_first,
        installs_project=found.installs_project,
        source_folder=folder,
        compiles=found.from_git or compiled(found.names, "python") or "c" in found.extras_of("psycopg"),
        packages=packages,
        torch=torch,
        torch_index=choices.torch_index,
        keeps_models=choices.template == "python-ml",
    )


def _assumed(choices: Choices, remarks: list[str]) -> PythonDependencies:
    """What a project that was not read is taken to depend on."""
    match choices.manager or "pip":
        case "pip":
            found = PythonDependencies("pip", "requirements", ["requirements.txt"])
        case "uv":
            found = PythonDependencies("uv", "lock", ["pyproject.toml", "uv.lock"])
        case "poetry":
            found = PythonDependencies("poetry", "lock", ["pyproject.toml", "poetry.lock"])
        case other:
            raise TemplateRefused(f"{other!r} does not install Python packages.", hint="Use pip, uv or poetry.")
    found.add([Requirement("fastapi"), Requirement("uvicorn")])
    if choices.template == "python-ml":
        found.add([Requirement("torch")])
        remarks.append("a FastAPI service with PyTorch assumed; --from DIR reads a project")
    return found


def _version(choices: Choices, project: ProjectFolder | None, found: PythonDependencies, remarks: list[str]) -> str:
    if choices.base == "wolfi":
        remarks.append("the Python version is the newest that Chainguard gives away; wheels must exist for it")
        return _VERSIONS[0]
    if choices.version is not None:
        return choices.version
    stated = re.match(r"(?:cpython-)?(3\.\d+)", project.text(".python-version").strip()) if project else None
    if stated:
        return stated[1]
    if found.requires_python:
        fitting = next((version for version in _VERSIONS if admits(found.requires_python, version)), None)
        if fitting is None:
            raise TemplateRefused(
                f"no Python of {min(_VERSIONS, key=len)} to {max(_VERSIONS)} is within the project's requires-python.",
                hint="--python VERSION chooses one.",
            )
        return fitting
    remarks.append(f"Python {_VERSIONS[0]} assumed; --python VERSION")
    return _VERSIONS[0]


def _torch(choices: Choices, found: PythonDependencies, remarks: list[str]) -> Torch:
    """Which PyTorch is installed; a lock file, hashes or an index of the project's own decide for themselves."""
    if "torch" not in found.names:
        return "none"
    if choices.gpu:
        return "cuda"
    if found.installer != "pip":
        if any(name.startswith("nvidia-") for name in found.names):
            remarks.append(
                f"{found.files[-1]} holds PyTorch with CUDA, gigabytes that are of use with a GPU only: name"
                f" {choices.torch_index} as torch's source in pyproject.toml and lock again, or say --gpu"
            )
        return "none"
    if found.hashed or found.indexed or found.method == "project":
        return "none"
    stated = any(canonicalize_name(item.name) == "torch" and item.url is None for item in found.direct)
    return "cpu" if stated else "none"


def _remark_on_variants(choices: Choices, found: PythonDependencies, remarks: list[str]) -> None:
    for item in found.direct:
        name = canonicalize_name(item.name)
        smaller = cpu_variant(name)
        if smaller in (None, name) or (choices.gpu and not name.startswith("opencv")):
            continue
        if name == "tensorflow" and "and-cuda" not in item.extras:
            continue
        why = "needs libGL, which slim images lack" if name.startswith("opencv") else "is a build for GPUs (--gpu)"
        remarks.append(f"{name} {why}: {smaller} is its counterpart without")
