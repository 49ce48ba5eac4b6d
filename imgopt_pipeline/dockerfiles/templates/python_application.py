"""Where a Python project's application is, found in its syntax: nothing is imported or run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.templates.project_files import ProjectFolder

_HEALTH = re.compile(
    r"/(?:api/)?(?:v\d/)?(?:-/)?(?:health|healthz|healthcheck|health-check|livez|live|readyz|ready|ping|status)/?"
)
_PREFERRED = ("main", "app", "server", "asgi", "api")


@dataclass(frozen=True, slots=True)
class Application:
    """`module:name` below `folder` ('' or 'src'); `factory`: the name is a function that makes the application."""

    module: str
    name: str
    folder: str = ""
    factory: bool = False
    health_path: str | None = None

    @property
    def target(self) -> str:
        return f"{self.module}:{self.name}"


def find_fastapi(project: ProjectFolder) -> list[Application]:
    """The FastAPI applications of a project, the likeliest first."""
    found = [item for path, text in project.sources(".py") if "FastAPI" in text for item in _in_source(path, text)]
    return sorted(found, key=_rank)


def find_script(project: ProjectFolder) -> str | None:
    """The file that a person would run: the nearest to the root with a main block, the usual names first."""
    scripts = [path for path, text in project.sources(".py") if "/" not in path and "__main__" in text]
    usual = [path for path in scripts if path.removesuffix(".py") in (*_PREFERRED, "serve", "run", "inference")]
    named = project.first(*(f"{name}.py" for name in _PREFERRED))
    return next(iter([*usual, *scripts]), named)


def _rank(item: Application) -> tuple[bool, int, int, str]:
    last = item.module.rpartition(".")[2]
    place = _PREFERRED.index(last) if last in _PREFERRED else len(_PREFERRED)
    return item.factory, item.module.count("."), place, item.target


def _in_source(path: str, text: str) -> Iterator[Application]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Not Python of this version, or not meant to be read: no application of this project then.
        return
    folder = "src" if path.startswith("src/") else ""
    module = path.removeprefix("src/").removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    if not all(part.isidentifier() for part in module.split(".")):
        return
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and _makes_app(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    yield Application(module, target.id, folder, health_path=_health_route(tree, target.id))
        elif isinstance(node, ast.FunctionDef) and not (node.args.args or node.args.kwonlyargs):
            made = [each for each in ast.walk(node) if isinstance(each, ast.Assign) and _makes_app(each.value)]
            if made and any(isinstance(each, ast.Return) for each in ast.walk(node)):
                names = {target.id for each in made for target in each.targets if isinstance(target, ast.Name)}
                routes = (_health_route(node, name) for name in sorted(names))
                health = next((route for route in routes if route), None)
                yield Application(module, node.name, folder, factory=True, health_path=health)


def _makes_app(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call):
        return False
    called = value.func
    return (called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")) == "FastAPI"


def _health_route(tree: ast.AST, application: str) -> str | None:
    """The path of a health route that the application itself has, as `@app.get("/health")`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for call in node.decorator_list:
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "get"):
                continue
            owner, first = call.func.value, call.args[0] if call.args else None
            known = isinstance(owner, ast.Name) and owner.id == application
            path = first.value if isinstance(first, ast.Constant) else None
            if known and isinstance(path, str) and _HEALTH.fullmatch(path):
                return path
    return None
