"""Locks that keep two actions off the same thing. The kernel lets them go when their process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from imgopt_pipeline.errors import ImgoptError, StorageError


class Busy(ImgoptError):
    """Another action is at work on the same thing."""

    kind = "busy"


def host_lock(host: str) -> str:
    """The lock of whoever changes what runs on a host, or its images' names: one at a time."""
    return f"{host}|host {host}"


def unit_lock(host: str, words: str) -> str:
    """The lock of a service, container or directory (`service shop/web`), while something is meant to come of it."""
    return f"{host}|{words}"


@contextmanager
def locked(folder: Path, names: Iterable[str], what: str) -> Iterator[None]:
    """Hold the locks of these names (`local|service shop/web`), or none of them.

    `what` says to others what is being done. Raises Busy at once where another process holds one.
    """
    with ExitStack() as held:
        # In one order, so that two processes never hold what the other waits for.
        for name in sorted(set(names)):
            held.enter_context(_locked(folder, name, what))
        yield


@contextmanager
def _locked(folder: Path, name: str, what: str) -> Iterator[None]:
    path = folder / f"{sha256(name.encode()).hexdigest()[:24]}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The file stays: whoever unlinks one lets two processes hold "the same" lock.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(f"the lock cannot be made ({error.strerror}).", subject=str(path)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace").strip() or "another process"
            raise Busy(
                f"{holder} is at work on it.",
                subject=name.partition("|")[2] or name,
                hint="Wait until that is through, and try again.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{what} (process {os.getpid()})".encode(), 0)
        yield
    finally:
        os.close(descriptor)
