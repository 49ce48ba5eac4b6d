"""What a container wrote outside its volumes, which goes when it is made anew.

Of no account is what the engine writes, what may go at any start (/tmp, /run) or by its definition (/var/cache), and
what is made again unasked (bytecode, pid files, sockets). All else counts: logs may be the only ones there are,
/var/tmp is to outlive a restart, and below a home lie models that took hours to fetch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass

import orjson

from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Running

_MOST_ENTRIES = 100_000
_SHOWN = 20
_ANSWER_BYTES = 32_000_000
_LETTERS = "CAD"
_OF_NO_ACCOUNT = re.compile(
    r"/(?:tmp|run|var/run|var/lock|var/cache|dev|proc|sys)(?:/.*)?"
    r"|/\.dockerenv|/sbin/docker-init|/etc/(?:hosts|hostname|resolv\.conf|mtab)"
    r"|.*/__pycache__(?:/.*)?|.*\.(?:pyc|pid|sock)"
    r"|.*/\.(?:bash_history|ash_history|sh_history|python_history|lesshst|viminfo)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class WritableLayer:
    """What a container changed: the first paths, printable, after `A`, `C` or `D`; how many in all; how many of no
    account; and the bytes of all of it, None where the engine does not say.

    `complete` is False where there were too many to look at.
    """

    kept: tuple[str, ...] = ()
    kept_count: int = 0
    trivial: int = 0
    size_bytes: int | None = None
    complete: bool = True


def changes(host: EngineHost, container: Running) -> WritableLayer:
    """What a container has outside its mounts that its image has not."""
    entries, complete = _entries(host, container.container_id)
    mounts = {str(mount.get("Destination") or "").rstrip("/") for mount in container.inspected.get("Mounts") or ()}
    mounts |= {path.rstrip("/") for path in (container.inspected.get("HostConfig") or {}).get("Tmpfs") or {}}
    kept, trivial = weighed(entries, mounts - {""})
    shown = tuple(f"{_LETTERS[kind]} {printable(path)}" for kind, path in kept[:_SHOWN])
    return WritableLayer(shown, len(kept), trivial, _size_bytes(host, container.container_id), complete)


def weighed(entries: Iterable[tuple[int, str]], mounts: Collection[str]) -> tuple[list[tuple[int, str]], int]:
    """The entries (kind, path) that count, in order, and the number of those of no account.

    A directory with something changed in it is neither, what is in it tells; nor is one that leads to a mount.
    """
    listed = sorted(entries, key=lambda entry: entry[1].split("/"))
    ways = _parents(path for _, path in listed) | _parents(mounts) | set(mounts)
    told = [(kind, path) for kind, path in listed if path not in ways and _parents([path]).isdisjoint(mounts)]
    kept = [(kind, path) for kind, path in told if not _OF_NO_ACCOUNT.fullmatch(path)]
    return kept, len(told) - len(kept)


def _parents(paths: Iterable[str]) -> set[str]:
    return {path[:end] for path in paths for end, character in enumerate(path) if character == "/" and end}


def _entries(host: EngineHost, container_id: str) -> tuple[list[tuple[int, str]], bool]:
    """What `docker diff` says, as far as it is looked at, and whether that is all."""
    with engine_errors("the engine does not tell what a container changed"):
        # Not by the SDK's own call, which takes in all of it.
        answer = host.client._get(host.client._url("/containers/{0}/changes", container_id), stream=True)
        host.client._raise_for_status(answer)
        with closing(answer):
            content = answer.raw.read(_ANSWER_BYTES) or b"null"
    complete = len(content) < _ANSWER_BYTES
    if not complete:
        # Quotes inside of names are escaped: this is always between two entries.
        content = content[: content.rfind(b'},{"') + 1] + b"]"
    listed = orjson.loads(content) or []
    entries = [(int(entry["Kind"]), str(entry["Path"])) for entry in listed[:_MOST_ENTRIES]]
    return entries, complete and len(listed) <= _MOST_ENTRIES


def _size_bytes(host: EngineHost, container_id: str) -> int | None:
    with engine_errors("the engine does not tell the size of a container"):
        listed = host.client.containers(all=True, size=True, filters={"id": container_id})
    return next((item.get("SizeRw") for item in listed if item.get("Id") == container_id), None)
