"""Analysis of images: their layers read, their merged trees, as values and as rows of the warehouse.

The one entrance to this package for assets and the command line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgopt_pipeline import progress
from imgopt_pipeline.errors import HostUnreachable, ImgoptError
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.models import Image, Problem
from imgopt_pipeline.layers.archive_reader import VERIFY_BYTES
from imgopt_pipeline.layers.cache import ANALYSER_VERSION, UNVERIFIED, LayerCache, LayerFacts
from imgopt_pipeline.layers.merge import MergedTree, merge_layers
from imgopt_pipeline.layers.readers import readers_for
from imgopt_pipeline.layers.reading import LayersRead, read_layers

if TYPE_CHECKING:
    from imgopt_pipeline.hosts.engine import EngineHost


@dataclass(frozen=True, slots=True)
class ImageAnalysis:
    """One image: what is known of its layers, base first, and its merged tree."""

    image: Image
    layers: tuple[LayerFacts, ...]
    merged: MergedTree
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class HostAnalysis:
    """All images of a host, and what could not be read."""

    images: list[ImageAnalysis] = field(default_factory=list)
    layers: dict[str, LayerFacts] = field(default_factory=dict)
    layers_read: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@contextmanager
def image_layers(
    host: EngineHost | ArchiveHost, image: Image, cache_folder: Path, *, verify_bytes: int = VERIFY_BYTES
) -> Iterator[LayersRead]:
    """All layers of one image, read where the cache lacks them. Raises ImgoptError where one cannot be read."""
    readers = readers_for(host, verify_bytes=verify_bytes)
    with _unverified_cache(cache_folder) as unverified:
        with LayerCache(cache_folder) as cache, unverified:
            read = read_layers(image, readers, cache, unverified)
        if read.problems:
            problem = read.problems[0]
            raise ImgoptError(problem.message, subject=problem.subject, hint=problem.hint)
        yield read


def analyse_image(
    host: EngineHost | ArchiveHost, image: Image, cache_folder: Path, *, verify_bytes: int = VERIFY_BYTES
) -> ImageAnalysis:
    """Read and merge one image. Raises ImgoptError where a layer cannot be read."""
    with image_layers(host, image, cache_folder, verify_bytes=verify_bytes) as read:
        return analysis_of(image, read, merge_layers(read.paths(image)))


def analyse_images(host: EngineHost | ArchiveHost, images: Sequence[Image], cache_folder: Path) -> HostAnalysis:
    """Read and merge images of a host, each layer once. A host lost on the way ends it with a problem."""
    result = HostAnalysis()
    # A weekly audit has the time to hash everything, and may then trust its cache.
    readers = readers_for(host, verify_bytes=host.limits.layer_bytes)
    with LayerCache(cache_folder) as cache, _unverified_cache(cache_folder) as unverified:
        for number, image in enumerate(images, start=1):
            progress.current().start(f"{image.name} ({number} of {len(images)})", image.size_bytes)
            try:
                read = read_layers(image, readers, cache, unverified)
                result.layers |= read.facts
                result.layers_read += read.read
                result.problems += read.problems
                if read.complete(image):
                    result.images.append(analysis_of(image, read, merge_layers(read.paths(image))))
            except HostUnreachable as error:
                left = len(images) - number + 1
                message = f"{error.message} {left} of {len(images)} images were not analysed."
                result.problems.append(Problem(host.name, error.kind, message, error.hint))
                break
    return result


def analysis_rows(analysis: HostAnalysis, host_name: str, audit_id: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of `layers`, `layer_reads`, `layer_analysis`, `image_layer_bytes`."""
    return {
        "layer_reads": [
            {"audit_id": audit_id, "host": host_name, "diff_id": diff_id}
            for diff_id in dict.fromkeys(analysis.layers_read)
        ],
        "layers": [_layer_row(facts) for facts in analysis.layers.values()],
        "layer_analysis": [_image_row(item) for item in analysis.images],
        "image_layer_bytes": [
            {
                "image_id": item.image.image_id,
                "position": layer.position,
                "live_bytes": layer.live_bytes,
                "dead_bytes": layer.dead_bytes,
            }
            for item in analysis.images
            for layer in item.merged.layers
        ],
    }


def wasted_rows(analysis: HostAnalysis) -> dict[str, list[dict[str, Any]]]:
    """Rows of `wasted_files`."""
    return {"wasted_files": [row for item in analysis.images for row in _wasted_rows(item)]}


def analysis_of(image: Image, read: LayersRead, merged: MergedTree) -> ImageAnalysis:
    """The analysis of an image whose layers are read and merged."""
    facts = tuple(read.facts[layer.diff_id] for layer in image.layers)
    return ImageAnalysis(image, facts, merged, tuple(dict.fromkeys(read.warnings)))


@contextmanager
def _unverified_cache(folder: Path) -> Iterator[LayerCache]:
    """A cache that goes with its use, beside the lasting one where that can be written."""
    parent = folder if folder.is_dir() else None
    with tempfile.TemporaryDirectory(prefix=UNVERIFIED, dir=parent) as scratch:
        yield LayerCache(Path(scratch))


def _layer_row(facts: LayerFacts) -> dict[str, Any]:
    return {
        "diff_id": facts.diff_id,
        "tar_bytes": facts.tar_bytes,
        "file_bytes": facts.file_bytes,
        "entry_count": facts.entry_count,
        "reader": facts.reader,
        "read_seconds": facts.read_seconds,
        "analyser_version": ANALYSER_VERSION,
    }


def _image_row(item: ImageAnalysis) -> dict[str, Any]:
    merged = item.merged
    return {
        "image_id": item.image.image_id,
        "size_bytes": merged.live_bytes + merged.dead_bytes,
        "live_bytes": merged.live_bytes,
        "dead_bytes": merged.dead_bytes,
        "live_files": merged.live_files,
        "dead_files": merged.dead_file_count,
        "efficiency": merged.efficiency,
        "dive_efficiency": merged.dive.efficiency,
        "dive_size_bytes": merged.dive.size_bytes,
        "dive_user_size_bytes": merged.dive.user_size_bytes,
        "dive_wasted_bytes": merged.dive.wasted_bytes,
        "dive_user_wasted_percent": merged.dive.user_wasted_percent,
        "analyser_version": ANALYSER_VERSION,
    }


def _wasted_rows(item: ImageAnalysis) -> Iterator[dict[str, Any]]:
    """The biggest dead files by name, and per layer, killer and reason one row for the rest."""
    rest = {
        (total.position, total.killed_by, total.reason): [total.files, total.size_bytes]
        for total in item.merged.dead_sums
    }
    for dead in item.merged.dead_files:
        left = rest[dead.position, dead.killed_by, dead.reason]
        left[0] -= 1
        left[1] -= dead.size_bytes
        yield {
            "image_id": item.image.image_id,
            "position": dead.position,
            "path": dead.path,
            "files": 1,
            "size_bytes": dead.size_bytes,
            "killed_by": dead.killed_by,
            "reason": dead.reason,
        }
    for (position, killed_by, reason), (files, size_bytes) in rest.items():
        if files:
            yield {
                "image_id": item.image.image_id,
                "position": position,
                "path": None,
                "files": files,
                "size_bytes": size_bytes,
                "killed_by": killed_by,
                "reason": reason,
            }
