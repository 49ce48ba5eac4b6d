"""Layers of the containerd image store: unpacked snapshots, blobs on disk, blobs through the API.

There is no tar-split in this store. Snapshots are walked and plain blobs sought as root on the
engine's machine; everybody else streams blobs through a helper container.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from imgopt_pipeline import progress
from imgopt_pipeline.compression import decompressed
from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine_files import EngineFiles
from imgopt_pipeline.hosts.image_config import is_digest
from imgopt_pipeline.hosts.models import HostFacts, Image, Layer
from imgopt_pipeline.layers.bolt import TornFile, root_bucket
from imgopt_pipeline.layers.entries import EntryCollector, LayerEntries
from imgopt_pipeline.layers.reading import Reading, timed
from imgopt_pipeline.layers.tar import StreamSource, scan_tar
from imgopt_pipeline.layers.walk import walk_overlay
from imgopt_pipeline.limits import Limits

_BLOBS = "io.containerd.content.v1.content/blobs/sha256"
_SNAPSHOTTER = "io.containerd.snapshotter.v1.overlayfs"
_TORN_TRIES = 5


def containerd_roots(facts: HostFacts) -> list[str]:
    """Where containerd may keep its data; the API does not say."""
    return ["/var/lib/containerd", f"{facts.root_dir}/containerd/daemon"]


class SnapshotReader:
    """Walks `<root>/<snapshotter>/snapshots/<number>/fs`, found by chain ID in `metadata.db`."""

    name = "direct: snapshot walk"
    cost = ""

    def __init__(self, facts: HostFacts, limits: Limits) -> None:
        self._local = facts.local
        self._roots = [Path(root, _SNAPSHOTTER) for root in containerd_roots(facts)]
        self._limits = limits
        self._folders: dict[str, Path] | None = None

    def read(self, image: Image, layers: Sequence[Layer]) -> Iterator[Reading]:
        if not self._local:
            raise UnreadableLayer("the engine's files are on another machine.")
        if self._folders is None:
            self._folders = {}
            for root in self._roots:
                self._folders |= _snapshot_folders(root)
        folders = self._folders
        for layer in layers:
            yield timed(layer, lambda layer: self._read_layer(folders, layer))

    def _read_layer(self, folders: dict[str, Path], layer: Layer) -> tuple[LayerEntries, bool]:
        if layer.chain_id not in folders:
            raise UnreadableLayer("containerd has not unpacked this layer.")
        return walk_overlay(folders[layer.chain_id], self._limits), True


class BlobReader:
    """Streams each layer's blob and scans its headers, by any `EngineFiles`."""

    def __init__(
        self,
        name: str,
        open_folder: Callable[[str], EngineFiles | None],
        facts: HostFacts,
        limits: Limits,
        cost: str = "",
    ) -> None:
        self.name = name
        self.cost = cost
        self._open_folder = open_folder
        self._folders = [f"{root}/{_BLOBS}" for root in containerd_roots(facts)]
        self._limits = limits

    def read(self, image: Image, layers: Sequence[Layer]) -> Iterator[Reading]:
        files, manifest = self._find(image)
        blobs = [(_hex(item["digest"]), int(item.get("size") or 0)) for item in manifest["layers"]]
        if len(blobs) != len(image.layers):
            raise UnreadableLayer("the image's manifest and configuration disagree on its layers.")
        progress.current().start(image.name, sum(blobs[layer.position][1] for layer in layers))
        for layer in layers:
            yield timed(layer, lambda layer: self._read_layer(files, blobs[layer.position][0]))

    def _read_layer(self, files: EngineFiles, digest: str) -> tuple[LayerEntries, bool]:
        collector = EntryCollector(self._limits)
        with files.open(digest) as file:
            stream = decompressed(cast(BinaryIO, _Counted(file)))
            return collector.finish(scan_tar(StreamSource(stream, self._limits), collector, self._limits)), True

    def _find(self, image: Image) -> tuple[EngineFiles, dict[str, Any]]:
        """The store that holds the image, and the manifest of the platform that the engine shows."""
        failure = UnreadableLayer("no containerd content store is within reach.")
        for folder in self._folders:
            try:
                files = self._open_folder(folder)
                if files is None:
                    continue
                manifest = self._manifest(files, image.image_id, [layer.diff_id for layer in image.layers], 0)
            except UnreadableLayer as error:
                failure = error
                continue
            if manifest is not None:
                return files, manifest
            failure = UnreadableLayer("the manifest of the image is not in the store.")
        raise failure

    def _manifest(self, files: EngineFiles, digest: str, diff_ids: list[str], depth: int) -> dict[str, Any] | None:
        if depth > self._limits.nesting:
            return None
        document = self._document(files, digest)
        if "manifests" not in document:
            config = self._document(files, document["config"]["digest"])
            return document if (config.get("rootfs") or {}).get("diff_ids") == diff_ids else None
        for descriptor in document["manifests"] or []:
            try:
                found = self._manifest(files, descriptor["digest"], diff_ids, depth + 1)
            except UnreadableLayer:
                # Other platforms of an index are usually not in the store.
                continue
            if found is not None:
                return found
        return None

    def _document(self, files: EngineFiles, digest: str) -> dict[str, Any]:
        with files.open(_hex(digest)) as file:
            content = file.read(self._limits.document_bytes)
        try:
            document = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise UnreadableLayer("a manifest in the store is no JSON.") from error
        if not isinstance(document, dict):
            raise UnreadableLayer("a manifest in the store is malformed.")
        return document


class _Counted:
    """A stream that tells the progress how many bytes went by."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size_bytes: int = -1) -> bytes:
        data = self._stream.read(size_bytes)
        progress.current().advance(len(data))
        return data


def _hex(digest: object) -> str:
    if not is_digest(digest):
        raise UnreadableLayer("a manifest in the store names a blob by no sha256 digest.")
    return str(digest).removeprefix("sha256:")


def _snapshot_folders(root: Path) -> dict[str, Path]:
    """Folders of unpacked layers by chain ID. Keys of the database are `<namespace>/<number>/<chain ID>`."""
    database = root / "metadata.db"
    for attempt in range(_TORN_TRIES):
        try:
            snapshots = root_bucket(database.read_bytes()).bucket(b"v1")
            listed = snapshots.bucket(b"snapshots") if snapshots else None
            return {
                name.rpartition(b"/")[2].decode(): root / "snapshots" / str(_varint(number)) / "fs"
                for name, bucket in (listed.buckets() if listed else ())
                if is_digest(name.rpartition(b"/")[2].decode("ascii", "replace"))
                and (number := bucket.value(b"id")) is not None
            }
        except OSError:
            return {}
        except TornFile:
            time.sleep(0.05 * attempt)
    return {}


def _varint(data: bytes) -> int:
    value = 0
    for shift, byte in enumerate(data):
        value |= (byte & 0x7F) << (7 * shift)
        if not byte & 0x80:
            break
    return value
