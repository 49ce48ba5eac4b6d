"""What a Python project depends on, and how its own tool installs that.

Reads requirements files as pip does (with what they include), pyproject.toml, and the lock files of uv and Poetry.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from imgopt_pipeline.dockerfiles.templates.answers import Installer, Method, TemplateRefused
from imgopt_pipeline.dockerfiles.templates.project_files import ProjectFolder, items, table

REQUIREMENTS = (
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements-prod.txt",
    "requirements/base.txt",
)
_INCLUDED = re.compile(r"(?:-r|--requirement|-c|--constraint)[=\s]+(\S+)")
_EDITABLE = re.compile(r"(?:-e|--editable)[=\s]+(\S+)")
_LOCAL = re.compile(r"\.{0,2}/|\.$|file:|[^\s;@]+@\s*file:")
_VERSION_TOOLS = re.compile(
    r"setuptools[-_]scm|hatch-vcs|versioningit|dynamic-versioning|pdm-backend.*scm", re.IGNORECASE
)


@dataclass(slots=True)
class PythonDependencies:
    """`direct` are the requirements a person wrote, `names` also what lock files add; names are normalised.

    `method` and `installer` as in PythonAnswers; `hashed`: the requirements carry hashes; `indexed`: they name a
    package index of their own; `from_git`: some come from a repository.
    """

    installer: Installer
    method: Method
    files: list[str]
    direct: list[Requirement] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    requires_python: str = ""
    sources_first: bool = False
    installs_project: bool = False
    hashed: bool = False
    indexed: bool = False
    from_git: bool = False

    def extras_of(self, name: str) -> set[str]:
        """The extras that are asked of a direct dependency."""
        return {extra for item in self.direct if canonicalize_name(item.name) == name for extra in item.extras}

    def add(self, requirements: Iterable[Requirement]) -> None:
        """Count these among the direct dependencies."""
        for item in requirements:
            self.direct.append(item)
            self.names.add(canonicalize_name(item.name))
            self.from_git |= (item.url or "").startswith("git+")


def read_dependencies(project: ProjectFolder, installer: str | None, remarks: list[str]) -> PythonDependencies:
    """The dependencies of a project. Raises TemplateRefused where no file tells them."""
    pyproject = project.toml("pyproject.toml")
    tool = table(pyproject, "tool")
    if installer not in (None, "pip", "uv", "poetry"):
        raise TemplateRefused(f"{installer!r} does not install Python packages.", hint="Use pip, uv or poetry.")
    if installer == "poetry" or (installer is None and (project.has("poetry.lock") or "poetry" in tool)):
        return _poetry(project, pyproject, remarks)
    if installer == "uv" or (installer is None and project.has("uv.lock")):
        return _uv(project, pyproject, remarks)
    if found := project.first(*REQUIREMENTS):
        return _requirements(project, pyproject, found)
    if "project" in pyproject:
        return _pyproject(pyproject, remarks)
    if project.first("setup.py", "setup.cfg"):
        return PythonDependencies("pip", "project", [], sources_first=True, installs_project=True)
    hint = "List what it needs in requirements.txt or pyproject.toml."
    if project.has("Pipfile"):
        hint = "`pipenv requirements > requirements.txt` writes what its lock file holds."
    elif project.first("environment.yml", "environment.yaml"):
        hint = "A conda environment is not handled: list what it needs from PyPI in requirements.txt."
    raise TemplateRefused("no file tells what the project depends on.", subject=str(project.root), hint=hint)


def _requirements(project: ProjectFolder, pyproject: dict[str, Any], first: str) -> PythonDependencies:
    found = PythonDependencies("pip", "requirements", [first], requires_python=_requires_python(pyproject))
    todo, read = [first], {first}
    while todo:
        name = todo.pop(0)
        for line in _lines(project.text(name)):
            if match := _INCLUDED.match(line):
                included = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[1]))
                if included.startswith("../") or not project.has(included):
                    raise TemplateRefused(f"it includes {match[1]}, which is not in the project.", subject=name)
                if included not in read:
                    read.add(included)
                    found.files.append(included)
                    todo.append(included)
            elif line.startswith("-"):
                found.sources_first |= bool((match := _EDITABLE.match(line)) and _LOCAL.match(match[1]))
                found.from_git |= "git+" in line
                found.indexed |= "index-url" in line or line.startswith(("-i", "-f", "--find-links"))
            elif _LOCAL.match(line):
                found.sources_first = True
            else:
                found.hashed |= "--hash" in line
                found.from_git |= "git+" in line
                found.add(_parsed([re.split(r"\s--", line)[0]]))
    return found


def _pyproject(pyproject: dict[str, Any], remarks: list[str]) -> PythonDependencies:
    project = table(pyproject, "project")
    package = "build-system" in pyproject and not _version_from_git(pyproject, remarks)
    found = PythonDependencies("pip", "pyproject", ["pyproject.toml"], requires_python=_requires_python(pyproject))
    found.installs_project = package
    if "dependencies" in items(project.get("dynamic")):
        found.method, found.files, found.sources_first = "project", [], True
        found.installs_project = True
        return found
    found.add(_parsed(items(project.get("dependencies"))))
    return found


def _uv(project: ProjectFolder, pyproject: dict[str, Any], remarks: list[str]) -> PythonDependencies:
    if not project.has("uv.lock"):
        raise TemplateRefused("uv.lock is missing.", hint="`uv lock` writes it.")
    found = PythonDependencies("uv", "lock", ["pyproject.toml", "uv.lock"], requires_python=_requires_python(pyproject))
    packaged = table(pyproject, "tool", "uv").get("package", "build-system" in pyproject)
    found.installs_project = bool(packaged) and not _version_from_git(pyproject, remarks)
    found.add(_parsed(items(table(pyproject, "project").get("dependencies"))))
    _add_locked(found, project.toml("uv.lock"))
    return found


def _poetry(project: ProjectFolder, pyproject: dict[str, Any], remarks: list[str]) -> PythonDependencies:
    if not project.has("poetry.lock"):
        raise TemplateRefused("poetry.lock is missing.", hint="`poetry lock` writes it.")
    poetry = table(pyproject, "tool", "poetry")
    stated = table(poetry, "dependencies")
    found = PythonDependencies("poetry", "lock", ["pyproject.toml", "poetry.lock"])
    found.requires_python = _requires_python(pyproject) or _as_specifiers(str(stated.get("python", "")))
    found.installs_project = poetry.get("package-mode", True) is not False and not _version_from_git(pyproject, remarks)
    found.add(_parsed(items(table(pyproject, "project").get("dependencies"))))
    found.add(_parsed(_with_extras(name, value) for name, value in stated.items() if name != "python"))
    _add_locked(found, project.toml("poetry.lock"))
    return found


def _with_extras(name: str, value: object) -> str:
    extras = items(table(value).get("extras"))
    return f"{name}[{','.join(map(str, extras))}]" if extras else name


def _add_locked(found: PythonDependencies, lock: dict[str, Any]) -> None:
    for item in items(lock.get("package")):
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            found.names.add(canonicalize_name(item["name"]))
            source = table(item, "source")
            kind = str(source.get("type", ""))
            found.from_git |= "git" in source or kind == "git"
            found.sources_first |= not {"directory", "path", "file"}.isdisjoint({*source, kind})
            found.sources_first |= source.get("editable", ".") != "."


def _lines(text: str) -> Iterator[str]:
    """Logical lines: joined where they end in a backslash, without comments."""
    for raw in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        if line:
            yield line


def _parsed(lines: Iterable[object]) -> Iterator[Requirement]:
    for line in lines:
        try:
            yield Requirement(str(line))
        except InvalidRequirement:
            # pip takes more than the standard has, a wheel's address for example; no such line is needed by name.
            continue


def _requires_python(pyproject: dict[str, Any]) -> str:
    return str(table(pyproject, "project").get("requires-python", ""))


def _as_specifiers(poetry_range: str) -> str:
    """`^3.11` → `>=3.11,<4`, `~3.11` → `>=3.11,<3.12`; anything else as it is."""
    match = re.fullmatch(r"([\^~])(\d+)\.(\d+)(?:\.\d+)*", poetry_range.strip())
    if match is None:
        return poetry_range
    major, minor = int(match[2]), int(match[3])
    return f">={major}.{minor},<" + (f"{major + 1}" if match[1] == "^" else f"{major}.{minor + 1}")


def _version_from_git(pyproject: dict[str, Any], remarks: list[str]) -> bool:
    """Whether building the project asks git for its version, which no build context should hold."""
    if not _VERSION_TOOLS.search(" ".join(map(str, items(table(pyproject, "build-system").get("requires"))))):
        return False
    remarks.append(
        "the project takes its version from git, which a build does not see: it runs from its sources, uninstalled"
    )
    return True


def admits(specifiers: str, version: str) -> bool:
    """Whether `requires-python` admits a minor version of Python; True for one that says nothing legible."""
    try:
        return SpecifierSet(specifiers).contains(f"{version}.99") or SpecifierSet(specifiers).contains(f"{version}.0")
    except InvalidSpecifier:
        return True
