"""Python distributions by their dist-info and egg-info.

Formats: core metadata (PEP 566, 643) and RECORD (PEP 376, 627); egg-info as setuptools and distutils write it.
A distribution owns what its RECORD or installed-files.txt names. Without such a list (Debian leaves it
out) it owns the folders and modules of its top-level names, but only in site-packages and dist-packages:
an egg-info beside an application's sources is a development install, and the sources are the application's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from imgopt_pipeline.contents.header_fields import Fields, first_of, header_fields, text_of
from imgopt_pipeline.contents.image_paths import OWNED_PATHS, PathBudget, below
from imgopt_pipeline.contents.models import Package, PackagesFound
from imgopt_pipeline.contents.python_files import PIP, lines, record_rows, resolved, source_tops
from imgopt_pipeline.contents.python_requirements import (
    Requirement,
    egg_requirements,
    normalised,
    parse_requirement,
    required_names,
)
from imgopt_pipeline.contents.python_versions import local_version
from imgopt_pipeline.contents.tree_view import Tree
from imgopt_pipeline.names import printable
from imgopt_pipeline.units import count

_METADATA_FOLDERS = (".dist-info", ".egg-info", "/EGG-INFO")
_METADATA_NAMES = ("METADATA", "PKG-INFO", "")
_VERSION_FILES = frozenset({"version.py", "_version.py", "__init__.py"})
_FOLDER_NAME = re.compile(r"(.+?)-([0-9][^-]*)(?:-py[0-9.]+)?\.(?:dist-info|egg-info|egg)")
_NAME_CHARACTERS = 500
_DEBIAN = "usr/lib/python3/dist-packages"
"""Only dpkg installs there, and names each file itself."""


@dataclass(slots=True)
class _Metadata:
    """The metadata folder of a distribution; `names` of its documents, '' where it is a single file itself."""

    path: str
    names: set[str] = field(default_factory=set)

    @property
    def location(self) -> str:
        folder = self.path.removesuffix("/EGG-INFO")
        return folder.rpartition("/")[0]

    def document(self) -> str:
        name = next((name for name in _METADATA_NAMES if name in self.names), min(self.names))
        return f"{self.path}/{name}" if name else self.path

    def read(self, name: str, documents: Mapping[str, bytes]) -> bytes | None:
        return documents.get(f"{self.path}/{name}") if name in self.names else None


def python_packages(documents: Mapping[str, bytes], tree: Tree) -> PackagesFound:
    """The distributions, by location and name: one that contains others, as setuptools does, before these."""
    found = PackagesFound()
    folders, version_files = _sorted_out(documents)
    budget = PathBudget()
    requirements: list[tuple[str, list[Requirement]]] = []
    for metadata in folders:
        fields = _headers(metadata, documents)
        package = _package(metadata, fields, documents, version_files, budget, found.warnings)
        if package is not None:
            found.packages.append(package)
            requirements.append((normalised(package.name), _requirements(metadata, fields, documents)))
    if budget.exceeded:
        found.warnings.append(f"RECORDs name more than {OWNED_PATHS:,} files; those of some packages are left out")
    found.packages = [
        replace(package, requires=names)
        for package, names in zip(found.packages, required_names(requirements), strict=True)
    ]
    found.packages = _without_vague_requests(found.packages)
    return found


def _sorted_out(documents: Iterable[str]) -> tuple[list[_Metadata], frozenset[str]]:
    """The metadata folders in order of location and name, and files that may state a version."""
    folders: dict[str, _Metadata] = {}
    version_files: set[str] = set()
    for path in documents:
        folder, _, name = path.rpartition("/")
        if folder.endswith(_METADATA_FOLDERS):
            folders.setdefault(folder, _Metadata(folder)).names.add(name)
        elif path.endswith(".egg-info"):
            folders.setdefault(path, _Metadata(path)).names.add("")
        elif name in _VERSION_FILES and (name != "__init__.py" or folder.endswith("/version")):
            version_files.add(path)
    ordered = sorted(folders.values(), key=lambda item: (item.location, item.path))
    return ordered, frozenset(version_files)


def _package(
    metadata: _Metadata,
    fields: Fields,
    documents: Mapping[str, bytes],
    version_files: frozenset[str],
    budget: PathBudget,
    warnings: list[str],
) -> Package | None:
    document = metadata.document()
    name, version = _name_and_version(metadata, fields)
    if not name or len(name) > _NAME_CHARACTERS or len(version) > _NAME_CHARACTERS:
        warnings.append(f"{document} names no package; passed over")
        return None
    listed, requested = _listed_files(metadata, documents, warnings)
    files = budget.take(listed)
    folders = [metadata.path] if "" not in metadata.names else []
    tops = _top_names(metadata, documents, name)
    if metadata.path.endswith("/EGG-INFO"):
        folders = [metadata.path.removesuffix("/EGG-INFO")]
    elif not listed and metadata.location.endswith(("site-packages", "dist-packages")):
        owned = [path for top in tops if (path := below(metadata.location, top)) and path != metadata.location]
        folders += owned
        if metadata.location != _DEBIAN:
            files = budget.take([f"{path}.py" for path in owned])
    if "" in metadata.names and metadata.location != _DEBIAN:
        files = (*files, metadata.path)
    stated = [path for path in files if path in version_files] or [
        path
        for top in tops
        for end in ("version.py", "_version.py", "version/__init__.py")
        if (path := f"{metadata.location}/{top}/{end}") in version_files
    ]
    local = (local_version(documents[path], version) for path in stated)
    return Package(
        ecosystem="python",
        name=printable(name),
        version=printable(version),
        document=document,
        location=metadata.location,
        files=files,
        folders=tuple(folders),
        local_version=next((printable(text) for text in local if text), None),
        requested=requested,
    )


def _name_and_version(metadata: _Metadata, fields: Fields) -> tuple[str, str]:
    """By the headers, else by the name of the folder; empty where neither says it."""
    name, version = first_of(fields, "name"), first_of(fields, "version")
    if not name or not version:
        folder = metadata.path.removesuffix("/EGG-INFO").rpartition("/")[2]
        if match := _FOLDER_NAME.fullmatch(folder):
            return name or match[1], version or match[2]
    return name.partition("\n")[0], version.partition("\n")[0]


def _headers(metadata: _Metadata, documents: Mapping[str, bytes]) -> Fields:
    # What follows the first empty line is the description.
    content = documents.get(metadata.document(), b"") if metadata.names & set(_METADATA_NAMES) else b""
    head = content.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return header_fields(text_of(head))


def _listed_files(
    metadata: _Metadata, documents: Mapping[str, bytes], warnings: list[str]
) -> tuple[list[str], bool | None]:
    """The files that a RECORD or installed-files.txt names, and whether pip was asked for this distribution."""
    requested: bool | None = None
    base = metadata.location
    if (record := metadata.read("RECORD", documents)) is not None:
        rows, broken = record_rows(record)
        written = [path for path, _ in rows]
        if broken:
            warnings.append(
                f"{metadata.path}/RECORD is broken after {count(len(rows), 'row')}; the rest is passed over"
            )
        own = metadata.path.rpartition("/")[2]
        if any(checksum == PIP and path == f"{own}/INSTALLER" for path, checksum in rows):
            requested = f"{own}/REQUESTED" in written
    elif (installed := metadata.read("installed-files.txt", documents)) is not None:
        written, base = lines(installed), metadata.path
    else:
        return [], None
    files, refused = resolved(base, written)
    if refused:
        paths = "a path" if refused == 1 else f"{refused:,} paths"
        warnings.append(f"{metadata.path} lists {paths} outside the image; passed over")
    return files, requested


def _top_names(metadata: _Metadata, documents: Mapping[str, bytes], name: str) -> list[str]:
    """Names of its top-level packages and modules: as listed, else as its sources say, else its own name."""
    if listed := metadata.read("top_level.txt", documents):
        return [printable(line) for line in lines(listed)[:1_000]]
    if sources := metadata.read("SOURCES.txt", documents):
        tops = list(dict.fromkeys(source_tops(sources)))[:1_000]
        if tops:
            return [printable(top) for top in tops]
    return list(dict.fromkeys(printable(text) for text in (normalised(name).replace("-", "_"), name)))


def _requirements(metadata: _Metadata, fields: Fields, documents: Mapping[str, bytes]) -> list[Requirement]:
    stated = [
        found for field_name, value in fields if field_name == "requires-dist" and (found := parse_requirement(value))
    ]
    if not stated and (egg := metadata.read("requires.txt", documents)):
        return list(egg_requirements(text_of(egg)))
    return stated


def _without_vague_requests(packages: list[Package]) -> list[Package]:
    """Old versions of pip recorded no requests: where a folder has none at all, nothing is known."""
    recording = {package.location for package in packages if package.requested}
    return [
        replace(package, requested=None)
        if package.requested is not None and package.location not in recording
        else package
        for package in packages
    ]
