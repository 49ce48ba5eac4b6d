"""An image of millions of small files, made in seconds.

Four layers: two of new files, one that writes some of them again, one that deletes some files and some
whole directories. What is dead in it is known beforehand: a fast wrong answer would be no answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.image_archive import header, new_archive, padded

TAG = "many-files:latest"
FILES_PER_DIRECTORY = 1_000
_CONTENT = b"ten bytes\n"


@dataclass(frozen=True, slots=True)
class ManyFiles:
    """The shape of the image, in directories of 1,000 files."""

    new: int = 2_900
    overwritten: int = 100
    thinned: int = 50
    deleted: int = 50

    @property
    def files(self) -> int:
        """Files that all layers store together."""
        return (self.new + self.overwritten) * FILES_PER_DIRECTORY

    @property
    def dead_bytes(self) -> int:
        """Of a thinned directory every second file is deleted, a deleted one goes as a whole."""
        halves = 2 * (self.overwritten + self.deleted) + self.thinned
        return halves * FILES_PER_DIRECTORY // 2 * len(_CONTENT)


def write_archive(path: Path, shape: ManyFiles) -> None:
    """Write the image as an archive."""
    thinned_from = shape.overwritten
    deleted_from = thinned_from + shape.thinned
    with new_archive(path) as archive:
        layers = [
            archive.layer(_directories(range(shape.new // 2))),
            archive.layer(_directories(range(shape.new // 2, shape.new))),
            archive.layer(_directories(range(shape.overwritten))),
            archive.layer(
                _deletions(range(thinned_from, deleted_from), range(deleted_from, deleted_from + shape.deleted))
            ),
        ]
        archive.image(TAG, layers)


def _directories(numbers: range) -> Iterator[bytes]:
    """Tar entries of whole directories with all their files, a directory at a time."""
    names = [b"file-%04d.txt" % number for number in range(FILES_PER_DIRECTORY)]
    content = padded(_CONTENT)
    for number in numbers:
        folder = f"srv/data/dir-{number:05d}"
        # The headers of a directory's files differ in a name of fixed length and in their checksum only.
        model = header(f"{folder}/{names[0].decode()}", size_bytes=len(_CONTENT))
        start = len(folder) + 1
        before, between, after = model[:start], model[start + len(names[0]) : 148], model[156:]
        fixed = sum(before) + sum(between) + sum(b" " * 8) + sum(after)
        yield header(folder, directory=True) + b"".join(
            b"%b%b%b%06o\0 %b%b" % (before, name, between, fixed + sum(name), after, content) for name in names
        )


def _deletions(thinned: range, deleted: range) -> Iterator[bytes]:
    for number in thinned:
        for file in range(0, FILES_PER_DIRECTORY, 2):
            yield header(f"srv/data/dir-{number:05d}/.wh.file-{file:04d}.txt")
    for number in deleted:
        yield header(f"srv/data/.wh.dir-{number:05d}")
