"""Where one Python module names a device, and whether something decides about it first.

The module is parsed and never run. Judged is what stands in the text: a value under a condition that
speaks of GPUs, within `try` with an answer to failure, or given as a default is no hard demand. Walks
without recursion, because sources may nest deeply. What all modules together mean is `sources`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from imgopt_pipeline.gpu.expressions import (
    asks_availability,
    demands,
    last_name,
    leaves,
    literal_text,
    names_cuda_provider,
    speaks_of_gpus,
)

_GPU = re.compile(r"(?:cuda|gpu)(?::\d+)?", re.IGNORECASE)
_CPU = re.compile(r"cpu", re.IGNORECASE)
_DEVICE_NAME = re.compile(
    r"(?:^|_)(?:device|accelerator)$|^device_(?:map|name|type|str)$|^map_location$", re.IGNORECASE
)
_COMPUTE_NAME = re.compile(r"(?:^|_)compute_type$", re.IGNORECASE)
_ENVIRONMENT_NAME = re.compile(r"DEVICE(?:_TYPE|_NAME)?$|(?:USE|ENABLE|FORCE)_(?:GPU|CUDA)$", re.IGNORECASE)
_NEEDS_DRIVER = frozenset(
    {
        "set_device",
        "current_device",
        "get_device_name",
        "get_device_properties",
        "get_device_capability",
        "mem_get_info",
    }
)
_PLAIN_DECORATORS = frozenset(
    {"staticmethod", "classmethod", "property", "cached_property", "lru_cache", "cache", "no_grad"}
)
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Mention:
    """One place that names a device.

    `kind`: hard (a GPU, whatever is there), default (a GPU unless told otherwise), fallback (asked first),
    auto, environment, cpu, half precision, hidden (GPUs are hidden from the process). `function`: index of the
    function it stands in, None at module level. `variable`: the name that gets the value, if one does.
    """

    kind: str
    line: int
    text: str
    function: int | None
    variable: str = ""


@dataclass(slots=True)
class Function:
    """A function or method. `open`: frameworks may call it by themselves (decorated, or of a derived class)."""

    name: str
    owner: str
    open: bool
    references: set[str] = field(default_factory=set)


@dataclass(slots=True)
class ModuleDevices:
    """What a module says about devices, with the names that its module level and its functions refer to."""

    mentions: list[Mention] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    references: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands. `guarded`: under a condition about GPUs; `caught`: where its failure is answered."""

    function: int | None = None
    owner: str = ""
    derived: bool = False
    in_class: bool = False
    guarded: bool = False
    caught: bool = False


def devices_of(tree: ast.Module) -> ModuleDevices:
    """Walk a parsed module."""
    found = ModuleDevices()
    decided: set[tuple[int | None, str]] = set()
    stack: list[tuple[ast.AST, _Place]] = list(_block(tree.body, _Place()))
    while stack:
        node, place = stack.pop()
        references = found.references if place.function is None else found.functions[place.function].references
        if isinstance(node, ast.Name):
            references.add(node.id)
            continue
        if isinstance(node, ast.Attribute):
            references.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            references.update(alias.name for alias in node.names if alias.asname)
        found.mentions += _mentions(node, place)
        if place.guarded:
            decided.update((place.function, name) for name in _assigned(node))
        stack += _children(node, place, found)
    for index, mention in enumerate(found.mentions):
        if mention.kind in ("hard", "half") and (mention.function, mention.variable) in decided:
            words = f"{mention.text}, and replaced under a condition about GPUs"
            found.mentions[index] = replace(mention, kind="fallback", text=words)
    return found


def _block(statements: Sequence[ast.stmt], place: _Place) -> Iterator[tuple[ast.AST, _Place]]:
    """Statements with their places: after `if not …: return` the rest of a block is decided about."""
    for statement in statements:
        yield statement, place
        if isinstance(statement, ast.If) and speaks_of_gpus(statement.test) and leaves(statement.body):
            place = replace(place, guarded=True)


