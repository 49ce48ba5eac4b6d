"""What a declaration says of the contents of a layer or directory: packages, files, sources, caches.

Values only. `python_files`, `debian_files` and their like turn them into files.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from imgopt_pipeline.demo.declared import Declared, InsidePath, Size, listed, mapping

SITE = "usr/local/lib/python3.11/site-packages"
CacheName = Literal["apt", "apt-archives", "apk", "pip", "uv", "poetry", "npm", "yarn", "conda"]


def _texts(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _patterns(value: Any) -> Any:
    """`{PATH: SIZE}` or `{PATH: {size: …, count: …}}` as a list."""
    if not isinstance(value, dict):
        return value
    return [{"path": path, **mapping(details, "size")} for path, details in value.items()]


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
"""A list, or texts with commas between."""


class FilePattern(Declared):
    """`count` files of `size` bytes in all. A `*` in `path` becomes the number of each."""

    path: InsidePath
    size: Size
    count: int = Field(default=1, ge=1, le=200_000)
    modified_days: int | None = Field(default=None, ge=0, le=20_000)
    read_days: int | None = Field(default=None, ge=0, le=20_000)

    @model_validator(mode="after")
    def _numbered(self) -> FilePattern:
        if self.count > 1 and "*" not in self.path:
            raise ValueError(f"{self.path!r} needs a * where the number of each of its {self.count} files goes")
        return self


FilePatterns = Annotated[tuple[FilePattern, ...], BeforeValidator(_patterns)]
"""A list of patterns, or a mapping of paths to sizes."""


class PythonPackage(Declared):
    """An installed distribution of `size` bytes, metadata included; what it holds stands in docs/guide/demo.md."""

    name: str
    version: str
    size: Size = 400_000
    module: InsidePath | None = None
    requires: tuple[str, ...] = ()
    files: dict[InsidePath, Size] = Field(default_factory=dict)
    tests: Size = 0
    docs: Size = 0
    headers: Size = 0
    code: Size | None = None
    bytecode: Size | None = None
    scripts: tuple[str, ...] = ()
    requested: bool = False


class PythonEnvironment(Declared):
    """Packages of one site-packages folder."""

    site: InsidePath = SITE
    installer: Literal["pip", "uv", "poetry", "conda"] = "pip"
    packages: Annotated[tuple[PythonPackage, ...], BeforeValidator(lambda value: listed(value, "=="))]


class DebianPackage(Declared):
    """A package of dpkg's database with files of `size` bytes."""

    name: str
    version: str
    size: Size = 200_000
    section: str | None = None
    priority: str = "optional"
    essential: bool = False
    depends: str = ""
    recommends: str = ""
    files: dict[InsidePath, Size] = Field(default_factory=dict)


class DebianInstall(Declared):
    """Packages that one `apt-get install` brings: those in `install` by name, the others by themselves."""

    install: Texts = ()
    packages: Annotated[tuple[DebianPackage, ...], BeforeValidator(lambda value: listed(value, "="))]

    @model_validator(mode="before")
    @classmethod
    def _all_installed(cls, values: Any) -> Any:
        if not isinstance(values, list):
            return values
        return {"packages": values, "install": [item["name"] for item in listed(values, "=")]}


class AlpinePackage(Declared):
    """A package of apk's database with files of `size` bytes; `world` says that somebody asked for it."""

    name: str
    version: str
    size: Size = 200_000
    depends: Texts = ()
    world: bool = False
    files: dict[InsidePath, Size] = Field(default_factory=dict)


class NodePackage(Declared):
    """A package in node_modules; `dev` puts it into devDependencies, unless another one requires it."""

    name: str
    version: str
    size: Size = 100_000
    dev: bool = False
    requires: tuple[str, ...] = ()


class NodeOthers(Declared):
    """Many small packages that those named before require."""

    count: int = Field(ge=1, le=20_000)
    size: Size
    dev: bool = False


class NodeProject(Declared):
    """A folder with package.json, lock file and node_modules."""

    at: InsidePath | None = None
    name: str = "app"
    version: str = "1.0.0"
    lock: Literal["npm", "yarn", "berry", "none"] = "npm"
    packages: Annotated[tuple[NodePackage, ...], BeforeValidator(lambda value: listed(value, "@"))] = ()
    others: tuple[NodeOthers, ...] = ()


class NextBuild(Declared):
    """Output of `next build` in `at`: .next of `size` bytes, `cache` and `standalone` among them."""

    at: InsidePath | None = None
    size: Size
    cache: Size = 0
    standalone: Size = 0


class GitFolder(Declared):
    """A `.git` folder of `size` bytes in `at`."""

    at: InsidePath | None = None
    size: Size


class Contents(Declared):
    """Files, by what they are. Everything here adds up; nothing replaces anything."""

    files: FilePatterns = ()
    text: dict[InsidePath, str] = Field(default_factory=dict)
    python: tuple[PythonEnvironment, ...] = ()
    debian: DebianInstall | None = None
    alpine: Annotated[tuple[AlpinePackage, ...], BeforeValidator(lambda value: listed(value, "="))] = ()
    node: tuple[NodeProject, ...] = ()
    next: tuple[NextBuild, ...] = ()
    git: tuple[GitFolder, ...] = ()
    caches: dict[CacheName, Size] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _single_ones(cls, values: Any) -> Any:
        """One project may stand without a list around it, and packages of the usual folder without its name."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if isinstance(python := values.get("python"), list) and not any(
            isinstance(item, dict) and "packages" in item for item in python
        ):
            values["python"] = {"packages": python}
        for key in ("python", "node", "next", "git"):
            if isinstance(values.get(key), dict):
                values[key] = [values[key]]
        return values
