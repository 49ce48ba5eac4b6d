"""A compose file beside the user's own ones, for what imgopt changes about services and must not write into theirs.

It holds the image of a service or the place of a volume, for as long as a deployment or a move stands. Only files
that we wrote and nobody edited since are touched.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from stat import S_IFREG
from typing import Any, Final

import yaml

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.journal.journal import flush_folder, write_durably
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Refused, ServiceName

_FIRST_LINE: Final = (
    "# Written by imgopt; do not edit. It holds what deployments and moves changed, until they are taken back.\n"
)
_MARK: Final = b"# Written by imgopt; "
_DIGEST: Final = "# sha256: "
_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = tuple(name.replace(".y", ".override.y") for name in _NAMES)
_FILE_BYTES = 1_000_000
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class OverridePath:
    """Where the override of a service goes. `automatic`: compose loads it by itself; `words` say what to do if not."""

    path: Path
    automatic: bool
    words: str = ""


def override_path(name: ServiceName) -> OverridePath:
    """Where changes to a service are written.

    The name that compose loads by itself where the project is made from compose's default file alone and that name is
    free or ours, so that `docker compose up` by anyone keeps to it; a name of our own otherwise.
    """
    own = [file for file in name.files if not _is_ours(file)]
    first = own[0] if own else name.folder / _NAMES[0]
    if len(own) == 1 and first.name in _NAMES and first.parent == name.folder and not _names_files(name.folder):
        place = name.folder / first.name.replace(".y", ".override.y")
        taken = [name.folder / other for other in _OVERRIDES if os.path.lexists(name.folder / other)]
        if not taken or (taken == [place] and _is_ours(place)):
            return OverridePath(place, automatic=True)
    path = _apart(name, first)
    files = " ".join(f"-f {printable(str(file))}" for file in (*own, path))
    return OverridePath(
        path,
        automatic=False,
        words=f"Compose does not load {path.name} by itself: pass {files} from now on, or list them in COMPOSE_FILE.",
    )


def files_in_force(name: ServiceName) -> tuple[Path, ...]:
    """A project's compose files as they are now: without an override that is gone, with one of ours that is there."""
    own = [file for file in name.files if not _is_ours(file)]
    apart = _apart(name, own[0]) if own else name.folder / _NAMES[0]
    there = [file for file in own if file.exists() or (file.name not in _OVERRIDES and file != apart)]
    places = [*(name.folder / other for other in _OVERRIDES), apart]
    return (*there, *(place for place in places if _is_ours(place)))


def with_service(path: Path, service: str, settings: Mapping[str, Any], *, compose_major: int = 2) -> None:
    """Have the override say that of a service: an `image`, or `volumes` in compose's long form.

    A bind never makes the directory: a container must not write into what lies below an absent mount. Compose 1 makes
    none in this form, and knows no word for it. Volumes go by their target. Raises Refused where the file is not ours
    or was edited, StorageError.
    """
    with _changing(path):
        services = _services(path)
        before = services.get(service, {})
        after = {**before, **settings}
        if "volumes" in settings:
            volumes = {volume["target"]: volume for volume in (*before.get("volumes", ()), *settings["volumes"])}
            after["volumes"] = [_careful(volume) if compose_major > 1 else volume for volume in volumes.values()]
        _write(path, services | {service: after})


def without_service(path: Path, service: str, keys: Collection[str]) -> None:
    """Take that back: `image`, `volumes`, or the target of a single volume. The last one takes the file with it.

    Raises Refused where the file is not ours or was edited, StorageError.
    """
    with _changing(path):
        services = _services(path)
        left = {key: value for key, value in services.pop(service, {}).items() if key not in keys}
        volumes = [volume for volume in left.pop("volumes", ()) if volume["target"] not in keys]
        if volumes:
            left["volumes"] = volumes
        _write(path, services | {service: left} if left else services)


def digest(path: Path) -> str | None:
    """The sha256 of a file, None where there is none. Raises StorageError."""
    content = _content(path)
    return None if content is None else sha256(content).hexdigest()


def _apart(name: ServiceName, first: Path) -> Path:
    """A name that no other project's files share."""
    return first.with_name(f"compose.imgopt.{name.project}.yaml")


def _careful(volume: Mapping[str, Any]) -> Mapping[str, Any]:
    if volume["type"] != "bind":
        return volume
    return {**volume, "bind": {**volume.get("bind", {}), "create_host_path": False}}


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """One process at a time in a folder; what the system refuses in our words."""
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(
            f"the compose file cannot be written ({error.strerror}).", subject=printable(str(path))
        ) from error


def _services(path: Path) -> dict[str, dict[str, Any]]:
    """What the override says now. Raises Refused where it is not as we wrote it."""
    content = _content(path)
    if content is None:
        return {}
    shown = printable(str(path))
    if not content.startswith(_MARK):
        raise Refused(
            "it is not ours to write.",
            subject=shown,
            hint="Rename it, and name it with -f or in COMPOSE_FILE; or make the change in it by hand.",
        )
    _, _, rest = content.partition(b"\n")
    stated, _, body = rest.partition(b"\n")
    if stated != f"{_DIGEST}{sha256(body).hexdigest()}".encode():
        raise Refused(
            "it was edited since imgopt wrote it, and is not written over.",
            subject=shown,
            hint="Put your own changes into another compose file and take them out of this one, or remove it.",
        )
    services: dict[str, dict[str, Any]] = yaml.safe_load(body)["services"]
    return services


def _write(path: Path, services: Mapping[str, Mapping[str, Any]]) -> None:
    if not services:
        with suppress(FileNotFoundError):
            path.unlink()
        flush_folder(path.parent)
        return
    body = yaml.safe_dump({"services": services}, sort_keys=True, allow_unicode=True)
    content = f"{_FIRST_LINE}{_DIGEST}{sha256(body.encode()).hexdigest()}\n{body}".encode()
    # Whoever uses the user's own files must be able to use this one.
    folder = path.parent.stat()
    owner = (folder.st_uid, folder.st_gid) if os.geteuid() == 0 else None
    if _content(path) != content or not _is_plain(path, owner):
        write_durably(path, content, mode=_MODE, owner=owner)


def _is_plain(path: Path, owner: tuple[int, int] | None) -> bool:
    """Whether it is a file and no link, of the mode and the owner that it is to have."""
    found = path.lstat()
    return found.st_mode == S_IFREG | _MODE and owner in (None, (found.st_uid, found.st_gid))


def _is_ours(path: Path) -> bool:
    content = _content(path)
    return content is not None and content.startswith(_MARK)


def _content(path: Path) -> bytes | None:
    """The first bytes of a file, more than one of ours has; None where there is none."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES)
    except OSError as error:
        raise StorageError(f"it cannot be read ({error.strerror}).", subject=printable(str(path))) from error


def _names_files(folder: Path) -> bool:
    """Whether the project's .env names its compose files, so that compose loads no others by itself."""
    lines = (_content(folder / ".env") or b"").splitlines()
    return any(line.strip().removeprefix(b"export ").lstrip().startswith(b"COMPOSE_FILE=") for line in lines)
