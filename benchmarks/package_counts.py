"""Figure: packages that `syft` finds in the same image, of Python, Debian and Node, and whether imgopt finds each.

A package is one if ecosystem, name and version agree; Python names compare as PEP 503 says. A Node manifest
without a version, in a folder of another package, is an entry point and no package: syft lists such ones with
the version UNKNOWN, imgopt does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from benchmarks.ground import IMAGE, SMALL_IMAGES, Ground
from benchmarks.measuring import run
from benchmarks.report import Figure

Found = set[tuple[str, str, str]]

_ECOSYSTEMS = {"python": "python", "deb": "debian", "npm": "node"}
_NO_VERSION = "UNKNOWN"
_SHOWN = 5


def measure(ground: Ground) -> list[Figure]:
    """One figure over all images."""
    total, missing, entries, told = 0, 0, 0, []
    for image in (IMAGE, *SMALL_IMAGES):
        ours = set(_ours(run(ground.imgopt("inspect", "--no-cache", "--json", image, engine=ground.classic)).output))
        theirs = set(_theirs(run(ground.syft(image, ground.classic)).output))
        lacking = theirs - ours
        unversioned = {package for package in lacking if package[2] == _NO_VERSION}
        total += len(theirs)
        entries += len(unversioned)
        missing += len(lacking - unversioned)
        told.append(_line(image, theirs, lacking - unversioned, ours - theirs))
    return [
        Figure(
            "packages of Python, Debian and Node that `syft` finds in the same images",
            "each is found, or the difference explained",
            f"{total - missing - entries:,} of {total:,} found, {entries} of the others explained, {missing} not",
            missing == 0,
            "; ".join(told) + f". The {entries} are Node manifests that name no version, entry points in folders of"
            " another package (such as web-streams-polyfill/es2018/package.json), which imgopt counts to that package.",
        )
    ]


def _line(image: str, theirs: Found, missing: Found, more: Found) -> str:
    counts = ", ".join(
        f"{sum(ecosystem == each for each, _, _ in theirs):,} {ecosystem}" for ecosystem in _ECOSYSTEMS.values()
    )
    return f"{image}: syft finds {counts}" + _named(", NOT found", missing) + _named(", only imgopt finds", more)


def _named(what: str, packages: Found) -> str:
    names = [f"{name} {version}" for _, name, version in sorted(packages)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what} {', '.join(names[:_SHOWN])}{more}" if names else ""


def _ours(output: bytes) -> Iterator[tuple[str, str, str]]:
    for package in json.loads(output)["packages"]:
        if package["ecosystem"] in _ECOSYSTEMS.values():
            yield _package(package["ecosystem"], package["name"], package["version"])


def _theirs(output: bytes) -> Iterator[tuple[str, str, str]]:
    for artifact in json.loads(output)["artifacts"]:
        if ecosystem := _ECOSYSTEMS.get(artifact["type"]):
            yield _package(ecosystem, artifact["name"], artifact["version"] or _NO_VERSION)


def _package(ecosystem: str, name: str, version: str) -> tuple[str, str, str]:
    return ecosystem, re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "python" else name, version
