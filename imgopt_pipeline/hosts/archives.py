"""Image archives: what `docker save` writes (old and new form) and OCI layouts, as a host.

Finds the images of an archive and the blobs of their layers. How an archive's members are found is
`archive_files`; what the blobs hold is `layers`.
"""

from __future__ import annotations

import hashlib
import platform as machine
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from imgopt_pipeline.errors import ImageNotFound, ImgoptError, LimitExceeded, UnreadableArchive
from imgopt_pipeline.hosts.archive_files import ArchiveFiles, Blob, looks_like_archive, open_archive, shown
from imgopt_pipeline.hosts.image_config import check_layer_count, familiar, image_from_config, is_digest
from imgopt_pipeline.hosts.models import Container, DiskUsage, HostFacts, HostGpu, Image, Problem, Volume
from imgopt_pipeline.limits import DEFAULT_LIMITS, Limits
from imgopt_pipeline.names import printable

_INDEX_TYPES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".oci")


def _which(reference: str, count: int, names: str) -> str:
    if not count:
        return "it holds no image."
    return f"there is no such image; it holds {names}." if reference else f"it holds {count} images: {names}."


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """An image and the blobs of its layers, base first."""

    image: Image
    blobs: tuple[Blob, ...]


class ArchiveHost:
    """A folder of image archives, or a single one. It has images and nothing else."""

    def __init__(self, name: str, path: Path, *, limits: Limits = DEFAULT_LIMITS, platform: str | None = None) -> None:
        self.name = name
        self.path = path
        self.limits = limits
        self._platform = platform
        self._archived: dict[str, ArchivedImage] | None = None
        self._problems: list[Problem] = []

    def facts(self) -> HostFacts:
        return HostFacts(kind="archives", version="", store="archives", root_dir=shown(self.path), local=True)

    def images(self) -> list[Image]:
        return [archived.image for archived in self._read().values()]

    def image(self, reference: str) -> Image:
        """The image of that reference, ID or unique ID prefix; an empty reference names the only one."""
        images = self.images()
        wanted = familiar(reference)
        tagged = wanted if ":" in wanted.rpartition("/")[2] or "@" in wanted else f"{wanted}:latest"
        for image in images:
            if reference == image.image_id or tagged in image.references or wanted in image.digests:
                return image
        by_id = [image for image in images if image.image_id.removeprefix("sha256:").startswith(reference)]
        if len(by_id) == 1:
            return by_id[0]
        names = ", ".join(image.name for image in images[:5])
        raise ImageNotFound(
            _which(reference, len(images), names),
            subject=f"{reference} in {self.path}" if reference else shown(self.path),
            hint="Name one of them with --image." if images else "",
        )

    def blobs(self, image: Image) -> tuple[Blob, ...]:
        """Where the image's layers lie, base first."""
        return self._read()[image.image_id].blobs

    def containers(self) -> list[Container]:
        return []

    def disk_usage(self) -> list[DiskUsage]:
        return []

    def volumes(self) -> list[Volume]:
        return []

    def gpus(self) -> HostGpu:
        return HostGpu(known=False, evidence=("a folder of archives has no machine to look at",))

    def problems(self) -> list[Problem]:
        return list(self._problems)

    def close(self) -> None:
        """Nothing is left behind: archives are only read."""

    def _read(self) -> dict[str, ArchivedImage]:
        if self._archived is None:
            self._archived = {}
            for path in self._archive_paths():
                try:
                    found = read_archive(path, limits=self.limits, platform=self._platform)
                except ImgoptError as error:
                    if path == self.path:
                        raise
                    self._problems.append(Problem(error.subject or shown(path), error.kind, error.message, error.hint))
                    continue
                for archived in found:
                    self._add(archived)
        return self._archived

    def _archive_paths(self) -> list[Path]:
        if not self.path.exists():
            raise UnreadableArchive("there is no such file or folder.", subject=shown(self.path))
        if not self.path.is_dir() or looks_like_archive(self.path):
            return [self.path]
        try:
            found = sorted(self.path.iterdir())
        except OSError as error:
            raise UnreadableArchive(
                f"the folder cannot be read ({error.strerror}).", subject=shown(self.path)
            ) from error
        return [path for path in found if _worth_opening(path)]

    def _add(self, archived: ArchivedImage) -> None:
        """Keep an image; one that two archives hold is one image with the names of both."""
        assert self._archived is not None
        image = archived.image
        before = self._archived.get(image.image_id)
        if before is not None:
            names = dict.fromkeys(before.image.references + image.references)
            archived = replace(before, image=replace(before.image, references=tuple(names)))
        self._archived[image.image_id] = archived


