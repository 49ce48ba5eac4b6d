"""Figure: packages that `syft` finds in the same image, of Python, Debian and Node, and whether imgopt finds each.

A package is one if ecosystem, name and version agree; Python names compare as PEP 503 says. A Node manifest
without a version, in a folder of another package, is an entry point and no package: syft lists such ones with
the version UNKNOWN, imgopt does not. syft's answers are large: another process reads them, since memory that
this one took would show in every later figure (measuring.py).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from benchmarks.ground import IMAGE, SMALL_IMAGES, Ground
from benchmarks.measuring import Command, run
from benchmarks.report import Figure

Package = tuple[str, str, str]

_ECOSYSTEMS = {"python": "python", "deb": "debian", "npm": "node"}
_NO_VERSION = "UNKNOWN"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Counted:
    """One image: how many packages syft finds by ecosystem, and where the two differ."""

    found: Counter[str]
    missing: tuple[Package, ...]
    entry_points: int
    more: tuple[Package, ...]


def measure(ground: Ground) -> list[Figure]:
    """One figure over all images."""
    counted: dict[str, Counted] = {}
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for image in (IMAGE, *SMALL_IMAGES):
            inspect = ground.imgopt("inspect", "--no-cache", "--json", image, engine=ground.classic)
            counted[image] = pool.submit(count, inspect, ground.syft(image, ground.classic)).result()
    total = sum(each.found.total() for each in counted.values())
    missing = sum(len(each.missing) for each in counted.values())
    entry_points = sum(each.entry_points for each in counted.values())
    reached = f"{total - missing - entry_points:,} of {total:,} found, {entry_points} explained, {missing} not"
    return [
        Figure(
            "packages of Python, Debian and Node that `syft` finds in the same images",
            "each is found, or the difference explained",
            reached,
            missing == 0,
            "; ".join(_line(image, each) for image, each in counted.items())
            + f". The {entry_points} explained are Node manifests that name no version, entry points in a folder of"
            " another package (such as web-streams-polyfill/es2018/package.json): imgopt counts them to that package.",
        )
    ]


def count(inspect: Command, syft: Command) -> Counted:
    """Run both over one image."""
    ours, theirs = set(_ours(run(inspect).output)), set(_theirs(run(syft).output))
    entry_points = {package for package in theirs - ours if package[0] == "node" and package[2] == _NO_VERSION}
    return Counted(
        Counter(ecosystem for ecosystem, _, _ in theirs),
        tuple(sorted(theirs - ours - entry_points)),
        len(entry_points),
        tuple(sorted(ours - theirs)),
    )


def _line(image: str, counted: Counted) -> str:
    counts = ", ".join(f"{count:,} {ecosystem}" for ecosystem, count in sorted(counted.found.items()))
    return (
        f"{image}: syft finds {counts}"
        + _named(", NOT found", counted.missing)
        + _named(", only imgopt finds", counted.more)
    )


def _named(what: str, packages: tuple[Package, ...]) -> str:
    names = [f"{name} {version}" for _, name, version in packages]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what} {', '.join(names[:_SHOWN])}{more}" if names else ""


def _ours(output: bytes) -> Iterator[Package]:
    for package in json.loads(output)["packages"]:
        if package["ecosystem"] in _ECOSYSTEMS.values():
            yield _package(package["ecosystem"], package["name"], package["version"])


def _theirs(output: bytes) -> Iterator[Package]:
    for artifact in json.loads(output)["artifacts"]:
        if ecosystem := _ECOSYSTEMS.get(artifact["type"]):
            yield _package(ecosystem, artifact["name"], artifact["version"] or _NO_VERSION)


def _package(ecosystem: str, name: str, version: str) -> Package:
    return ecosystem, re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "python" else name, version
