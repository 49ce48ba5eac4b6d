"""Opens a host by its name in the settings, or what a person named on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from imgopt_pipeline.errors import SettingsError, UnreadableArchive
from imgopt_pipeline.hosts.archives import ARCHIVE_SUFFIXES, ArchiveHost
from imgopt_pipeline.hosts.described import DescribedHost, is_described
from imgopt_pipeline.limits import Limits
from imgopt_pipeline.settings import ARCHIVES_HOST, DEMO_HOST, Settings

if TYPE_CHECKING:
    from imgopt_pipeline.hosts.engine import EngineHost

AnyHost: TypeAlias = "EngineHost | ArchiveHost"


def host_names(settings: Settings) -> list[str]:
    """All hosts that can be audited, the archive folder and the demo fleet last where they are there."""
    archives = [ARCHIVES_HOST] if settings.archives_folder.is_dir() else []
    demo = [DEMO_HOST] if is_described(settings.paths.demo) else []
    return [*settings.hosts, *archives, *demo]


def check_host_name(settings: Settings, name: str) -> None:
    """Raise SettingsError for a host that the settings do not know, with the nearest that they do."""
    names = host_names(settings)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise SettingsError(
            f"there is no host {name!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
            hint=f"Known: {', '.join(names)}.",
        )


@contextmanager
def open_host(settings: Settings, name: str) -> Iterator[AnyHost]:
    """A host, closed at the end. Raises HostUnreachable, UnreadableArchive, SettingsError."""
    host = _host(settings, name)
    try:
        yield host
    finally:
        host.close()


@contextmanager
def open_subject(
    settings: Settings, subject: str, *, host_name: str | None = None, platform: str | None = None
) -> Iterator[tuple[AnyHost, str]]:
    """The host that has `subject`, and the reference to ask it for: an archive's path, or an image's name."""
    path = Path(subject)
    if host_name is None and path.exists():
        archive = ArchiveHost(str(path), path, limits=settings.limits.to_limits(), platform=platform)
        yield archive, ""
        return
    if host_name is None and _looks_like_path(subject):
        raise UnreadableArchive("there is no such file or folder.", subject=subject)
    with open_host(settings, host_name or next(iter(settings.hosts))) as host:
        yield host, subject


def _looks_like_path(subject: str) -> bool:
    """Whether a person meant a file: no image's name begins so or ends so."""
    return subject.startswith(("/", "./", "../", "~")) or subject.endswith(ARCHIVE_SUFFIXES)


def _host(settings: Settings, name: str) -> AnyHost:
    check_host_name(settings, name)
    limits = settings.limits.to_limits()
    if name == DEMO_HOST:
        return DescribedHost(name, settings.paths.demo, limits=limits)
    if name == ARCHIVES_HOST:
        return _archive_host(name, settings.archives_folder, limits, None)
    host = settings.hosts[name]
    if host.archives is not None:
        return _archive_host(name, host.archives, limits, host.platform)
    # Late: the Docker SDK takes a tenth of a second to import, which whoever reads an archive is spared.
    from imgopt_pipeline.hosts.connection import engine_addresses
    from imgopt_pipeline.hosts.engine import EngineHost

    configured = None if host.engine == "auto" else host.engine
    return EngineHost(name, engine_addresses(configured, tls_folder=host.tls_folder), limits=limits)


def _archive_host(name: str, folder: Path, limits: Limits, platform: str | None) -> ArchiveHost:
    """A folder of archives, and what its description says beside, where it has one."""
    if is_described(folder):
        return DescribedHost(name, folder, limits=limits, platform=platform)
    return ArchiveHost(name, folder, limits=limits, platform=platform)
