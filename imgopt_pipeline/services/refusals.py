"""What is not ours to change, and why: containers that something else manages, and files that are not here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import HELPER_LABEL, engine_errors
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.finding import labels_of
from imgopt_pipeline.services.labels import FOLDER, NUMBER
from imgopt_pipeline.services.models import Refused, Running, ServiceName, Unit
from imgopt_pipeline.services.override import files_in_force

_MANAGERS: Final = (
    ("com.docker.swarm.", "Docker Swarm manages it and would put its own back: change the swarm service"),
    ("io.kubernetes.", "Kubernetes manages it and would put its own back: change its manifest"),
    ("com.hashicorp.nomad.", "Nomad manages it and would put its own back: change its job"),
    ("com.amazonaws.ecs.", "Amazon ECS manages it and would put its own back: change its task definition"),
    (HELPER_LABEL, "it is one of imgopt's own helpers"),
)


def why_not_ours(container: Running) -> str | None:
    """Why a container is left alone, in words; None where nothing speaks against changing it."""
    labels = labels_of(container)
    for prefix, why in _MANAGERS:
        if any(label.startswith(prefix) for label in labels):
            return why
    if (container.inspected.get("HostConfig") or {}).get("AutoRemove"):
        return "it was started with --rm: stopping it removes it with its anonymous volumes, and there is no way back"
    return None


def check_ours(host: EngineHost, unit: Unit) -> None:
    """Raise Refused where a unit is not ours to change, with the reason."""
    if host.facts().kind != "docker":
        raise Refused("services of Podman are not switched.", subject=unit.name.words, hint="Use a Docker Engine.")
    for container in unit.containers:
        if why := why_not_ours(container):
            raise Refused(f"container {container.name} is left alone: {why}.", subject=unit.name.words)
    if unit.name.compose is None:
        return
    if not host.facts().local:
        raise Refused(
            "its compose files lie on another machine and cannot be read from here.",
            subject=unit.name.words,
            hint="Run imgopt there.",
        )
    for container in unit.containers:
        _check_made_by_compose(host, unit, unit.name.compose, container)
    used = (*files_in_force(unit.name.compose), *unit.name.compose.environment_files)
    if missing := [file for file in used if not file.is_file()]:
        raise Refused(
            f"its compose file {printable(str(missing[0]))} is not there.",
            subject=unit.name.words,
            hint="Put it back, or bring the project up from where its files are now.",
        )
    if not unit.name.compose.files:
        raise Refused("no label says which compose files it is made from.", subject=unit.name.words)


def _check_made_by_compose(host: EngineHost, unit: Unit, name: ServiceName, container: Running) -> None:
    labels, image = labels_of(container), _image_of(host, container)
    of_image = (image.get("Config") or {}).get("Labels") or {}
    if all(of_image.get(label) == labels.get(label) for label in (FOLDER, NUMBER)):
        raise Refused(
            f"the compose labels of container {container.name} are its image's; compose did not make it.",
            subject=unit.name.words,
        )
    # Compose 1 reads it when it makes a container anew, and having stopped and renamed the old one it gives up.
    if name.compose_major == 1 and image and "ContainerConfig" not in image:
        raise Refused(
            f"compose {printable(name.compose_version)} cannot make containers anew on this engine"
            f" ({host.facts().version}), which is too new for it.",
            subject=unit.name.words,
            hint="Bring the project up with compose 2 once; it takes the containers over.",
        )


def _image_of(host: EngineHost, container: Running) -> Mapping[str, Any]:
    """What the engine says of a container's image; nothing where it was removed by force."""
    try:
        with engine_errors("the image is gone", missing=ImageNotFound):
            return dict(host.client.inspect_image(container.image_id))
    except ImageNotFound:
        return {}
