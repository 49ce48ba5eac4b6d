"""Where an image comes from: the Dockerfile and context that it is built from, and whether they are the right ones.

Asked in order: what a person named, settings, the compose projects of the containers that use the image, the compose
labels of the image itself, and the labels that our own builds leave. What compose files say is `compose_builds`,
the comparison with the image `history_match`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imgopt_pipeline.builds.models import Source
from imgopt_pipeline.builds.sources.compose_builds import ServiceBuild, service_build
from imgopt_pipeline.builds.sources.compose_files import ELSEWHERE, ComposeError, ComposeProject
from imgopt_pipeline.builds.sources.history_match import Comparison, compare_history
from imgopt_pipeline.builds.sources.history_steps import HistoryStep
from imgopt_pipeline.dockerfiles.models import Dockerfile, Stage
from imgopt_pipeline.dockerfiles.parsing import parse
from imgopt_pipeline.errors import ImgoptError, SettingsError
from imgopt_pipeline.hosts.image_config import familiar
from imgopt_pipeline.hosts.models import Container, Image
from imgopt_pipeline.names import original, printable
from imgopt_pipeline.settings import TargetSettings

DOCKERFILE_LABEL, CONTEXT_LABEL = "imgopt.dockerfile", "imgopt.context"
"""Labels of our own builds that say what an image was built from."""

_PROJECT_LABEL, _SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"
_COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = {name: name.replace(".y", ".override.y") for name in _COMPOSE_NAMES}
_FILE_BYTES = 1_000_000
_MOST_MISSING = 3
_HINT = (
    "If you build it, name the files with --dockerfile and --context or under `targets` in imgopt.yaml; "
    "else it counts as a third party's and is left alone."
)


class SourceNotFound(ImgoptError):
    """Nothing says what an image is built from, or what does cannot be used; the message says what was tried."""

    exit_code = 3
    kind = "no source"


class _Unusable(Exception):
    """Why a place that names a source does not lead to one, in words."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for: the image with what it says of itself, and the surroundings to look at."""

    image: Image
    history: Sequence[HistoryStep]
    config: Mapping[str, Any]
    base_layers: Mapping[str, Sequence[str]]


def find_source(
    image: Image,
    containers: Sequence[Container],
    target: TargetSettings | None = None,
    *,
    history: Sequence[HistoryStep],
    config: Mapping[str, Any],
    dockerfile: Path | None = None,
    context: Path | None = None,
    stage: str | None = None,
    arguments: Mapping[str, str] | None = None,
    base_layers: Mapping[str, Sequence[str]] | None = None,
    local: bool = True,
    environment: Mapping[str, str] | None = None,
) -> tuple[Source, Comparison]:
    """What an image is built from, and how that compares with the image.

    `history` is oldest first, `config` the image's configuration as the engine tells it, `base_layers` the diff IDs
    of the host's images by reference. `local` says whether the engine's files are this machine's. Of several sources
    the first that agrees with the image is taken, else the one that comes nearest. Raises SourceNotFound with what
    was tried, SettingsError where a person named what is not there, DockerfileError.
    """
    asked = _Asked(image, history, config, base_layers or {})
    named = target or TargetSettings()
    if dockerfile or context:
        given: Source | None = _named("--dockerfile and --context", dockerfile, context)
    elif named.dockerfile or named.context:
        given = _named("`targets` in imgopt.yaml", named.dockerfile, named.context)
    else:
        given = None

    def completed(source: Source) -> Source:
        return replace(
            source,
            stage=stage or named.stage or source.stage,
            arguments={**source.arguments, **named.arguments, **(arguments or {})},
            secrets={**source.secrets, **{name: str(file) for name, file in named.secrets.items()}},
        )

    if given is not None:
        try:
            return _verified(asked, completed(given))
        except _Unusable as reason:
            raise SettingsError(
                f"{reason}.", subject=given.origin, hint="Name the Dockerfile and the folder it is built in."
            ) from reason
    tried: list[str] = []
    found: list[tuple[Source, Comparison]] = []
    variables = os.environ if environment is None else environment
    for source in _labelled(image, containers, variables, local, tried):
        try:
            found.append(_verified(asked, completed(source)))
        except _Unusable as reason:
            tried.append(f"{source.origin}: {reason}")
            continue
        if found[-1][0].agrees:
            return found[-1]
    if found:
        return max(found, key=lambda item: item[1].share)
    raise SourceNotFound(
        "nothing says what it is built from. Tried: " + "; ".join(tried or ["no label names a source"]) + ".",
        subject=image.name,
        hint=_HINT,
    )


def target_of(references: Sequence[str], targets: Mapping[str, TargetSettings]) -> TargetSettings | None:
    """The entry of `targets` for an image with these names: by `name:tag`, else by name."""
    by_name = {familiar(key): settings for key, settings in targets.items()}
    names = [*references, *map(_without_tag, references)]
    return next((by_name[name] for name in names if name in by_name), None)


def _named(origin: str, dockerfile: Path | None, context: Path | None) -> Source:
    if dockerfile is None:
        folder = context or Path()
        return Source(origin, folder / "Dockerfile", folder)
    return Source(origin, dockerfile, context or dockerfile.parent)


