"""Which files of an image are documents: small files whose content, not only their size, is wanted.

Package databases, metadata and lock files, version files, and the application's own Python sources.
Readers that see contents keep them beside the layer's entries; for the others `hosts` fetches them.
What they mean belongs to `contents` and `gpu`. The patterns are RE2's and Python's alike.
"""

from __future__ import annotations

import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.sql import literal

DOCUMENT_BYTES = 16_000_000
"""No document is larger; a larger file of such a name is passed over."""

SOURCE_BYTES = 1_000_000
"""No source of an application is larger."""

ALL_DOCUMENTS_BYTES = 1_000_000_000
DOCUMENT_COUNT = 500_000
"""No layer keeps more of them."""

_NAME_CHARACTERS = 16_000

DOCUMENTS = "|".join(
    (
        r"\.dist-info/(METADATA|RECORD|top_level\.txt)$",
        r"\.egg-info(/(PKG-INFO|SOURCES\.txt|installed-files\.txt|top_level\.txt|requires\.txt))?$",
        r"(^|/)EGG-INFO/(PKG-INFO|top_level\.txt|requires\.txt)$",
        r"(site|dist)-packages/[^/]+/(_?version|build_and_package_info)\.py$",
        r"(site|dist)-packages/(torch|paddle|cupy|mxnet|jaxlib|xgboost)/(version/__init__|_version|version)\.py$",
        r"(site|dist)-packages/onnxruntime/capi/build_and_package_info\.py$",
        r"tensorflow/python/platform/build_info\.py$",
        r"(^|/)(package|\.package-lock|package-lock|npm-shrinkwrap)\.json$",
        r"(^|/)(yarn\.lock|pnpm-lock\.yaml|node_modules/\.modules\.yaml|node_modules/\.yarn-integrity)$",
        r"^var/lib/dpkg/(status|status\.d/[^/]+|info/[^/]+\.list)$",
        r"^var/lib/apt/extended_states$",
        r"^(usr/)?lib/apk/db/installed$",
        r"^etc/apk/world$",
        r"(^|/)conda-meta/[^/]+\.json$",
        r"^(etc|usr/lib)/os-release$",
    )
)
"""Names of documents."""

LIBRARIES = (
    r"((site|dist)-packages|node_modules|conda-meta|__pycache__|pkgs)/|^(usr/(lib|share)|usr/local/(lib|share)|opt/conda/lib"
    r"|lib|proc|sys)/|/lib/python[0-9.]+/"
)
"""Folders whose Python sources are not the application's own; all other sources are documents."""

_DOCUMENT = re.compile(DOCUMENTS)
_LIBRARY = re.compile(LIBRARIES)
# Most files are told by their last name alone, which is much quicker than the patterns.
_LAST_NAMES = frozenset(
    b"METADATA RECORD top_level.txt PKG-INFO SOURCES.txt installed-files.txt requires.txt package.json"
    b" .package-lock.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml .modules.yaml"
    b" .yarn-integrity status extended_states installed world os-release".split()
)
_ENDINGS = (b".py", b".list", b".json", b".egg-info")


def is_document(name: bytes, size_bytes: int) -> bool:
    """Whether the content of a file of that name (as a tar gives it) and size is wanted."""
    if not 0 < size_bytes <= DOCUMENT_BYTES:
        return False
    last = name.rpartition(b"/")[2]
    if last not in _LAST_NAMES and not last.endswith(_ENDINGS) and b"/status.d/" not in name:
        return False
    path = name.decode("utf-8", "surrogateescape").removeprefix("./").lstrip("/")
    if last.endswith(b".py") and size_bytes <= SOURCE_BYTES and not _LIBRARY.search(path):
        return True
    return _DOCUMENT.search(path) is not None


def document_condition() -> str:
    """The same as SQL over columns `path` and `size_bytes`, with `path` as `names.printable` writes it."""
    names = ", ".join(literal(name.decode()) for name in sorted(_LAST_NAMES))
    endings = " OR ".join(f"ends_with(path, {literal(ending.decode())})" for ending in _ENDINGS)
    return f"""
        size_bytes BETWEEN 1 AND {DOCUMENT_BYTES}
        AND (parse_filename(path, false, 'forward_slash') IN ({names}) OR {endings} OR contains(path, '/status.d/'))
        AND (
            (ends_with(path, '.py') AND size_bytes <= {SOURCE_BYTES} AND NOT regexp_matches(path, {literal(LIBRARIES)}))
            OR regexp_matches(path, {literal(DOCUMENTS)})
        )
    """


class DocumentCollector:
    """The documents of one layer, in an unnamed temporary ZIP file; a name given twice means the later one.

    Past `limit_bytes` or `limit_count` no more are taken, and `cut_off` says so.
    """

    def __init__(self, *, limit_bytes: int = ALL_DOCUMENTS_BYTES, limit_count: int = DOCUMENT_COUNT) -> None:
        self.cut_off = False
        self._file: BinaryIO = tempfile.TemporaryFile(prefix="imgopt-")  # noqa: SIM115  (kept until `finish`)
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._left_bytes, self._left_count = limit_bytes, limit_count

    def add(self, path: str, content: bytes) -> None:
        """Take a document; `path` as `names.printable` writes it. Raises StorageError on a full disk."""
        self._left_bytes -= len(content)
        self._left_count -= 1
        if self._left_bytes < 0 or self._left_count < 0 or len(path) > _NAME_CHARACTERS:
            self.cut_off = True
            return
        with warnings.catch_warnings(), storage_errors():
            warnings.simplefilter("ignore", UserWarning)  # of a name that is there already
            self._zip.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED, 1)

    def discard(self) -> None:
        """Let go of what was taken: the layer cannot be read to its end."""
        with suppress(OSError):
            self._zip.close()
        self._file.close()

    def finish(self) -> BinaryIO:
        """The ZIP file, at its start."""
        with storage_errors():
            self._zip.close()
            self._file.flush()
            self._file.seek(0)
        return self._file


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a full disk into StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"documents of a layer cannot be kept ({error.strerror}).",
            subject=tempfile.gettempdir(),
            hint="Free some space there, or set TMPDIR to another folder.",
        ) from error
