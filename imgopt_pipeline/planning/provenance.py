"""Where an image comes from: built here, by a third party, or unknown, with the evidence in words.

The rules stand in docs/guide/plan.md, in the order in which they are asked here. Docker Hub gives names
without a user to its official images alone, so that another such name was given on this host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from imgopt_pipeline.planning.facts import ContainerFacts, ImageFacts

BUILT_HERE, THIRD_PARTY, UNKNOWN = "built here", "third party", "unknown"

_LABEL_PROJECT = "com.docker.compose.project"
_LABEL_SERVICE = "com.docker.compose.service"
_VENDOR_LABELS = (
    "org.opencontainers.image.source",
    "org.opencontainers.image.url",
    "org.opencontainers.image.vendor",
    "org.label-schema.vcs-url",
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """`origin` is one of the three words above. `service`: the container whose compose service it was built for."""

    origin: str
    evidence: str
    service: ContainerFacts | None = None


def provenance(image: ImageFacts, base_labels: Mapping[str, str], *, keeps_digests: bool = False) -> Provenance:
    """The origin of an image; `base_labels` are those of the local image it is built on.

    `keeps_digests`: the store gives a repository digest to each image that it pulls and to none that it builds.
    """
    repositories = [repository(reference) for reference in image.references]
    if image.dangling and not repositories:
        repositories = [repository(c.image_reference) for c in image.containers if not _is_id(c.image_reference)]
    digests = telling_digests(image)
    foreign = next((name for name in repositories if "/" in name and not name.startswith("localhost/")), None)

    composed = next((c for c in image.containers if _default_name(c, repositories)), None)
    if composed is not None:
        return Provenance(
            BUILT_HERE,
            f"built here: its name is the one that compose gives to what it builds for service"
            f" {composed.compose_service} of project {composed.compose_project}",
            composed,
        )
    project, service = image.labels.get(_LABEL_PROJECT, ""), image.labels.get(_LABEL_SERVICE, "")
    owner = next(
        (c for c in image.containers if service and (c.compose_project, c.compose_service) == (project, service)), None
    )
    if service and (owner is not None or not (digests or foreign)):
        return Provenance(
            BUILT_HERE, f"built here: its labels say that compose built it for service {service} of {project}", owner
        )
    local = next((name for name in repositories if name.startswith("localhost/")), None)
    if local is not None:
        return Provenance(BUILT_HERE, f"built here: the name {local} is that of a local build")
    if digests:
        return Provenance(THIRD_PARTY, f"third party: it has the repository digest {_shortened(digests[0])}")
    if foreign is not None and (not keeps_digests or _names_registry(foreign)):
        return Provenance(THIRD_PARTY, f"third party: the name {foreign} belongs to {foreign.partition('/')[0]}")
    vendor = _vendor(image, repositories, base_labels)
    if vendor:
        return Provenance(THIRD_PARTY, f"third party: its label {vendor} names where it comes from")
    official = next((name for name in repositories if name in official_images()), None)
    if official is not None:
        return Provenance(THIRD_PARTY, f"third party: {official} is the name of an official image")
    if foreign is not None:
        return Provenance(UNKNOWN, "unknown: no repository digest says that it was pulled, though its name has a user")
    if repositories:
        return Provenance(
            BUILT_HERE,
            f"built here: no repository digest, and the name {repositories[0]} has neither registry nor user and is"
            " no official image's",
            next((c for c in image.containers if c.compose_service), None),
        )
    return Provenance(UNKNOWN, "its origin is unknown: no name, no repository digest, no label tells it")


def repository(reference: str) -> str:
    """`docker.io/library/postgres:16@sha256:…` → `postgres`: the name without tag, digest and Docker Hub's prefix."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return (folder + slash + last.partition(":")[0]).removeprefix("docker.io/").removeprefix("library/")


@cache
def official_images() -> frozenset[str]:
    """Names of Docker's official images."""
    return frozenset(resources.files(__package__).joinpath("official_images.txt").read_text().split())


def telling_digests(image: ImageFacts) -> list[str]:
    """Repository digests that say something.

    A containerd store gives every image one with its own ID, and Podman gives its builds one of localhost.
    """
    return [
        digest
        for digest in image.digests
        if not digest.endswith(image.image_id) and not digest.startswith("localhost/")
    ]


def _default_name(container: ContainerFacts, repositories: list[str]) -> bool:
    project, service = container.compose_project, container.compose_service
    if not project or not service:
        return False
    names = {f"{project}{separator}{service}".lower() for separator in "_-"}
    return any(name.removeprefix("localhost/").lower() in names for name in repositories)


def _vendor(image: ImageFacts, repositories: list[str], base_labels: Mapping[str, str]) -> str:
    """A label of a vendor that was not inherited from the base and names this image."""
    for label in _VENDOR_LABELS:
        value = image.labels.get(label, "")
        if not value or base_labels.get(label) == value:
            continue
        last = value.rstrip("/").removesuffix(".git").rpartition("/")[2].lower()
        if any(name.rpartition("/")[2].lower() == last for name in repositories) or not repositories:
            return f"{label}={value}"
    return ""


def _names_registry(name: str) -> bool:
    """Whether the first part of a name is the host of a registry, which has a dot or a port, and not a user."""
    first = name.partition("/")[0]
    return "." in first or ":" in first


def _is_id(reference: str) -> bool:
    return reference.startswith("sha256:") or (
        len(reference) in (12, 64) and all(character in "0123456789abcdef" for character in reference)
    )


def _shortened(digest: str) -> str:
    name, _, value = digest.partition("@")
    return f"{name}@{value[:19]}…" if value else digest