def _labelled(
    image: Image, containers: Sequence[Container], environment: Mapping[str, str], local: bool, tried: list[str]
) -> Iterator[Source]:
    """The sources that labels lead to; why others do not goes to `tried`."""
    services = list(_services(image, containers))
    own = image.labels.get(DOCKERFILE_LABEL)
    if not local and (services or own):
        tried.append("its labels name files of the engine's machine, which cannot be read from here")
        return
    for project, service in services:
        origin = f"service {printable(service)} of the compose project {printable(project.name)} ({project.told})"
        try:
            build = service_build(project, service, environment)
        except ComposeError as error:
            tried.append(f"compose service {printable(project.name)}/{printable(service)}: {error}".rstrip("."))
            continue
        if build is None:
            tried.append(f"{origin}: it has no `build`")
        elif reason := _names_another(build, project, service, image):
            tried.append(f"{origin}: {reason}")
        else:
            yield _of_service(origin, build, f"{project.name}/{service}")
    if (project_name := image.labels.get(_PROJECT_LABEL)) and not services:
        tried.append(
            f"it belongs to the compose project {project_name}, of which no container says where its files are"
        )
    if own:
        path = _path(own)
        folder = image.labels.get(CONTEXT_LABEL)
        yield Source(f"the image's label {DOCKERFILE_LABEL}", path, _path(folder) if folder else path.parent)


def _services(image: Image, containers: Sequence[Container]) -> Iterator[tuple[ComposeProject, str]]:
    """The compose services that use an image, and the one whose labels it carries; each once."""
    seen: set[tuple[ComposeProject, str]] = set()
    names = [
        (container, container.compose_service)
        for container in containers
        if container.image_id == image.image_id or container.image_reference in image.references
    ]
    project_name, own_service = image.labels.get(_PROJECT_LABEL), image.labels.get(_SERVICE_LABEL)
    names += [(container, own_service) for container in containers if container.compose_project == project_name]
    for container, name in names:
        if container.compose_project and name and container.compose_working_dir:
            project = _project(container, container.compose_project, _path(container.compose_working_dir))
            service = os.fsdecode(original(name))
            if (project, service) not in seen:
                seen.add((project, service))
                yield project, service


def _project(container: Container, name: str, folder: Path) -> ComposeProject:
    """The project of a container; with the files compose looks for by itself where the labels name none."""
    files = tuple(folder / _path(file) for file in container.compose_config_files)
    if not files:
        first = next((file for file in _COMPOSE_NAMES if (folder / file).is_file()), _COMPOSE_NAMES[0])
        override = folder / _OVERRIDES[first]
        files = (folder / first, override) if override.is_file() else (folder / first,)
    return ComposeProject(os.fsdecode(original(name)), folder, files)


def _names_another(build: ServiceBuild, project: ComposeProject, service: str, image: Image) -> str:
    """In words, which other image the service builds; '' where it is this one or where it has no name (any more)."""
    if image.dangling or (build.image and build.unset):
        return ""
    built = {build.image} if build.image else {f"{project.name}{joint}{service}" for joint in "-_"}
    names = {familiar(name) for name in built}
    if names & set(image.references) or {f"{name}:latest" for name in names} & set(image.references):
        return ""
    return f"it builds {printable(' or '.join(sorted(names)))}"


def _of_service(origin: str, build: ServiceBuild, service: str) -> Source:
    remarks = list(build.remarks)
    if build.unset:
        remarks.append(f"variables of the compose file have no value here: {printable(', '.join(build.unset))}")
    return Source(
        origin,
        build.dockerfile,
        build.context,
        arguments=build.arguments,
        stage=build.stage,
        platform=build.platform,
        service=printable(service),
        network=build.network,
        contexts=build.contexts,
        secrets=build.secrets,
        remarks=tuple(remarks),
    )


def _verified(asked: _Asked, source: Source) -> tuple[Source, Comparison]:
    """A source with what its comparison with the image found. Raises _Unusable, DockerfileError."""
    if not source.context.is_dir():
        raise _Unusable(f"there is no folder {printable(str(source.context))}")
    document = parse(_text(source.dockerfile), name=printable(str(source.dockerfile)))
    stage = document.stage_named(source.stage)
    if stage is None:
        named = ", ".join(printable(each.name) for each in document.stages if each.name) or "none with a name"
        raise _Unusable(f"the Dockerfile has no stage {printable(source.stage or '')} (it has {named})")
    comparison = compare_history(
        document,
        stage,
        asked.history,
        asked.config,
        arguments=source.arguments,
        image_layers=[layer.diff_id for layer in asked.image.layers],
        base_layers=asked.base_layers,
    )
    missing = _missing(document, stage, source.context)
    lacking = [f"the context lacks {printable(name)}, which the Dockerfile copies" for name in missing[:_MOST_MISSING]]
    remarks = (*source.remarks, *lacking, *comparison.remarks)
    return replace(source, remarks=remarks, agrees=comparison.agrees and not missing), comparison


def _text(path: Path) -> str:
    """A Dockerfile's text. Raises _Unusable."""
    shown = printable(str(path))
    try:
        if not path.is_file():
            raise _Unusable(f"there is no Dockerfile {shown}")
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES + 1)
        if len(content) > _FILE_BYTES:
            raise _Unusable(f"{shown} is larger than any Dockerfile")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _Unusable(f"{shown} cannot be read ({said})") from error


def _missing(document: Dockerfile, stage: Stage, context: Path) -> list[str]:
    """What the stages up to a target copy from the context by a plain name and the context does not hold."""
    copied = [
        word
        for instruction in document.instructions
        if instruction.keyword in ("COPY", "ADD") and instruction.stage <= stage.number and not instruction.onbuild
        if instruction.flag("from") is None and not instruction.heredocs
        for word in instruction.words[:-1]
    ]
    plain = [word for word in copied if not set(word) & set("$*?[\\\"'") and not ELSEWHERE.match(word)]
    return [word for word in dict.fromkeys(plain) if not os.path.lexists(context / word.lstrip("/"))]


def _without_tag(reference: str) -> str:
    folder, slash, name = reference.partition("@")[0].rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}"


def _path(text: str) -> Path:
    """The path that a printable text stands for."""
    return Path(os.fsdecode(original(text)))
