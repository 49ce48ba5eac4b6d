"""One image examined in full: layers, packages, space, GPU evidence, and what could be removed.

Calls the domain packages in their order and holds their results together; used by the audit and by the
commands that look at one image. Knows neither dagster nor the warehouse's file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from imgopt_pipeline import progress
from imgopt_pipeline.contents.documents import documents_of
from imgopt_pipeline.contents.joining import CONTENT_VERSION, categorise, own_files, package_rows, space_rows
from imgopt_pipeline.contents.live_tree import LiveTree
from imgopt_pipeline.contents.models import Package
from imgopt_pipeline.contents.packages import all_packages
from imgopt_pipeline.errors import HostUnreachable, ImgoptError
from imgopt_pipeline.findings.removable import removable_rows
from imgopt_pipeline.gpu.image import ImageGpu, gpu_files, image_gpu
from imgopt_pipeline.gpu.variants import GPU_ONLY_CONDITION, gpu_role
from imgopt_pipeline.gpu.verdict import GpuCheck, check_container, check_image
from imgopt_pipeline.hosts.models import Container, Image, Problem
from imgopt_pipeline.hosts.opening import AnyHost
from imgopt_pipeline.layers.analysis import ImageAnalysis, analysis_of, image_layers
from imgopt_pipeline.layers.merge import ImageTree, open_tree
from imgopt_pipeline.layers.reading import LayersRead
from imgopt_pipeline.layers.scratch import load_table

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Contents:
    """What fills an image: rows of the tables package_inventory and space_usage, and its GPU side.

    `removable`: rows of the table removable_bytes, empty where nobody asked what could be removed.
    `missing`: what should have been read and could not be, so that packages are not complete.
    """

    image: Image
    packages: Rows
    space: Rows
    gpu: ImageGpu
    warnings: tuple[str, ...]
    missing: tuple[str, ...]
    removable: Rows


@dataclass(frozen=True, slots=True)
class Examination:
    """An image's layers and contents, and the GPU verdict on it with the containers that were looked at."""

    analysis: ImageAnalysis
    contents: Contents
    gpu_check: GpuCheck


def examine_image(
    host: AnyHost, image: Image, cache_folder: Path, *, verify_bytes: int, removable: bool = False
) -> Examination:
    """Examine one image; `removable` says also what could be removed. Raises ImgoptError for an unreadable layer."""
    with open_examination(host, image, cache_folder, verify_bytes=verify_bytes, removable=removable) as (found, _):
        return found


@contextmanager
def open_examination(
    host: AnyHost,
    image: Image,
    cache_folder: Path,
    *,
    verify_bytes: int,
    containers: Sequence[Container] = (),
    removable: bool = False,
) -> Iterator[tuple[Examination, duckdb.DuckDBPyConnection]]:
    """The same, judged with its containers, and the scratch database of its tree for as long as the block lasts."""
    with (
        image_layers(host, image, cache_folder, verify_bytes=verify_bytes) as read,
        open_tree(read.paths(image)) as tree,
    ):
        contents = _contents(host, image, tree, _kept(image, read), removable=removable)
        gpus = host.gpus()
        checks = [check_container(contents.gpu, one.gpu, gpus, name=one.name) for one in containers]
        check = check_image(contents.gpu, checks, gpus, name=image.name)
        yield Examination(analysis_of(image, read, tree.merged), contents, check), tree.connection


def examine_contents(
    host: AnyHost, image_ids: Sequence[str], cache_folder: Path, problems: list[Problem]
) -> Iterator[Contents]:
    """The contents of images, their layers read where the cache lost them; what fails is appended to `problems`."""
    for number, image_id in enumerate(image_ids, start=1):
        try:
            image = host.image(image_id)
            progress.current().start(f"contents of {image.name} ({number} of {len(image_ids)})")
            with (
                image_layers(host, image, cache_folder, verify_bytes=host.limits.layer_bytes) as read,
                open_tree(read.paths(image)) as tree,
            ):
                yield _contents(host, image, tree, _kept(image, read), removable=True)
        except HostUnreachable as error:
            left = len(image_ids) - number + 1
            message = f"{error.message} The contents of {left} of {len(image_ids)} images were not looked into."
            problems.append(Problem(host.name, error.kind, message, error.hint))
            return
        except ImgoptError as error:
            problems.append(Problem(error.subject or image_id, error.kind, error.message, error.hint))


def contents_rows(contents: Contents) -> dict[str, Rows]:
    """Rows of all tables about contents, with the image's ID."""
    image_id = contents.image.image_id

    def of_image(rows: Rows) -> Rows:
        return [{"image_id": image_id, **row} for row in rows]

    return {
        "package_inventory": of_image(contents.packages),
        "space_usage": of_image(contents.space),
        "removable_bytes": contents.removable,
        # Without a version it is looked into again at the next audit.
        "image_gpu": [contents.gpu.row(image_id, "" if contents.missing else CONTENT_VERSION)],
        "content_remarks": of_image([{"remark": remark} for remark in contents.warnings]),
        "gpu_evidence": contents.gpu.evidence_rows(image_id),
    }


def _contents(
    host: AnyHost, image: Image, tree: ImageTree, kept: Mapping[int, Path], *, removable: bool = False
) -> Contents:
    tree.list_live_files()
    documents = documents_of(host, image, tree, kept)
    found = all_packages(documents, LiveTree(tree.connection))
    own_files(tree, found.packages, _role)
    categorise(tree, GPU_ONLY_CONDITION)
    packages = package_rows(tree)
    space = space_rows(tree)
    gpu = image_gpu(packages, documents, image.gpu_environment, gpu_files(tree.connection))
    return Contents(
        image,
        packages,
        space,
        gpu,
        warnings=(*found.warnings, *gpu.warnings),
        missing=tuple(documents.missing),
        removable=_removable(image, tree) if removable else [],
    )


def _removable(image: Image, tree: ImageTree) -> Rows:
    steps = ((layer.position, layer.created_by or "") for layer in image.layers)
    load_table(tree.connection, "history", {"position": "INTEGER", "created_by": "VARCHAR"}, steps)
    return removable_rows(tree.connection, image.image_id)


def _role(package: Package) -> str:
    return gpu_role(package.ecosystem, package.name, package.version, package.local_version)


def _kept(image: Image, read: LayersRead) -> dict[int, Path]:
    return {layer.position: read.documents[layer.diff_id] for layer in image.layers if layer.diff_id in read.documents}
