"""Layers of an image in a few words, as tars, and their merged tree by the package's own way.

Belongs here: the way from what a test means to what the package answers. What is right is `tree_model`'s.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imgopt_pipeline.layers.cache import LayerCache
from imgopt_pipeline.layers.entries import EntryCollector, LayerEntries
from imgopt_pipeline.layers.merge import ImageTree, MergedTree, open_tree
from imgopt_pipeline.layers.tar import StreamSource, scan_tar
from imgopt_pipeline.layers.tarsplit import TarSplitSource
from imgopt_pipeline.limits import DEFAULT_LIMITS
from tests.archives_made import MTIME, entry, tar_of
from tests.layers.tarsplit_made import tar_split
from tests.layers.tree_model import Item, Parts

_FLAGS = {"file": b"0", "hardlink": b"1", "symlink": b"2", "fifo": b"6", "dir": b"5", "whiteout": b"0", "opaque": b"0"}


def file(path: str, size: int = 0, *, fill: bytes = b"x", mtime: int = MTIME) -> Item:
    return Item("file", parts(path), path.encode(), fill * size, mtime)


def folder(path: str) -> Item:
    return Item("dir", parts(path), path.encode() + b"/", mtime=MTIME)


def symlink(path: str, target: str) -> Item:
    return Item("symlink", parts(path), path.encode(), mtime=MTIME, target=(target.encode(),))


def link(path: str, target: str) -> Item:
    return Item("hardlink", parts(path), path.encode(), mtime=MTIME, target=parts(target))


def gone(path: str) -> Item:
    """The whiteout of a path."""
    above, _, name = path.rpartition("/")
    return Item("whiteout", parts(path), f"{above}/.wh.{name}".lstrip("/").encode())


def opaque(path: str) -> Item:
    return Item("opaque", parts(path), f"{path}/.wh..wh..opq".lstrip("/").encode())


def parts(path: str) -> Parts:
    return tuple(part.encode() for part in path.split("/") if part)


def layer_tar(items: Sequence[Item]) -> bytes:
    """A layer as a tar."""
    return tar_of(
        *(
            entry(
                item.spelling,
                item.content,
                flag=_FLAGS[item.kind],
                link=b"/".join(item.target),
                mtime=item.mtime,
            )
            for item in items
        )
    )


def scanned(tar: bytes) -> LayerEntries:
    """The entries of a tar that comes as a stream."""
    collector = EntryCollector()
    return collector.finish(scan_tar(StreamSource(io.BytesIO(tar), DEFAULT_LIMITS), collector, DEFAULT_LIMITS))


def scanned_with_sums(tar: bytes) -> LayerEntries:
    """The entries of a tar by its tar-split metadata, which holds a checksum of every content."""
    collector = EntryCollector()
    source = TarSplitSource(io.BytesIO(tar_split(tar)))
    return collector.finish(scan_tar(source, collector, DEFAULT_LIMITS))


@contextmanager
def tree_of_tars(tars: Sequence[bytes], *, with_sums: bool = False) -> Iterator[ImageTree]:
    """The open tree of layers given as tars; equal tars are one diff ID."""
    with tempfile.TemporaryDirectory() as scratch:
        cache = LayerCache(Path(scratch))
        names = []
        for tar in tars:
            names.append(f"sha256:{hashlib.sha256(tar).hexdigest()}")
            if not cache.path(names[-1]).exists():
                entries = scanned_with_sums(tar) if with_sums else scanned(tar)
                cache.put(names[-1], entries, reader="test", read_seconds=0)
        with open_tree([cache.path(name) for name in names]) as tree:
            yield tree


def merged_tars(tars: Sequence[bytes], *, with_sums: bool = False) -> MergedTree:
    """The merged tree of layers given as tars."""
    with tree_of_tars(tars, with_sums=with_sums) as tree:
        return tree.merged


def merged(*layers: Sequence[Item], with_sums: bool = False) -> MergedTree:
    """The merged tree of layers, base first."""
    return merged_tars([layer_tar(items) for items in layers], with_sums=with_sums)
