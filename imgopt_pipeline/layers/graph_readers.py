"""Layers of the classic image store and of Podman, from the metadata their engines keep of each tar.

Both keep a tar-split file per layer; only the folder and the file's name differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

import orjson

from imgopt_pipeline.compression import decompressed
from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine_files import EngineFiles
from imgopt_pipeline.hosts.image_config import is_digest
from imgopt_pipeline.hosts.models import HostFacts, Image, Layer
from imgopt_pipeline.layers.entries import EntryCollector, LayerEntries
from imgopt_pipeline.layers.reading import Reading, timed
from imgopt_pipeline.layers.tar import scan_tar
from imgopt_pipeline.layers.tarsplit import TarSplitSource
from imgopt_pipeline.limits import Limits

OpenFolder = Callable[[str], EngineFiles]


class LayerDatabaseReader:
    """Docker's layer database: `<root>/image/<driver>/layerdb/sha256/<chain ID>/tar-split.json.gz`."""

    cost = ""

    def __init__(self, name: str, open_folder: OpenFolder, facts: HostFacts, limits: Limits) -> None:
        self.name = name
        self._open_folder = open_folder
        self._folder = f"{facts.root_dir}/image/{facts.store}/layerdb/sha256"
        self._limits = limits

    def read(self, image: Image, layers: Sequence[Layer]) -> Iterator[Reading]:
        files = self._open_folder(self._folder)
        for layer in layers:
            yield timed(layer, lambda layer: self._read_layer(files, layer))

    def _read_layer(self, files: EngineFiles, layer: Layer) -> tuple[LayerEntries, bool]:
        chain = layer.chain_id.removeprefix("sha256:")
        return _read_tar_split(files.open(f"{chain}/tar-split.json.gz"), self._limits), True


class PodmanReader:
    """Podman's storage: `overlay-layers/layers.json` names each layer's diff ID, `<id>.tar-split.gz` its tar."""

    cost = ""

    def __init__(self, name: str, open_folder: OpenFolder, facts: HostFacts, limits: Limits) -> None:
        self.name = name
        self._open_folder = open_folder
        self._folder = f"{facts.root_dir}/{facts.store}-layers"
        self._limits = limits
        self._ids: dict[str, str] | None = None

    def read(self, image: Image, layers: Sequence[Layer]) -> Iterator[Reading]:
        files = self._open_folder(self._folder)
        if self._ids is None:
            self._ids = self._layer_ids(files)
        ids = self._ids
        for layer in layers:
            yield timed(layer, lambda layer: self._read_layer(files, ids, layer))

    def _read_layer(self, files: EngineFiles, ids: dict[str, str], layer: Layer) -> tuple[LayerEntries, bool]:
        if layer.diff_id not in ids:
            raise UnreadableLayer("Podman's storage does not list this layer.")
        return _read_tar_split(files.open(f"{ids[layer.diff_id]}.tar-split.gz"), self._limits), True

    def _layer_ids(self, files: EngineFiles) -> dict[str, str]:
        with files.open("layers.json") as file:
            content = file.read(self._limits.document_bytes)
        try:
            listed = orjson.loads(content)
            return {
                item["diff-digest"]: item["id"]
                for item in listed
                if is_digest(item.get("diff-digest")) and str(item["id"]).isalnum()
            }
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableLayer("Podman's list of layers is malformed.") from error


def _read_tar_split(opened: AbstractContextManager[BinaryIO], limits: Limits) -> LayerEntries:
    collector = EntryCollector(limits)
    with opened as file:
        source = TarSplitSource(decompressed(file))
        return collector.finish(scan_tar(source, collector, limits))
