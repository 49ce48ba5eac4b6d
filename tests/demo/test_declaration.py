"""A declaration is read as people write it, and its faults are named with their place and the nearest right word."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from imgopt_pipeline.demo.declaration import Fleet, read_fleet
from imgopt_pipeline.demo.declared import Declared
from imgopt_pipeline.demo.generator import make_fleet
from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.hosts.described import DescribedHost

GOOD = """
bases:
  os:
    - by: "# debian.sh"
      size: 3MB
images:
  - name: acme/app
    base: os
    layers:
      - run: pip install torch
        size: 17.3kB
        python: [torch==2.8.0+cu128: 1.696GB, click==8.1.8, numpy==2.0.2: {size: 70MB, tests: 9MB}]
      - copy: . .
        files: {app/data.bin: 3MB, "app/part*.bin": {size: 1MB, count: 4}}
        node: {at: app, packages: ["@types/node@22.1.0": {size: 2MB, dev: true}]}
containers: [{name: app_1, image: "acme/app:latest", mounts: ["/srv/x:/x", "data:/data:ro"], gpus: all}]
volumes: {data: 3MB}
build_cache: 20MB
"""


def declared(folder: Path, text: str) -> Path:
    """A declaration in a file."""
    path = folder / "fleet.yaml"
    path.write_text(text)
    return path


def test_short_forms(tmp_path: Path) -> None:
    fleet = read_fleet(declared(tmp_path, GOOD))

    (image,) = fleet.images
    assert image.references == ("acme/app:latest",)
    packages, copied = image.layers
    assert packages.size == 17_300
    assert packages.created_by == "RUN /bin/sh -c pip install torch # buildkit"
    torch, click, numpy = packages.python[0].packages
    assert (torch.version, torch.size) == ("2.8.0+cu128", 1_696_000_000)
    assert (click.name, click.size) == ("click", 400_000)
    assert (numpy.size, numpy.tests) == (70_000_000, 9_000_000)
    assert [(item.path, item.size, item.count) for item in copied.files] == [
        ("app/data.bin", 3_000_000, 1),
        ("app/part*.bin", 1_000_000, 4),
    ]
    assert copied.node[0].packages[0].name == "@types/node"
    assert fleet.volumes[0].size == 3_000_000
    assert fleet.build_cache is not None
    assert fleet.build_cache.size == 20_000_000
    assert [layer.size for layer in fleet.layers_of("os")] == [3_000_000]


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("images:", "imagse:", "there is no key 'imagse' here; did you mean 'images'?"),
        ("run: pip", "runn: pip", "images → acme/app → layers 1: there is no key 'runn' here; did you mean 'run'?"),
        ("size: 17.3kB", "size: 17.3 kilo", "layers 1 → size: '17.3 kilo' is not a size"),
        ("tests: 9MB", "test: 9MB", "there is no key 'test' here; did you mean 'tests'?"),
        ("base: os", "base: so", "images → acme/app:latest → base: there is no base or image 'so'; did you mean 'os'?"),
        ('image: "acme/app:latest"', "image: acme/ap", "there is no image 'acme/ap:latest'; did you mean 'acme/app"),
        ("data:/data:ro", "date:/data:ro", "there is no volume 'date'; did you mean 'data'?"),
        ("click==8.1.8", "click", "'click' names no version; write it like NAME==VERSION"),
        ("app/data.bin", "../data.bin", "'../data.bin' is no path of a file"),
        ("part*.bin", "part.bin", "needs a * where the number of each of its 4 files goes"),
        ("copy: . .", "size: 3MB", "say what made the layer by exactly one of run, copy, add, by"),
        ("base: os", "base: os\n    zzz: 3MB", "images → acme/app: there is no key 'zzz' here; known: name, tags"),
        ("name: acme/app", "name: Acme App", "'Acme App' is no name of an image"),
        ("gpus: all", "gpus: some", "containers → app_1 → gpus"),
        ("volumes: {data", "volumes: {'../../victim'", "volumes 1 → name: '../../victim' is no name"),
        ("name: app_1", "name: ../app", "containers → ../app → name: '../app' is no name"),
        ("name: acme/app", f"name: {'a' * 300}", "is too long for a name of an image: 220 characters"),
        ("app/data.bin", f"app/{'b' * 300}", "is too long: a name may take 255 bytes, a path 3,000"),
        (
            "build_cache: 20MB",
            "build_cache: {size: 5, reclaimable: 10}",
            "reclaimable: 10 bytes are more than its size, 5",
        ),
        ("name: acme/app", 'name: "a\\e[31m"', "images → a\\x1b[31m → name: 'a\\x1b[31m' is no name"),
        ("base: os", 'base: "\\e[31m"', "there is no base or image '\\x1b[31m'"),
        ("volumes: {data: 3MB}", "images: []", "the key 'images' stands there twice"),
        ("size: 17.3kB", "size: 17.3kB\n        size: 3kB", "the key 'size' stands there twice"),
    ],
)
def test_faults_are_named(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    assert right in GOOD
    path = declared(tmp_path, GOOD.replace(right, wrong))

    with pytest.raises(SettingsError) as caught:
        read_fleet(path)

    assert told in caught.value.message
    assert caught.value.message.isprintable()
    assert caught.value.subject == str(path)


@pytest.mark.parametrize("text", ["a: [", "- 1", "just text", "", "1: 2", "images: {}", "a: &a [*a]", "\0"])
def test_what_is_no_declaration_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        read_fleet(declared(tmp_path, text))


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(SettingsError, match="it is no regular file"):
            read_fleet(path)


def test_a_merged_mapping_may_be_overridden(tmp_path: Path) -> None:
    text = """
    images: [{name: "a:1", layers: [&a {run: x, size: 1kB}, &b {<<: *a, size: 2kB}, {<<: *b, size: 3kB}]}]
    """
    assert [layer.size for layer in read_fleet(declared(tmp_path, text)).images[0].layers] == [1_000, 2_000, 3_000]


def test_bases_in_a_ring(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is built on itself"):
        read_fleet(declared(tmp_path, "bases: {a: {base: b, layers: []}, b: {base: a, layers: []}}"))


def test_an_image_may_stand_on_another(tmp_path: Path) -> None:
    text = """
    images:
      - {name: acme/base, layers: [{copy: a b, size: 1kB}]}
      - {name: acme/app, base: acme/base, layers: [{copy: c d, size: 2kB}]}
    """
    fleet = read_fleet(declared(tmp_path, text))

    assert [layer.size for layer in fleet.layers_of("acme/app:latest")] == [1_000, 2_000]


def test_the_guide_names_every_key() -> None:
    guide = (Path(__file__).parents[2] / "docs/guide/demo.md").read_text()
    named = set(re.findall(r"`([a-z_-]+)`", guide))
    models: list[type[Declared]] = [Fleet]
    for model in models:
        for field in model.model_fields.values():
            models += [found for found in declared_models(field.annotation) if found not in models]
    keys = {field.alias or name for model in models for name, field in model.model_fields.items()}

    assert len(models) > 15
    assert keys <= named


def test_the_guides_example_can_be_made(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/guide/demo.md").read_text()
    (example,) = [block for block in re.findall(r"^```yaml\n(.*?)^```$", guide, re.S | re.M) if "\nimages:" in block]

    make_fleet(declared(tmp_path, example), tmp_path / "fleet")

    host = DescribedHost("demo", tmp_path / "fleet")
    assert len(host.images()) >= 1
    assert len(host.containers()) >= 1
    assert host.problems() == []


def declared_models(annotation: Any) -> Iterator[type[Declared]]:
    """The models that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        yield annotation
    for part in get_args(annotation):
        yield from declared_models(part)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_fleet(tmp_path / "none.yaml")
