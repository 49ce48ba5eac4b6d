"""What an image has to do with GPUs by its content: its build, the bytes of it, and whether it needs one.

Brings packages, build files, GPU-only files, environment and sources together. What a container was given
and what its host has are `verdict`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import duckdb

from imgopt_pipeline.gpu.build_files import BuildFile, build_files
from imgopt_pipeline.gpu.evidence import Evidence
from imgopt_pipeline.gpu.need import need_of, told_by_environment
from imgopt_pipeline.gpu.sources import source_evidence
from imgopt_pipeline.gpu.variants import (
    GPU_ROLES,
    SAME_FILE,
    cpu_variant,
    gpu_part_expression,
    is_cpu_framework,
    toolkit_version,
    variant_of,
)
from imgopt_pipeline.units import count, format_bytes
from imgopt_pipeline.warehouse.store import fetch_rows

_SMALL_BYTES = 1_000_000
_LISTED = 20


@dataclass(frozen=True, slots=True)
class GpuFiles:
    """GPU-only files of one part, added up: a package, or a part of a framework. `build` is empty for packages."""

    part: str
    build: str
    size_bytes: int
    files: int
    example: str


@dataclass(frozen=True, slots=True)
class ImageGpu:
    """What an image has to do with GPUs; the fields are those of the table `image_gpu`."""

    build: str
    versions: tuple[str, ...]
    gpu_bytes: int
    need: str
    environment: Mapping[str, str]
    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[str, ...] = ()

    def row(self, image_id: str, content_version: str) -> dict[str, Any]:
        """The row of `image_gpu`."""
        return {
            "image_id": image_id,
            "build": self.build,
            "versions": list(self.versions),
            "gpu_bytes": self.gpu_bytes,
            "need": self.need,
            "environment": list(self.environment.items()),
            "content_version": content_version,
        }

    def evidence_rows(self, image_id: str) -> list[dict[str, Any]]:
        """Rows of `gpu_evidence`."""
        return [{"image_id": image_id, **asdict(piece)} for piece in self.evidence]


def gpu_files(connection: duckdb.DuckDBPyConnection) -> list[GpuFiles]:
    """GPU-only files of an image, biggest part first.

    `connection` holds its tables live_files, ownership and owners, and the table gpu_files: the files for which
    GPU_ONLY_CONDITION holds.
    """
    text = resources.files(__package__).joinpath("gpu_files.sql").read_text()
    text = text.replace("$part", gpu_part_expression("part")).replace("$build", gpu_part_expression("build"))
    return [GpuFiles(**row) for row in fetch_rows(connection, text)]


def image_gpu(
    packages: Sequence[Mapping[str, Any]],
    documents: Mapping[str, bytes],
    environment: Mapping[str, str],
    files: Sequence[GpuFiles] | None = None,
) -> ImageGpu:
    """Judge an image.

    `packages`: rows with ecosystem, name, version, local_version, gpu_role, location and size_bytes (live bytes).
    `documents`: contents of version files and sources, by path. `environment`: the image's variables about GPUs.
    `files`: its GPU-only files, None where only the packages' bytes are known.
    """
    said = build_files(documents)
    sources = source_evidence(documents)
    inside = files or ()
    evidence = [
        *_from_build_files(said),
        *_from_packages(packages, said),
        *_from_files(inside),
        *_from_toolkit_environment(environment),
        *told_by_environment(environment, "the image's environment"),
        *_needs_of_packages(packages),
        *sources.evidence,
    ]
    build = _build(evidence)
    return ImageGpu(
        build=build,
        versions=tuple(_versions(packages, said, inside, environment)),
        gpu_bytes=sum(item.size_bytes for item in inside) if files is not None else _package_bytes(packages),
        need=need_of(evidence, build),
        environment=dict(environment),
        evidence=tuple(evidence),
        warnings=sources.warnings,
    )


def _from_build_files(said: Sequence[BuildFile]) -> Iterator[Evidence]:
    main = {file.build for file in said if file.framework == "torch"}
    for file in said:
        if not file.build or (file.framework in _OF_TORCH and file.build in main):
            continue
        if file.build == "cpu":
            statement = f"{file.framework} {file.version} says that it is built without CUDA and ROCm"
        else:
            toolkit = f"{_NAMES[file.build]} {file.toolkit}".strip()
            statement = f"{file.framework} {file.version} says that it is built for {toolkit}"
        yield Evidence("build", " ".join(statement.split()), file.path, "very high", file.build)


def _from_packages(packages: Sequence[Mapping[str, Any]], said: Sequence[BuildFile]) -> Iterator[Evidence]:
    libraries: dict[str, list[Mapping[str, Any]]] = {}
    spoken_for = {file.framework for file in said if file.build}
    for package in packages:
        variant = variant_of(package["ecosystem"], package["name"])
        role, name = package["gpu_role"], package["name"]
        version = package["local_version"] or package["version"]
        source = package["location"]
        if role in GPU_ROLES and variant is not None:
            libraries.setdefault(f"{variant.build} {role}", []).append(package)
        elif role == "framework" and variant is not None and _framework(name) not in spoken_for:
            yield from _from_framework(package, variant.build, version, source)
        elif not role and is_cpu_framework(package["ecosystem"], name) and _framework(name) not in spoken_for:
            yield Evidence("build", f"{name} {version} is a build for the CPU", source, "high", "cpu")
        known = next((text for key, text in SAME_FILE.items() if _starts(name, key)), None)
        if known is not None and (role == "framework" or variant is None):
            yield Evidence("build", f"{name} {version}: {known}", source, "weak", "")
    for kind, listed in libraries.items():
        build, role = kind.split(" ")
        listed.sort(key=lambda package: -package["size_bytes"])
        size = format_bytes(sum(package["size_bytes"] for package in listed))
        names = ", ".join(f"{package['name']} {package['version']}" for package in listed[:3])
        more = " and others" if len(listed) > 3 else ""
        what = {"library": "libraries", "compiler": "compilers for GPUs", "plugin": "plugins"}[role]
        statement = f"{count(len(listed), 'package')} of {_NAMES[build]} {what}, {size}: {names}{more}"
        weight = "medium" if role == "compiler" else "very high"
        yield Evidence("build", statement, listed[0]["location"], weight, "" if role == "compiler" else build)


def _from_framework(package: Mapping[str, Any], build: str, version: str, source: str) -> Iterator[Evidence]:
    """A framework whose build file says nothing: by its version, else by its name where that tells."""
    name = package["name"]
    if re.search(r"\+(?:cu|rocm)\d", version):
        yield Evidence("build", f"the version of {name} is {version}", source, "very high", _label(version) or build)
    elif name.lower() in _ONE_NAME:
        # The same name for both: what it was built for is told by its libraries.
        statement = f"{name} {version} does not say what it was built for; without GPU libraries it runs on the CPU"
        yield Evidence("build", statement, source, "weak", "cpu")
    else:
        known = cpu_variant(name)
        instead = f"; {known} is the one without" if known else ""
        yield Evidence("build", f"{name} {version} is a build for {_NAMES[build]}{instead}", source, "high", build)


def _from_files(files: Sequence[GpuFiles]) -> Iterator[Evidence]:
    for item in files[:_LISTED]:
        if item.build and (item.size_bytes >= _SMALL_BYTES or item.part == "torch"):
            statement = f"{item.part}: {count(item.files, 'file')} that only a {_NAMES[item.build]} build has"
            size = format_bytes(item.size_bytes)
            yield Evidence("build", f"{statement}, {size}", item.example, "very high", item.build)


def _from_toolkit_environment(environment: Mapping[str, str]) -> Iterator[Evidence]:
    for name, build in (("CUDA_VERSION", "cuda"), ("ROCM_VERSION", "rocm")):
        if name in environment:
            statement = f"the environment names {_NAMES[build]} {environment[name]}: a base image of it presets that"
            yield Evidence("build", statement, f"environment {name}", "weak", "")


def _needs_of_packages(packages: Sequence[Mapping[str, Any]]) -> Iterator[Evidence]:
    for package in packages:
        if package["gpu_role"] == "needs gpu":
            statement = f"{package['name']} {package['version']} is made for GPUs and of little use without"
            yield Evidence("need", statement, package["location"], "medium", "likely")


def _build(evidence: Sequence[Evidence]) -> str:
    """cuda before rocm before cpu; a framework that does not say is one for the CPU where nothing of a GPU is there."""
    values = {piece.value for piece in evidence if piece.aspect == "build"}
    return next((build for build in ("cuda", "rocm", "cpu") if build in values), "none")


def _versions(
    packages: Sequence[Mapping[str, Any]],
    said: Sequence[BuildFile],
    files: Sequence[GpuFiles],
    environment: Mapping[str, str],
) -> Iterator[str]:
    """Frameworks with versions, then toolkits, each once."""
    seen: set[str] = set()
    texts = [f"{file.framework} {file.version}" for file in said if file.version]
    named = {file.framework for file in said if file.version}
    for package in packages:
        framework = package["gpu_role"] in ("framework", "needs gpu") or is_cpu_framework(
            package["ecosystem"], package["name"]
        )
        if framework and _framework(package["name"]) not in named:
            texts.append(f"{package['name']} {package['local_version'] or package['version']}")
    texts += [f"{_NAMES[file.build]} {file.toolkit}" for file in said if file.toolkit]
    for item in files:
        version = toolkit_version(item.example)
        texts += [f"{_NAMES[item.build]} toolkit {version}"] if version and item.build else []
    texts += [f"CUDA {environment['CUDA_VERSION']} (environment)"] if "CUDA_VERSION" in environment else []
    for text in texts:
        if text not in seen and len(seen) < _LISTED:
            seen.add(text)
            yield text


def _package_bytes(packages: Sequence[Mapping[str, Any]]) -> int:
    return sum(package["size_bytes"] for package in packages if package["gpu_role"] in GPU_ROLES)


def _starts(name: str, key: str) -> bool:
    """Whether a package is the one of that name, or a build of it with a CUDA version behind."""
    return re.fullmatch(rf"{re.escape(key)}(?:-cu\d+)?", name.lower().replace("_", "-")) is not None


def _framework(name: str) -> str:
    """The framework that a package is a build of, as build files name it."""
    known = name.lower().replace("_", "-")
    for framework in ("onnxruntime", "tensorflow", "cupy", "paddle", "xgboost"):
        if known.startswith(framework):
            return framework
    return "torch" if known in (*_OF_TORCH, "pytorch", "pytorch-cpu", "pytorch-gpu") else known


def _label(version: str) -> str:
    return "rocm" if "+rocm" in version else "cuda" if "+cu" in version else ""


_ONE_NAME = frozenset({"torch", "torchvision", "torchaudio", "tensorflow", "pytorch", "libtorch"})
_OF_TORCH = ("torchvision", "torchaudio")
_NAMES = {"cuda": "CUDA", "rocm": "ROCm", "cpu": "CPU"}
