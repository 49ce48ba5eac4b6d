"""From a name that a person gives to the units that it stands for, and how a unit stands now.

A container of a compose service stands for its whole service. Reads only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import HELPER_LABEL, engine_errors
from imgopt_pipeline.hosts.image_config import familiar
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.candidates import SET_ASIDE
from imgopt_pipeline.services.labels import PROJECT, SERVICE, is_one_off, number_of, service_of
from imgopt_pipeline.services.models import Running, SubjectNotFound, Unit, UnitName

_IMAGE = re.compile(r"[A-Za-z0-9][\w./:@-]*", re.ASCII)
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{4,64}")
_MOST_NEAR = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What a name covers, the image that it runs, and in words what else on the host runs that image."""

    units: tuple[Unit, ...]
    image_id: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Listed:
    """A container as the engine lists it, with the unit that it belongs to; None for one of `docker compose run`."""

    container_id: str
    name: str
    image_id: str
    unit: UnitName | None


def find_units(host: EngineHost, name: str) -> Found:
    """The units that a name stands for: a service, `project/service`, a container's name or ID, or an image.

    An image stands for every unit that runs it. Raises SubjectNotFound where nothing has that name, or several do.
    """
    listed = _listed(host)
    exact = [one for one in listed if name in _names(one)]
    covered = exact or [one for one in listed if _ID.fullmatch(name) and one.container_id.startswith(name)]
    if covered:
        names = _distinct(covered)
        if not names:
            raise SubjectNotFound(
                "it is a container of `docker compose run`, which ends by itself and is not switched.",
                subject=printable(name),
            )
        if len(names) > 1:
            raise _ambiguous(name, names, covered)
    else:
        names = _distinct(_of_image(host, name, listed))
    units = tuple(unit for unit in (unit_of(host, unit_name) for unit_name in names) if unit.containers)
    if not units:
        raise SubjectNotFound(
            "its containers went away while they were looked at.", subject=printable(name), hint="Try again."
        )
    image_id = _image_in_use(units)
    return Found(units, image_id, _others(listed, image_id, {unit.name for unit in units}))


def unit_of(host: EngineHost, name: UnitName) -> Unit:
    """A unit as it stands now, in the order of its containers' numbers; those that are set aside are none of it."""
    if name.compose is None:
        found = running_of(host, name.name)
        return Unit(name, (found,) if found is not None and found.name == name.name else ())
    labels = [f"{PROJECT}={name.compose.project}", f"{SERVICE}={name.compose.service}"]
    with engine_errors("the engine does not list its containers"):
        listed = host.client.containers(all=True, filters={"label": labels})
    ids = [str(item["Id"]) for item in listed if _belongs(item, name)]
    containers = [container for container in (running_of(host, one) for one in ids) if container is not None]
    return Unit(name, tuple(sorted(containers, key=lambda one: (number_of(labels_of(one)), one.name))))


def running_of(host: EngineHost, container_id: str) -> Running | None:
    """A container by ID or name as it stands now, running or not; None where there is none."""
    try:
        with engine_errors("the engine does not describe a container", missing=_Gone):
            inspected = host.client.inspect_container(container_id)
    except _Gone:
        return None
    return Running(
        container_id=str(inspected["Id"]),
        name=printable(str(inspected.get("Name") or "").removeprefix("/")),
        image_id=str(inspected.get("Image") or ""),
        reference=str((inspected.get("Config") or {}).get("Image") or ""),
        running=bool((inspected.get("State") or {}).get("Running")),
        inspected=inspected,
    )


def labels_of(container: Running) -> Mapping[str, str]:
    """The labels of a container, its image's among them."""
    return (container.inspected.get("Config") or {}).get("Labels") or {}


def all_containers(host: EngineHost) -> list[tuple[Running, UnitName | None]]:
    """All containers but helpers and those set aside, with the unit each belongs to."""
    found = [(running_of(host, one.container_id), one.unit) for one in _listed(host)]
    return [(container, unit) for container, unit in found if container is not None]


class _Gone(Exception):
    """There is no such container."""


def _listed(host: EngineHost) -> list[_Listed]:
    with engine_errors("the engine does not list its containers"):
        items = host.client.containers(all=True)
    # The newest first, and so its labels say where the files of a service are.
    items = sorted(items, key=lambda item: int(item.get("Created") or 0), reverse=True)
    units: dict[str, UnitName] = {}
    listed = []
    for item in items:
        if (name := _name(item)) and SET_ASIDE not in name and HELPER_LABEL not in (item.get("Labels") or {}):
            unit = _unit_name(item, name)
            kept = units.setdefault(unit.words, unit) if unit is not None else None
            listed.append(_Listed(str(item["Id"]), name, str(item.get("ImageID") or ""), kept))
    return listed


