"""A host read from a folder: image archives, and a description of everything else in `host.json`.

The description has the engine's own documents of containers, so that they are read as a real engine's
are. It may be as broken as any file: what is unreadable as a whole raises UnreadableArchive, a single
broken part is a problem of its own. Images come from the archives alone; the description adds to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from imgopt_pipeline.errors import UnreadableArchive
from imgopt_pipeline.hosts.archive_files import shown
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.description_parts import HINT, Part
from imgopt_pipeline.hosts.directory_views import FolderView
from imgopt_pipeline.hosts.engine_containers import container_from_inspect
from imgopt_pipeline.hosts.models import Container, DiskUsage, HostFacts, HostGpu, Image, Problem, Volume
from imgopt_pipeline.hosts.processes import ProcessPlace
from imgopt_pipeline.limits import DEFAULT_LIMITS, Limits
from imgopt_pipeline.names import printable

DESCRIPTION = "host.json"
_DIRECTORIES = "host"
_FORMAT = 1
_NAME_CHARACTERS = 200
_MOST_BYTES = 2**63 - 1  # that the warehouse holds


@dataclass(frozen=True, slots=True)
class DescribedProcess:
    """A process of the described host: its working directory and the paths it holds open."""

    pid: int
    command: str
    working_directory: str
    open_paths: tuple[str, ...]


def is_described(folder: Path) -> bool:
    """Whether a folder holds a described host."""
    return (folder / DESCRIPTION).is_file()


class DescribedHost(ArchiveHost):
    """A folder of image archives with a description of the host they come from."""

    def __init__(self, name: str, path: Path, *, limits: Limits = DEFAULT_LIMITS, platform: str | None = None) -> None:
        super().__init__(name, path, limits=limits, platform=platform)
        self._document: Part | None = None
        self._containers: list[Container] | None = None
        self._volumes: dict[str, Part] | None = None

    @property
    def directory_root(self) -> Path:
        """Where the directories of the described host lie: its `/srv` is `srv` in there."""
        return self.path / _DIRECTORIES

    def facts(self) -> HostFacts:
        engine = self._description().part("engine")
        return HostFacts(
            kind=engine.text("kind", "docker"),
            version=engine.text("version"),
            store=engine.text("store", "overlay2"),
            root_dir=shown(self.path),
            local=True,
        )

    def images(self) -> list[Image]:
        """The archives' images, with repository digests and sizes as the description says them."""
        described = self._description().part("images")
        return [_described_image(image, described.part(image.image_id)) for image in super().images()]

    def containers(self) -> list[Container]:
        if self._containers is None:
            self._containers = []
            seen: set[str] = set()
            for item in self._description().parts("containers"):
                try:
                    container = _container(item)
                    if container.container_id in seen:
                        self._problems.append(self._repeated(item.place, "container ID", container.container_id))
                        continue
                    seen.add(container.container_id)
                    self._containers.append(container)
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    self._problems.append(self._broken(item.place, f"{type(error).__name__}: {printable(str(error))}"))
                except UnreadableArchive as error:
                    self._problems.append(Problem(error.subject, error.kind, error.message, error.hint))
        return list(self._containers)

    def volumes(self) -> list[Volume]:
        mounted = [mount.volume for container in self.containers() for mount in container.mounts if mount.volume]
        return [
            Volume(
                name=item.text("name"),
                driver=item.text("driver", "local"),
                mountpoint=item.text("mountpoint"),
                size_bytes=item.number("size_bytes"),
                containers=mounted.count(item.text("name")),
                anonymous=item.flag("anonymous"),
            )
            for item in self._described_volumes()
        ]

    def _described_volumes(self) -> Iterable[Part]:
        """The volumes of the description, each name once."""
        if self._volumes is None:
            self._volumes = {}
            for item in self._description().parts("volumes"):
                name = item.text("name")
                if name in self._volumes:
                    self._problems.append(self._repeated(item.place, "volume", name))
                else:
                    self._volumes[name] = item
        return self._volumes.values()

    def gpus(self) -> HostGpu:
        gpu = self._description().part("gpu")
        devices, driver, runtimes = gpu.texts("devices"), gpu.text("driver_version") or None, gpu.texts("runtimes")
        return HostGpu(
            known=True,
            devices=devices,
            driver_version=driver,
            runtimes=runtimes,
            default_runtime=gpu.text("default_runtime"),
            evidence=(
                f"{', '.join(devices) or 'no GPU device'}",
                f"driver {driver}" if driver else "no driver",
                f"runtimes {', '.join(runtimes) or 'none'} (by {DESCRIPTION})",
            ),
        )

    def disk_usage(self) -> list[DiskUsage]:
        """Images by their layers, each counted once; containers, volumes and build cache as described."""
        cache = self._description().part("build_cache")
        return [
            self._image_usage(),
            self._container_usage(),
            self._volume_usage(),
            DiskUsage(
                "build cache",
                cache.number("items") or 0,
                cache.number("active_items") or 0,
                cache.number("size_bytes") or 0,
                cache.number("reclaimable_bytes") or 0,
            ),
        ]

    def processes(self) -> list[DescribedProcess]:
        """What runs on the described host, containers' processes or not."""
        return [
            DescribedProcess(item.number("pid") or 0, item.text("command"), item.text("folder"), item.texts("open"))
            for item in self._description().parts("processes")
        ]

    def filesystems(self) -> dict[str, str]:
        """Types of the file systems by where they are mounted, as far as they are no plain local disk."""
        return {item.text("path"): item.text("type") for item in self._description().parts("filesystems")}

    def directory_view(self) -> FolderView:
        """How the data directories of the described host are seen."""
        places = [
            ProcessPlace(process.pid, printable(process.command), (process.working_directory, *process.open_paths))
            for process in self.processes()
        ]
        return FolderView(self.directory_root, places, self.filesystems())

    def _image_usage(self) -> DiskUsage:
        used = {container.image_id for container in self.containers()}
        described = self._description().part("images")
        all_bytes: dict[str, int] = {}
        used_bytes: dict[str, int] = {}
        images = self.images()
        for image in images:
            sizes = described.part(image.image_id).numbers("layer_bytes")
            by_chain = {layer.chain_id: size for layer, size in zip(image.layers, sizes, strict=False)}
            all_bytes |= by_chain
            used_bytes |= by_chain if image.image_id in used else {}
        total_bytes = _total(all_bytes.values())
        active = sum(1 for image in images if image.image_id in used)
        return DiskUsage("images", len(images), active, total_bytes, total_bytes - _total(used_bytes.values()))

    def _container_usage(self) -> DiskUsage:
        containers = self.containers()
        running = [container for container in containers if container.running]
        total_bytes = _total(container.writable_bytes or 0 for container in containers)
        running_bytes = _total(container.writable_bytes or 0 for container in running)
        return DiskUsage("containers", len(containers), len(running), total_bytes, total_bytes - running_bytes)

    def _volume_usage(self) -> DiskUsage:
        volumes = self.volumes()
        used = [volume for volume in volumes if volume.containers]
        total_bytes = _total(volume.size_bytes or 0 for volume in volumes)
        used_bytes = _total(volume.size_bytes or 0 for volume in used)
        return DiskUsage("volumes", len(volumes), len(used), total_bytes, total_bytes - used_bytes)

    def _description(self) -> Part:
        if self._document is None:
            path = self.path / DESCRIPTION
            try:
                if not path.is_file():
                    raise UnreadableArchive(f"it holds no {DESCRIPTION}.", subject=shown(self.path), hint=HINT)
                with path.open("rb") as file:
                    content = file.read(self.limits.document_bytes + 1)
                if len(content) > self.limits.document_bytes:
                    raise UnreadableArchive(
                        f"it takes more than {self.limits.document_bytes:,} bytes.", subject=shown(path), hint=HINT
                    )
                document = orjson.loads(content)
            except OSError as error:
                raise UnreadableArchive(f"it cannot be read ({error.strerror}).", subject=shown(path)) from error
            except orjson.JSONDecodeError as error:
                raise UnreadableArchive(f"it is no JSON ({error}).", subject=shown(path), hint=HINT) from error
            self._document = Part(document, "the document", shown(path))
            if self._document.number("format") != _FORMAT:
                raise UnreadableArchive(
                    f"it is no description of a host: its `format` is not {_FORMAT}.", subject=shown(path), hint=HINT
                )
        return self._document

    def _repeated(self, place: str, what: str, name: str) -> Problem:
        return self._broken(place, f"the {what} {name[:_NAME_CHARACTERS]} stands there before; the first counts")

    def _broken(self, place: str, reason: str) -> Problem:
        return Problem(
            f"{place} in {shown(self.path / DESCRIPTION)}",
            UnreadableArchive.kind,
            f"it is malformed ({reason}).",
            HINT,
        )


def _described_image(image: Image, described: Part) -> Image:
    sizes = described.numbers("layer_bytes")
    size_bytes = sum(sizes) if len(sizes) == len(image.layers) else None
    return replace(image, digests=described.texts("digests"), size_bytes=size_bytes)


def _container(item: Part) -> Container:
    inspected: Mapping[str, Any] = item.part("inspect").values
    return container_from_inspect(inspected, item.number("writable_bytes"), item.number("log_bytes"))


def _total(sizes: Iterable[int]) -> int:
    return min(sum(sizes), _MOST_BYTES)
