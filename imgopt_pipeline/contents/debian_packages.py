"""Debian packages by dpkg's database, and by the single stanzas of images that have no dpkg (distroless).

Formats: dpkg's status (deb-control(5) stanzas), info/*.list, apt's extended_states; `status.d/NAME` with
`status.d/NAME.md5sums`. A package counts as asked for where apt did not note that it came by itself; base
packages, which no apt installed, count so too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imgopt_pipeline.contents.debian_dependencies import Installed, Needs, resolve_needs
from imgopt_pipeline.contents.header_fields import blocks, header_fields, text_of
from imgopt_pipeline.contents.image_paths import OWNED_PATHS, PathBudget
from imgopt_pipeline.contents.models import Package, PackagesFound
from imgopt_pipeline.contents.tree_view import Tree
from imgopt_pipeline.names import printable

_STATUS = "var/lib/dpkg/status"
_SINGLE = "var/lib/dpkg/status.d/"
_LISTS = "var/lib/dpkg/info/"
_AUTOMATIC = "var/lib/apt/extended_states"
_UNPACKED = frozenset({"installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"})
_NAME_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class _Stanza:
    document: str
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.fields["package"]

    @property
    def architecture(self) -> str:
        return self.fields.get("architecture", "")


def debian_packages(documents: Mapping[str, bytes], tree: Tree) -> PackagesFound:
    """The installed packages, once per architecture."""
    found = PackagesFound()
    stanzas = [*_database(documents, found.warnings), *_single_stanzas(documents, found.warnings)]
    automatic = _automatic(documents.get(_AUTOMATIC))
    requests = [_requested(stanza, automatic) for stanza in stanzas]
    needs = resolve_needs(
        Installed(
            name=stanza.name,
            depends=f"{stanza.fields.get('pre-depends', '')},{stanza.fields.get('depends', '')}",
            recommends=stanza.fields.get("recommends", ""),
            provides=stanza.fields.get("provides", ""),
            root=requested is not False or _vital(stanza.fields),
        )
        for stanza, requested in zip(stanzas, requests, strict=True)
    )
    budget = PathBudget()
    for stanza, requested in zip(stanzas, requests, strict=True):
        files = budget.take(_files(stanza, documents))
        found.packages.append(_package(stanza, requested, needs, files))
    if budget.exceeded:
        found.warnings.append(f"dpkg names more than {OWNED_PATHS:,} files; those of some packages are left out")
    return found


def _package(stanza: _Stanza, requested: bool | None, needs: Needs, files: tuple[str, ...]) -> Package:
    size = stanza.fields.get("installed-size", "")
    return Package(
        ecosystem="debian",
        name=printable(stanza.name),
        version=printable(stanza.fields["version"]),
        document=stanza.document,
        location=stanza.document,
        files=files,
        requires=tuple(map(printable, needs.depends[stanza.name])),
        recommends=tuple(map(printable, needs.recommends[stanza.name])),
        installed_bytes=int(size) * 1024 if size.isascii() and size.isdigit() and len(size) < 13 else None,
        requested=requested,
        only_recommended=stanza.name in needs.only_recommended,
        # Areas and components go before the section: contrib/libs, universe/libdevel.
        section=printable(stanza.fields.get("section", "").rpartition("/")[2]),
    )


def _database(documents: Mapping[str, bytes], warnings: list[str]) -> Iterator[_Stanza]:
    content = documents.get(_STATUS)
    if content is None:
        return
    text = text_of(content)
    stanzas = list(blocks(text))
    if stanzas and not text.endswith("\n"):
        stanzas.pop()
        warnings.append(f"{_STATUS} is cut off; its last package is passed over")
    for block in stanzas:
        fields = dict(reversed(header_fields(block)))
        state = fields.get("status", "").split()
        if state and state[-1] not in _UNPACKED:
            continue
        if state and _complete(fields):
            yield _Stanza(_STATUS, fields)
        else:
            warnings.append(f"{_STATUS} has an entry without name, version or status; passed over")


def _single_stanzas(documents: Mapping[str, bytes], warnings: list[str]) -> Iterator[_Stanza]:
    for path in sorted(path for path in documents if path.startswith(_SINGLE) and not path.endswith(".md5sums")):
        fields = dict(reversed(header_fields(next(blocks(text_of(documents[path])), ""))))
        if _complete(fields):
            yield _Stanza(path, fields)
        else:
            warnings.append(f"{path} describes no package; passed over")


def _complete(fields: Mapping[str, str]) -> bool:
    return all(0 < len(fields.get(name, "")) <= _NAME_CHARACTERS for name in ("package", "version"))


def _files(stanza: _Stanza, documents: Mapping[str, bytes]) -> list[str]:
    if stanza.document != _STATUS:
        sums = documents.get(f"{stanza.document}.md5sums", b"")
        return [printable(path.lstrip("/")) for _, _, path in _split(sums, "  ") if path]
    # Names in documents are printable ones, and so is the name to look for.
    name = printable(stanza.name)
    names = (f"{_LISTS}{name}:{stanza.architecture}.list", f"{_LISTS}{name}.list")
    content = next((listed for path in names if (listed := documents.get(path)) is not None), b"")
    paths = [line.lstrip("/") for line in text_of(content).split("\n")]
    # A folder stands right before what it holds.
    following = (*paths[1:], "")
    return [
        printable(path)
        for path, after in zip(paths, following, strict=True)
        if path and path != "." and not after.startswith(f"{path}/")
    ]


def _split(content: bytes, separator: str) -> Iterator[tuple[str, str, str]]:
    for line in text_of(content).split("\n"):
        yield line.partition(separator)


def _automatic(content: bytes | None) -> Mapping[str, set[str]] | None:
    """Architectures by name of what apt installed by itself; None where apt kept no record."""
    if content is None:
        return None
    found: dict[str, set[str]] = {}
    for block in blocks(text_of(content)):
        fields = dict(header_fields(block))
        if fields.get("auto-installed") == "1":
            found.setdefault(fields.get("package", ""), set()).add(fields.get("architecture", ""))
    return found


def _requested(stanza: _Stanza, automatic: Mapping[str, set[str]] | None) -> bool | None:
    if automatic is None:
        return None
    architectures = automatic.get(stanza.name, set())
    # apt notes packages of architecture `all` under the native one.
    return not architectures if stanza.architecture == "all" else stanza.architecture not in architectures


def _vital(fields: Mapping[str, str]) -> bool:
    """Whether the system cannot be without it. apt, too, lets go of what is merely of priority `important`."""
    return fields.get("priority") == "required" or "yes" in (
        fields.get("essential"),
        fields.get("protected"),
        fields.get("important"),
    )
