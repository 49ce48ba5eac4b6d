"""Entries of one layer in their canonical form: the same rows whichever reader produced them.

A reader hands raw entries to an `EntryCollector` in the order it meets them; `finish` binds hard
links, marks repeated paths, adds the parents a tar left out, and returns them as
`LayerEntries`. How a reader finds its entries does not belong here.

The columns (`COLUMNS`):

- `path`: relative to the image's root, no leading or trailing slash, `names.printable`; the path of
  a whiteout is the path it hides, the path of an opaque marker is its directory.
- `kind`: file, dir, implied (a directory that only its children name), symlink, hardlink, char,
  block, fifo, whiteout, opaque.
- `size_bytes`: of the content, once per inode: the first path of a hard link group (in the order a
  directory walk meets it) is the file, the others are `hardlink` with size 0.
- `mode`, `uid`, `gid`, `mtime_seconds`: of the inode; null for directories that are implied.
- `link_target`: of a symlink as written; of a hard link the path of the group's file, or, where it was
  bound to nothing that this layer holds, a slash and the path in a lower layer that it names; null
  where that is a directory, which no engine links to.
- `crc64`: CRC-64 (ISO) of the content where the reader gets it for nothing, else null.
- `shadowed`: a later entry of the same layer has the same path, so this content can never be seen.
"""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import BinaryIO

import duckdb

from imgopt_pipeline.errors import LimitExceeded, StorageError, UnreadableLayer
from imgopt_pipeline.layers.documents import DocumentCollector
from imgopt_pipeline.layers.scratch import scratch_database
from imgopt_pipeline.limits import DEFAULT_LIMITS, Limits
from imgopt_pipeline.names import printable

COLUMNS = {
    "path": "VARCHAR",
    "kind": "VARCHAR",
    "size_bytes": "BIGINT",
    "mode": "INTEGER",
    "uid": "BIGINT",
    "gid": "BIGINT",
    "mtime_seconds": "BIGINT",
    "link_target": "VARCHAR",
    "crc64": "UBIGINT",
    "shadowed": "BOOLEAN",
}
"""Columns of the entries and their DuckDB types."""

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_FLUSH_LINES = 8_192
_NULL = "\\N"  # never a name: `printable` doubles backslashes
_NAME_BYTES = 4_096  # PATH_MAX of Linux: no engine could unpack a longer one
_LINE_BYTES = 131_072  # two names of that length, every byte written as an escape
_NO_ATTRIBUTES = f"\t{_NULL}" * 7
_NO_MODE = "\t".join([_NULL] * 4)
_IMPLIED_BYTES = 100_000_000  # of paths: a path of a few kilobytes can imply a thousand folders
_REPLACED_DIRECTORIES = 100  # each costs a look at all names; builders make none


@dataclass(frozen=True, slots=True)
class LayerEntries:
    """What a layer holds. The rows lie in an unnamed temporary file, which goes when this does.

    `tar_bytes` is the length of the layer's tar stream, or None where no reader saw it. `documents` is a
    ZIP file of the layer's documents (layers/documents.py), None where the reader sees no contents.
    """

    _lines: BinaryIO
    _shadowed: tuple[int, ...]
    tar_bytes: int | None
    documents: BinaryIO | None = None

    def load(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make a temporary view `layer_entries` of the canonical rows.

        Raises UnreadableLayer where a number of an entry is out of range.
        """
        columns = {"row_number": "BIGINT", **COLUMNS, "bound_to": "BIGINT"}
        del columns["shadowed"]
        described = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
        # By its descriptor: the file has no name, so that nothing is left when the process dies.
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP VIEW raw_entries AS FROM read_csv(
                '/proc/self/fd/{self._lines.fileno()}', auto_detect = false, header = false,
                delim = '\t', quote = '', escape = '', nullstr = '{_NULL}', columns = {{{described}}},
                max_line_size = {_LINE_BYTES}, buffer_size = {_LINE_BYTES * 16}
            )
            """
        )
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE shadowed_rows AS"
            f" SELECT unnest([{', '.join(map(str, self._shadowed))}]::BIGINT[]) AS row_number"
        )
        try:
            connection.execute(resources.files(__package__).joinpath("entries.sql").read_text())
        except duckdb.ConversionException as error:
            raise out_of_range(error) from error

    def rows(self) -> list[tuple[object, ...]]:
        """All rows in the order of their paths, in the columns of `COLUMNS`."""
        with scratch_database() as connection:
            self.load(connection)
            return connection.execute("FROM layer_entries ORDER BY ALL").fetchall()


