"""Until rules/__init__.py lists the rules: finds them among its modules, in the agreed order."""

from __future__ import annotations

import importlib
import pkgutil

from imgopt_pipeline.dockerfiles import rewriting, rules

_ORDER = "R1 R18 R16 R10 R9 R14 R15 R4 R5 R12 R17 R2 R11 R6 R8 R13 R7 R3".split()

if not rules.RULES:
    modules = [
        importlib.import_module(f"{rules.__name__}.{found.name}") for found in pkgutil.iter_modules(rules.__path__)
    ]
    listed = tuple(sorted((module.RULE for module in modules), key=lambda rule: _ORDER.index(rule.technique)))
    rules.RULES = rewriting.RULES = listed  # type: ignore[attr-defined]
