"""Makes a fleet in a folder from its declaration: layers, images, the description of the host, its directories.

What was made before and has not changed stays; everything is written beside and renamed, so that an
interrupted run leaves nothing half.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from imgopt_pipeline import progress
from imgopt_pipeline.demo.declaration import Fleet, Image, Layer, read_fleet
from imgopt_pipeline.demo.declared import told
from imgopt_pipeline.demo.description import MadeImage, describe, parse_mount, repository_digests
from imgopt_pipeline.demo.files import MadeFile
from imgopt_pipeline.demo.host_folder import files_key, planned_files, set_times, write_files
from imgopt_pipeline.demo.image_layouts import digest_of, image_config, layout_name, refuse_same_folder, write_layout
from imgopt_pipeline.demo.layer_blobs import LayerBlob, write_layer
from imgopt_pipeline.demo.planning import PlannedLayer, Tree, plan_layer
from imgopt_pipeline.errors import ImgoptError, SettingsError, StorageError

GENERATOR_VERSION = 1
"""Goes up where the same declaration makes other files."""

HOST_FOLDER = "host"
DESCRIPTION = "host.json"
_INDEX = ".fleet.json"
_LAYERS = ".layers"
_LOCK = ".fleet.lock"
_LOCK_SECONDS = 300
_THREADS = 2
_MTIME_SECONDS = 1_767_225_600  # 2026-01-01: equal layers of two images must be equal to the byte
_CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def built_in_declaration() -> Path:
    """The declaration of the demo fleet."""
    return Path(str(resources.files(__package__).joinpath("fleet.yaml")))


def make_fleet(declaration_path: Path | None, folder: Path) -> None:
    """Make the fleet of a declaration, by default the built-in one, in `folder`.

    Raises SettingsError for a faulty declaration or a folder that holds something else, StorageError where
    it cannot be written.
    """
    path = declaration_path or built_in_declaration()
    fleet = read_fleet(path)
    try:
        for container in fleet.containers:
            for mount in container.mounts:
                parse_mount(mount)
        refuse_same_folder(fleet.images)
        files = planned_files(fleet)
        with _storage_errors(folder):
            _prepare(folder)
            with FileLock(folder / _LOCK, timeout=_LOCK_SECONDS):
                _Maker(folder).make(fleet, files)
    except Timeout as error:
        raise StorageError("another process is making it at this moment.", subject=str(folder)) from error
    except SettingsError as error:
        error.subject = error.subject or str(path)
        error.message = told(error.message)
        raise


def remove_fleet(folder: Path) -> None:
    """Remove a fleet's folder. Raises SettingsError where it holds something else."""
    if not folder.exists():
        return
    with _storage_errors(folder):
        _prepare(folder)
        shutil.rmtree(folder)


def _prepare(folder: Path) -> None:
    """Make the folder. Raises SettingsError where it holds what is no fleet."""
    if folder.exists() and not folder.is_dir():
        raise SettingsError("it is no folder.", subject=str(folder), hint="Name a folder for the fleet.")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _INDEX).is_file() and any(entry.name != _LOCK for entry in folder.iterdir()):
        raise SettingsError(
            "the folder holds other files and no fleet.", subject=str(folder), hint="Name an empty or a new folder."
        )


@dataclass(frozen=True, slots=True)
class _Stack:
    """An image's layers, base first, each with the key of it and all below it."""

    image: Image
    layers: tuple[Layer, ...]
    keys: tuple[str, ...]


