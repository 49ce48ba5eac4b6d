"""What frameworks say of their own build in a small Python file: with or without CUDA or ROCm, which version.

Read by syntax tree, never executed: torch/version.py, tensorflow's build_info.py, ONNX Runtime's
build_and_package_info.py, paddle/version, and `__version__` of others.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imgopt_pipeline.gpu.expressions import parse
from imgopt_pipeline.names import printable

_FILES = re.compile(
    r"(?:site|dist)-packages/(?:(torch|torchvision|torchaudio|jaxlib|cupy|xgboost)/_?version\.py|(paddle)/version/__init__\.py"
    r"|(tensorflow)/python/platform/build_info\.py|(onnxruntime)/(?:capi/)?build_and_package_info\.py)$"
)
_BYTES = 64_000
_TEXT_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class BuildFile:
    """What one file says. `build`: cuda, rocm, cpu, or empty where it does not say; `toolkit`: version of that."""

    framework: str
    path: str
    version: str
    build: str
    toolkit: str


def build_files(documents: Mapping[str, bytes]) -> list[BuildFile]:
    """The files that say it among an image's documents, by path in the form of `names.printable`."""
    found = []
    for path in sorted(path for path in documents if path.endswith(".py")):
        match = _FILES.search(path)
        values = _values(documents[path]) if match else {}
        if match and values:
            found.append(_build_file(str(match[match.lastindex or 1]), path, values))
    return found


def _build_file(framework: str, path: str, values: Mapping[str, object]) -> BuildFile:
    version = _shown(values.get("__version__") or values.get("full_version") or values.get("version"))
    cuda = values.get("cuda") or values.get("cuda_version")
    rocm = values.get("hip") or values.get("rocm") or values.get("hip_version")
    if framework == "tensorflow":
        build = (
            "cuda" if values.get("is_cuda_build") is True else "rocm" if values.get("is_rocm_build") is True else "cpu"
        )
    elif framework == "paddle":
        cuda = cuda if str(cuda).lower() not in ("none", "false") else None
        build = "cuda" if cuda else "cpu"
    elif framework == "onnxruntime":
        name = str(values.get("package_name") or "")
        build = "cuda" if "gpu" in name or cuda else "rocm" if "rocm" in name or "migraphx" in name else "cpu"
    elif framework == "torch":
        build = "rocm" if rocm else "cuda" if cuda else "cpu"
    else:
        build = "cuda" if re.search(r"\+cu(?:da)?\d", version) else "cpu" if "+cpu" in version else ""
    toolkit = rocm if build == "rocm" else cuda if build == "cuda" else None
    return BuildFile(framework, path, version, build, _shown(toolkit))


def _values(content: bytes) -> dict[str, object]:
    """Constants that the module assigns, and the pairs of literals within the calls and dictionaries it assigns."""
    tree = parse(content) if len(content) <= _BYTES else None
    return dict(pair for statement in tree.body for pair in _pairs(statement)) if tree is not None else {}


def _pairs(statement: ast.stmt) -> Iterator[tuple[str, object]]:
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    if isinstance(target, ast.Name) and isinstance(statement.value, ast.Constant):
        yield target.id, statement.value.value
        return
    for node in ast.walk(statement.value):
        pairs = zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ()
        for key, value in (
            *pairs,
            *([tuple(node.elts)] if isinstance(node, ast.Tuple) and len(node.elts) == 2 else ()),
        ):
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and isinstance(value, ast.Constant):
                yield key.value, value.value


def _shown(value: object) -> str:
    return printable(value[:_TEXT_CHARACTERS]) if isinstance(value, str) else ""
