"""A Docker Engine, or Podman behind its Docker-compatible API, as a host.

Asks the API and turns its answers into `models`. Nothing is started or changed; the helper containers
of `engine_files` are the one thing that reading leaves behind, and `close` removes them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from imgopt_pipeline.errors import HostUnreachable, ImageNotFound, ImgoptError, UnreadableLayer
from imgopt_pipeline.hosts.connection import EngineAddress, connect, engine_addresses
from imgopt_pipeline.hosts.engine_containers import container_from_inspect
from imgopt_pipeline.hosts.engine_files import (
    HELPER_LABEL,
    ChunkStream,
    DirectFiles,
    EngineFiles,
    HelperFiles,
    engine_errors,
    sweep_helpers,
)
from imgopt_pipeline.hosts.engine_usage import disk_usage_from_df, volumes_from_df
from imgopt_pipeline.hosts.host_gpus import container_processes, local_gpu_processes, look_for_gpus, runs_here
from imgopt_pipeline.hosts.image_config import familiar, image_from_config
from imgopt_pipeline.hosts.models import Container, DiskUsage, HostFacts, HostGpu, Image, Problem, Volume
from imgopt_pipeline.limits import DEFAULT_LIMITS, Limits
from imgopt_pipeline.names import printable

_THREADS = 4
_ROTATED_LOGS = 100
_PATIENCE_SECONDS = 1_800
_CONTAINERD_DRIVER = "io.containerd.snapshotter.v1"
_METADATA = frozenset({"CMD", "ENTRYPOINT", "ENV", "ARG", "LABEL", "EXPOSE", "VOLUME", "USER"}) | frozenset(
    {"STOPSIGNAL", "HEALTHCHECK", "ONBUILD", "SHELL", "MAINTAINER"}
)

Item = TypeVar("Item")
Result = TypeVar("Result")


class EngineHost:
    """One engine. Raises HostUnreachable from any call where it does not answer (any more)."""

    def __init__(
        self, name: str, addresses: list[EngineAddress] | None = None, *, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.name = name
        self.limits = limits
        self.client, self.address = connect(addresses or engine_addresses())
        self._facts: HostFacts | None = None
        self._helpers: dict[str, HelperFiles] = {}
        self._usage: dict[str, Any] | None = None
        self._problems: list[Problem] = []
        self._swept = False
        self._logs: EngineFiles | None = None
        self._logs_tried = False
        self._log_lock = threading.Lock()  # containers are read side by side

    def facts(self) -> HostFacts:
        if self._facts is None:
            with engine_errors("the engine does not say what it is"):
                info = self.client.info()
                version = self.client.version()
            names = [str(part.get("Name", "")) for part in version.get("Components") or []]
            podman = any("Podman" in name for name in names)
            status = dict(item for item in info.get("DriverStatus") or [] if len(item) == 2)
            containerd = status.get("driver-type") == _CONTAINERD_DRIVER
            driver = printable(str(info.get("Driver") or ""))
            self._facts = HostFacts(
                kind="podman" if podman else "docker",
                version=printable(str(version.get("Version") or "")),
                store="containerd" if containerd else driver,
                root_dir=printable(str(info.get("DockerRootDir") or "")),
                local=self.address.socket is not None,
            )
        return self._facts

    def images(self) -> list[Image]:
        with engine_errors("the engine does not list its images"):
            listed = self.client.images()
        return self._each(listed, self._image_of, lambda item: _listed_name(item))

    def image(self, reference: str) -> Image:
        """The image of a reference, ID or ID prefix. Raises ImageNotFound."""
        with engine_errors(f"there is no image {printable(reference)} on this host", missing=ImageNotFound):
            inspected = self.client.inspect_image(reference)
        return self._image_of({"Id": inspected["Id"]}, inspected)

    def containers(self) -> list[Container]:
        self._sweep()
        with engine_errors("the engine does not list its containers"):
            listed = self.client.containers(all=True)
        wanted = [item for item in listed if HELPER_LABEL not in (item.get("Labels") or {})]
        sizes = {item.get("Id"): item.get("SizeRw") or 0 for item in self._df().get("Containers") or []}
        on_gpu = local_gpu_processes() if self._runs_here() else None

        def one(item: dict[str, Any]) -> Container:
            with engine_errors("it was removed while it was being read"):
                inspected = self.client.inspect_container(item["Id"])
            processes = container_processes(self.client, inspected, on_gpu)
            return container_from_inspect(inspected, sizes.get(item["Id"]), self._log_bytes(inspected), processes)

        return self._each(wanted, one, lambda item: f"container {printable(str((item.get('Names') or ['?'])[0]))}")

    def disk_usage(self) -> list[DiskUsage]:
        return disk_usage_from_df(self._df())

    def volumes(self) -> list[Volume]:
        """The volumes; without sizes where the engine does not say what takes its disk."""
        if usage := self._df():
            return volumes_from_df(usage.get("Volumes"), None)
        with engine_errors("the engine does not list its volumes"):
            return volumes_from_df(self.client.volumes().get("Volumes"), self.client.containers(all=True))

    def gpus(self) -> HostGpu:
        """What the engine's machine has for GPUs."""
        with engine_errors("the engine does not say what it is"):
            info = self.client.info()
        return look_for_gpus(info, self._runs_here(), self.files)

    def problems(self) -> list[Problem]:
        return list(self._problems)

    def close(self) -> None:
        """Remove helper containers and let the connection go."""
        while self._helpers:
            self._helpers.popitem()[1].remove()
        self.client.close()

    def files(self, folder: str) -> EngineFiles:
        """Files below a folder of the engine's machine, through the API."""
        if folder not in self._helpers:
            self._sweep()
            with engine_errors("the engine does not list its images"):
                listed = self.client.images()
            if not listed:
                raise UnreadableLayer("the host has no image to make a helper container from.")
            smallest = min(listed, key=lambda item: int(item.get("Size") or 0))
            self._helpers[folder] = HelperFiles(self.client, smallest["Id"], folder)
        return self._helpers[folder]

    @contextmanager
    def image_files(self, image: Image) -> Iterator[HelperFiles]:
        """The files of an image, through a helper container of it. Raises UnreadableLayer, ImageNotFound."""
        with engine_errors("the engine does not describe it", missing=ImageNotFound):
            inspected = self.client.inspect_image(image.image_id)
        declared = (inspected.get("Config") or {}).get("Volumes") or {}
        self._sweep()
        volumes = [path for path in declared if path.startswith("/") and path.strip("/.")]
        files = HelperFiles(self.client, image.image_id, None, volumes=volumes)
        try:
            yield files
        finally:
            files.remove()

    def direct_files(self, folder: str) -> DirectFiles | None:
        """The same from this machine's disk, where the engine runs here and this user may read it."""
        if not self.facts().local or not os.access(folder, os.R_OK | os.X_OK):
            return None
        return DirectFiles(Path(folder))

    def save(self, image: Image) -> ChunkStream:
        """The image as `docker save` writes it. The engine stages all of it on its disk first."""
        with (
            self._patience(),
            engine_errors(f"the engine does not save {image.name}", missing=ImageNotFound),
        ):
            return ChunkStream(self.client.get_image(image.image_id, chunk_size=1 << 20))

    def _image_of(self, item: dict[str, Any], inspected: dict[str, Any] | None = None) -> Image:
        image_id = str(item["Id"])
        try:
            with engine_errors("the engine does not describe it", missing=ImageNotFound):
                found = inspected or self.client.inspect_image(image_id)
            history = self._history(image_id)
        except ImageNotFound as error:
            raise ImageNotFound("it was removed while it was being read.") from error
        diff_ids = list((found.get("RootFS") or {}).get("Layers") or [])
        image = image_from_config(
            {
                "rootfs": {"diff_ids": diff_ids},
                "config": found.get("Config"),
                "history": layer_steps(history, len(diff_ids)),
                "architecture": found.get("Architecture"),
                "os": found.get("Os"),
                "variant": found.get("Variant"),
                "created": found.get("Created"),
            },
            image_id=image_id,
            references=_names(found.get("RepoTags")),
            digests=_names(found.get("RepoDigests")),
            source="",
            limits=self.limits,
        )
        return replace(image, size_bytes=found.get("Size"))

    def _history(self, image_id: str) -> list[dict[str, Any]]:
        """The build steps, oldest first; none where the engine fails to tell them, as Podman 4 sometimes does."""
        try:
            with engine_errors("the engine does not tell the history", missing=ImageNotFound):
                return list(reversed(self.client.history(image_id) or []))
        except UnreadableLayer:
            return []

    def _each(self, items: Iterable[Item], read: Callable[[Item], Result], name: Callable[[Item], str]) -> list[Result]:
        """Read items side by side; one that fails is a problem and not the end of the others."""

        def attempt(item: Item) -> Result | Problem:
            try:
                return read(item)
            except HostUnreachable:
                raise
            except ImgoptError as error:
                return Problem(name(item), error.kind, error.message, error.hint)

        with ThreadPoolExecutor(max_workers=_THREADS) as pool:
            results = list(pool.map(attempt, items))
        self._problems += [result for result in results if isinstance(result, Problem)]
        return [result for result in results if not isinstance(result, Problem)]

    def _df(self) -> dict[str, Any]:
        if self._usage is None:
            try:
                with self._patience(), engine_errors("the engine does not say what takes its disk"):
                    self._usage = dict(self.client.df())
            except UnreadableLayer as error:
                self._problems.append(Problem("disk usage", "disk usage", error.message))
                self._usage = {}
        return self._usage

    def _runs_here(self) -> bool:
        facts = self.facts()
        return runs_here(facts.local, facts.root_dir)

    def _sweep(self) -> None:
        """Remove what a crash left, once per connection."""
        if not self._swept:
            sweep_helpers(self.client)
            self._swept = True

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """A longer time limit, for answers that the engine prepares for minutes before their first byte."""
        usual, self.client.timeout = self.client.timeout, _PATIENCE_SECONDS
        try:
            yield
        finally:
            self.client.timeout = usual

    def _log_bytes(self, inspected: dict[str, Any]) -> int | None:
        """Bytes of a container's log and its rotated parts; None where there is none or it cannot be seen."""
        folder, _, name = str(inspected.get("LogPath") or "").rpartition("/")
        all_folders, _, own_folder = folder.rpartition("/")
        if not all_folders:
            return None
        files = self.direct_files(folder) or self._log_files(all_folders)
        prefix = "" if isinstance(files, DirectFiles) else f"{own_folder}/"
        log_bytes = files.size_bytes(f"{prefix}{name}") if files is not None else None
        if files is None or log_bytes is None:
            return None
        for number in range(1, _ROTATED_LOGS):
            rotated_bytes = files.size_bytes(f"{prefix}{name}.{number}")
            if rotated_bytes is None:
                break
            log_bytes += rotated_bytes
        return log_bytes

    def _log_files(self, folder: str) -> EngineFiles | None:
        """The folder of all containers' logs, through one helper for all of them; None where that is refused."""
        with self._log_lock:
            if not self._logs_tried:
                self._logs_tried = True
                with suppress(UnreadableLayer):
                    self._logs = self.files(folder)
            return self._logs


