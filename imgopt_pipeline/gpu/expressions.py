"""Python sources as syntax trees, and what an expression or a block speaks of, by its words alone."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence

_GUARD_WORD = re.compile(r"cuda|gpu|device|accelerator|hip|rocm|is_available|providers|backend", re.IGNORECASE)
_AVAILABILITY = re.compile(
    r"is_available|(?:cuda|gpu)_available|is_torch_cuda|device_count|list_physical_devices|get_available_providers"
    r"|is_built_with_cuda|default_backend|has_cuda|cuda_is",
)
_EXITS = frozenset({"exit", "_exit", "quit", "abort"})

_FILE_NAME = "<imgopt source>"


def parse(content: bytes) -> ast.Module | None:
    """The syntax tree; None for what Python cannot parse, for whichever reason."""
    # Invalid escapes in somebody's strings are none of the reader's business; filtering again changes nothing.
    for category in (SyntaxWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", category=category, module=re.escape(_FILE_NAME))
    try:
        return ast.parse(content, _FILE_NAME)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def demands(node: ast.If) -> bool:
    """`if not available: raise`, or the same the other way round."""
    negated = isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)
    return leaves(node.body if negated else node.orelse, returns=False)


def leaves(statements: Sequence[ast.stmt], *, returns: bool = True) -> bool:
    """Whether a block ends by leaving: with `returns` also by return, continue or break, else only by failing."""
    if not statements:
        return False
    last = statements[-1]
    if isinstance(last, ast.Raise) or (returns and isinstance(last, ast.Return | ast.Continue | ast.Break)):
        return True
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and last_name(last.value.func) in _EXITS


def speaks_of_gpus(test: ast.expr) -> bool:
    """Whether a condition has to do with GPUs or devices."""
    return any(_GUARD_WORD.search(word) for word in words_of(test))


def asks_availability(test: ast.expr) -> bool:
    """Whether it asks what is there."""
    return any(_AVAILABILITY.search(word) for word in words_of(test))


def words_of(expression: ast.expr) -> Iterator[str]:
    """Names, attributes and texts within an expression."""
    for node in ast.walk(expression):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def names_cuda_provider(value: ast.expr) -> bool:
    """Whether ONNX Runtime's provider for CUDA is among the words."""
    return any(word == "CUDAExecutionProvider" for word in words_of(value))


def last_name(node: ast.AST) -> str:
    """`c` of `a.b.c`, and of a call of it."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def literal_text(node: ast.AST) -> str | None:
    """The value of a literal text, None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
