"""What rules ask for beside the text: facts of the image that was built from it, of its context, of the builder.

Values only. Facts of an image are put together in `builds`, those of a context in `context`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes that go: at least, likely, at most."""

    low_bytes: int = 0
    likely_bytes: int = 0
    high_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """An installed package; `requires` as its ecosystem compares names, `size_bytes` what its files take.

    `location`: the folder it is installed in, without leading slash. `position`: the layer that brought it.
    """

    ecosystem: str
    name: str
    version: str
    location: str = ""
    local_version: str | None = None
    size_bytes: int = 0
    requires: tuple[str, ...] = ()
    development: bool = False
    only_recommended: bool = False
    gpu_role: str = ""
    section: str = ""
    position: int | None = None


@dataclass(frozen=True, slots=True)
class MadePath:
    """A file or a whole folder, absolute, that a step made and that is still there, no distribution's package's.

    `whole`: the folder was not there before the step, so that all in it is the step's.
    """

    path: str
    size_bytes: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What the layer of one instruction holds: bytes in all, claimed per technique, and the paths it made."""

    position: int
    size_bytes: int
    claims: Mapping[str, ByteRange] = field(default_factory=dict)
    made: tuple[MadePath, ...] = ()


@dataclass(frozen=True, slots=True)
class Hidden:
    """Bytes stored by layer `position` that layer `killed_by` hides; `reason` as in layers.merge.DeadFile."""

    position: int
    killed_by: int
    reason: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Facts of the image in use. `steps` are keyed by the first line of the instruction in the original text.

    `claims` hold for the whole image, per technique; `gpu_verdict` is one of gpu/verdict.py. `python_folders`: the
    site-packages or dist-packages folders, absolute; `node_folders`: applications with a node_modules folder.
    `base_position`: the highest layer of the base image, None where it is not known. `user` as in its configuration.
    """

    image: str
    size_bytes: int
    gpu_verdict: str
    packages: tuple[PackageFacts, ...] = ()
    claims: Mapping[str, ByteRange] = field(default_factory=dict)
    steps: Mapping[int, StepFacts] = field(default_factory=dict)
    hidden: tuple[Hidden, ...] = ()
    python_folders: tuple[str, ...] = ()
    node_folders: tuple[str, ...] = ()
    base_position: int | None = None
    user: str = ""

    def of(self, ecosystem: str) -> dict[str, PackageFacts]:
        """Packages of an ecosystem by name."""
        return {package.name: package for package in self.packages if package.ecosystem == ecosystem}

    def step_at(self, position: int) -> StepFacts | None:
        """The step that made a layer, None for layers of the base."""
        return next((step for step in self.steps.values() if step.position == position), None)


@dataclass(frozen=True, slots=True)
class ContextFacts:
    """What the build context holds. `folders`: folders and files at its top and their bytes, after .dockerignore.

    `ignored`: lines of its .dockerignore, None where there is none. `texts`: small files that say how to install and
    build (requirements, package.json, lockfiles' heads, next.config), by path relative to the context.
    """

    ignored: tuple[str, ...] | None = None
    folders: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def has(self, path: str) -> bool:
        """Whether a top-level file or a file among `texts` is there."""
        return path in self.texts or path in self.folders


@dataclass(frozen=True, slots=True)
class BuilderFacts:
    """What the builder and its host can do. `references`: images that can be had, None where that is not known."""

    cache_mounts: bool = True
    heredocs: bool = True
    copy_chmod: bool = True
    named_contexts: bool = True
    references: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class PackageSources:
    """Where CPU-only packages come from: a package index, and folders (absolute) or pages of wheels."""

    cpu_index: str | None = None
    find_links: tuple[str, ...] = ()
