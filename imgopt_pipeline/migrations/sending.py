"""Whether a remote in user space has sent on what it took: rclone answers from its cache before it has.

Belongs here: what rclone notes in its cache folder. Where that cannot be found nothing is known, which the preflight
says.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from imgopt_pipeline.migrations.models import MoveFailed, listing
from imgopt_pipeline.migrations.mounts import Held, Mount
from imgopt_pipeline.progress import current

RCLONE = "fuse.rclone"
_PATIENCE_SECONDS = 120.0
_EVERY_SECONDS = 0.2


def wait_until_sent(place: Held, name: bytes) -> None:
    """Wait until nothing below a name in the held folder is still to be sent. Raises MoveFailed where none goes on."""
    if place.mount.filesystem != RCLONE or (cache := cache_folder(place.mount)) is None:
        return
    below = os.fsencode(place.folder.resolve().relative_to(place.mount.mount_point)) + b"/" + name
    marker = b"/" + below.removeprefix(b"./") + b"/"
    waiting = _unsent(cache, marker)
    if waiting:
        current().start("waiting for rclone to send")
    since = time.monotonic()
    while waiting:
        time.sleep(_EVERY_SECONDS)
        before, waiting = waiting, _unsent(cache, marker)
        if waiting != before:
            since = time.monotonic()
        elif time.monotonic() - since > _PATIENCE_SECONDS:
            raise MoveFailed(
                f"rclone took these files and does not send them: {listing(waiting)}.",
                subject=str(place.folder),
                hint="Look at rclone's log. The source is whole; go on with `imgopt resume` once they are sent.",
            )


def cache_folder(mount: Mount) -> Path | None:
    """Where the rclone behind a mount keeps what it has to send; None where its process cannot be seen."""
    for words, process in _rclones():
        if os.fsencode(mount.mount_point) not in (os.fsencode(os.path.realpath(word)) for word in words[1:]):
            continue
        for number, word in enumerate(words):
            if word.startswith(b"--cache-dir="):
                return Path(os.fsdecode(word.partition(b"=")[2]))
            if word == b"--cache-dir" and number + 1 < len(words):
                return Path(os.fsdecode(words[number + 1]))
        return _usual_folder(process)
    return None


def _rclones() -> Iterator[tuple[list[bytes], Path]]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].rpartition(b"/")[2] in (b"rclone", b"mount.rclone", b"rclonefs"):
                yield words, process


def _usual_folder(process: Path) -> Path | None:
    try:
        listed = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    known = dict(variable.partition(b"=")[::2] for variable in listed if b"=" in variable)
    if named := known.get(b"RCLONE_CACHE_DIR"):
        return Path(os.fsdecode(named))
    if general := known.get(b"XDG_CACHE_HOME"):
        return Path(os.fsdecode(general)) / "rclone"
    home = known.get(b"HOME")
    return Path(os.fsdecode(home)) / ".cache" / "rclone" if home else None


def _unsent(cache: Path, marker: bytes) -> set[bytes]:
    found = set()
    for place, _, names in os.walk(os.fsencode(cache / "vfsMeta")):
        if marker not in place + b"/":
            continue
        for name in names:
            path = os.path.join(place, name)
            try:
                with open(path, "rb") as file:
                    sent = not orjson.loads(file.read(1 << 20)).get("Dirty")
            except FileNotFoundError:
                continue  # taken out of the cache just now
            except orjson.JSONDecodeError:
                sent = False  # rclone is just writing it
            if not sent:
                found.add((place + b"/" + name).partition(marker)[2])
    return found