class _Maker:
    """One making of a fleet in its folder, with the index of what lies there already."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._layers = folder / _LAYERS
        self._layers.mkdir(exist_ok=True)
        index = _read_index(folder / _INDEX)
        self._blobs = {key: blob for key, blob in index[0].items() if self._blob_path(key).is_file()}
        self._images = index[1]
        self._host_key = index[2]
        self._save()

    def make(self, fleet: Fleet, files: Sequence[MadeFile]) -> None:
        stacks = [_stack(fleet, image) for image in fleet.images]
        self._make_layers(stacks)
        # Without its description the folder is no described host, until all of it is there.
        (self._folder / DESCRIPTION).unlink(missing_ok=True)
        made = [self._make_image(stack) for stack in stacks]
        self._make_host(fleet, files)
        self._sweep(stacks, made)
        self._save()
        _replace(self._folder / DESCRIPTION, describe(fleet, made, datetime.now(UTC)))

    def _make_layers(self, stacks: Sequence[_Stack]) -> None:
        """Write the layers that are missing: planned one after the other, hashed two at a time."""
        shared = Counter(key for stack in stacks for key in set(stack.keys))
        trees: dict[str, Tree] = {}
        pending: dict[str, tuple[Future[LayerBlob], int]] = {}
        with ThreadPoolExecutor(max_workers=_THREADS) as pool:
            try:
                for stack in sorted(stacks, key=_declared_bytes, reverse=True):
                    self._start_layers(stack, trees, shared, pending, pool)
                progress.current().start("demo fleet", sum(size for _, size in pending.values()))
                keys = {future: key for key, (future, _) in pending.items()}
                for future in as_completed(keys):
                    self._blobs[keys[future]] = future.result()
                    self._save()
                    progress.current().advance(pending[keys[future]][1])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _start_layers(
        self,
        stack: _Stack,
        trees: dict[str, Tree],
        shared: Counter[str],
        pending: dict[str, tuple[Future[LayerBlob], int]],
        pool: ThreadPoolExecutor,
    ) -> None:
        if all(key in self._blobs or key in pending for key in stack.keys):
            return
        tree = Tree()
        for number, (layer, key) in enumerate(zip(stack.layers, stack.keys, strict=True), start=1):
            if key in trees:
                tree = trees[key]
                continue
            try:
                planned, tree = plan_layer(layer, tree)
            except SettingsError as error:
                name = stack.image.name or "an image without a name"
                place = f"images → {name} → layer {number} ({layer.created_by[:60]})"
                raise SettingsError(f"{place}: {error.message}", hint=error.hint) from error
            if shared[key] > 1:
                trees[key] = tree
            if key not in self._blobs and key not in pending:
                path = self._blob_path(key)
                pending[key] = pool.submit(_write_beside, planned, path), planned.file_bytes

    def _make_image(self, stack: _Stack) -> MadeImage:
        image = stack.image
        blobs = [self._blobs[key] for key in stack.keys]
        created = (image.created or _CREATED).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        config = image_config(image, [layer.created_by for layer in stack.layers], blobs, created)
        image_id = digest_of(config)
        name = layout_name(image.references, image_id)
        # What a layout depends on: its configuration, its names, and how its layers are packed.
        key = _digest([image_id, *image.references, *(blob.digest for blob in blobs)])
        target = self._folder / name
        if self._images.get(name) != key or not (target / "index.json").is_file():
            partial = self._folder / f".{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            self._images[name] = ""  # known as ours, also if this is interrupted
            self._save()
            paths = [self._blob_path(key) for key in stack.keys]
            write_layout(partial, config, list(zip(blobs, paths, strict=True)), image.references)
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
            self._images[name] = key
        digests = repository_digests(image, image_id)
        return MadeImage(image, image_id, digests, tuple(blob.file_bytes for blob in blobs))

    def _make_host(self, fleet: Fleet, files: Sequence[MadeFile]) -> None:
        target = self._folder / HOST_FOLDER
        key = files_key(files)
        if self._host_key == key:
            try:
                set_times(target, files)
                return
            except FileNotFoundError:  # somebody removed some
                self._host_key = ""
        write_files(target, fleet, files)
        self._host_key = key

    def _sweep(self, stacks: Sequence[_Stack], made: Sequence[MadeImage]) -> None:
        """Remove images and layers that the declaration no longer has, and what interrupted runs left."""
        names = {layout_name(item.image.references, item.image_id) for item in made}
        for name in [name for name in self._images if name not in names]:
            shutil.rmtree(self._folder / name, ignore_errors=True)
            del self._images[name]
        keys = {key for stack in stacks for key in stack.keys}
        for path in self._layers.iterdir():
            if path.stem not in keys or path.suffix != ".zst":
                path.unlink()
        self._blobs = {key: blob for key, blob in self._blobs.items() if key in keys}

    def _blob_path(self, key: str) -> Path:
        return self._layers / f"{key}.zst"

    def _save(self) -> None:
        index = {
            "generator": GENERATOR_VERSION,
            "layers": {key: blob.as_json() for key, blob in self._blobs.items()},
            "images": self._images,
            "host": self._host_key,
        }
        _replace(self._folder / _INDEX, index)


def _stack(fleet: Fleet, image: Image) -> _Stack:
    layers = (*fleet.layers_of(image.base), *image.layers)
    keys: list[str] = []
    for layer in layers:
        keys.append(_digest([keys[-1] if keys else f"generator {GENERATOR_VERSION}", layer.model_dump_json()]))
    return _Stack(image, layers, tuple(keys))


def _declared_bytes(stack: _Stack) -> int:
    return sum(layer.size or 0 for layer in stack.layers)


def _write_beside(planned: PlannedLayer, path: Path) -> LayerBlob:
    partial = path.with_suffix(".partial")
    try:
        blob = write_layer(planned, partial, mtime_seconds=_MTIME_SECONDS)
    except OSError:
        partial.unlink(missing_ok=True)  # on a full disk, half a layer is in the way of the next try
        raise
    os.replace(partial, path)
    return blob


def _read_index(path: Path) -> tuple[dict[str, LayerBlob], dict[str, str], str]:
    """Layers, images and the key of the host's files; nothing where they are another version's or unreadable."""
    images: dict[str, str] = {}
    try:
        index = json.loads(path.read_bytes())
        images = {str(name): str(key) for name, key in index["images"].items() if "/" not in name and name not in _DOTS}
        if index["generator"] == GENERATOR_VERSION:
            layers = {str(key): LayerBlob(**blob) for key, blob in index["layers"].items()}
            return layers, images, str(index["host"])
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # damaged: everything is made again
    return {}, dict.fromkeys(images, ""), ""


_DOTS = ("", ".", "..")


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _replace(path: Path, document: Any) -> None:
    """Write a JSON document beside and rename it."""
    partial = path.with_name(f".{path.name.lstrip('.')}.partial")
    partial.write_text(json.dumps(document, indent=1))
    os.replace(partial, path)


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except ImgoptError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StorageError(
            f"the fleet cannot be written ({error.strerror}).",
            subject=str(folder),
            hint="Free some space there, or name another folder." if full else "Name another folder.",
        ) from error
