"""Conda packages by the records in `conda-meta` (conda's PrefixRecord, as JSON).

`size` of a record is that of the archive it came in; the size on disk is what `paths_data` adds up to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from imgopt_pipeline.contents.image_paths import OWNED_PATHS, PathBudget
from imgopt_pipeline.contents.models import Package, PackagesFound
from imgopt_pipeline.contents.python_files import resolved
from imgopt_pipeline.contents.tree_view import Tree
from imgopt_pipeline.names import printable


def conda_packages(documents: Mapping[str, bytes], tree: Tree) -> PackagesFound:
    """The packages of all prefixes. A Python package that conda installed has its own dist-info besides."""
    found = PackagesFound()
    budget = PathBudget()
    for path in sorted(path for path in documents if path.endswith(".json") and "conda-meta/" in path):
        prefix = path.rpartition("/")[0]
        if prefix != "conda-meta" and not prefix.endswith("/conda-meta"):
            continue
        try:
            record = orjson.loads(documents[path])
        except orjson.JSONDecodeError as error:
            found.warnings.append(f"{path} is no JSON ({error.msg}); passed over")
            continue
        package = _package(path, prefix.removesuffix("conda-meta").rstrip("/"), record, budget)
        if package is None:
            found.warnings.append(f"{path} names no package; passed over")
        else:
            found.packages.append(package)
    if budget.exceeded:
        found.warnings.append(
            f"conda records name more than {OWNED_PATHS:,} files; those of some packages are left out"
        )
    return found


def _package(document: str, prefix: str, record: Any, budget: PathBudget) -> Package | None:
    match record:
        case {"name": str(name), "version": str(version)} if name:
            pass
        case _:
            return None
    files, _ = resolved(prefix, _texts(record.get("files")))
    return Package(
        ecosystem="conda",
        name=printable(name),
        version=printable(version),
        document=document,
        location=prefix,
        files=(*budget.take(files), document),
        requires=tuple(
            dict.fromkeys(printable(text.split()[0].lower()) for text in _texts(record.get("depends")) if text.strip())
        ),
        installed_bytes=_installed_bytes(record.get("paths_data")),
        requested=_requested(record),
    )


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _installed_bytes(paths_data: Any) -> int | None:
    paths = paths_data.get("paths") if isinstance(paths_data, dict) else None
    if not isinstance(paths, list) or not paths:
        return None
    sizes = [entry.get("size_in_bytes") if isinstance(entry, dict) else None for entry in paths]
    # Symbolic links have no size; without any size at all, the record does not say.
    known = [size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**50]
    return sum(known) if known else None


def _requested(record: dict[str, Any]) -> bool | None:
    """By the spec that a person gave: conda writes `None` for dependencies, other tools an empty list or text."""
    specs = record.get("requested_specs", record.get("requested_spec"))
    if isinstance(specs, list):
        return bool(specs)
    return specs not in ("", "None") if isinstance(specs, str) else None