def read_archive(path: Path, *, limits: Limits = DEFAULT_LIMITS, platform: str | None = None) -> list[ArchivedImage]:
    """The images of one archive. `platform` (`linux/arm64`) picks from multi-platform indexes.

    Raises UnreadableArchive, LimitExceeded.
    """
    files = open_archive(path, limits)
    try:
        if "manifest.json" in files:
            return _for_platform(files, _bounded(_docker_images(files, limits), limits), platform)
        if "index.json" in files:
            return _for_platform(files, _bounded(_oci_images(files, limits, platform), limits), platform)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise files.broken(f"a manifest is malformed ({type(error).__name__}: {printable(str(error))}).") from error
    except OSError as error:
        raise files.broken(f"a part of it cannot be read ({error.strerror}).") from error
    except ImgoptError as error:
        error.subject = error.subject or shown(path)
        raise
    raise UnreadableArchive(
        "it is a tar but no image archive: neither manifest.json nor index.json is in it.",
        subject=shown(path),
        hint="Save an image with `docker save -o FILE IMAGE`.",
    )


def _for_platform(files: ArchiveFiles, found: list[ArchivedImage], platform: str | None) -> list[ArchivedImage]:
    """The images of the platform asked for. Raises UnreadableArchive where all are for others."""
    if platform is None or not found:
        return found
    kept = [item for item in found if platform_of(item.image).startswith(platform)]
    if not kept:
        others = ", ".join(sorted({platform_of(item.image) for item in found}))
        raise UnreadableArchive(f"it holds no image for {platform}, only for {others}.", subject=shown(files.path))
    return kept


def platform_of(image: Image) -> str:
    """`linux/arm64/v8`, as `--platform` takes it."""
    return "/".join(part for part in (image.os, image.architecture, image.variant) if part)


def _bounded(images: Iterator[ArchivedImage], limits: Limits) -> list[ArchivedImage]:
    found = list(islice(images, limits.images + 1))
    if len(found) > limits.images:
        raise LimitExceeded(f"it lists more than {limits.images:,} images.", hint="Do not use this archive.")
    return found


def _docker_images(files: ArchiveFiles, limits: Limits) -> Iterator[ArchivedImage]:
    """Images of a `manifest.json` (Docker image specification v1.2, "Combined Image JSON")."""
    manifest = files.document("manifest.json")
    if not isinstance(manifest, list):
        raise files.broken("manifest.json is no list of images.")
    described: dict[str, Image] = {}  # hostile manifests name one large configuration thousands of times
    for entry in manifest:
        config_name = str(entry["Config"])
        image_id = _config_digest(files, config_name)
        names = list(entry.get("Layers") or [])
        check_layer_count(len(names), limits)
        if image_id not in described:
            described[image_id] = image_from_config(
                files.document(config_name, digest=image_id),
                image_id=image_id,
                references=[],
                digests=[],
                source=shown(files.path),
                limits=limits,
            )
        references = tuple(printable(familiar(str(tag))) for tag in entry.get("RepoTags") or [])
        blobs = tuple(files.blob(str(name)) for name in names)
        yield _archived(files, replace(described[image_id], references=references), blobs)


def _config_digest(files: ArchiveFiles, name: str) -> str:
    """The image ID: what the configuration's name says, which is then checked, or what it is.

    Docker names it `<hex>.json` or `blobs/sha256/<hex>`, crane and kaniko `sha256:<hex>`, Jib and Bazel anyhow.
    """
    stem = name.rpartition("/")[2].removesuffix(".json").removeprefix("sha256:")
    if is_digest(f"sha256:{stem}"):
        return f"sha256:{stem}"
    return f"sha256:{hashlib.sha256(files.content(name)).hexdigest()}"


