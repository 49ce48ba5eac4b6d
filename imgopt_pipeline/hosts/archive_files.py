"""Files inside an image archive: a tar (plain or compressed) or an OCI layout folder.

Knows members, links and small JSON documents, never what they mean; that is `archives`. Nothing is
extracted, and no link leads out of the archive.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import orjson

from imgopt_pipeline.compression import decompressed, sniff
from imgopt_pipeline.errors import ImgoptError, LimitExceeded, UnreadableArchive
from imgopt_pipeline.limits import Limits
from imgopt_pipeline.names import printable

_JSON_STARTS = (b"{", b"[")
_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_EXTENSION_BYTES = 65_536
# What `tarfile` raises on hostile headers, apart from its own errors.
_BROKEN_TAR = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, RecursionError)
_SHORT_DOCUMENT_BYTES = 4_000_000
_ALL_DOCUMENTS_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Blob:
    """Where the bytes of a layer lie: a range of a file, or a member of a compressed archive.

    `offset_bytes` is None for the latter, which can only be streamed. `digest` is what the manifest
    says of the stored bytes, where it says anything.
    """

    path: Path
    member: str
    offset_bytes: int | None
    size_bytes: int
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class _Member:
    size_bytes: int
    offset_bytes: int | None
    link: str | None


class ArchiveFiles:
    """The members of one archive by name."""

    def __init__(self, path: Path, members: dict[str, _Member], documents: dict[str, bytes], limits: Limits) -> None:
        self.path = path
        self._members = members
        self._documents = documents
        self._limits = limits

    def __contains__(self, name: str) -> bool:
        return _clean(name) in self._members

    def document(self, name: str, *, digest: str | None = None) -> Any:
        """A JSON document. Raises UnreadableArchive where it is missing, malformed or not what `digest` says."""
        content = self.content(name, digest=digest)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise self.broken(f"{printable(name)} is no JSON ({error}).") from error

    def content(self, name: str, *, digest: str | None = None) -> bytes:
        """A small member's bytes, checked against `digest`."""
        name, member = self._resolve(name)
        if member.size_bytes > self._limits.document_bytes:
            raise LimitExceeded(
                f"{printable(name)} takes {member.size_bytes:,} bytes, more than a manifest may"
                f" ({self._limits.document_bytes:,}).",
                subject=shown(self.path),
            )
        content = self._documents.get(name)
        if content is None:
            if member.offset_bytes is None:
                raise self.broken(f"{printable(name)} is no JSON.")
            content = self._read(name, member)
        if digest is not None and f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise self.broken(f"{printable(name)} is not what its digest says.")
        return content

    def blob(self, name: str, *, size_bytes: int | None = None, digest: str | None = None) -> Blob:
        """A member as a layer; `size_bytes` is what the manifest says of it."""
        resolved, member = self._resolve(name)
        if size_bytes is not None and member.size_bytes != size_bytes:
            raise self.broken(
                f"{printable(name)} has {member.size_bytes:,} bytes where the manifest says {size_bytes:,}."
            )
        path = self.path / resolved if self.path.is_dir() else self.path
        return Blob(path, resolved, member.offset_bytes, member.size_bytes, digest)

    def broken(self, message: str) -> UnreadableArchive:
        """The error that says what is wrong with this archive."""
        return UnreadableArchive(
            message, subject=shown(self.path), hint="The archive is damaged; save the image again."
        )

    def _resolve(self, name: str) -> tuple[str, _Member]:
        cleaned = _clean(name)
        for _ in range(self._limits.nesting):
            member = self._members.get(cleaned)
            if member is None:
                raise self.broken(f"{printable(name)} is named but missing.")
            if member.link is None:
                return cleaned, member
            cleaned = member.link
        raise self.broken(f"{printable(name)} is a cycle of links.")

    def _read(self, name: str, member: _Member) -> bytes:
        with (self.path / name if self.path.is_dir() else self.path).open("rb") as file:
            file.seek(member.offset_bytes or 0)
            content = file.read(member.size_bytes)
        if len(content) < member.size_bytes:
            raise self.broken(f"it ends in the middle of {printable(name)}.")
        return content


def open_archive(path: Path, limits: Limits) -> ArchiveFiles:
    """The archive at `path`: an OCI layout folder, or a tar told by its content and not by its name.

    Raises UnreadableArchive, LimitExceeded.
    """
    try:
        if path.is_dir():
            return _open_folder(path, limits)
        if not path.is_file():  # opening a pipe would wait for its writer
            raise UnreadableArchive("it is no regular file.", subject=shown(path), hint="Save the image into a file.")
        return _open_tar(path, limits)
    except ImgoptError as error:
        error.subject = error.subject or shown(path)
        raise
    except _BROKEN_TAR as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableArchive(
            f"it cannot be read as an image archive ({printable(reason)}).",
            subject=shown(path),
            hint="It must be the output of `docker save`, or an OCI image layout.",
        ) from error


def looks_like_archive(path: Path) -> bool:
    """Whether it is worth opening: an OCI layout, a tar, or something compressed."""
    if path.is_dir():
        return (path / "oci-layout").is_file() or (path / "index.json").is_file()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(512)
    return head[257:262] == b"ustar" or sniff(head) != "plain"


