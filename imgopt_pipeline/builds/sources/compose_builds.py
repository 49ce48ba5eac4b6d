"""How a compose project builds a service's image.

Values of build arguments are kept for the build and never told. Reading the project's files is `compose_files`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgopt_pipeline.builds.sources.compose_files import (
    ELSEWHERE,
    ComposeError,
    ComposeProject,
    ComposeReading,
    mapping,
    pairs,
    read_project,
    with_values,
)
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_text

_PASSED_OVER = ("ssh", "extra_hosts", "entitlements", "privileged", "isolation")


@dataclass(frozen=True, slots=True)
class ServiceBuild:
    """How a compose project builds a service. `image` is the name it gives, None for compose's own.

    `unset` are variables without a value here, which count as empty or are left out.
    """

    image: str | None
    context: Path
    dockerfile: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    stage: str | None = None
    platform: str | None = None
    network: str | None = None
    contexts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def service_build(project: ComposeProject, service: str, environment: Mapping[str, str]) -> ServiceBuild | None:
    """How a project builds a service; None where it names an image only.

    Raises ComposeError where a file is missing or broken, has no such service, or builds from what is not a folder
    of this machine.
    """
    reading = read_project(project, service, environment)
    found = reading.services.get(service)
    if not isinstance(found, dict):
        raise ComposeError(f"it has no service {printable(service)} (any more).", subject=project.told)
    build = found.get("build")
    if not build:
        return None
    return _build({"context": build} if isinstance(build, str) else build, found, reading, project)


def _build(
    build: Mapping[str, Any], service: Mapping[str, Any], reading: ComposeReading, project: ComposeProject
) -> ServiceBuild:
    unset: list[str] = list(reading.unset)

    def text(value: object) -> str | None:
        """A value as text with its variables replaced; None where one has no value."""
        plain = _plain(value)
        if plain is None:
            return None
        if reading.interpolated:
            return plain.replace("$$", "$")  # compose writes what it reads
        result, missing = with_values(plain, reading.known)
        unset.extend(missing)
        return None if missing else result

    def path(key: str, default: str) -> str:
        found = text(build.get(key, default))
        if found is None:
            raise ComposeError(
                f"its build {key} holds variables that have no value here ({', '.join(dict.fromkeys(unset))}).",
                subject=project.told,
                hint="Set them as `docker compose build` has them.",
            )
        return found

    context = path("context", ".")
    if ELSEWHERE.match(context):
        raise ComposeError(
            f"it builds from {printable(redact_text(context))}, which is not on this machine.",
            subject=project.told,
            hint="Get it, and name it with --context and --dockerfile.",
        )
    if build.get("dockerfile_inline"):
        raise ComposeError(
            "its Dockerfile stands inside of the compose file.",
            subject=project.told,
            hint="Put it into a file of its own, or name one with --dockerfile.",
        )
    folder = project.folder / context
    arguments = {
        name: value
        for name, given in pairs(build.get("args")).items()
        if (value := reading.known.get(name) if given is None else text(given)) is not None
    }
    secrets, secret_remarks = _secrets(build.get("secrets"), reading.secrets, project.folder, text)
    passed_over = [f"its build sets {key}, which is not passed on" for key in _PASSED_OVER if build.get(key)]
    platforms = build.get("platforms")
    platform = text(service.get("platform")) or (
        text(platforms[0]) if isinstance(platforms, list) and platforms else None
    )
    names = {
        name: value if ELSEWHERE.match(value) else str(project.folder / value)
        for name, given in pairs(build.get("additional_contexts")).items()
        if (value := text(given)) is not None
    }
    return ServiceBuild(
        image=text(service.get("image")),
        context=folder,
        dockerfile=folder / path("dockerfile", "Dockerfile"),
        arguments=arguments,
        stage=text(build.get("target")) or None,
        platform=platform,
        network=text(build.get("network")),
        contexts=names,
        secrets=secrets,
        unset=tuple(dict.fromkeys(unset)),
        remarks=(*secret_remarks, *passed_over),
    )


def _secrets(
    listed: object, declared: Mapping[str, Any], folder: Path, text: Callable[[object], str | None]
) -> tuple[dict[str, str], list[str]]:
    """The files of a build's secrets by ID, and a remark for each that has none."""
    found: dict[str, str] = {}
    remarks: list[str] = []
    for item in listed if isinstance(listed, list) else []:
        source = str(item.get("source") or "") if isinstance(item, dict) else str(item)
        name = str(item.get("target") or source) if isinstance(item, dict) else source
        file = text(mapping(declared.get(source)).get("file"))
        if file:
            found[name] = str(folder / file)
        else:
            remarks.append(f"the build secret {printable(name)} is in no file; name one under `secrets` of the target")
    return found, remarks


def _plain(value: object) -> str | None:
    """A scalar as compose writes it; None for none and for what is no scalar."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None
