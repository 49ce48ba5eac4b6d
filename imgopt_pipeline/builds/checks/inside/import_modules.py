"""Run by an image's own Python, 3.7 or later: imports every installed top-level module, answers in JSON.

All in one child process first; what fails there, or ends it, is tried again alone.
"""

from __future__ import annotations

import json
import os
import pkgutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time

CHILD = r"""
import importlib, os, sys
told = os.fdopen(int(sys.argv[1]), "w", buffering=1)
sys.stdin = open(os.devnull)
modules = sys.argv[2:]
sys.argv = [""]
for name in modules:
    told.write("? %s\n" % name)
    try:
        importlib.import_module(name)
    except BaseException as error:
        text = " ".join(("%s: %s" % (type(error).__name__, error)).split())
        told.write("- %s %s\n" % (name, text.encode("ascii", "replace").decode()[:500]))
    else:
        told.write("+ %s\n" % name)
told.flush()
os._exit(0)
"""
UNWANTED = {"this", "antigravity", "__main__", "idlelib", "turtle", "pip", "_virtualenv", "distutils-precedence"}


def folders() -> list[str]:
    """Where installed packages lie."""
    standard = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    listed = [*sys.path, *site.getsitepackages()] if hasattr(site, "getsitepackages") else sys.path
    found = dict.fromkeys(os.path.realpath(path) for path in listed if path and os.path.isdir(path))
    own = {os.path.realpath(os.getcwd())}
    return [path for path in found if path not in standard | own and not path.endswith("lib-dynload")]


def installed() -> list[str]:
    """The top-level modules of those folders."""
    names = {module.name for module in pkgutil.iter_modules(folders())}
    return sorted(name for name in names - UNWANTED if name.isidentifier() and name not in sys.builtin_module_names)


def distributions() -> dict[str, list[str]]:
    """By module the packages that bring it."""
    try:
        from importlib.metadata import packages_distributions
    except ImportError:  # before 3.10
        return {}
    return {name: sorted(set(owners)) for name, owners in packages_distributions().items()}


def attempt(names: list[str], seconds: float) -> tuple[dict[str, str], list[str]]:
    """Errors by module, empty ones for those that import, and the modules that were not reached."""
    read, write = os.pipe()
    with tempfile.TemporaryFile() as said:
        command = [sys.executable, "-c", CHILD, str(write), *names]
        child = subprocess.Popen(command, pass_fds=[write], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    os.close(write)
    results: dict[str, str] = {}
    trying = names[0]
    since = [time.monotonic()]
    hung = []

    def watch() -> None:
        while child.poll() is None:
            if time.monotonic() - since[0] > seconds:
                hung.append(True)
                child.kill()
            time.sleep(0.2)

    threading.Thread(target=watch, daemon=True).start()
    with os.fdopen(read) as lines:
        for line in lines:
            since[0] = time.monotonic()
            sign, name, *error = line.rstrip("\n").split(" ", 2)
            if sign == "?":
                trying = name
            else:
                results[name] = "" if sign == "+" else error[0] if error else "fails"
    code = child.wait()
    rest = [name for name in names if name not in results]
    if rest:
        at = trying if trying not in results else rest[0]
        results[at] = f"takes longer than {seconds:g} s" if hung else f"ends Python (exit code {code})"
        rest = [name for name in rest if name != at]
    return results, rest


def main() -> None:
    """Print what imports."""
    given = json.loads(sys.argv[1])
    deadline = time.monotonic() + given["total_seconds"]
    names = installed()
    errors: dict[str, str] = {}
    left = names
    while left and time.monotonic() < deadline:
        results, left = attempt(left, given["seconds"])
        errors.update(results)
    for name in [name for name, error in errors.items() if error][: given["retries"]]:
        if time.monotonic() < deadline:
            errors.update(attempt([name], given["seconds"])[0])
    system = [module.name for module in pkgutil.iter_modules(["/usr/lib/python3/dist-packages"])]
    told = {"modules": errors, "left": left, "owners": distributions(), "system": system}
    sys.stdout.write(json.dumps(told))


main()
