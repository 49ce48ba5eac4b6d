"""A host read from a folder: image archives, and a description of everything else in `host.json`.

The description has the engine's own documents of containers, so that they are read as a real engine's
are. It may be as broken as any file: what is unreadable as a whole raises UnreadableArchive, a single
broken part is a problem of its own. Images come from the archives alone; the description adds to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from imgopt_pipeline.errors import UnreadableArchive
from imgopt_pipeline.hosts.archive_files import shown
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.directory_views import FolderView
from imgopt_pipeline.hosts.engine_containers import container_from_inspect
from imgopt_pipeline.hosts.models import Container, DiskUsage, HostFacts, HostGpu, Image, Problem, Volume
from imgopt_pipeline.hosts.processes import ProcessPlace
from imgopt_pipeline.limits import DEFAULT_LIMITS, Limits
from imgopt_pipeline.names import printable

DESCRIPTION = "host.json"
_DIRECTORIES = "host"
_FORMAT = 1
_ITEMS = 100_000
_BYTES = 10**18
_HINT = "Make the folder again, with `imgopt demo` or what else made it."


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
        self._document: _Part | None = None
        self._containers: list[Container] | None = None

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
            for item in self._description().parts("containers"):
                try:
                    self._containers.append(_container(item))
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
            for item in self._description().parts("volumes")
        ]

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
        total_bytes = sum(all_bytes.values())
        active = sum(1 for image in images if image.image_id in used)
        return DiskUsage("images", len(images), active, total_bytes, total_bytes - sum(used_bytes.values()))

    def _container_usage(self) -> DiskUsage:
        containers = self.containers()
        running = [container for container in containers if container.running]
        total_bytes = sum(container.writable_bytes or 0 for container in containers)
        running_bytes = sum(container.writable_bytes or 0 for container in running)
        return DiskUsage("containers", len(containers), len(running), total_bytes, total_bytes - running_bytes)

    def _volume_usage(self) -> DiskUsage:
        volumes = self.volumes()
        used = [volume for volume in volumes if volume.containers]
        total_bytes = sum(volume.size_bytes or 0 for volume in volumes)
        used_bytes = sum(volume.size_bytes or 0 for volume in used)
        return DiskUsage("volumes", len(volumes), len(used), total_bytes, total_bytes - used_bytes)

    def _description(self) -> _Part:
        if self._document is None:
            path = self.path / DESCRIPTION
            try:
                if not path.is_file():
                    raise UnreadableArchive(f"it holds no {DESCRIPTION}.", subject=shown(self.path), hint=_HINT)
                with path.open("rb") as file:
                    content = file.read(self.limits.document_bytes + 1)
                if len(content) > self.limits.document_bytes:
                    raise UnreadableArchive(
                        f"it takes more than {self.limits.document_bytes:,} bytes.", subject=shown(path), hint=_HINT
                    )
                document = orjson.loads(content)
            except OSError as error:
                raise UnreadableArchive(f"it cannot be read ({error.strerror}).", subject=shown(path)) from error
            except orjson.JSONDecodeError as error:
                raise UnreadableArchive(f"it is no JSON ({error}).", subject=shown(path), hint=_HINT) from error
            self._document = _Part(document, "the document", shown(path))
            if self._document.number("format") != _FORMAT:
                raise UnreadableArchive(
                    f"it is no description of a host: its `format` is not {_FORMAT}.", subject=shown(path), hint=_HINT
                )
        return self._document

    def _broken(self, place: str, reason: str) -> Problem:
        return Problem(
            f"{place} in {shown(self.path / DESCRIPTION)}",
            UnreadableArchive.kind,
            f"it is malformed ({reason}).",
            _HINT,
        )


class _Part:
    """A mapping of the description, whose values are of the kind asked for or raise UnreadableArchive."""

    def __init__(self, value: object, place: str, source: str) -> None:
        self.place = place
        self._source = source
        if not isinstance(value, dict):
            raise self._wrong("", "a mapping")
        self.values: dict[str, Any] = value

    def part(self, key: str) -> _Part:
        """A mapping; an empty one where there is none."""
        value = self.values.get(key)
        return _Part({} if value is None else value, f"{self.place} → {printable(key)}", self._source)

    def parts(self, key: str) -> list[_Part]:
        """A list of mappings."""
        return [_Part(item, f"{key} {number}", self._source) for number, item in enumerate(self._list(key), start=1)]

    def text(self, key: str, otherwise: str = "") -> str:
        """A text, safe to store and to print."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "a text")
        return printable(value) if value is not None else otherwise

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self._list(key)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(key, "a list of texts")
        return tuple(printable(value) for value in values)

    def number(self, key: str) -> int | None:
        """A whole number that is not negative; None where there is none."""
        return self._number(key, self.values.get(key))

    def numbers(self, key: str) -> list[int]:
        """A list of such numbers."""
        return [self._number(key, value) or 0 for value in self._list(key)]

    def flag(self, key: str) -> bool:
        """Yes or no; no where it is missing."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return bool(value)

    def _number(self, key: str, value: object) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _BYTES:
            raise self._wrong(key, "a number")
        return value

    def _list(self, key: str) -> Sequence[Any]:
        values = self.values.get(key)
        if values is None:
            return ()
        if not isinstance(values, list) or len(values) > _ITEMS:
            raise self._wrong(key, f"a list of at most {_ITEMS:,}")
        return values

    def _wrong(self, key: str, wanted: str) -> UnreadableArchive:
        what = f"`{key}` of {self.place}" if key else self.place
        return UnreadableArchive(f"{what} is not {wanted}.", subject=self._source, hint=_HINT)


def _described_image(image: Image, described: _Part) -> Image:
    sizes = described.numbers("layer_bytes")
    size_bytes = sum(sizes) if len(sizes) == len(image.layers) else None
    return replace(image, digests=described.texts("digests"), size_bytes=size_bytes)


def _container(item: _Part) -> Container:
    inspected: Mapping[str, Any] = item.part("inspect").values
    return container_from_inspect(inspected, item.number("writable_bytes"), item.number("log_bytes"))
