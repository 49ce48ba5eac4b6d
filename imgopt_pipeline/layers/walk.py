"""Entries of a layer from the overlay directory into which an engine unpacked it.

An overlay whiteout is a character device 0:0, an opaque directory carries the extended attribute
`overlay.opaque` = y (Linux kernel, Documentation/filesystems/overlayfs.rst).

What unpacking loses cannot be had again: containerd turns times before 1970 into 1970 and makes the parent
folders that a tar leaves out (other builders' tars; engines leave none out). Bytes and visibility are exact.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.layers.documents import is_document
from imgopt_pipeline.layers.entries import EntryCollector, LayerEntries
from imgopt_pipeline.limits import Limits

_OPAQUE_ATTRIBUTES = ("trusted.overlay.opaque", "user.overlay.opaque")
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
}


def walk_overlay(folder: Path, limits: Limits) -> LayerEntries:
    """Entries of an overlay directory; the length of its tar is unknown. Raises UnreadableLayer."""
    collector = EntryCollector(limits)
    with collector.documents_kept():
        _walk(folder, collector)
    return collector.finish(None)


def _walk(folder: Path, collector: EntryCollector) -> None:
    first_names: dict[int, bytes] = {}
    root = os.fsencode(folder)
    pending = [b""]
    try:
        while pending:
            directory = pending.pop()
            with os.scandir(os.path.join(root, directory)) as found:
                items = sorted(found, key=lambda item: item.name)
            below = []
            for item in items:
                name = directory + b"/" + item.name if directory else item.name
                status = item.stat(follow_symlinks=False)
                kind = _KINDS.get(stat.S_IFMT(status.st_mode))
                if kind == "char" and status.st_rdev == 0:
                    collector.add_marker(name, "whiteout")
                    continue
                if kind is None:
                    continue
                if kind == "dir":
                    below.append(name)
                    _add(collector, name, kind, status, None)
                    if _is_opaque(os.path.join(root, name)):
                        collector.add_marker(name, "opaque")
                elif status.st_nlink > 1 and status.st_ino in first_names:
                    collector.add(name, "hardlink", link_target=first_names[status.st_ino])
                else:
                    first_names[status.st_ino] = name
                    target = os.readlink(os.path.join(root, name)) if kind == "symlink" else None
                    _add(collector, name, kind, status, target)
                    if kind == "file" and is_document(name, status.st_size):
                        collector.add_document(name, _content(os.path.join(root, name), status.st_size))
            pending += reversed(below)
    except OSError as error:
        raise UnreadableLayer(f"{os.fsdecode(error.filename or folder)} cannot be read ({error.strerror}).") from error


def _add(collector: EntryCollector, name: bytes, kind: str, status: os.stat_result, target: bytes | None) -> None:
    collector.add(
        name,
        kind,
        status.st_size if kind == "file" else 0,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns // 1_000_000_000,
        target,
    )


def _content(path: bytes, size_bytes: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with open(descriptor, "rb") as file:
        return file.read(size_bytes)


def _is_opaque(folder: bytes) -> bool:
    for attribute in _OPAQUE_ATTRIBUTES:
        try:
            if os.getxattr(folder, attribute, follow_symlinks=False) == b"y":
                return True
        except OSError:
            # Absent, not permitted or not supported: overlayfs itself would not see it either.
            continue
    return False