def stream_members(path: Path, limits: Limits) -> Iterator[tuple[str, BinaryIO]]:
    """Every regular member of a compressed archive in turn, each to be read before the next."""
    try:
        with path.open("rb") as file, _tar_stream(file) as tar:
            for member in _infos(tar, limits):
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield _clean(member.name), cast(BinaryIO, content)
    except _BROKEN_TAR as error:
        raise UnreadableArchive(
            f"it cannot be read to its end ({printable(str(error))}).",
            subject=shown(path),
            hint="Save the image again.",
        ) from error


def shown(path: Path) -> str:
    """A path as it may be printed and stored: file names, too, may hold any bytes."""
    return printable(os.fsencode(path))


def _open_tar(path: Path, limits: Limits) -> ArchiveFiles:
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes == 0:
            raise UnreadableArchive("it is empty.", subject=shown(path), hint="Save the image again.")
        compressed = sniff(file.read(6)) != "plain"
        file.seek(0)
        if compressed:
            return _index_stream(path, file, limits)
        with tarfile.open(fileobj=file, mode="r:", tarinfo=_CarefulMember) as tar:
            members: dict[str, _Member] = {}
            for info in _infos(tar, limits):
                members[_clean(info.name)] = _member(info, info.offset_data)
                if info.isreg() and info.offset_data + info.size > size_bytes:
                    raise UnreadableArchive(
                        f"it ends in the middle of {printable(info.name)}.",
                        subject=shown(path),
                        hint="The archive is truncated; save the image again.",
                    )
            return ArchiveFiles(path, members, {}, limits)


def _index_stream(path: Path, file: BinaryIO, limits: Limits) -> ArchiveFiles:
    """Names and documents of a compressed archive, in one pass; its layers are streamed when they are read."""
    members: dict[str, _Member] = {}
    documents: dict[str, bytes] = {}
    held_bytes = total_bytes = 0
    with _tar_stream(file) as tar:
        for info in _infos(tar, limits):
            total_bytes += info.size
            if total_bytes > limits.layer_bytes:
                raise LimitExceeded(
                    f"it unpacks to more than {limits.layer_bytes:,} bytes.",
                    hint="Raise limits.layer_bytes in imgopt.yaml if the archive is trusted.",
                )
            name = _clean(info.name)
            members[name] = _member(info, None)
            if info.isreg() and info.size <= _SHORT_DOCUMENT_BYTES:
                content = cast(BinaryIO, tar.extractfile(info)).read()
                if content.startswith(_JSON_STARTS) and held_bytes + len(content) <= _ALL_DOCUMENTS_BYTES:
                    documents[name] = content
                    held_bytes += len(content)
    return ArchiveFiles(path, members, documents, limits)


def _open_folder(path: Path, limits: Limits) -> ArchiveFiles:
    members: dict[str, _Member] = {}
    for folder, folders, files in os.walk(path):
        folders.sort()
        for file in files:
            full = Path(folder, file)
            # A link could lead out of the layout.
            if full.is_file() and not full.is_symlink():
                members[full.relative_to(path).as_posix()] = _Member(full.stat().st_size, 0, None)
        _check_count(len(members), limits)
    return ArchiveFiles(path, members, {}, limits)


class _CarefulMember(tarfile.TarInfo):
    """A member whose header cannot make `tarfile` read without end: it takes every size at its word."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _EXTENSIONS and info.size > _EXTENSION_BYTES:
            raise LimitExceeded(
                f"a header takes {info.size:,} bytes, more than any name may ({_EXTENSION_BYTES:,}).",
                hint="It is no image archive.",
            )
        _check_size(info)
        return info


def _infos(tar: tarfile.TarFile, limits: Limits) -> Iterator[tarfile.TarInfo]:
    """Members one by one. Nothing of them is kept, as `tarfile` would: their headers can be large."""
    kept = cast(Any, tar)
    count = 0
    while info := tar.next():
        kept.members, kept.pax_headers = [], {}
        count += 1
        _check_count(count, limits)
        _check_size(info)
        yield info


def _check_size(info: tarfile.TarInfo) -> None:
    if info.size < 0:
        raise UnreadableArchive(f"{printable(info.name)} has a negative size.", hint="Save the image again.")
    if info.type == tarfile.GNUTYPE_SPARSE or info.sparse is not None:
        raise UnreadableArchive(
            f"{printable(info.name)} is stored with holes.", hint="Pack the archive again, without --sparse."
        )


def _tar_stream(file: BinaryIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=decompressed(file), mode="r|", tarinfo=_CarefulMember)


def _member(info: tarfile.TarInfo, offset_bytes: int | None) -> _Member:
    if info.issym():
        return _Member(0, None, _clean(posixpath.join(posixpath.dirname(info.name), info.linkname)))
    if info.islnk():
        return _Member(0, None, _clean(info.linkname))
    return _Member(info.size, offset_bytes, None)


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.members:
        raise LimitExceeded(f"the archive has more than {limits.members:,} members.", hint="It is no image archive.")


def _clean(name: str) -> str:
    """A member's name without `.`, `..` and leading slashes: it can name nothing outside the archive."""
    return posixpath.normpath("/" + name).lstrip("/")
