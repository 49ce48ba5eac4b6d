"""What an image's GPU builds of Python packages become where there is no GPU: which are pinned, renamed, gone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imgopt_pipeline.contents.python_requirements import normalised
from imgopt_pipeline.dockerfiles.facts import ByteRange, ImageFacts, PackageFacts
from imgopt_pipeline.gpu.variants import GPU_ROLES, cpu_variant

_OWN_BUILDS = ("torch", "torchvision", "torchaudio")
_RELEASE = re.compile(r"\d+(?:\.\d+)*(?:\.post\d+)?")
_NO_SUBSTITUTE = re.compile(r"cupy.*")
_CUDA_EXTRA = re.compile(r"(?:and-)?cuda\d*(?:-.*)?|gpu|rocm.*")

#: Which share of a GPU build's own bytes its CPU build does without: at least, likely, at most. Measured on wheels
#: of torch 2.8 and 2.13, tensorflow 2.19, xgboost 3.0, faiss 1.10.
_SHARES = {
    "torch": (0.33, 0.45, 0.65),
    "tensorflow": (0.35, 0.38, 0.6),
    "onnxruntime-gpu": (0.7, 0.9, 0.95),
    "xgboost": (0.8, 0.95, 1.0),
}
_OTHER_SHARES = (0.0, 0.0, 0.5)


@dataclass(frozen=True, slots=True)
class CpuPackages:
    """`pins`: names to versions of those whose CPU build has the same name. `renames`: names to CPU variants.

    `reaching`: packages that bring one of the pinned along. `libraries`: packages that only GPU builds need;
    `required` of them come by themselves, the others because a person named them. `clean`: no NVIDIA library stays.
    `left`: why others are left as they are. Names are normalised.
    """

    pins: Mapping[str, str]
    renames: Mapping[str, str]
    reaching: frozenset[str]
    libraries: frozenset[str]
    required: frozenset[str]
    clean: bool
    left: Mapping[str, str]
    expected: ByteRange | None


def cpu_packages(image: ImageFacts) -> CpuPackages:
    """What to do about each GPU build that stands above the base image."""
    python = {normalised(package.name): package for package in image.packages if package.ecosystem == "python"}
    left: dict[str, str] = {}
    pins: dict[str, str] = {}
    renames: dict[str, str] = {}
    for package in image.packages:
        name = normalised(package.name)
        other = cpu_variant(name)
        if package.gpu_role not in ("framework", "plugin") or package.ecosystem not in ("python", "conda"):
            continue
        release = package.version.partition("+")[0]
        if package.ecosystem == "conda":
            left[name] = "conda installed it: take the CPU build of its channel"
        elif _in_base(image, package):
            left[name] = "the base image brings it: build on one without it"
        elif name in _OWN_BUILDS and not _RELEASE.fullmatch(release):
            left[name] = f"{package.version} is no release"
        elif name in _OWN_BUILDS:
            pins[name] = f"{release}+cpu"
        elif other is None or _NO_SUBSTITUTE.fullmatch(name):
            left[name] = "there is no CPU build of it"
        elif other != "jax" and (who := _requiring(name, python)):
            left[name] = f"{who} requires it by this name"
        else:
            renames["jax" if other == "jax" else name] = other
    candidates = {n for n, p in python.items() if p.gpu_role in GPU_ROLES and not _in_base(image, p)}
    libraries = _dispensable(candidates, {*pins, *renames}, python)
    required = {name for name in libraries if _requiring(name, python)}
    staying = [
        n for n, p in python.items() if n.startswith("nvidia-") and p.gpu_role == "library" and n not in libraries
    ]
    return CpuPackages(
        pins,
        renames,
        _reaching(pins, python),
        frozenset(libraries),
        frozenset(required),
        not staying,
        left,
        _expected(libraries, {*pins, *renames}, python),
    )


def without_cuda(extras: Iterable[str]) -> tuple[str, ...]:
    """Extras of a requirement less those that ask for a GPU."""
    return tuple(extra for extra in extras if not _CUDA_EXTRA.fullmatch(extra))


def _in_base(image: ImageFacts, package: PackageFacts) -> bool:
    return image.base_position is not None and package.position is not None and package.position <= image.base_position


def _requiring(name: str, python: Mapping[str, PackageFacts]) -> str | None:
    """A package that requires another one."""
    return next((other for other, p in python.items() if other != name and name in map(normalised, p.requires)), None)


def _dispensable(candidates: set[str], changed: set[str], python: Mapping[str, PackageFacts]) -> set[str]:
    """The candidates that nothing needs once the frameworks are CPU builds."""
    gone = set(candidates)
    while True:
        staying = [package for name, package in python.items() if name not in gone and name not in changed]
        needed = gone.intersection(normalised(name) for package in staying for name in package.requires)
        if not needed:
            return gone
        gone -= needed


def _reaching(pins: Iterable[str], python: Mapping[str, PackageFacts]) -> frozenset[str]:
    """The pinned packages and all that require one of them, over any number of steps."""
    reaching = set(pins)
    grown = bool(reaching)
    while grown:
        more = {
            n for n, p in python.items() if n not in reaching and not reaching.isdisjoint(map(normalised, p.requires))
        }
        reaching |= more
        grown = bool(more)
    return frozenset(reaching)


def _expected(libraries: Iterable[str], changed: Iterable[str], python: Mapping[str, PackageFacts]) -> ByteRange | None:
    sure = sum(python[name].size_bytes for name in libraries)
    bounds = [float(sure)] * 3
    for name in changed:
        if name in python:
            shares = _SHARES.get(name, _OTHER_SHARES)
            bounds = [b + share * python[name].size_bytes for b, share in zip(bounds, shares, strict=True)]
    low, likely, high = map(round, bounds)
    return ByteRange(low, likely, high) if high else None
