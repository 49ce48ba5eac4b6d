"""Reading the layers that the cache lacks, by the best reader that works.

The loop over readers and its bookkeeping stand here; each reader is a module of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from imgopt_pipeline import progress
from imgopt_pipeline.errors import HostUnreachable, ImgoptError, StorageError, UnreadableLayer
from imgopt_pipeline.hosts.models import Image, Layer, Problem
from imgopt_pipeline.layers.cache import LayerCache, LayerFacts
from imgopt_pipeline.layers.entries import LayerEntries
from imgopt_pipeline.names import printable


@dataclass(frozen=True, slots=True)
class Reading:
    """One layer read, or the error that stopped it.

    `verified`: the content is known to be the diff ID's, because it was hashed or because it comes
    from an engine's own store.
    """

    layer: Layer
    entries: LayerEntries | None = None
    error: ImgoptError | None = None
    verified: bool = True
    seconds: float = 0.0


class LayerReader(Protocol):
    """One way to the entries of layers. `cost` is a warning for people where it is slow, else empty."""

    name: str
    cost: str

    def read(self, image: Image, layers: Sequence[Layer]) -> Iterator[Reading]:
        """Read some layers of an image, in any order. A layer that fails is an error of its own."""
        ...


@dataclass(slots=True)
class LayersRead:
    """Where the entries of an image's layers lie, and what is known of them, by diff ID.

    `documents`: ZIP files of those whose reader saw contents. `read`: diff IDs that the cache lacked.
    """

    files: dict[str, Path] = field(default_factory=dict)
    facts: dict[str, LayerFacts] = field(default_factory=dict)
    documents: dict[str, Path] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, facts: LayerFacts, cache: LayerCache) -> None:
        """Take a layer that lies in `cache`."""
        self.facts[facts.diff_id] = facts
        self.files[facts.diff_id] = cache.path(facts.diff_id)
        documents = cache.documents(facts.diff_id)
        if documents is not None:
            self.documents[facts.diff_id] = documents

    def complete(self, image: Image) -> bool:
        return all(layer.diff_id in self.files for layer in image.layers)

    def paths(self, image: Image) -> list[Path]:
        """Files of the image's layers, base first."""
        return [self.files[layer.diff_id] for layer in image.layers]


def read_layers(image: Image, readers: Sequence[LayerReader], cache: LayerCache, unverified: LayerCache) -> LayersRead:
    """Entries of all layers of an image, reading only what `cache` lacks.

    Entries that nobody verified go to `unverified`, a cache for this one use. Problems name layers
    that no reader could read. Raises HostUnreachable and StorageError, which end all reading.
    """
    result = LayersRead()
    missing: dict[str, Layer] = {}
    for layer in image.layers:
        facts = cache.facts(layer.diff_id)
        if facts is None:
            missing.setdefault(layer.diff_id, layer)
        else:
            result.add(facts, cache)
    failures: dict[str, list[tuple[str, ImgoptError]]] = {diff_id: [] for diff_id in missing}
    for reader in readers:
        if not missing:
            break
        if reader.cost:
            progress.current().note(reader.cost)
            result.warnings.append(reader.cost)
        for reading in _readings(reader, image, list(missing.values())):
            diff_id = reading.layer.diff_id
            if reading.entries is None:
                if reading.error is not None:
                    failures[diff_id].append((reader.name, reading.error))
                continue
            home = cache if reading.verified else unverified
            try:
                facts = home.put(diff_id, reading.entries, reader=reader.name, read_seconds=reading.seconds)
            except UnreadableLayer as error:
                failures[diff_id].append((reader.name, error))
                continue
            result.add(facts, home)
            result.read.append(diff_id)
            missing.pop(diff_id, None)
    result.problems = [_problem(image, layer, failures[diff_id]) for diff_id, layer in missing.items()]
    return result


def timed(layer: Layer, read: ReadOne) -> Reading:
    """A `Reading` by a function that reads one layer and may raise."""
    started = time.monotonic()
    try:
        entries, verified = read(layer)
    except (HostUnreachable, StorageError):
        raise
    except ImgoptError as error:
        return Reading(layer, error=error)
    return Reading(layer, entries, verified=verified, seconds=time.monotonic() - started)


class ReadOne(Protocol):
    """Reads one layer: its entries, and whether they are verified."""

    def __call__(self, layer: Layer, /) -> tuple[LayerEntries, bool]: ...


def _readings(reader: LayerReader, image: Image, layers: Sequence[Layer]) -> Iterator[Reading]:
    """What a reader reads; an error of the whole reader becomes that of each layer it did not come to."""
    left = {layer.diff_id: layer for layer in layers}
    try:
        for reading in reader.read(image, layers):
            left.pop(reading.layer.diff_id, None)
            yield reading
    except (HostUnreachable, StorageError):
        raise
    except ImgoptError as error:
        for layer in left.values():
            yield Reading(layer, error=error)


def _problem(image: Image, layer: Layer, failures: Sequence[tuple[str, ImgoptError]]) -> Problem:
    where = f"layer {layer.position} of {image.name}" + (f" in {image.source}" if image.source else "")
    told = list(dict.fromkeys((name, error.message) for name, error in failures))
    if not told:
        return Problem(where, UnreadableLayer.kind, "no reader works for it.", "`imgopt doctor` says what is missing.")
    message = "; ".join(f"{name}: {printable(text)}" if len(told) > 1 else text for name, text in told)
    hint = next((error.hint for _, error in failures if error.hint), "")
    return Problem(where, failures[0][1].kind, message, hint)