def _oci_images(files: ArchiveFiles, limits: Limits, platform: str | None) -> Iterator[ArchivedImage]:
    """Images of an `index.json` (OCI image specification, image-layout.md and image-index.md)."""
    index = files.document("index.json")
    descriptors = index.get("manifests")
    if not isinstance(descriptors, list):
        raise files.broken("index.json lists no manifests.")
    for descriptor in descriptors:
        if _is_attestation(descriptor):
            continue
        manifest, digest, annotations = _manifest(files, descriptor, limits.nesting, platform)
        if "config" not in manifest:
            raise files.broken("it holds manifests of an old form (schema 1) that names no configuration.")
        names = [str(entry["digest"]) for entry in manifest["layers"]]
        check_layer_count(len(names), limits)
        config_digest = str(manifest["config"]["digest"])
        image = image_from_config(
            files.document(_blob_name(files, config_digest), digest=config_digest),
            image_id=config_digest,
            references=_references(descriptor.get("annotations") or {}),
            digests=[digest],
            source=shown(files.path),
            limits=limits,
            annotations=annotations,
        )
        blobs = tuple(
            files.blob(_blob_name(files, name), size_bytes=entry.get("size"), digest=name)
            for name, entry in zip(names, manifest["layers"], strict=True)
        )
        yield _archived(files, image, blobs)


def _archived(files: ArchiveFiles, image: Image, blobs: tuple[Blob, ...]) -> ArchivedImage:
    if len(blobs) != len(image.layers):
        raise files.broken(
            f"{image.name} has {len(image.layers)} layers by its configuration and {len(blobs)} by its manifest."
        )
    return ArchivedImage(image, blobs)


def _manifest(
    files: ArchiveFiles, descriptor: Mapping[str, Any], nesting: int, platform: str | None
) -> tuple[dict[str, Any], str, dict[str, str]]:
    """The manifest behind a descriptor, through nested indexes, with its digest and annotations."""
    if nesting == 0:
        raise files.broken("its indexes nest too deep.")
    digest = str(descriptor["digest"])
    document = files.document(_blob_name(files, digest), digest=digest)
    if document.get("mediaType", descriptor.get("mediaType")) in _INDEX_TYPES or "manifests" in document:
        inner = [item for item in document["manifests"] or [] if not _is_attestation(item)]
        chosen = _choose(files, inner, platform)
        if chosen is None:
            raise files.broken("its index lists no image for a platform" + (f" like {platform}." if platform else "."))
        return _manifest(files, chosen, nesting - 1, platform)
    return document, digest, document.get("annotations") or {}


def _choose(files: ArchiveFiles, descriptors: list[dict[str, Any]], platform: str | None) -> dict[str, Any] | None:
    """The platform asked for; else this machine's, else the first whose manifest the archive holds."""
    if platform is not None:
        return next((item for item in descriptors if _matches(item, platform)), None)
    present = [item for item in descriptors if _blob_name(files, str(item["digest"])) in files]
    own = f"linux/{_ARCHITECTURES.get(machine.machine(), machine.machine())}"
    return next((item for item in present if _matches(item, own)), next(iter(present or descriptors), None))


def _matches(descriptor: Mapping[str, Any], platform: str) -> bool:
    stated = descriptor.get("platform") or {}
    parts = [str(stated.get(key) or "") for key in ("os", "architecture", "variant")]
    wanted = platform.split("/")
    return parts[: len(wanted)] == wanted


def _is_attestation(descriptor: Mapping[str, Any]) -> bool:
    annotations = descriptor.get("annotations") or {}
    platform = descriptor.get("platform") or {}
    return annotations.get("vnd.docker.reference.type") == "attestation-manifest" or (
        platform.get("os") == "unknown" and platform.get("architecture") == "unknown"
    )


def _blob_name(files: ArchiveFiles, digest: str) -> str:
    if not is_digest(digest):
        raise files.broken(f"{printable(digest)} is no sha256 digest.")
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _references(annotations: Mapping[str, Any]) -> list[str]:
    name = annotations.get("io.containerd.image.name") or annotations.get("org.opencontainers.image.ref.name")
    return [familiar(str(name))] if name else []


def _worth_opening(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    try:
        return path.name.endswith(ARCHIVE_SUFFIXES) or looks_like_archive(path)
    except OSError:
        return True  # opening it says why it cannot be read
