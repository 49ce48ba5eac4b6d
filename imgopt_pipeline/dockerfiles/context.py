"""What a build context holds, read from its folder within bounds: how big its parts are, how it installs and builds.

Nothing is followed out of the folder and only small regular files are opened. Files that may hold credentials
(`.npmrc`) are known by name only.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from imgopt_pipeline.dockerfiles.facts import ContextFacts
from imgopt_pipeline.dockerfiles.ignore_file import IgnoreFile, ignore_file
from imgopt_pipeline.errors import ImgoptError

_ENTRIES = 400_000
_SECONDS = 20.0
_TEXT_BYTES = 256_000
_HEAD_BYTES = 4_000
_TEXTS = 200
_TEXT_DEPTH = 4
_TEXT = re.compile(
    r"(?:.*requirements.*|constraints.*)\.(?:txt|in)|pyproject\.toml|setup\.(?:py|cfg)|Pipfile|environment\.ya?ml"
    r"|package\.json|pnpm-workspace\.yaml|\.yarnrc\.yml|next\.config\.(?:js|mjs|cjs|ts)|\.nvmrc|\.python-version"
)
_HEAD = re.compile(
    r"poetry\.lock|uv\.lock|pdm\.lock|Pipfile\.lock|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|yarn\.lock"
    r"|bun\.lockb?"
)
_PRESENCE = re.compile(r"\.npmrc|\.netrc|pip\.conf")
_NOT_WITHIN = frozenset({"node_modules", ".git", ".venv", "venv", "site-packages"})
_FOLLOWED = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)", re.MULTILINE)


class ContextError(ImgoptError):
    """A build context that is missing, no folder, or not readable."""

    kind = "context"


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    size_bytes: int


def read_context(
    folder: Path, dockerfile: str = "Dockerfile", *, entries: int = _ENTRIES, seconds: float = _SECONDS
) -> ContextFacts:
    """Facts of a build context. `dockerfile`: its path, whose own `.dockerignore` counts before the context's.

    Where the context has more entries, or takes longer, sizes are those of what was seen. Raises ContextError.
    """
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise ContextError("the build context is no folder.", subject=str(folder))
        os.scandir(folder).close()
    except OSError as error:
        raise ContextError(
            f"the build context cannot be read ({error.strerror}).",
            subject=str(folder),
            hint="Name another one with --context.",
        ) from error
    lines = _ignored_lines(folder, dockerfile)
    rules = ignore_file(lines or ())
    sizes: dict[str, int] = {}
    texts: dict[str, str] = {}
    for found in _walk(folder, rules, entries, time.monotonic() + seconds):
        top, _, _ = found.path.partition("/")
        sizes[top] = sizes.get(top, 0) + found.size_bytes
        if len(texts) < _TEXTS and _is_told(found.path):
            texts[found.path] = _text(folder / found.path, PurePosixPath(found.path).name)
    _follow(folder, rules, texts)
    return ContextFacts(lines, dict(sorted(sizes.items())), dict(sorted(texts.items())))


def _ignored_lines(folder: Path, dockerfile: str) -> tuple[str, ...] | None:
    own = Path(folder, f"{dockerfile}.dockerignore")
    for path in (own, folder / ".dockerignore"):
        text = _read(path, _TEXT_BYTES)
        if text is not None:
            return tuple(text.splitlines())
    return None


def _walk(folder: Path, rules: IgnoreFile, entries: int, deadline: float) -> Iterator[_Found]:
    """All that is sent to the builder: files with their bytes, folders and links with none; breadth first."""
    waiting = [""]
    for parent in waiting:
        with suppress(OSError), os.scandir(folder / parent) as listing:
            for entry in listing:
                entries -= 1
                if entries < 0 or time.monotonic() > deadline:
                    return
                path = f"{parent}/{entry.name}" if parent else entry.name
                is_folder = entry.is_dir(follow_symlinks=False)
                if rules.ignores_all_below(path) if is_folder else rules.ignores(path):
                    continue
                if is_folder:
                    waiting.append(path)
                if not rules.ignores(path):
                    status = entry.stat(follow_symlinks=False)
                    yield _Found(path, status.st_size if stat.S_ISREG(status.st_mode) else 0)


def _is_told(path: str) -> bool:
    *folders, name = path.split("/")
    if len(folders) > _TEXT_DEPTH or not _NOT_WITHIN.isdisjoint(folders):
        return False
    return any(pattern.fullmatch(name) for pattern in (_TEXT, _HEAD, _PRESENCE))


def _text(path: Path, name: str) -> str:
    if _PRESENCE.fullmatch(name):
        return ""
    if _HEAD.fullmatch(name):
        return _read(path, _HEAD_BYTES, whole=False) or ""
    return _read(path, _TEXT_BYTES) or ""


def _follow(folder: Path, rules: IgnoreFile, texts: dict[str, str]) -> None:
    """Add the files that requirements name, whatever they are called."""
    waiting = [path for path in texts if path.endswith((".txt", ".in"))]
    for path in waiting:
        for named in _FOLLOWED.findall(texts[path]):
            other = os.path.normpath(os.path.join(os.path.dirname(path), named))
            if other in texts or other.startswith(("..", "/")) or rules.ignores(other) or len(texts) >= _TEXTS:
                continue
            text = _read(folder / other, _TEXT_BYTES, root=folder)
            if text is not None:
                texts[other] = text
                waiting.append(other)


def _read(path: Path, limit: int, *, whole: bool = True, root: Path | None = None) -> str | None:
    """The text of a regular file, None for other things and, where it is asked for whole, for bigger ones."""
    try:
        if root is not None and not path.resolve().is_relative_to(root.resolve()):
            return None
        # Without waiting: what stands there may be a pipe by now.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError, RuntimeError):  # the last for links that lead round in a circle
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (whole and status.st_size > limit):
            return None
        with suppress(OSError):
            return file.read(limit).decode("utf-8", "replace")
    return None
