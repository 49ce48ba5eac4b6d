"""Reads a stream ahead in a thread of its own, so that fetching and whatever uses the bytes take turns no more.

Receiving releases Python's lock, and so does inflating: with two cores the slower of the two sets the pace.
"""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from collections.abc import Callable, Iterator

CHUNK_BYTES = 1 << 20
_AHEAD = 8


class ReadAhead(io.RawIOBase):
    """The bytes that `fetch` returns, in order, until it returns none; what it raises, `read` raises."""

    def __init__(self, fetch: Callable[[int], bytes]) -> None:
        self._fetch = fetch
        self._chunks: queue.Queue[bytes | BaseException] = queue.Queue(_AHEAD)
        self._closing = threading.Event()
        self._rest = b""
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        return True

    def read(self, size_bytes: int = -1, /) -> bytes:
        """The next bytes; fewer only at the end."""
        if self._rest:
            data, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        else:
            data = self._next()
            if len(data) > size_bytes:
                data, self._rest = data[:size_bytes], data[size_bytes:]
        if len(data) == size_bytes or not data:
            return data
        return b"".join([data, *self._more(size_bytes - len(data))])

    def close(self) -> None:
        """Stop reading. Whoever gave `fetch` closes what it reads from first, so that it does not block."""
        self._closing.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._chunks.get_nowait()
        self._thread.join()
        super().close()

    def _more(self, missing: int) -> Iterator[bytes]:
        while missing > 0 and (data := self._next()):
            if len(data) > missing:
                data, self._rest = data[:missing], data[missing:]
            missing -= len(data)
            yield data

    def _next(self) -> bytes:
        if self._ended:
            return b""
        item = self._chunks.get()
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        self._ended = not item
        return item

    def _run(self) -> None:
        item: bytes | BaseException = b"first"
        while item and not isinstance(item, BaseException) and not self._closing.is_set():
            try:
                item = self._fetch(CHUNK_BYTES)
            except BaseException as error:  # noqa: BLE001  (raised again where the bytes are wanted)
                item = error
            self._chunks.put(item)