def layer_steps(history: list[dict[str, Any]], layer_count: int) -> list[dict[str, Any]]:
    """Steps of `GET /images/{name}/history`, oldest first, in the form of an image configuration's.

    The API does not mark steps that made no layer: instructions that only set metadata never do, and
    `WORKDIR` only where it had to make the directory. Where that leaves a wrong number nothing is
    guessed (`history_of_layers`).
    """
    words = [_instruction(step) for step in history]
    empty = [not step.get("Size") and word in _METADATA for step, word in zip(history, words, strict=True)]
    if empty.count(False) > layer_count:
        empty = [
            made_none or (word == "WORKDIR" and not step.get("Size"))
            for made_none, step, word in zip(empty, history, words, strict=True)
        ]
    return [
        {"created_by": step.get("CreatedBy"), "empty_layer": made_none}
        for made_none, step in zip(empty, history, strict=True)
    ]


def _instruction(step: dict[str, Any]) -> str:
    text = str(step.get("CreatedBy") or "").removeprefix("/bin/sh -c ")
    return text.removeprefix("#(nop)").strip().partition(" ")[0]


def _names(listed: object) -> list[str]:
    names = listed if isinstance(listed, list) else []
    return [familiar(str(name)) for name in names if not str(name).startswith("<none>")]


def _listed_name(item: dict[str, Any]) -> str:
    names = _names(item.get("RepoTags"))
    return printable(names[0]) if names else f"image {str(item.get('Id', ''))[7:19]}"