def _unit_name(item: Mapping[str, Any], name: str) -> UnitName | None:
    labels = item.get("Labels") or {}
    if is_one_off(labels):
        return None
    service = service_of(labels)
    return UnitName(name) if service is None else UnitName(f"{service.project}/{service.service}", service)


def _belongs(item: Mapping[str, Any], name: UnitName) -> bool:
    unit = _unit_name(item, _name(item))
    return unit is not None and unit.compose is not None and unit.name == name.name and SET_ASIDE not in _name(item)


def _name(item: Mapping[str, Any]) -> str:
    """The container's own name: others, with a slash inside, are what links call it."""
    names = [str(name).removeprefix("/") for name in item.get("Names") or []]
    return next((printable(name) for name in names if "/" not in name), "")


def _names(one: _Listed) -> set[str]:
    """What a container answers to besides its ID and its image."""
    names = {one.name, one.container_id}
    if one.unit is not None and one.unit.compose is not None:
        names |= {one.unit.name, one.unit.compose.service}
    return names


def _distinct(listed: Iterable[_Listed]) -> list[UnitName]:
    """The units of containers, each once, in the order of their names."""
    return sorted({one.unit for one in listed if one.unit is not None}, key=lambda unit: unit.name)


def _ambiguous(name: str, units: Sequence[UnitName], covered: Sequence[_Listed]) -> SubjectNotFound:
    """By what each of them is told apart from the others."""
    words = []
    for unit in units:
        one = next(one for one in covered if one.unit == unit)
        words.append(f"{unit.name} (service)" if unit.compose else f"{one.container_id[:12]} (container {one.name})")
    return SubjectNotFound(
        f"several have that name: {', '.join(words)}.",
        subject=printable(name),
        hint="Say one of these instead.",
    )


def _of_image(host: EngineHost, name: str, listed: Sequence[_Listed]) -> list[_Listed]:
    """The containers of an image: by what its name stands for now, else by the name that they were made from."""
    image_id = _image_id(host, name)
    covered = [one for one in listed if one.image_id == image_id] if image_id else []
    if not covered:
        made_from = {one.container_id for one in listed if _was_made_from(host, one, name)}
        covered = [one for one in listed if one.container_id in made_from]
    if any(one.unit is not None for one in covered):
        return covered
    known = {known for one in listed for known in _names(one) - {one.container_id}} | _references(host)
    near = difflib.get_close_matches(name, sorted(known), n=_MOST_NEAR)
    raise SubjectNotFound(
        "no container runs that image." if image_id else "there is no service, container or image of that name.",
        subject=printable(name) or "''",
        hint=f"Did you mean {' or '.join(map(printable, near))}?" if near else "`docker ps` lists what runs.",
    )


def _image_id(host: EngineHost, name: str) -> str | None:
    if not _IMAGE.fullmatch(name) or ".." in name:
        return None
    try:
        with engine_errors("the engine does not describe an image", missing=_Gone):
            return str(host.client.inspect_image(name)["Id"])
    except _Gone:
        return None


def _was_made_from(host: EngineHost, one: _Listed, name: str) -> bool:
    found = running_of(host, one.container_id)
    return found is not None and tagged(found.reference) == tagged(name)


def tagged(reference: str) -> str:
    """A reference as an engine lists it: with its tag, without Docker Hub's prefix."""
    name = familiar(reference)
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _references(host: EngineHost) -> set[str]:
    with engine_errors("the engine does not list its images"):
        images = host.client.images()
    return {familiar(str(name)) for image in images for name in image.get("RepoTags") or []}


def _image_in_use(units: Sequence[Unit]) -> str:
    """The image of the units: of containers that run, where some do."""
    containers = [container for unit in units for container in unit.containers]
    return next((one.image_id for one in containers if one.running), containers[0].image_id)


def _others(listed: Sequence[_Listed], image_id: str, covered: set[UnitName]) -> tuple[str, ...]:
    same = [one for one in listed if one.image_id == image_id and one.unit not in covered]
    words = [one.unit.words if one.unit is not None else f"container {one.name} (one-off)" for one in same]
    return tuple(dict.fromkeys(words))
