"""Alpine packages by apk's database of installed packages and the world file.

Format: one letter, a colon and a value a line, an empty line after each package (apk-tools, doc/apk-db).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from imgopt_pipeline.contents.header_fields import blocks, text_of
from imgopt_pipeline.contents.image_paths import OWNED_PATHS, PathBudget
from imgopt_pipeline.contents.models import Package, PackagesFound
from imgopt_pipeline.contents.tree_view import Tree
from imgopt_pipeline.names import printable

_DATABASES = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_VERSION = re.compile(r"[<>=~@]")
_WORLD = "etc/apk/world"
_PROVIDERS = 50
"""No more packages count for one provided name."""


def alpine_packages(documents: Mapping[str, bytes], tree: Tree) -> PackagesFound:
    """The packages that apk installed, with requirements resolved to the packages that provide them."""
    found = PackagesFound()
    budget = PathBudget()
    world = _world(documents.get(_WORLD))
    for database in _DATABASES:
        content = documents.get(database)
        if content is None:
            continue
        text = text_of(content)
        stanzas = list(blocks(text))
        if stanzas and not text.endswith("\n"):
            stanzas.pop()
            found.warnings.append(f"{database} is cut off; its last package is passed over")
        records = []
        for stanza in stanzas:
            record = [(line[0], line[2:]) for line in stanza.split("\n") if line[1:2] == ":"]
            if _value(record, "P"):
                records.append(record)
            else:
                found.warnings.append(f"{database} has an entry without a name; passed over")
        providers = _providers(records)
        found.packages += [_package(database, record, providers, world, budget) for record in records]
    if budget.exceeded:
        found.warnings.append(f"apk names more than {OWNED_PATHS:,} files; those of some packages are left out")
    return found


def _package(
    database: str,
    record: Sequence[tuple[str, str]],
    providers: Mapping[str, Sequence[str]],
    world: frozenset[str] | None,
    budget: PathBudget,
) -> Package:
    name, size = _value(record, "P"), _value(record, "I")
    requires: dict[str, None] = {}
    for wanted in _value(record, "D").split():
        if not wanted.startswith("!"):
            stated = _bare(wanted)
            requires |= dict.fromkeys(providers.get(stated, () if ":" in stated else (stated,)))
    requires.pop(name, None)
    provided = {_bare(text) for text in _value(record, "p").split()}
    return Package(
        ecosystem="alpine",
        name=printable(name),
        version=printable(_value(record, "V")),
        document=database,
        location=database,
        files=budget.take(list(_files(record))),
        requires=tuple(map(printable, requires)),
        installed_bytes=int(size) if size.isascii() and size.isdigit() and len(size) < 16 else None,
        requested=None if world is None else name in world or not world.isdisjoint(provided),
    )


def _value(record: Sequence[tuple[str, str]], letter: str) -> str:
    return next((value.strip() for key, value in record if key == letter), "")


def _files(record: Sequence[tuple[str, str]]) -> Iterator[str]:
    """`F:` names a folder, the `R:` after it files in it."""
    folder = ""
    for letter, value in record:
        if letter == "F":
            folder = printable(value)
        elif letter == "R" and value and ".." not in folder.split("/"):
            yield f"{folder}/{printable(value)}" if folder else printable(value)


def _providers(records: Sequence[Sequence[tuple[str, str]]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in records:
        name = _value(record, "P")
        for provided in {name, *map(_bare, _value(record, "p").split())}:
            known = found.setdefault(provided, [])
            if len(known) < _PROVIDERS:
                known.append(name)
    return found


def _bare(text: str) -> str:
    """A dependency without its version or repository: `so:libz.so.1=1.3` → `so:libz.so.1`."""
    return _VERSION.split(text, maxsplit=1)[0]


def _world(content: bytes | None) -> frozenset[str] | None:
    if content is None:
        return None
    return frozenset(_bare(word) for word in text_of(content).split() if not word.startswith("!"))
