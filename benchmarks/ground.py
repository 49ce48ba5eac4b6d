"""What the figures are measured on, made where it is missing and kept: engines, images, archives.

Environment: `IMGOPT_BENCH_HOME` is where all of it lies, `IMGOPT_BENCH_RUNS` how often each command runs,
`IMGOPT_BENCH_CLASSIC` and `IMGOPT_BENCH_CONTAINERD` name engines to use instead of private ones,
`IMGOPT_BENCH_ARCHIVE` a `docker save` of the image that they have.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engines import Engine, kept_engine
from benchmarks.fleet import IMAGES, write_fleet
from benchmarks.many_files import ManyFiles, write_archive
from benchmarks.measuring import Command

IMAGE = "torch-cuda:latest"
SMALL_IMAGES = {"fleet/apt-tools:1": "apt-tools", "fleet/node-app:1": "node-app", "fleet/pip-app:1": "pip-app"}
"""Smaller images of the classic engine, with their targets in package-managers/Dockerfile."""

_BASE = "debian-python:latest"
_TOP = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent
DEFAULT_HOME = "/var/tmp/imgopt-bench"


@dataclass(frozen=True, slots=True)
class Ground:
    """Everything the figures need. `scratch` is emptied before a run."""

    home: Path
    runs: int
    classic: Engine
    containerd: Engine
    fleet: Engine
    archive: Path
    many_files: Path
    shape: ManyFiles

    def imgopt(self, *words: str | Path, engine: Engine | None = None, home: Path | None = None) -> Command:
        """An imgopt command, with a state folder of the benchmark's own."""
        state = {"IMGOPT_HOME": str(home or self.home / "state")}
        return Command([_BIN / "imgopt", *words], state | (engine.environment if engine else {}))

    def dive(self, *words: str | Path, engine: Engine | None = None) -> Command:
        result: list[str | Path] = ["--json", self.home / "dive.json"]
        return Command([_BIN / "dive", *result, *words], engine.environment if engine else {}, keep_output=False)

    def syft(self, image: str, engine: Engine) -> Command:
        """A syft command that does not look for a newer syft first."""
        environment = {**engine.environment, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
        return Command([_BIN / "syft", "scan", "--quiet", "--output", "json", f"docker:{image}"], environment)


@contextmanager
def prepared_ground() -> Iterator[Ground]:
    """Make what is missing, and let the engines go at the end."""
    home = Path(os.environ.get("IMGOPT_BENCH_HOME", DEFAULT_HOME))
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        classic = _engine(stack, home, "classic", containerd=False)
        containerd = _engine(stack, home, "containerd", containerd=True)
        fleet = stack.enter_context(kept_engine(home / "fleet", containerd=False))
        for engine in (classic, containerd):
            _build_torch(engine, home / "wheels")
        for tag, target in SMALL_IMAGES.items():
            _build(classic, tag, "package-managers", f"--target={target}")
        _load_fleet(fleet, home / "fleet.tar")
        archive = Path(os.environ.get("IMGOPT_BENCH_ARCHIVE", home / "torch-cuda.tar"))
        if not archive.exists():
            _say(f"saves {IMAGE} to {archive}.")
            classic.docker("save", "--output", archive, IMAGE)
        many_files, shape = home / "many-files.tar", ManyFiles()
        if not many_files.exists():
            _say(f"writes an image of {shape.files:,} files to {many_files}.")
            write_archive(many_files, shape)
        runs = int(os.environ.get("IMGOPT_BENCH_RUNS", "3"))
        yield Ground(home, runs, classic, containerd, fleet, archive, many_files, shape)


def _engine(stack: ExitStack, home: Path, name: str, *, containerd: bool) -> Engine:
    if url := os.environ.get(f"IMGOPT_BENCH_{name.upper()}"):
        return Engine(url)
    return stack.enter_context(kept_engine(home / name, containerd=containerd))


def _build_torch(engine: Engine, wheels: Path) -> None:
    """Build the 7 GB image; not loaded from the other engine, since loading would leave layers uncompressed."""
    if not engine.has_image(IMAGE):
        _say(f"builds {IMAGE} on {engine.url}; this downloads 3 GB and takes minutes, once.")
    _build(engine, IMAGE, "torch-cuda", *([f"--build-context=wheels={wheels}"] if wheels.is_dir() else []))


def _build(engine: Engine, tag: str, folder: str, *options: str) -> None:
    """Build an image from a folder beside this file, where the engine does not have it."""
    if engine.has_image(tag):
        return
    if not engine.has_image(_BASE):
        subprocess.run([_TOP / "scripts/make-base-image", _BASE, engine.url], check=True)
    more = list(options)
    if certificates := os.environ.get("PIP_CERT"):
        more.append(f"--secret=id=ca,src={certificates}")
    if os.environ.get("PIP_INDEX_URL"):
        more.append("--build-arg=PIP_INDEX_URL")
    words = ("--network=host", f"--tag={tag}", f"--build-arg=BASE={_BASE}", *more)
    engine.docker("buildx", "build", *words, _TOP / "benchmarks" / folder)


def _load_fleet(engine: Engine, archive: Path) -> None:
    if len(engine.docker("image", "ls", "--quiet").split()) == IMAGES:
        return
    _say(f"loads {IMAGES} small images into {engine.url}.")
    write_fleet(archive)
    engine.docker("load", "--quiet", "--input", archive)
    archive.unlink()


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
