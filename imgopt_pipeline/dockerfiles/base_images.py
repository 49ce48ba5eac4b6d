"""Official base images by the grammar of their tags: the slim variant, CUDA's runtime variant, the plain system.

Never alpine: programs built for glibc, and most wheels, do not run there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_PREFIXES = (
    "docker.io/library/",
    "docker.io/",
    "index.docker.io/library/",
    "library/",
    "public.ecr.aws/docker/library/",
    "mirror.gcr.io/library/",
    "mirror.gcr.io/",
)
_DEBIANS = r"buster|bullseye|bookworm|trixie|forky"
_VERSION = r"\d+(?:\.\d+)*(?:(?:a|b|rc|-rc)\.?\d+)?"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image reference in parts; `tag` is empty where none is written. `pinned`: it has a digest."""

    repository: str
    tag: str
    pinned: bool

    @property
    def official(self) -> str:
        """The repository as Docker Hub's official images are named, without registry."""
        name = self.repository
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                return name.removeprefix(prefix)
        return name


def reference(text: str) -> Reference:
    """`docker.io/library/python:3.11@sha256:…` in parts."""
    name, _, digest = text.partition("@")
    folder, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return Reference(f"{folder}{slash}{repository}", tag, bool(digest))


def slim_tag(repository: str, tag: str) -> str | None:
    """The tag of the slim variant of an official image; None where there is none, or the tag is not understood."""
    rename = _SLIM.get(repository)
    return rename(tag) if rename is not None else None


def _version_first(tag: str) -> str | None:
    """`3.11-bookworm` → `3.11-slim-bookworm`, as python, ruby, perl and others have it."""
    if tag in ("", "latest"):
        return "slim"
    match = re.fullmatch(rf"({_VERSION})(?:-({_DEBIANS}))?", tag)
    if match is not None:
        return f"{match[1]}-slim" + (f"-{match[2]}" if match[2] else "")
    return f"slim-{tag}" if re.fullmatch(_DEBIANS, tag) else None


def _slim_last(tag: str) -> str | None:
    """`20-bookworm` → `20-bookworm-slim`, as node has it."""
    if tag in ("", "latest"):
        return "slim"
    named = r"lts|current|lts-[a-z]+"
    return f"{tag}-slim" if re.fullmatch(rf"(?:{_VERSION}|{named})(?:-(?:{_DEBIANS}))?|{_DEBIANS}", tag) else None


def _debian(tag: str) -> str | None:
    if tag in ("", "latest"):
        return "stable-slim"
    kinds = rf"stable|testing|unstable|oldstable|sid|{_DEBIANS}"
    return f"{tag}-slim" if re.fullmatch(rf"\d+(?:\.\d+)?|(?:{kinds})(?:-\d{{8}})?", tag) else None


def _openjdk(tag: str) -> str | None:
    match = re.fullmatch(rf"({_VERSION}(?:-j(?:dk|re))?)(?:-({_DEBIANS}))?", tag)
    return f"{match[1]}-slim" + (f"-{match[2]}" if match[2] else "") if match is not None else None


_SLIM: dict[str, Callable[[str], str | None]] = {
    "python": _version_first,
    "pypy": _version_first,
    "ruby": _version_first,
    "perl": _version_first,
    "julia": _version_first,
    "rust": _version_first,
    "node": _slim_last,
    "debian": _debian,
    "openjdk": _openjdk,
    "elixir": lambda tag: f"{tag}-slim" if re.fullmatch(_VERSION, tag) else None,
    "erlang": lambda tag: f"{tag}-slim" if re.fullmatch(_VERSION, tag) else None,
    "swift": lambda tag: f"{tag}-slim" if re.fullmatch(rf"{_VERSION}(-(jammy|noble|focal|bookworm))?", tag) else None,
}


def runtime_tag(repository: str, tag: str) -> str | None:
    """The tag of the same CUDA image without compilers and headers; None for images that have none."""
    if repository in ("nvidia/cuda", "nvcr.io/nvidia/cuda", "pytorch/pytorch"):
        return re.sub(r"-devel(?=-|$)", "-runtime", tag) if re.search(r"-devel(-|$)", tag) else None
    return None


def plain_system(repository: str, tag: str) -> str | None:
    """The plain image of the system that a CUDA image stands on: `ubuntu:22.04` for `12.4.1-runtime-ubuntu22.04`."""
    if repository not in ("nvidia/cuda", "nvcr.io/nvidia/cuda"):
        return None
    match = re.search(r"-(ubuntu|rockylinux|ubi)(\d+(?:\.\d+)?)$", tag)
    if match is None:
        return None
    if match[1] == "ubuntu":
        return f"ubuntu:{match[2]}"
    return f"rockylinux:{match[2]}" if match[1] == "rockylinux" else f"redhat/ubi{match[2]}"


def with_tag(written: str, expanded: str, rename: Callable[[str, str], str | None]) -> str | None:
    """A base as it is written in FROM with another tag; `expanded` has the values of its ARGs put in.

    `rename` maps the official repository and tag. None where the tag is not understood or lies within an ARG.
    """
    parts = reference(expanded)
    if parts.pinned:
        return None
    tag = rename(parts.official, parts.tag)
    if tag is None or tag == parts.tag:
        return None
    if "$" not in written:
        return f"{parts.repository}:{tag}"
    # The written tag may hold variables for its version; the new tag adds to it or changes what is written out.
    head, colon, written_tag = _tag_of(written)
    if not colon:
        return None
    renamed = _added(parts.tag, tag, written_tag) or rename(parts.official, written_tag)
    return f"{head}:{renamed}" if renamed else None


def _tag_of(written: str) -> tuple[str, str, str]:
    """Name and tag of a reference with variables, whose braces may hold a colon."""
    depth = 0
    for number in range(len(written) - 1, -1, -1):
        character = written[number]
        depth += (character == "}") - (character == "{")
        if character == ":" and depth == 0:
            return written[:number], ":", written[number + 1 :]
    return written, "", ""


def _added(old: str, new: str, written: str) -> str | None:
    """The written tag with what the new tag adds, where that stands at its end or before a part written out."""
    if new.startswith(old):
        return written + new[len(old) :]
    for literal in re.findall(rf"-(?:{_DEBIANS})$", written):
        stem = old.removesuffix(literal)
        if new.startswith(stem) and new.endswith(literal) and stem != old:
            return written.removesuffix(literal) + new[len(stem) :]
    return None
