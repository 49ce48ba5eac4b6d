"""The rows a layer should have, worked out from its tar by Python's own `tarfile` and plain rules.

Belongs here: an account of a layer's tar that shares no code with the package but `names.printable`. Does
not belong here: anything fast.
"""

import io
import math
import tarfile
from decimal import Decimal
from typing import Any

from imgopt_pipeline.names import printable

Row = dict[str, Any]

_KINDS = {
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}


def rows_of_tar(content: bytes) -> list[Row]:
    """The canonical rows of a layer, by path and kind, without `crc64` (not every reader gets it)."""
    rows: list[Row] = []
    inodes: dict[str, list[str]] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:", errors="surrogateescape") as tar:
        for member in tar:
            path = _clean(member.name)
            folder, _, base = path.rpartition("/")
            if base == ".wh..wh..opq":
                rows.append(_marker(folder, "opaque"))
            elif base.startswith(".wh."):
                rows.append(_marker(f"{folder}/{base[4:]}".strip("/"), "whiteout"))
            elif path and member.islnk():
                inodes[_clean(member.linkname)].append(path)
            elif path:
                inodes[path] = [path]
                rows.append(_row(member, path))
    for names in inodes.values():
        _spread(rows, names)
    rows += _implied(rows)
    for row in rows:
        row["path"] = _printable(row["path"])
        row["link_target"] = None if row["link_target"] is None else _printable(row["link_target"])
    return sorted(rows, key=lambda row: (row["path"], row["kind"]))


def as_unpacked(row: Row) -> Row:
    """A row as a file system keeps it once containerd unpacked it.

    containerd turns times before 1970 into 1970, and Linux gives every symlink the same mode.
    """
    if row["mtime_seconds"] is None:
        return row
    mode = 0o777 if row["kind"] == "symlink" else row["mode"]
    return row | {"mtime_seconds": max(row["mtime_seconds"], 0), "mode": mode}


def _spread(rows: list[Row], names: list[str]) -> None:
    """Give the content to the name that a sorted walk meets first, and links to the others."""
    if len(names) == 1:
        return
    written = next(row for row in rows if row["path"] == names[0] and row["mode"] is not None)
    first, *others = sorted(names, key=lambda name: _bytes(name).split(b"/"))
    link = {"kind": "hardlink", "size_bytes": 0, "link_target": first}
    rows.remove(written)
    rows += [written | {"path": first}, *(written | link | {"path": other} for other in others)]


def _row(member: tarfile.TarInfo, path: str) -> Row:
    kind = _KINDS.get(member.type, "file")
    return {
        "path": path,
        "kind": kind,
        "size_bytes": member.size if kind == "file" else 0,
        "mode": member.mode & 0o7777,
        "uid": member.uid,
        "gid": member.gid,
        # The text of a PAX time, because a float cannot tell the last nanosecond of a second.
        "mtime_seconds": math.floor(Decimal(member.pax_headers.get("mtime", str(member.mtime)))),
        "link_target": member.linkname if kind == "symlink" else None,
        "shadowed": False,
    }


def _implied(rows: list[Row]) -> list[Row]:
    """Folders that only what they hold names."""
    there = {row["path"] for row in rows if row["kind"] not in ("whiteout", "opaque")}
    named = {row["path"] for row in rows if row["kind"] == "opaque"}
    for row in rows:
        parts = row["path"].split("/")
        named |= {"/".join(parts[:count]) for count in range(1, len(parts))}
    return [_marker(path, "implied") for path in sorted(named - there - {""})]


def _marker(path: str, kind: str) -> Row:
    missing: Row = dict.fromkeys(("mode", "uid", "gid", "mtime_seconds", "link_target"))
    return {"path": path, "kind": kind, "size_bytes": 0, "shadowed": False} | missing


def _clean(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _printable(name: str) -> str:
    return printable(_bytes(name))
