"""A fleet's declaration: images, containers, volumes and directories of a host, as YAML says it.

Reads and checks; makes nothing. docs/guide/demo.md describes every key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from imgopt_pipeline.demo.contents import Contents, FilePatterns
from imgopt_pipeline.demo.declared import (
    AbsolutePath,
    Declared,
    InsidePath,
    ObjectName,
    Size,
    explain,
    mapping,
    shortened,
)
from imgopt_pipeline.demo.yaml_files import FORMAT_HINT, read_yaml
from imgopt_pipeline.errors import SettingsError

_REFERENCE = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]*", re.ASCII)
_REFERENCE_CHARACTERS = 220


def _moment(value: Any) -> Any:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise ValueError(f"{value!r} is no time; write it like 2026-05-01T10:00:00Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _reference(text: str) -> str:
    if not _REFERENCE.fullmatch(text):
        raise ValueError(f"{shortened(text)} is no name of an image")
    if len(text) > _REFERENCE_CHARACTERS:
        raise ValueError(f"{shortened(text)} is too long for a name of an image: {_REFERENCE_CHARACTERS} characters")
    return text if ":" in text.rpartition("/")[2] else f"{text}:latest"


def _bases(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: details if isinstance(details, dict) else {"layers": details} for name, details in value.items()}


Moment = Annotated[datetime, BeforeValidator(_moment)]
Reference = Annotated[str, AfterValidator(_reference)]


class Layer(Contents):
    """One layer. Exactly one of `run`, `copy`, `add` and `by` says what made it; `by` word by word.

    Whatever `size` leaves over its contents becomes the file `rest`, by default one that no other layer
    has. `chown` stores all files below a folder again, as `chown -R` does; `delete` and `opaque` hide what
    lower layers hold.
    """

    run: str | None = None
    copy_: str | None = Field(default=None, alias="copy")
    add: str | None = None
    by: str | None = None
    size: Size | None = None
    rest: InsidePath | None = None
    delete: tuple[InsidePath, ...] = ()
    opaque: tuple[InsidePath, ...] = ()
    chown: tuple[InsidePath, ...] = ()

    @model_validator(mode="after")
    def _one_step(self) -> Layer:
        if sum(step is not None for step in (self.run, self.copy_, self.add, self.by)) != 1:
            raise ValueError("say what made the layer by exactly one of run, copy, add, by")
        return self

    @property
    def rest_path(self) -> str:
        """The file that takes what `size` leaves over."""
        return self.rest or f"usr/local/share/data/{sha256(self.created_by.encode()).hexdigest()[:12]}.bin"

    @property
    def created_by(self) -> str:
        """The line of the image's history."""
        if self.run is not None:
            return f"RUN /bin/sh -c {self.run} # buildkit"
        if self.by is not None:
            return self.by
        return f"COPY {self.copy_} # buildkit" if self.copy_ is not None else f"ADD {self.add} # buildkit"


class Base(Declared):
    """Layers that several images begin with; they may begin with another base's themselves."""

    base: str | None = None
    layers: tuple[Layer, ...]


class Compose(Declared):
    """What Compose notes on a container."""

    project: str
    service: str
    folder: AbsolutePath
    files: str = "docker-compose.yml"


class Image(Declared):
    """An image: the layers of a base and its own. Without tags it dangles.

    `digest` says that it was pulled: `true` makes one up. `compose: project/service` labels it as built by Compose.
    """

    name: Reference | None = None
    tags: tuple[Reference, ...] = ()
    base: str | None = None
    layers: tuple[Layer, ...] = ()
    digest: bool | str = False
    compose: str | None = None
    created: Moment | None = None
    env: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    user: str = ""
    healthcheck: str | None = None
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    workdir: str = ""
    expose: tuple[int, ...] = ()

    @property
    def references(self) -> tuple[str, ...]:
        """All its names, `name` first."""
        return tuple(dict.fromkeys((*((self.name,) if self.name else ()), *self.tags)))


class Container(Declared):
    """A container as `docker inspect` would show it. Its mounts are written as `docker run -v` takes them."""

    name: ObjectName
    image: Reference
    state: Literal["running", "exited", "created", "paused", "restarting"] = "running"
    compose: Compose | None = None
    mounts: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    command: tuple[str, ...] = ()
    gpus: int | Literal["all"] | None = None
    devices: tuple[AbsolutePath, ...] = ()
    runtime: str = "runc"
    restart: Literal["no", "always", "unless-stopped", "on-failure"] = "no"
    restarts: int = Field(default=0, ge=0)
    memory: Size | None = None
    log: Size = 0
    log_driver: str = "json-file"
    log_options: dict[str, str] = Field(default_factory=dict)
    writable: Size = 0
    age_days: int = Field(default=30, ge=0, le=20_000)


class Volume(Declared):
    """A volume; `files` says what of its `size` bytes lies where in it."""

    name: ObjectName
    size: Size = 0
    driver: str = "local"
    anonymous: bool = False
    files: FilePatterns = ()


