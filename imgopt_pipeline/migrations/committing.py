"""Noting files as copied, in batches, and only once they are on the destination's disk.

The disk is waited for beside the copying, not between two files.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from imgopt_pipeline.migrations.ledger import Ledger
from imgopt_pipeline.migrations.mounts import Held

_EVERY_SECONDS = 5.0

Batch = list[tuple[bytes, bytes]]


class Committer:
    """Takes what was copied. For one thread."""

    def __init__(self, place: Held, known: Ledger, flusher: ThreadPoolExecutor) -> None:
        self._place = place
        self._known = known
        self._flusher = flusher
        self._waiting: Batch = []
        self._flushed: Batch = []
        self._flushing: Future[None] | None = None
        self._began = time.monotonic()

    def take(self, path: bytes, sha256: bytes) -> None:
        """A file was written whole. Raises OSError, MountGone for what an earlier one met on its way to the disk."""
        self._waiting.append((path, sha256))
        if self._flushing is not None and self._flushing.done():
            self._note()
        if self._flushing is None and time.monotonic() - self._began > _EVERY_SECONDS:
            self._flush()

    def finish(self) -> None:
        """Everything that was taken is on the disk, and noted. Raises OSError, MountGone."""
        self._note()
        self._flush()
        self._note()

    def _flush(self) -> None:
        self._flushed, self._waiting = self._waiting, []
        self._began = time.monotonic()
        self._flushing = self._flusher.submit(self._place.flush)

    def _note(self) -> None:
        if self._flushing is None:
            return
        self._flushing.result()
        self._flushing = None
        self._place.check()
        for path, sha256 in self._flushed:
            self._known.copied(path, sha256)
        self._known.commit()


@contextmanager
def committer(place: Held, known: Ledger) -> Iterator[Committer]:
    """A committer, which notes what was taken on every way out."""
    with ThreadPoolExecutor(1, thread_name_prefix="flush") as flusher:
        commits = Committer(place, known, flusher)
        try:
            yield commits
        finally:
            commits.finish()
