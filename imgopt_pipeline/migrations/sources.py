"""Which folder of the host a name means: an entry of the settings, a path, a volume, or what the last audit found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.mounted_directories import is_broad, plain_path
from imgopt_pipeline.migrations.migration import SourceKind
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.labels import COMPOSE
from imgopt_pipeline.services.models import Refused, SubjectNotFound
from imgopt_pipeline.settings import MoveSettings, Settings
from imgopt_pipeline.warehouse.store import fetch_rows, snapshot


class _NoVolume(Exception):
    """The engine has no volume of that name."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder that is to be moved. `entry` is what the settings say of it."""

    path: Path
    kind: SourceKind
    volume: str | None = None
    entry: MoveSettings | None = None

    @property
    def name(self) -> str:
        """What it is called at the destination."""
        return self.volume or self.path.name


def find_source(settings: Settings, host: EngineHost, name: str) -> Source:
    """The folder that a name means. Raises SubjectNotFound, Refused where it is not one to be moved."""
    entry = settings.migrations.get(name)
    source = _found(settings, host, str(entry.source) if entry is not None and entry.source else name)
    try:
        str(source.path).encode()
    except UnicodeEncodeError as error:
        raise Refused("its path is no UTF-8.", subject=printable(str(source.path))) from error
    if is_broad(str(source.path)):
        raise Refused("it holds more than one thing's data.", subject=str(source.path), hint="Name a folder in it.")
    return Source(source.path, source.kind, source.volume, entry)


def destination_of(source: Source, given: Path | None) -> Path:
    """Where the folder will be: in what is named, if that is there, under its own name; else exactly that.

    Raises SettingsError where nobody said where to, Refused where that is where it is.
    """
    named = given or (source.entry.destination if source.entry is not None else None)
    if named is None:
        raise SettingsError(
            "nobody said where it is to go.",
            hint="Name the folder with --to DIR, or under `migrations:` in imgopt.yaml.",
        )
    named = Path(os.path.abspath(named))
    final = named / source.name if named.is_dir() else named
    if source.path.resolve() in (named.resolve(), final.resolve()):
        raise Refused("it is there already.", subject=str(source.path), hint="Name a folder of another file system.")
    return final


def _found(settings: Settings, host: EngineHost, name: str) -> Source:
    if name.startswith("/"):
        path = Path(os.path.normpath(name))
        if not path.is_dir():
            raise SubjectNotFound("there is no such directory on this machine.", subject=printable(name))
        return _with_volume(host, path)
    if (volume := _volume(host, name)) is not None:
        return _of_volume(volume)
    rows = _audited(settings, host.name, name)
    if not rows:
        raise SubjectNotFound(
            f"neither the settings nor the newest audit of host {host.name} know such a directory.",
            subject=printable(name),
            hint=_suggestion(host, name) or "Name its path; `imgopt plan` lists what is worth moving.",
        )
    if len(rows) > 1:
        listed = ", ".join(row["path"] for row in rows)
        raise SubjectNotFound("it may mean several directories.", subject=printable(name), hint=f"Name one: {listed}.")
    return _found(settings, host, rows[0]["volume"] or plain_path(rows[0]["path"]))


def _audited(settings: Settings, host_name: str, name: str) -> list[dict[str, Any]]:
    if not settings.paths.database.exists():
        return []
    query = resources.files(__package__).joinpath("select_directories.sql").read_text()
    with snapshot(settings.paths.database) as connection:
        rows = fetch_rows(connection, query, host=host_name, name=name)
    exact = [row for row in rows if name in (row["path"], row["volume"], Path(row["path"]).name)]
    return exact or rows


def _suggestion(host: EngineHost, name: str) -> str:
    """Volumes that compose files call so."""
    with engine_errors("the engine does not list its volumes"):
        volumes = host.client.volumes().get("Volumes") or []
    called = [str(one["Name"]) for one in volumes if (one.get("Labels") or {}).get(f"{COMPOSE}volume") == name]
    if not called:
        return ""
    return f"Compose calls a volume so: name it as the engine does, {' or '.join(map(printable, sorted(called)))}."


def _volume(host: EngineHost, name: str) -> dict[str, Any] | None:
    if not name or "/" in name:
        return None
    try:
        with engine_errors("there is no such volume", missing=_NoVolume):
            return dict(host.client.inspect_volume(name))
    except _NoVolume:
        return None


def _of_volume(volume: dict[str, Any]) -> Source:
    if volume.get("Driver") != "local" or volume.get("Options"):
        raise Refused(
            "it is no plain folder of this machine but a volume with a driver or options of its own.",
            subject=printable(str(volume["Name"])),
        )
    return Source(Path(volume["Mountpoint"]), "volume", str(volume["Name"]))


def _with_volume(host: EngineHost, path: Path) -> Source:
    """A path may be that of a volume, which is left where it is."""
    with engine_errors("the engine does not list its volumes"):
        volumes = host.client.volumes().get("Volumes") or []
    found = next((volume for volume in volumes if Path(volume.get("Mountpoint") or "/") == path), None)
    return _of_volume(dict(found)) if found is not None else Source(path, "bind")
