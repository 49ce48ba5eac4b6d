"""Reads one bucket of a bbolt file, the key-value store in which containerd keeps its snapshots.

Read-only and of the whole file in memory (it has tens of kilobytes). A copy of a live file may be
torn: the meta page's checksum and every page's bounds are checked, and the caller tries again.

Source: bbolt, `db.go` (meta), `page.go` (page, branch and leaf elements), `bucket.go` (inline buckets).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MAGIC = 0xED0CDAED
_BRANCH, _LEAF = 0x01, 0x02
_BUCKET = 0x01
_PAGE_HEADER_BYTES = 16
_MAX_DEPTH = 32


class TornFile(Exception):
    """The bytes are no consistent bbolt file; read it again."""


class Bucket:
    """A bucket of a bbolt file."""

    def __init__(self, data: bytes, page_size: int, page_start: int) -> None:
        self._data = data
        self._page_size = page_size
        self._page_start = page_start

    def bucket(self, name: bytes) -> Bucket | None:
        """The nested bucket of that name, None where there is none."""
        return dict(self.buckets()).get(name)

    def buckets(self) -> Iterator[tuple[bytes, Bucket]]:
        """Nested buckets by name."""
        for flags, key, start, _ in self._items(self._page_start, 0):
            if flags & _BUCKET:
                (root,) = self._unpack("<Q", start)
                page = root * self._page_size if root else start + _PAGE_HEADER_BYTES
                yield key, Bucket(self._data, self._page_size, page)

    def value(self, key: bytes) -> bytes | None:
        """A plain value, None where there is none."""
        for flags, name, start, size in self._items(self._page_start, 0):
            if name == key and not flags & _BUCKET:
                return self._data[start : start + size]
        return None

    def _items(self, page: int, depth: int) -> Iterator[tuple[int, bytes, int, int]]:
        if depth > _MAX_DEPTH:
            raise TornFile("pages nest too deep")
        _, kind, count, _ = self._unpack("<QHHI", page)
        for number in range(count):
            element = page + _PAGE_HEADER_BYTES + number * 16
            if kind & _BRANCH:
                _, _, child = self._unpack("<IIQ", element)
                yield from self._items(child * self._page_size, depth + 1)
            elif kind & _LEAF:
                flags, position, key_size, value_size = self._unpack("<IIII", element)
                key = element + position
                if key + key_size + value_size > len(self._data):
                    raise TornFile("an element lies outside the file")
                yield flags, self._data[key : key + key_size], key + key_size, value_size
            else:
                raise TornFile("a page is neither branch nor leaf")

    def _unpack(self, form: str, offset: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(form, self._data, offset)
        except struct.error as error:
            raise TornFile("a page lies outside the file") from error


def root_bucket(data: bytes) -> Bucket:
    """The root bucket of the newest valid transaction. Raises TornFile."""
    metas = [meta for start in (0, _second_meta(data)) if (meta := _meta(data, start))]
    if not metas:
        raise TornFile("no valid meta page")
    _, page_size, root = max(metas)
    return Bucket(data, page_size, root * page_size)


def _second_meta(data: bytes) -> int:
    meta = _meta(data, 0)
    return meta[1] if meta else 4096


def _meta(data: bytes, page: int) -> tuple[int, int, int] | None:
    """Transaction, page size and root page of a meta page, None where it is invalid."""
    start = page + _PAGE_HEADER_BYTES
    if len(data) < start + 64:
        return None
    magic, version, page_size, _, root, _, _, _, transaction, checksum = struct.unpack_from("<IIIIQQQQQQ", data, start)
    if magic != _MAGIC or version != 2 or checksum != _fnv1a(data[start : start + 56]):
        return None
    return transaction, page_size, root


def _fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value
