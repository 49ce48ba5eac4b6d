"""Facts of an image for a Dockerfile in a few words: each instruction that makes a layer, and what stands in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from imgopt_pipeline.dockerfiles.facts import ByteRange, ImageFacts, MadePath, PackageFacts, StepFacts
from imgopt_pipeline.dockerfiles.parsing import parse

SITE = "/usr/local/lib/python3.11/site-packages"
LARGE = ByteRange(100_000_000, 200_000_000, 300_000_000)


def debian(name: str, *requires: str, position: int = 1) -> PackageFacts:
    section = "libdevel" if name.endswith("-dev") else ""
    return PackageFacts(
        "debian", name, "1", requires=requires, position=position, section=section, size_bytes=1_000_000
    )


def node(name: str, version: str = "1.0.0", *, development: bool = False) -> PackageFacts:
    return PackageFacts("node", name, version, development=development)


def python(name: str, *, gpu_role: str = "") -> PackageFacts:
    return PackageFacts("python", name, "1", gpu_role=gpu_role)


PACKAGES = (
    debian("gcc", "gcc-12"),
    debian("gcc-12", "libgomp1"),
    debian("libgomp1"),
    debian("make"),
    debian("g++", "gcc"),
    debian("git", "perl"),
    debian("perl"),
    debian("curl", "libcurl4"),
    debian("libcurl4"),
    debian("libpq-dev", "libpq5", "libssl-dev"),
    debian("libpq5", "libssl3"),
    debian("libssl-dev", "libssl3"),
    debian("libssl3", position=0),
)


def facts_of(
    text: str,
    *techniques: str,
    made: Mapping[str, Sequence[str]] | None = None,
    packages: Sequence[PackageFacts] = PACKAGES,
) -> ImageFacts:
    """Facts of an image built from a text, with much to gain by some techniques.

    `made`: the paths that a RUN made, by a word that stands in it.
    """
    steps: dict[int, StepFacts] = {}
    for instruction in parse(text).instructions:
        if instruction.keyword in ("RUN", "COPY", "ADD", "WORKDIR"):
            words = " ".join(instruction.words)
            paths = [path for word, found in (made or {}).items() if word in words for path in found]
            own = tuple(MadePath(path, 1_000_000, whole="/bin/" not in path) for path in paths)
            steps[instruction.line] = StepFacts(len(steps) + 1, 1_000_000, made=own)
    return ImageFacts(
        "sha256:aa",
        10**9,
        "none",
        packages=tuple(packages),
        claims=dict.fromkeys(techniques, LARGE),
        steps=steps,
        base_position=0,
    )


def in_base(packages: Sequence[PackageFacts], *names: str) -> tuple[PackageFacts, ...]:
    """The packages with some of them in the base image."""
    return tuple(replace(one, position=0) if one.name in names else one for one in packages)