def _children(node: ast.AST, place: _Place, found: ModuleDevices) -> Iterator[tuple[ast.AST, _Place]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        decorators = {last_name(decorator) for decorator in node.decorator_list}
        is_open = bool(decorators - _PLAIN_DECORATORS) or place.derived
        found.functions.append(Function(node.name, place.owner, is_open))
        inside = _Place(function=len(found.functions) - 1, guarded=place.guarded, caught=place.caught)
        yield from ((child, place) for child in (*node.decorator_list, node.args))
        yield from _block(node.body, inside)
    elif isinstance(node, ast.ClassDef):
        bases = {last_name(base) for base in node.bases} - {"object", "ABC", "Protocol"}
        inside = replace(place, owner=node.name, derived=bool(bases), in_class=True)
        yield from ((child, place) for child in (*node.decorator_list, *node.bases))
        yield from _block(node.body, inside)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        inside = replace(place, guarded=place.guarded or speaks_of_gpus(node.test))
        yield node.test, place
        if isinstance(node, ast.IfExp):
            yield from ((child, inside) for child in (node.body, node.orelse))
        else:
            yield from _block(node.body, inside)
            yield from _block(node.orelse, inside)
    elif isinstance(node, ast.BoolOp):
        inside = replace(place, guarded=place.guarded or any(map(speaks_of_gpus, node.values[:-1])))
        yield from ((value, inside) for value in node.values)
    elif isinstance(node, ast.Try | ast.TryStar):
        answered = any(not leaves(handler.body, returns=False) for handler in node.handlers)
        yield from _block(node.body, replace(place, caught=place.caught or answered))
        for handler in node.handlers:
            yield from _block(handler.body, replace(place, guarded=True))
        yield from _block([*node.orelse, *node.finalbody], place)
    elif isinstance(node, ast.With | ast.AsyncWith | ast.For | ast.AsyncFor):
        rest = node.items if isinstance(node, ast.With | ast.AsyncWith) else (node.target, node.iter, *node.orelse)
        yield from ((child, place) for child in rest)
        yield from _block(node.body, place)
    else:
        yield from ((child, place) for child in ast.iter_child_nodes(node))


def _mentions(node: ast.AST, place: _Place) -> Iterator[Mention]:
    """What one node says by itself."""
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        for name in _assigned(node):
            yield from _valued(name, node.value, node.lineno, place, default=place.in_class)
        if _subscript_key(node) == _VISIBLE and literal_text(node.value) in ("", "-1"):
            yield Mention("hidden", node.lineno, f"{_VISIBLE} is set to {literal_text(node.value)!r}", place.function)
    elif isinstance(node, ast.Call):
        yield from _call(node, place)
    elif isinstance(node, ast.arguments):
        yield from _parameters(node, place)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and literal_text(key) is not None:
                yield from _valued(str(literal_text(key)), value, value.lineno, place, default=True, what="an entry")
    elif isinstance(node, ast.Subscript) and last_name(node.value) == "environ" and isinstance(node.ctx, ast.Load):
        variable = literal_text(node.slice)
        if variable is not None and _ENVIRONMENT_NAME.search(variable):
            yield Mention(
                "environment", node.lineno, f"the device comes from the environment variable {variable}", place.function
            )
    elif isinstance(node, ast.If) and asks_availability(node.test) and demands(node):
        yield Mention("hard", node.lineno, "the program ends where no GPU is available", place.function)
    elif isinstance(node, ast.If | ast.IfExp) and asks_availability(node.test):
        yield Mention("fallback", node.lineno, "the code asks whether a GPU is available", place.function)
    elif isinstance(node, ast.Assert) and asks_availability(node.test) and not place.guarded:
        yield _hard("an assertion demands that a GPU is available", node.lineno, place)


def _call(node: ast.Call, place: _Place) -> Iterator[Mention]:
    name = last_name(node.func)
    above = last_name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    first = literal_text(node.args[0]) if node.args else None
    if name in ("get", "getenv", "setdefault") and (name == "getenv" or above == "environ"):
        yield from _environment(node, place)
        return
    is_option = name in ("add_argument", "Option", "option", "Argument", "Field", "add_option")
    for keyword in node.keywords:
        if keyword.arg == "default" and is_option and first is not None and "device" in first.lower():
            yield from _valued(
                "device", keyword.value, node.lineno, place, default=True, what=f"the default of {first}"
            )
        elif keyword.arg == "providers" and names_cuda_provider(keyword.value):
            yield Mention("fallback", node.lineno, "ONNX Runtime is offered CUDA, and goes on without", place.function)
        elif keyword.arg is not None:
            yield from _valued(keyword.arg, keyword.value, keyword.value.lineno, place, what=f"{keyword.arg}=")
    if is_option and first is not None and _GPU.fullmatch(first):
        yield Mention("default", node.lineno, f"{first!r} is the default of an option", place.function)
    elif name == "cuda" and isinstance(node.func, ast.Attribute) and above not in ("torch", "version"):
        yield from _called(".cuda()", node.lineno, place)
    elif name in ("device", "to", "set_device", "set_default_device", "Device") and first is not None:
        yield from _valued("device", node.args[0], node.lineno, place, what=f"{name}()", cpu=name != "to")
    elif name == "set_default_tensor_type" and first is not None and "cuda" in first:
        yield from _called(f"{name}({first!r})", node.lineno, place)
    elif above == "cuda" and name in _NEEDS_DRIVER:
        yield from _called(f"torch.cuda.{name}()", node.lineno, place)


def _environment(node: ast.Call, place: _Place) -> Iterator[Mention]:
    """`os.environ.get("DEVICE", "cuda")` and the like."""
    texts = [literal_text(argument) for argument in node.args[:2]]
    name = texts[0] if texts else None
    if name is None or not _ENVIRONMENT_NAME.search(name):
        return
    default = texts[1] if len(texts) > 1 else None
    if default is not None and _GPU.fullmatch(default):
        words = f"the device is {default!r} unless the environment variable {name} says otherwise"
        if not place.guarded:
            yield Mention("default", node.lineno, words, place.function, name)
        return
    unless = f", {default!r} unless that is set" if default else ""
    yield Mention(
        "environment", node.lineno, f"the device comes from the environment variable {name}{unless}", place.function
    )


def _parameters(node: ast.arguments, place: _Place) -> Iterator[Mention]:
    named = [*node.posonlyargs, *node.args]
    pairs = list(zip(named[len(named) - len(node.defaults) :], node.defaults, strict=True))
    pairs += [(name, value) for name, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value is not None]
    for argument, value in pairs:
        yield from _valued(argument.arg, value, value.lineno, place, default=True, what=f"the parameter {argument.arg}")


def _valued(
    name: str, value: ast.expr, line: int, place: _Place, *, default: bool = False, what: str = "", cpu: bool = True
) -> Iterator[Mention]:
    """What a value says where it goes to something of that name."""
    if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or):
        value, default = value.values[-1], True
    text = literal_text(value)
    if text is None or place.guarded:
        return
    what = what or name
    if _COMPUTE_NAME.search(name):
        if text.lower() in ("float16", "int8_float16", "bfloat16"):
            yield Mention("half", line, f"{what} {text!r}, which a CPU refuses", place.function, name)
    elif not _DEVICE_NAME.search(name):
        return
    elif text.lower() == "auto":
        yield Mention("auto", line, f"{what} 'auto' takes what is there", place.function)
    elif _GPU.fullmatch(text) and default:
        yield Mention("default", line, f"{what} is {text!r} unless told otherwise", place.function, name)
    elif _GPU.fullmatch(text):
        yield _hard(f"{what} {text!r} is written into the code", line, place, name)
    elif _CPU.fullmatch(text) and cpu and not default:
        yield Mention("cpu", line, f"{what} {text!r} is written into the code", place.function)


def _hard(text: str, line: int, place: _Place, variable: str = "") -> Mention:
    if place.caught:
        return Mention("fallback", line, f"{text}, and its failure is answered", place.function)
    return Mention("hard", line, text, place.function, variable)


def _called(what: str, line: int, place: _Place) -> Iterator[Mention]:
    if not place.guarded:
        yield _hard(f"{what} is called whatever is there", line, place)


def _assigned(node: ast.AST) -> list[str]:
    """Names and attributes that a statement gives a value."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [last_name(target) for target in targets if isinstance(target, ast.Name | ast.Attribute)]


def _subscript_key(node: ast.Assign | ast.AnnAssign) -> str | None:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return (
        literal_text(target.slice)
        if isinstance(target, ast.Subscript) and last_name(target.value) == "environ"
        else None
    )
