"""Files as a layer or directory holds them, and how many bytes are spread over many of them.

A file is either a text or constant bytes, so that gigabytes of them take next to nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgopt_pipeline.demo.contents import FilePattern


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file by its path without a leading slash: its text, else `size_bytes` of one constant byte.

    `modified_days` and `read_days` count back from the making of the fleet; None takes the default of the place.
    """

    path: str
    size_bytes: int
    text: bytes | None = None
    executable: bool = False
    modified_days: int | None = None
    read_days: int | None = None

    @property
    def fill(self) -> int:
        """The byte that its content repeats: not the same for all files, so that equal sizes are not equal files."""
        return zlib.crc32(self.path.rpartition("/")[2].encode()) % 255 + 1


def text_file(path: str, text: str, *, executable: bool = False) -> MadeFile:
    """A file of text."""
    content = text.encode()
    return MadeFile(path, len(content), content, executable)


def spread(paths: Sequence[str], size_bytes: int) -> list[MadeFile]:
    """Files of `size_bytes` in all, to the byte; some take several times what others take."""
    weights = [zlib.crc32(path.encode()) % 100 + 25 for path in paths]
    total = sum(weights)
    files: list[MadeFile] = []
    done = before = 0
    for path, weight in zip(paths, weights, strict=True):
        done += weight
        until = size_bytes * done // total
        files.append(MadeFile(path, until - before))
        before = until
    return files


def numbered(pattern: str, count: int) -> list[str]:
    """Paths with a number in the place of `*`."""
    width = len(str(count))
    return [pattern.replace("*", str(number).zfill(width)) for number in range(1, count + 1)]


def how_many(size_bytes: int, *, each_bytes: int, most: int) -> int:
    """Into how many files of about `each_bytes` a size is divided: at least one, at most `most`."""
    return max(1, min(most, size_bytes // each_bytes))


def pattern_files(patterns: Iterable[FilePattern]) -> list[MadeFile]:
    """The files that patterns declare."""
    return [
        MadeFile(file.path, file.size_bytes, None, False, pattern.modified_days, pattern.read_days)
        for pattern in patterns
        for file in spread(numbered(pattern.path, pattern.count), pattern.size)
    ]


def total_bytes(files: Iterable[MadeFile]) -> int:
    """What files take together."""
    return sum(file.size_bytes for file in files)


def below(folder: str | None, path: str) -> str:
    """`path` in `folder`, or as it is where there is none."""
    return f"{folder}/{path}" if folder else path
