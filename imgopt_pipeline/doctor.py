"""What works on this machine: each host, each way to its layers, the folders imgopt writes.

Looks and reports; mends nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.opening import AnyHost, open_host
from imgopt_pipeline.layers.readers import readers_for
from imgopt_pipeline.settings import ARCHIVES_HOST, Settings
from imgopt_pipeline.units import count, format_bytes
from imgopt_pipeline.warehouse.schema import schema_drift
from imgopt_pipeline.warehouse.store import snapshot

_LITTLE_SPACE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that works or does not. What is not `needed` may fail without harm."""

    subject: str
    ok: bool
    message: str
    hint: str = ""
    needed: bool = True


def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order a person would look."""
    return [
        *_folders(settings),
        *_warehouse(settings),
        *(finding for name in settings.hosts for finding in _host(settings, name)),
        *_archives(settings),
    ]


def _folders(settings: Settings) -> Iterator[Finding]:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.home):
            free_bytes = shutil.disk_usage(settings.home).free
    except OSError as error:
        yield Finding("folder", False, f"{settings.home} is not writable ({error.strerror}).", "Set IMGOPT_HOME.")
        return
    enough = free_bytes > _LITTLE_SPACE_BYTES
    yield Finding(
        "folder",
        enough,
        f"{settings.home}, {format_bytes(free_bytes)} free.",
        "" if enough else "Make room, or set IMGOPT_HOME.",
        needed=False,
    )


def _warehouse(settings: Settings) -> Iterator[Finding]:
    if not settings.paths.database.exists():
        yield Finding("warehouse", True, "not there yet; the first audit makes it.")
        return
    try:
        with snapshot(settings.paths.database) as connection:
            drift = schema_drift(connection)
    except ImgoptError as error:
        yield Finding("warehouse", False, error.message, error.hint)
        return
    message = "; ".join(drift) if drift else f"{settings.paths.database} fits this version."
    yield Finding("warehouse", not drift, message, "The next audit adds missing tables." if drift else "")


def _host(settings: Settings, name: str) -> Iterator[Finding]:
    try:
        with open_host(settings, name) as host:
            facts = host.facts()
            yield Finding(f"host {name}", True, f"{facts.kind} {facts.version}, {facts.store} store, {facts.root_dir}.")
            if isinstance(host, EngineHost):
                yield from _readers(host, name)
            else:
                yield Finding(f"host {name}, archives", True, f"{count(len(host.images()), 'image')}.")
    except ImgoptError as error:
        yield Finding(f"host {name}", False, str(error))


def _readers(host: AnyHost, name: str) -> Iterator[Finding]:
    """Try each way to the layers on the smallest image."""
    images = [image for image in host.images() if image.layers]
    if not images:
        yield Finding(f"host {name}, layers", True, "no image to try the readers on.")
        return
    image = min(images, key=lambda found: found.size_bytes or 0)
    works = False
    for reader in readers_for(host):
        if reader.cost and works:
            yield Finding(f"host {name}, {reader.name}", True, "not tried: a faster way works.", needed=False)
            continue
        try:
            reading = next(iter(reader.read(image, image.layers[:1])), None)
            error = reading.error if reading else None
            ok = reading is not None and error is None
        except ImgoptError as failure:
            ok, error = False, failure
        works = works or ok
        message = "works." if ok else (error.message if error else "found no layer.")
        yield Finding(f"host {name}, {reader.name}", ok, message, needed=False)
    if not works:
        yield Finding(f"host {name}, layers", False, "no reader works.", "Run as root, or allow POST on the socket.")


def _archives(settings: Settings) -> Iterator[Finding]:
    folder = settings.archives_folder
    if not folder.is_dir():
        yield Finding(ARCHIVES_HOST, True, f"no folder {folder}.", needed=False)
        return
    host = ArchiveHost(ARCHIVES_HOST, folder, limits=settings.limits.to_limits())
    found = len(host.images())
    bad = host.problems()
    message = f"{count(found, 'image')} in {folder}" + (f", {len(bad)} files cannot be read." if bad else ".")
    yield Finding(ARCHIVES_HOST, not bad, message, needed=False)
