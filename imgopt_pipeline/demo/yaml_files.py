"""YAML files as a fleet's declaration is written: read within bounds, and no key twice.

What the values mean stands in `declaration`.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

import yaml

from imgopt_pipeline.demo.declared import shortened
from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.names import printable

FORMAT_HINT = "docs/guide/demo.md describes the format."
_FILE_BYTES = 4_000_000


def read_yaml(path: Path) -> object:
    """The document in a file. Raises SettingsError where it is none, is too large, or says a key twice."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a named pipe would wait for its other end
            raise SettingsError("it is no regular file.", subject=str(path), hint="Name a file with a declaration.")
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES + 1)
        if len(content) > _FILE_BYTES:
            raise SettingsError(f"a declaration may take {_FILE_BYTES:,} bytes.", subject=str(path), hint=FORMAT_HINT)
        return _loaded(content)
    except OSError as error:
        raise SettingsError(f"it cannot be read ({error.strerror}).", subject=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"it is no YAML ({printable(' '.join(str(error).split()))}).", subject=str(path), hint=FORMAT_HINT
        ) from error


def _loaded(content: bytes) -> object:
    """A YAML document. Raises YAMLError, also for a key that stands twice, of which the loader would take the last."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(content)
    try:
        root = loader.get_single_node()
        waiting, seen = [root], {id(root)}
        while waiting:
            node = waiting.pop()
            if isinstance(node, yaml.MappingNode):
                _refuse_repeated([key for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
                children = [part for pair in node.value for part in pair]
            else:
                children = node.value if isinstance(node, yaml.SequenceNode) else []
            waiting += [child for child in children if id(child) not in seen]
            seen.update(map(id, children))
        return loader.construct_document(root) if root is not None else None
    finally:
        loader.dispose()


def _refuse_repeated(keys: Iterable[yaml.ScalarNode]) -> None:
    seen: set[tuple[str, str]] = set()
    for key in keys:
        if (key.tag, key.value) in seen:
            raise yaml.YAMLError(f"line {key.start_mark.line + 1}: the key {shortened(key.value)} stands there twice")
        seen.add((key.tag, key.value))
