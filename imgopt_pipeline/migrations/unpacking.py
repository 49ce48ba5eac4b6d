"""Getting files back from a packed folder: all of them, or some by name; each is compared with the manifest.

Nothing that is there is written over, and nothing in an archive leads out of the folder it is unpacked into.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tarfile import TarInfo
from typing import IO

from imgopt_pipeline.migrations.content import Pace, apply_properties, set_times
from imgopt_pipeline.migrations.manifest import Row, read_rows
from imgopt_pipeline.migrations.models import CopyDiffers, Entry, MoveFailed, listing
from imgopt_pipeline.migrations.mounts import flush
from imgopt_pipeline.migrations.packing import ATTRIBUTE, BROKEN, Packed, manifest_of, members
from imgopt_pipeline.migrations.tree import Folders, folders, look, opened, remove
from imgopt_pipeline.migrations.verifying import read_back
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Refused, SubjectNotFound

_BESIDE = b".imgopt-restoring"
_CHUNK_BYTES = 1 << 16
_ZEROS = bytes(_CHUNK_BYTES)


def unpack(archive: Path, into: Path, names: Collection[bytes] = ()) -> Packed:
    """Unpack all, or the files and folders of these names, into a folder; goes on where it was cut off.

    A file that is there already and equal counts as unpacked. Raises Refused where another is in the way,
    SubjectNotFound for a name that is not in the archive, CopyDiffers, MoveFailed.
    """
    wanted = {name.strip(b"/") for name in names}
    if wanted:
        _find(archive, wanted)
    files = file_bytes = 0
    made: list[Entry] = []
    with _opened(into) as root, folders(root) as here, folders(root) as elsewhere:
        for info, content, (entry, digest) in members(archive):
            if entry.kind == "folder":
                if entry.path and _is_wanted(entry.path, wanted, above=True) and _make_folder(here, entry, info):
                    made.append(entry)
            elif _is_wanted(entry.path, wanted):
                _restore(here, elsewhere, info, content, (entry, digest))
                files += entry.kind == "file"
                file_bytes += entry.size_bytes
        for entry in reversed(made):
            set_times(entry, *here.parent_of(entry.path))
        flush(root)
    return Packed(archive, files, file_bytes, archive.stat().st_size)


def _find(archive: Path, wanted: set[bytes]) -> None:
    missing, firsts = set(wanted), dict[str, bytes]()
    for entry, _ in read_rows(manifest_of(archive)):
        missing.discard(entry.path)
        if group := entry.hard_link_group:
            first = firsts.setdefault(group, entry.path)
            if _is_wanted(entry.path, wanted) and not _is_wanted(first, wanted):
                raise Refused(
                    f"{printable(entry.path)} is another name of {printable(first)}.",
                    subject=str(archive),
                    hint="Name that file as well.",
                )
    if missing:
        hint = "Its manifest lists what it has."
        raise SubjectNotFound(f"the archive does not hold {listing(missing)}.", subject=str(archive), hint=hint)


def _is_wanted(path: bytes, wanted: set[bytes], *, above: bool = False) -> bool:
    if not wanted or path in wanted or any(path.startswith(name + b"/") for name in wanted):
        return True
    return above and any(not path or name.startswith(path + b"/") for name in wanted)


def _make_folder(here: Folders, entry: Entry, info: TarInfo) -> bool:
    folder, name = here.parent_of(entry.path)
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except FileExistsError:
        if look(folder, name, entry.path).kind != "folder":
            raise _in_the_way(entry.path) from None
        return False
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        apply_properties(entry, _attributes(info), descriptor)
    finally:
        os.close(descriptor)
    return True


def _restore(here: Folders, elsewhere: Folders, info: TarInfo, content: IO[bytes] | None, row: Row) -> None:
    entry, digest = row
    folder, name = here.parent_of(entry.path)
    if _is_there(folder, name, row):
        return
    remove(folder, _BESIDE)
    if entry.kind == "link":
        os.symlink(entry.target, _BESIDE, dir_fd=folder)
        with suppress(PermissionError):
            os.chown(_BESIDE, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
    elif content is None:
        first_folder, first = elsewhere.parent_of(os.fsencode(info.linkname))
        os.link(first, _BESIDE, src_dir_fd=first_folder, dst_dir_fd=folder, follow_symlinks=False)
    else:
        _write(folder, entry, content, digest, _attributes(info))
    set_times(entry, folder, _BESIDE)
    os.rename(_BESIDE, name, src_dir_fd=folder, dst_dir_fd=folder)


def _is_there(folder: int, name: bytes, row: Row) -> bool:
    entry, digest = row
    try:
        found = look(folder, name, entry.path)
    except FileNotFoundError:
        return False
    if (found.kind, found.target) != (entry.kind, entry.target):
        raise _in_the_way(entry.path)
    if entry.kind == "file" and read_back(folder, name, Pace()) != (digest, entry.size_bytes):
        raise _in_the_way(entry.path)
    return True


def _write(
    folder: int, entry: Entry, content: IO[bytes], digest: bytes | None, attributes: Mapping[str, bytes]
) -> None:
    hashed, at = sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(_BESIDE, flags, 0o600, dir_fd=folder)
    try:
        while chunk := _read(content, entry):
            hashed.update(chunk)
            if chunk != _ZEROS[: len(chunk)]:  # else a hole does as well
                os.pwrite(descriptor, chunk, at)
            at += len(chunk)
        os.ftruncate(descriptor, at)
        apply_properties(entry, attributes, descriptor)
        flush(descriptor)
    finally:
        os.close(descriptor)
    if (hashed.digest(), at) != (digest, entry.size_bytes):
        os.unlink(_BESIDE, dir_fd=folder)
        raise CopyDiffers("what the archive holds of it is damaged.", subject=printable(entry.path))


def _read(content: IO[bytes], entry: Entry) -> bytes:
    try:
        return content.read(_CHUNK_BYTES)
    except BROKEN as error:
        raise CopyDiffers("what the archive holds of it is damaged.", subject=printable(entry.path)) from error


def _attributes(info: TarInfo) -> dict[str, bytes]:
    named = ((name.removeprefix(ATTRIBUTE), value) for name, value in info.pax_headers.items() if ATTRIBUTE in name)
    return {name: os.fsencode(value) for name, value in named}


@contextmanager
def _opened(into: Path) -> Iterator[int]:
    try:
        into.mkdir(parents=True, exist_ok=True)
        with opened(into) as root:
            yield root
    except OSError as error:
        raise MoveFailed(f"files cannot be unpacked there ({error.strerror}).", subject=str(into)) from error


def _in_the_way(path: bytes) -> Refused:
    hint = "Nothing is written over: move it away, or unpack into another folder."
    return Refused("something else of that name is there.", subject=printable(path), hint=hint)
