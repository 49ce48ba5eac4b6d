"""The version that a package's own code states, where its metadata leaves out the local part.

`torch/version.py` says 2.8.0+cu128 where METADATA says 2.8.0. The file is parsed, never executed.
"""

from __future__ import annotations

import ast
import warnings

_NAMES = frozenset({"__version__", "version", "full_version", "VERSION"})
_SOURCE_BYTES = 100_000


def local_version(content: bytes, version: str) -> str | None:
    """The literal that extends `version` by a local part (PEP 440); None without one or for broken sources."""
    beginning = f"{version}+"
    if not version or len(content) > _SOURCE_BYTES or beginning.encode("utf-8", "replace") not in content:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in the source
            module = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for statement in module.body:
        match statement:
            case ast.Assign(targets=targets, value=ast.Constant(value=str(value))):
                names = {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(value))):
                names = {name}
            case _:
                continue
        if names & _NAMES and value.startswith(beginning) and len(value) < 200:
            return value
    return None
