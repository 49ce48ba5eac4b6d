"""The demo fleet's declaration has the sizes of the server that it reproduces, to the unit printed."""

from __future__ import annotations

import pytest

from imgopt_pipeline.demo.declaration import Fleet, read_fleet
from imgopt_pipeline.demo.generator import built_in_declaration
from imgopt_pipeline.demo.host_folder import planned_files
from imgopt_pipeline.demo.planning import Tree, plan_layer
from imgopt_pipeline.units import format_bytes


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """The declaration."""
    return read_fleet(built_in_declaration())


@pytest.fixture(scope="module")
def sizes(fleet: Fleet) -> dict[str, list[int]]:
    """Bytes of each image's layers as they would be stored, base first; by name."""
    found: dict[str, list[int]] = {}
    for image in fleet.images:
        tree, layers = Tree(), []
        for layer in (*fleet.layers_of(image.base), *image.layers):
            planned, tree = plan_layer(layer, tree)
            layers.append(planned.file_bytes)
        found[image.name or "dangling"] = layers
    return found


@pytest.mark.parametrize(
    ("name", "total", "layers"),
    [
        ("whisperx_whisperx:latest", "8.77 GB", ["78.6 MB", "745 MB", "7.9 GB", "17.3 kB"]),
        ("paperflow_paperflow-worker:latest", "6.65 GB", []),
        ("kokoro-fastapi-cpu:latest", "5.61 GB", []),
        ("infiniflow/ragflow:v0.21.0-slim", "7.06 GB", []),
        ("calcom/cal.com:v4.7.8", "4.82 GB", ["3.73 GB", "154 MB", "5.34 MB"]),
    ],
)
def test_sizes_of_images_and_layers(sizes: dict[str, list[int]], name: str, total: str, layers: list[str]) -> None:
    assert format_bytes(sum(sizes[name])) == total
    assert set(layers) <= {format_bytes(size) for size in sizes[name]}


def test_all_images_together(fleet: Fleet, sizes: dict[str, list[int]]) -> None:
    unique: dict[tuple[str, ...], int] = {}
    for image in fleet.images:
        layers = (*fleet.layers_of(image.base), *image.layers)
        keys = [layer.model_dump_json() for layer in layers]
        for number, size in enumerate(sizes[image.name or "dangling"], start=1):
            unique[tuple(keys[:number])] = size

    assert round(sum(unique.values()) / 1e9, 2) == 48.31


def test_the_directories(fleet: Fleet) -> None:
    by_folder = {"music": 0, "nextjs-app": 0}
    for file in planned_files(fleet):
        for folder in by_folder:
            if file.path.startswith(f"srv/impro-manager/{folder}/"):
                by_folder[folder] += file.size_bytes

    assert {folder: format_bytes(size) for folder, size in by_folder.items()} == {
        "music": "4.1 GB",
        "nextjs-app": "497 MB",
    }
