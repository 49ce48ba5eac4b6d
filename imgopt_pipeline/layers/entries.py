"""Entries of one layer in their canonical form: the same rows whichever reader produced them.

A reader hands raw entries to an `EntryCollector` in the order it meets them; `finish` binds hard
links, marks repeated paths, adds the parents a tar left out, and returns an Arrow table. How a
reader finds its entries does not belong here.

Columns of the table (`ENTRY_SCHEMA`):

- `path`: relative to the image's root, no leading or trailing slash, `names.printable`; the path of
  a whiteout is the path it hides, the path of an opaque marker is its directory.
- `kind`: file, dir, implied (a directory that only its children name), symlink, hardlink, char,
  block, fifo, whiteout, opaque.
- `size_bytes`: of the content, once per inode: the first path of a hard link group (in the order a
  directory walk meets it) is the file, the others are `hardlink` with size 0.
- `mode`, `uid`, `gid`, `mtime_seconds`: of the inode; null for directories that are implied.
- `link_target`: of a symlink as written; of a hard link the path of the group's file, or, where this
  layer does not hold the target, the path in a lower layer that it names.
- `crc64`: CRC-64 (ISO) of the content where the reader gets it for nothing, else null.
- `shadowed`: a later entry of the same layer has the same path, so this content can never be seen.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from imgopt_pipeline.errors import LimitExceeded, UnreadableLayer
from imgopt_pipeline.limits import DEFAULT_LIMITS, Limits
from imgopt_pipeline.names import printable

ENTRY_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("mode", pa.int32()),
        pa.field("uid", pa.int64()),
        pa.field("gid", pa.int64()),
        pa.field("mtime_seconds", pa.int64()),
        pa.field("link_target", pa.string()),
        pa.field("crc64", pa.uint64()),
        pa.field("shadowed", pa.bool_(), nullable=False),
    ]
)

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_BATCH_ROWS = 65_536

Row = tuple[str, str, int, int | None, int | None, int | None, int | None, str | None, int | None, bool]


@dataclass(frozen=True, slots=True)
class LayerEntries:
    """What a layer holds. `tar_bytes` is the length of its tar stream, or None where no reader saw it."""

    table: pa.Table
    tar_bytes: int | None

    @property
    def file_bytes(self) -> int:
        """Σ of the content of all files, each inode once."""
        return pc.sum(self.table.column("size_bytes")).as_py() or 0

    @property
    def entry_count(self) -> int:
        """Paths the layer names; implied directories are not counted."""
        implied = pc.sum(pc.equal(self.table.column("kind"), "implied")).as_py() or 0
        return len(self.table) - int(implied)


class EntryCollector:
    """Collects the entries of one layer; see the module for the form they take."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._batches: list[pa.RecordBatch] = []
        self._rows: list[Row] = []
        self._flushed = 0
        self._visible: dict[str, int] = {}
        self._markers: set[tuple[str, str]] = set()
        self._implied: dict[str, None] = {}
        self._inode_of: dict[int, int] = {}
        self._inodes: dict[int, list[int]] = {}
        self._shadowed: set[int] = set()

    def add(
        self,
        name: bytes,
        kind: str,
        size_bytes: int = 0,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        mtime_seconds: int | None = None,
        link_target: bytes | None = None,
        crc64: int | None = None,
    ) -> None:
        """Take the next entry, by the name a tar gives it: `.wh.` names become whiteouts and opaque markers."""
        cleaned = clean_name(name)
        directory, _, base = cleaned.rpartition(b"/")
        if base.startswith(_WHITEOUT) and len(base) > len(_WHITEOUT):
            if base == _OPAQUE:
                self.add_marker(directory, "opaque", size_bytes)
            else:
                hidden = base.removeprefix(_WHITEOUT)
                self.add_marker(directory + b"/" + hidden if directory else hidden, "whiteout", size_bytes)
            return
        if not cleaned:
            return
        path = printable(cleaned)
        if kind == "hardlink":
            self._add_hard_link(
                path, printable(clean_name(link_target or b"")), mode, uid, gid, mtime_seconds
            )
            return
        target = None if link_target is None else printable(link_target)
        self._append(path, (path, kind, size_bytes, mode, uid, gid, mtime_seconds, target, crc64, False))

    def add_marker(self, name: bytes, kind: str, size_bytes: int = 0) -> None:
        """Take a `whiteout` of a path, or the mark that makes a directory `opaque`."""
        path = printable(clean_name(name))
        if (kind, path) in self._markers:
            return
        self._markers.add((kind, path))
        if path and kind == "whiteout":
            self._imply_parents(path)
        elif path and path not in self._visible:
            self._implied[path] = None
            self._imply_parents(path)
        self._push((path, kind, size_bytes, None, None, None, None, None, None, False))

    def finish(self, tar_bytes: int | None) -> LayerEntries:
        """The canonical entries of the layer."""
        for path in self._implied:
            if path not in self._visible:
                self._push((path, "implied", 0, None, None, None, None, None, None, False))
        self._flush()
        fixes = self._fixes()
        batches = [_fixed(batch, start, fixes) for batch, start in _with_starts(self._batches)]
        table = pa.Table.from_batches(batches, schema=ENTRY_SCHEMA)
        if self._shadowed:
            table = table.filter((pc.field("shadowed") == False) | (pc.field("size_bytes") > 0))  # noqa: E712
        return LayerEntries(table, tar_bytes)

    def _append(self, path: str, row: Row) -> int:
        """Add a row that occupies a path; what had the path before in this layer is shadowed."""
        ordinal = self._flushed + len(self._rows)
        before = self._visible.get(path)
        if before is not None:
            self._shadowed.add(before)
        self._visible[path] = ordinal
        parent = path.rpartition("/")[0]
        if parent and parent not in self._visible and parent not in self._implied:
            self._imply_parents(path)
        self._push(row)
        return ordinal

    def _push(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= _BATCH_ROWS:
            self._flush()

    def _add_hard_link(
        self, path: str, target: str, mode: int | None, uid: int | None, gid: int | None, mtime: int | None
    ) -> None:
        # Bound to what the target is now: a later entry of the same name is another inode.
        bound = self._visible.get(target)
        if bound is not None and target == path:
            return
        ordinal = self._append(path, (path, "hardlink", 0, mode, uid, gid, mtime, target, None, False))
        if bound is not None:
            inode = self._inode_of.get(bound, bound)
            self._inode_of[ordinal] = inode
            self._inodes.setdefault(inode, [inode]).append(ordinal)

    def _imply_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        while parent and parent not in self._visible and parent not in self._implied:
            self._implied[parent] = None
            parent = parent.rpartition("/")[0]

    def _flush(self) -> None:
        if not self._rows:
            return
        self._flushed += len(self._rows)
        if self._flushed > self._limits.entries:
            raise LimitExceeded(
                f"a layer has more than {self._limits.entries:,} entries.",
                hint="Raise limits.entries in imgopt.yaml if the image is trusted.",
            )
        self._batches.append(_batch(self._rows))
        self._rows = []

    def _fixes(self) -> dict[int, dict[str, object]]:
        """Changes to rows already written: shadowed paths, and one content per hard link group."""
        fixes: dict[int, dict[str, object]] = {row: {"shadowed": True} for row in self._shadowed}
        if not self._inodes:
            return fixes
        wanted = {row for members in self._inodes.values() for row in members}
        rows = _rows_at(self._batches, wanted)
        for inode, members in self._inodes.items():
            seen = [row for row in members if row not in self._shadowed]
            first = min(seen or members, key=lambda row: walk_order(str(rows[row]["path"])))
            content = rows[inode]
            inherited = {name: content[name] for name in ("mode", "uid", "gid", "mtime_seconds")}
            for row in members:
                own = {name: content[name] for name in ("kind", "size_bytes", "link_target", "crc64")}
                link = {
                    "kind": "hardlink",
                    "size_bytes": 0,
                    "link_target": rows[first]["path"],
                    "crc64": None,
                }
                fixes.setdefault(row, {}).update(inherited | (own if row == first else link))
        return fixes


def walk_order(path: str) -> list[str]:
    """Sort key of a depth-first walk with sorted names, the order in which engines write their tars."""
    return path.split("/")


def clean_name(name: bytes) -> bytes:
    """An entry's name relative to the root, without `.`, `..`, doubled or trailing slashes.

    Raises UnreadableLayer where it leads out of the image.
    """
    if not (name.startswith((b"/", b".")) or name.endswith(b"/") or b"/." in name or b"//" in name):
        return name
    cleaned = posixpath.normpath(b"./" + name.lstrip(b"/"))
    if cleaned == b".":
        return b""
    if cleaned == b".." or cleaned.startswith(b"../"):
        raise UnreadableLayer(
            f"the entry {printable(name)!r} leads out of the image.",
            hint="No engine would load this image; do not use it.",
        )
    return cleaned


def _batch(rows: list[Row]) -> pa.RecordBatch:
    try:
        columns = [
            pa.array(column, field.type)
            for column, field in zip(zip(*rows, strict=True), ENTRY_SCHEMA, strict=True)
        ]
    except (OverflowError, pa.ArrowInvalid) as error:
        raise UnreadableLayer(
            f"an entry has a number out of range ({error}).", hint="The layer is corrupt."
        ) from error
    return pa.RecordBatch.from_arrays(columns, schema=ENTRY_SCHEMA)


def _with_starts(batches: list[pa.RecordBatch]) -> list[tuple[pa.RecordBatch, int]]:
    starts, start = [], 0
    for batch in batches:
        starts.append((batch, start))
        start += len(batch)
    return starts


def _rows_at(batches: list[pa.RecordBatch], ordinals: set[int]) -> dict[int, dict[str, object]]:
    rows: dict[int, dict[str, object]] = {}
    ordered = sorted(ordinals)
    for batch, start in _with_starts(batches):
        inside = [ordinal for ordinal in ordered if start <= ordinal < start + len(batch)]
        taken = batch.take(pa.array([ordinal - start for ordinal in inside], pa.int64()))
        rows.update(zip(inside, taken.to_pylist(), strict=True))
    return rows


def _fixed(batch: pa.RecordBatch, start: int, fixes: dict[int, dict[str, object]]) -> pa.RecordBatch:
    inside = [ordinal for ordinal in fixes if start <= ordinal < start + len(batch)]
    if not inside:
        return batch
    columns = batch.to_pydict()
    for ordinal in inside:
        for name, value in fixes[ordinal].items():
            columns[name][ordinal - start] = value
    return pa.RecordBatch.from_pydict(columns, schema=ENTRY_SCHEMA)
