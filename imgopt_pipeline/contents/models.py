"""A package as its own metadata describes it, before its files are joined with the image's tree."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package.

    All paths are relative to the image's root, without a leading slash, in the form of `names.printable`.
    `document` is the file that describes it; `location` the folder it is installed in (site-packages,
    node_modules/…) or the database that lists it. It owns `files`, and below `folders` every file that
    no package owns by name and no package owns by a longer folder. Names in `requires` are normalised as
    the ecosystem compares them. `requested`, `installed_bytes`: None where that is not recorded.
    """

    ecosystem: str
    name: str
    version: str
    document: str
    location: str
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    recommends: tuple[str, ...] = ()
    local_version: str | None = None
    installed_bytes: int | None = None
    requested: bool | None = None
    development: bool = False
    only_recommended: bool = False
    section: str = ""


@dataclass(slots=True)
class PackagesFound:
    """Packages of one ecosystem, and in words what of its metadata was broken and passed over."""

    packages: list[Package] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