class Directory(Contents):
    """A directory of the host with its contents; days count back from the making of the fleet."""

    path: AbsolutePath
    modified_days: int = Field(default=20, ge=0, le=20_000)
    read_days: int = Field(default=2, ge=0, le=20_000)


class Process(Declared):
    """A process of the host, with what it works in and holds open; one of a container lives as long as that runs."""

    command: str
    folder: AbsolutePath
    container: str | None = None
    open: tuple[AbsolutePath, ...] = ()


class FileSystem(Declared):
    """What is mounted at a path of the host."""

    path: AbsolutePath
    type: str


class BuildCache(Declared):
    """The engine's build cache; `reclaimable` is what nothing uses, all of it by default."""

    size: Size
    items: int = Field(default=1, ge=0)
    reclaimable: Size | None = None

    @model_validator(mode="after")
    def _within_its_size(self) -> BuildCache:
        if self.reclaimable is not None and self.reclaimable > self.size:
            raise ValueError(f"reclaimable: {self.reclaimable:,} bytes are more than its size, {self.size:,}")
        return self


class Gpu(Declared):
    """The host's GPUs: none by default."""

    devices: tuple[AbsolutePath, ...] = ()
    driver: str | None = None
    runtimes: tuple[str, ...] = ("runc",)
    default_runtime: str = "runc"


class Fleet(Declared):
    """All of it."""

    engine: str = "28.5.2"
    store: str = "overlay2"
    gpu: Gpu = Gpu()
    build_cache: Annotated[BuildCache | None, BeforeValidator(lambda value: value and mapping(value, "size"))] = None
    bases: Annotated[dict[str, Base], BeforeValidator(_bases)] = Field(default_factory=dict)
    images: tuple[Image, ...] = ()
    containers: tuple[Container, ...] = ()
    volumes: Annotated[
        tuple[Volume, ...],
        BeforeValidator(
            lambda value: (
                [{"name": name, **mapping(details, "size")} for name, details in value.items()]
                if isinstance(value, dict)
                else value
            )
        ),
    ] = ()
    directories: tuple[Directory, ...] = ()
    processes: tuple[Process, ...] = ()
    filesystems: tuple[FileSystem, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> Fleet:
        references = [reference for image in self.images for reference in image.references]
        names = [container.name for container in self.containers]
        volumes = [volume.name for volume in self.volumes]
        _once("images", references)
        _once("containers", names)
        _once("volumes", volumes)
        _once("directories", [directory.path for directory in self.directories])
        for base in self.bases:
            self.layers_of(base, f"bases → {base}")
        for image in self.images:
            self.layers_of(image.base, f"images → {image.name or 'without a name'}")
        for process in self.processes:
            if process.container is not None:
                _known(process.container, names, f"processes → {process.command} → container", "container")
        for container in self.containers:
            _known(container.image, references, f"containers → {container.name} → image", "image")
            for mount in container.mounts:
                source = mount.partition(":")[0]
                if not source.startswith("/"):
                    _known(source, volumes, f"containers → {container.name} → mounts", "volume")
        return self

    def layers_of(self, base: str | None, place: str = "") -> tuple[Layer, ...]:
        """The layers of a base or image of that name with those below it; none for None.

        Raises ValueError, naming the place, for a name that is not there, and where bases name each other in a ring.
        """
        images = {reference: image for image in self.images for reference in image.references}
        layers: list[tuple[Layer, ...]] = []
        seen: set[str] = set()
        while base is not None:
            if base not in self.bases and base not in images:
                base = _reference(base) if _REFERENCE.fullmatch(base) and f"{base}:latest" in images else base
                _known(base, [*self.bases, *images], f"{place} → base", "base or image")
            if base in seen:
                raise ValueError(f"{place} → base: {base!r} is built on itself")
            seen.add(base)
            below: Base | Image = self.bases[base] if base in self.bases else images[base]
            layers.append(below.layers)
            base = below.base
        return tuple(layer for group in reversed(layers) for layer in group)


def read_fleet(path: Path) -> Fleet:
    """The fleet that a file declares. Raises SettingsError, naming the place and the nearest right key."""
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise SettingsError("it must be a mapping with images, containers …", subject=str(path), hint=FORMAT_HINT)
    try:
        return Fleet(**values)
    except ValidationError as error:
        raise SettingsError(explain(error, values), subject=str(path), hint=FORMAT_HINT) from error
    except TypeError as error:  # a key that is no text
        raise SettingsError("its keys must be names.", subject=str(path), hint=FORMAT_HINT) from error


def _once(kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{kind}: {name!r} stands there twice")
        seen.add(name)


def _known(name: str, names: Iterable[str], place: str, noun: str) -> None:
    if name not in (known := list(names)):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        raise ValueError(f"{place}: there is no {noun} {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
