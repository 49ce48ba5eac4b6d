"""What a host has: images, containers, disk usage, as plain values.

Values only. How they are read stands in `engine` and `archives`; what layers contain in `layers`.
Every string that came from an image or a container has passed through `names.printable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of one image. `position` counts from 0, the base; empty history steps are no layers."""

    position: int
    diff_id: str
    chain_id: str
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image as its host describes it.

    `image_id` differs between image stores, diff IDs and chain IDs do not. `size_bytes` is what the
    host says the image takes unpacked, or None where it does not say. `base_reference` comes from the OCI
    base annotations.
    """

    image_id: str
    references: tuple[str, ...]
    digests: tuple[str, ...]
    layers: tuple[Layer, ...]
    architecture: str = ""
    os: str = ""
    variant: str = ""
    created_at: datetime | None = None
    size_bytes: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    base_reference: str | None = None
    user: str = ""
    has_healthcheck: bool = False
    env_names: tuple[str, ...] = ()
    gpu_environment: dict[str, str] = field(default_factory=dict)
    source: str = ""

    @property
    def dangling(self) -> bool:
        return not self.references

    @property
    def name(self) -> str:
        """What a person calls it: its first reference, else the short ID."""
        return self.references[0] if self.references else self.image_id.removeprefix("sha256:")[:12]

    @property
    def chain_id(self) -> str:
        """The chain ID of the top layer, equal for images with equal content; empty without layers."""
        return self.layers[-1].chain_id if self.layers else ""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount of a container: `kind` is bind, volume or tmpfs."""

    kind: str
    source: str
    destination: str
    volume: str | None
    writable: bool


@dataclass(frozen=True, slots=True)
class ContainerGpu:
    """What a container was given and told about GPUs.

    `requests`: device requests and devices as words, such as `capability gpu, count all`, `device
    /dev/nvidia0`, `CDI nvidia.com/gpu=all`. `environment`: variables about GPUs and devices, the only
    ones whose values are kept. `arguments`: arguments of its command that name a device. `processes`:
    its processes that a GPU lists, None where no GPU could be asked.
    """

    runtime: str = ""
    requests: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    processes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class HostGpu:
    """What a host has for GPUs. `known` is False where nobody could look (folders of archives).

    `evidence` says in words what was looked at and what was seen.
    """

    known: bool = False
    devices: tuple[str, ...] = ()
    driver_version: str | None = None
    runtimes: tuple[str, ...] = ()
    default_runtime: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume. `containers` counts those that mount it, running or not; `anonymous`: the engine named it."""

    name: str
    driver: str
    mountpoint: str
    size_bytes: int | None
    containers: int
    anonymous: bool


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A directory of the host that containers mount (bind, volume) or that lies beside compose files (project).

    The fields are those of the table `data_directories`. Sizes are None where it cannot be read from here.
    """

    path: str
    kind: str
    volume: str | None
    containers: tuple[str, ...]
    compose_project: str | None
    running: bool
    size_bytes: int | None
    files: int | None
    contents: str
    contents_bytes: dict[str, int]
    unmodified_bytes: int | None
    unread_bytes: int | None
    unused_bytes: int | None
    idle_days: int
    filesystem: str
    remote: bool
    in_use_by: tuple[str, ...] | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Container:
    """A container, running or not. Values of environment variables are never read into it."""

    container_id: str
    name: str
    image_id: str
    image_reference: str
    state: str
    running: bool
    created_at: datetime | None
    started_at: datetime | None
    restart_policy: str
    restart_count: int
    compose_project: str | None
    compose_service: str | None
    compose_working_dir: str | None
    compose_config_files: tuple[str, ...]
    mounts: tuple[Mount, ...]
    memory_limit_bytes: int | None
    log_driver: str
    log_bytes: int | None
    writable_bytes: int | None
    gpu: ContainerGpu = ContainerGpu()


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What one kind of object takes: `kind` is images, containers, volumes or build cache."""

    kind: str
    items: int
    active_items: int
    size_bytes: int
    reclaimable_bytes: int


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the host is: `store` is overlay2, containerd, podman, another engine's driver, or archives."""

    kind: str
    version: str
    store: str
    root_dir: str
    local: bool


REMARK = "remark"
"""The kind of problem that takes nothing from an audit: a broken piece of metadata that was passed over."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something an audit could not read: the subject, what happened, and what to do."""

    subject: str
    kind: str
    message: str
    hint: str = ""


class Host(Protocol):
    """What every kind of host answers. `close` removes whatever reading has left on the host.

    `images` and `containers` return what could be read and append to `problems` what could not.
    """

    name: str

    def facts(self) -> HostFacts: ...
    def images(self) -> list[Image]: ...
    def image(self, reference: str) -> Image: ...
    def containers(self) -> list[Container]: ...
    def disk_usage(self) -> list[DiskUsage]: ...
    def volumes(self) -> list[Volume]: ...
    def gpus(self) -> HostGpu: ...
    def problems(self) -> list[Problem]: ...
    def close(self) -> None: ...


def with_chain_ids(diff_ids: Sequence[str], created_by: Sequence[str | None]) -> tuple[Layer, ...]:
    """Layers with chain IDs: ChainID(n) = sha256(ChainID(n-1) + " " + DiffID(n)).

    Source: OCI image specification, config.md, "Layer ChainID".
    """
    layers: list[Layer] = []
    chain_id = ""
    for position, diff_id in enumerate(diff_ids):
        chain_id = f"sha256:{sha256(f'{chain_id} {diff_id}'.encode()).hexdigest()}" if chain_id else diff_id
        layers.append(Layer(position, diff_id, chain_id, created_by[position]))
    return tuple(layers)