class EntryCollector:
    """Collects the entries of one layer; see the module for the form they take."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._documents: DocumentCollector | None = None
        self._lines: list[str] = []
        self._file: BinaryIO = tempfile.TemporaryFile(prefix="imgopt-")  # noqa: SIM115  (LayerEntries keeps it)
        self._count = 0
        # The row of each path; of a directory its complement, so that no link is bound to one.
        self._visible: dict[str, int] = {}
        self._markers: set[tuple[str, str]] = set()
        self._implied: dict[str, None] = {}
        self._bound_to: dict[int, int] = {}
        self._shadowed: list[int] = []
        self._parent = ""  # of the entry before: entries mostly come folder by folder
        self._replaced_directories = 0
        self._implied_bytes = 0

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
        """Take the next entry, by the name a tar gives it: `.wh.` names become whiteouts and opaque markers.

        `mode`, `uid`, `gid` and `mtime_seconds` come together or not at all.
        """
        cleaned = clean_name(name)
        directory, _, base = cleaned.rpartition(b"/")
        if base.startswith(_WHITEOUT) and len(base) > len(_WHITEOUT):
            if base == _OPAQUE:
                self.add_marker(directory, "opaque", size_bytes)
            else:
                hidden = base.removeprefix(_WHITEOUT)
                if hidden in (b".", b".."):
                    raise UnreadableLayer("a whiteout names no file.", hint="The layer is corrupt; do not use it.")
                self.add_marker(directory + b"/" + hidden if directory else hidden, "whiteout", size_bytes)
            return
        if not cleaned:
            return
        path = printable(cleaned)
        self._imply_parents(path)
        bound_to = None
        if kind == "hardlink":
            target = printable(clean_name(link_target or b""))
            # Bound to what the target is now: a later entry of the same name is another inode.
            bound_to = self._visible.get(target)
            if bound_to is None:
                target = _NULL if target in self._implied else f"/{target}"
            elif bound_to < 0:
                bound_to, target = None, _NULL
            elif target == path:
                return
            else:
                bound_to = self._bound_to.get(bound_to, bound_to)
        else:
            target = _NULL if link_target is None else printable(link_target)
        before = self._visible.get(path)
        if kind != "dir" and (path in self._implied if before is None else before < 0):
            self._drop_below(path)
        if before is not None:
            self._shadowed.append(max(before, ~before))
        self._visible[path] = ~self._count if kind == "dir" else self._count
        if bound_to is not None:
            self._bound_to[self._count] = bound_to
        attributes = f"{mode}\t{uid}\t{gid}\t{mtime_seconds}" if mode is not None else _NO_MODE
        self._push(
            f"{path}\t{kind}\t{size_bytes}\t{attributes}\t{target}"
            f"\t{_NULL if crc64 is None else crc64}\t{_NULL if bound_to is None else bound_to}"
        )

    def add_marker(self, name: bytes, kind: str, size_bytes: int = 0) -> None:
        """Take a `whiteout` of a path, or the mark that makes a directory `opaque`."""
        path = printable(clean_name(name))
        if (kind, path) in self._markers:
            if not size_bytes:
                return
            self._shadowed.append(self._count)
        self._markers.add((kind, path))
        if path and kind == "whiteout":
            self._imply_parents(path)
        elif path and path not in self._visible:
            self._implied[path] = None
            self._imply_parents(path)
        self._push(f"{path}\t{kind}\t{size_bytes}{_NO_ATTRIBUTES}")

    @contextmanager
    def documents_kept(self) -> Iterator[None]:
        """While a reader that sees contents hands over those of documents."""
        self._documents = DocumentCollector()
        try:
            yield
        except BaseException:
            self._documents.discard()
            raise

    def add_document(self, name: bytes, content: bytes) -> None:
        """Take the content of a document, by the name a tar gives it."""
        if self._documents is not None:
            self._documents.add(printable(clean_name(name)), content)

    def finish(self, tar_bytes: int | None) -> LayerEntries:
        """The canonical entries of the layer."""
        for path in self._implied:
            if path not in self._visible:
                self._push(f"{path}\timplied\t0{_NO_ATTRIBUTES}")
        self._flush()
        documents = self._documents.finish() if self._documents is not None else None
        return LayerEntries(self._file, tuple(self._shadowed), tar_bytes, documents)

    def _push(self, line: str) -> None:
        self._lines.append(f"{self._count}\t{line}\n")
        self._count += 1
        if len(self._lines) >= _FLUSH_LINES:
            self._flush()

    def _imply_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        while parent and parent not in self._visible and parent not in self._implied:
            self._implied[parent] = None
            self._implied_bytes += len(parent)
            parent = parent.rpartition("/")[0]
        if self._implied_bytes > _IMPLIED_BYTES:
            raise LimitExceeded("a layer's paths imply too many folders.", hint="Do not use this image.")

    def _drop_below(self, directory: str) -> None:
        """Forget what this layer itself put into a directory whose place something else takes."""
        self._replaced_directories += 1
        self._parent = ""
        if self._replaced_directories > _REPLACED_DIRECTORIES:
            raise LimitExceeded(
                f"a layer puts files in the place of more than {_REPLACED_DIRECTORIES} of its own directories.",
                hint="Do not use this image.",
            )
        prefix = f"{directory}/"
        for path in [path for path in self._visible if path.startswith(prefix)]:
            row = self._visible.pop(path)
            self._shadowed.append(max(row, ~row))
        for path in [path for path in self._implied if path == directory or path.startswith(prefix)]:
            del self._implied[path]

    def _flush(self) -> None:
        if self._count > self._limits.entries:
            raise LimitExceeded(
                f"a layer has more than {self._limits.entries:,} entries.",
                hint="Raise limits.entries in imgopt.yaml if the image is trusted.",
            )
        try:
            self._file.write("".join(self._lines).encode())
            self._file.flush()
        except OSError as error:
            raise StorageError(
                f"the entries of a layer cannot be kept ({error.strerror}).",
                subject=tempfile.gettempdir(),
                hint="Free some space there, or set TMPDIR to another folder.",
            ) from error
        self._lines.clear()


def out_of_range(error: Exception) -> UnreadableLayer:
    """What to say of numbers that no file system holds."""
    return UnreadableLayer(
        f"an entry has a number out of range ({str(error).splitlines()[0]}).", hint="The layer is corrupt."
    )


def clean_name(name: bytes) -> bytes:
    """An entry's name relative to the root, without `.`, `..`, doubled or trailing slashes.

    Raises UnreadableLayer where it leads out of the image.
    """
    if len(name) > _NAME_BYTES:
        raise LimitExceeded(f"an entry's name has {len(name):,} bytes; no engine could unpack it.")
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
