"""Whether an application on this machine is used: by a container, a compose project beside it, or a process.

A process counts by its working directory, program and open files, and by absolute paths in its arguments: `node
/srv/shop/server.js` keeps none of its files open. Arguments may hold secrets: they are compared and forgotten.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from imgopt_pipeline.cleaning.standing import Standing, labels_of, name_of, runs
from imgopt_pipeline.hosts.mount_points import MountTable, is_within, parse_mountinfo
from imgopt_pipeline.hosts.mounted_directories import plain_path
from imgopt_pipeline.hosts.processes import local_processes
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.labels import FOLDER, PROJECT

_PROC = Path("/proc")
_ARGUMENT_BYTES = 128_000


class Users:
    """Who uses what, as it was when this was made."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._table = MountTable(parse_mountinfo((_PROC / "self/mountinfo").read_bytes()))
        self._processes = local_processes(self._table)
        self._arguments = list(_named_paths())

    def mount_paths(self) -> frozenset[str]:
        """Where something is mounted."""
        return self._table.paths()

    def why_in_use(self, path: str) -> str | None:
        """Who uses the application whose node_modules or output this is; None where nobody does."""
        application = os.path.dirname(path)
        return self._container(path, application) or self._process(application)

    def why_held(self, path: str) -> str | None:
        """Who uses what was moved aside: nothing there is an application any more."""
        return self._container(path, path) or self._process(path)

    def _container(self, path: str, application: str) -> str | None:
        for container in self._standing.in_use():
            who = f"container {name_of(container)}"
            who += " runs and" if runs(container) else ", which may be started again,"
            if any(self._overlap(source, path) for source in _mounted(container)):
                return f"{who} mounts it"
            folder = plain_path(printable(str(labels_of(container).get(FOLDER) or "")))
            if folder and self._overlap(folder, application):
                project = printable(str(labels_of(container).get(PROJECT) or ""))
                return f"compose project {project} beside it runs ({name_of(container)})"
        return None

    def _process(self, application: str) -> str | None:
        if self._processes is None:
            return "whether a process uses it cannot be seen: run as root"
        for process in self._processes:
            if any(is_within(held, application) for held in process.paths):
                return f"process {process.label} works in it or has a file of it open"
        for pid, path in self._arguments:
            if is_within(path, application):
                return f"process {pid} was started with a path in it"
        return None

    def _overlap(self, one: str, other: str) -> bool:
        """Whether a folder is another, or lies in it or around it, under whatever names they are mounted."""
        first, second = self._table.inside(os.path.realpath(one)), self._table.inside(other)
        if first is None or second is None or first[0] != second[0]:
            return is_within(one, other) or is_within(other, one)
        return is_within(first[1], second[1]) or is_within(second[1], first[1])


def _mounted(container: object) -> Iterator[str]:
    """What a container mounts of this machine; not the whole of it, only to be watched."""
    mounts = container.get("Mounts") if isinstance(container, dict) else None
    for mount in mounts or []:
        source = plain_path(printable(str(mount.get("Source") or "")))
        if source and not (source == "/" and not mount.get("RW")):
            yield source


def _named_paths() -> Iterator[tuple[int, str]]:
    """Paths in the arguments of processes that see this machine's files; not of this one and those that started it."""
    own, ours = _link(_PROC / "self/ns/mnt"), set(_ancestors(os.getpid()))
    for name in sorted(os.listdir(_PROC)):
        if not (name.isascii() and name.isdigit()) or int(name) in ours:
            continue
        folder = _PROC / name
        if _link(folder / "ns/mnt") != own:
            continue
        try:
            with open(folder / "cmdline", "rb") as file:
                arguments = file.read(_ARGUMENT_BYTES).split(b"\0")
        except OSError:
            continue  # it ended
        here = _link(folder / "cwd")
        for argument in arguments:
            path = os.fsdecode(argument.rpartition(b"=")[2] if argument.startswith(b"-") else argument)
            if "/" in path:
                yield int(name), os.path.normpath(os.path.join(here or "/", path))


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        yield pid
        try:
            # After the name in parentheses, which may hold anything: the state, then the parent.
            pid = int((_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
