"""What a final stage copies out of a build stage: from the paths that a step made to the COPY lines."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from imgopt_pipeline.dockerfiles.facts import MadePath
from imgopt_pipeline.dockerfiles.runs import Run
from imgopt_pipeline.dockerfiles.surroundings import Surroundings

_WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z0-9_./+@~:=,-]+")
_PROGRAM_FOLDERS = ("bin", "sbin")
_USELESS = re.compile(
    r"^/usr/(local/)?(src|include)(/|$)|/lib/(pkgconfig|cmake)(/|$)|\.l?a$|/(__pycache__|share/(man|doc|info|locale)|\.npm|\.gnupg|\.wget-hsts|\.config(/pip|/pypoetry)?)(/|$)|^/(tmp|var/tmp|run|var/cache|var/log)(/|$)"
)
_TEMPORARY = re.compile(r"/(var/)?tmp/")
_TOOLCHAINS = {
    "/root/.cargo": ("cargo", "rustc"),
    "/root/.rustup": ("cargo", "rustc"),
    "/usr/local/cargo": ("cargo", "rustc"),
    "/usr/local/rustup": ("cargo", "rustc"),
    "/usr/local/go": ("go",),
    "/root/go": ("go",),
    "/root/.local/share/pypoetry": ("poetry",),
    "/root/.local/bin/poetry": ("poetry",),
    "/opt/poetry": ("poetry",),
    "/root/.local/bin/uv": ("uv",),
    "/root/.local/bin/uvx": ("uv", "uvx"),
    "/usr/local/bin/uv": ("uv",),
    "/usr/local/bin/uvx": ("uv", "uvx"),
}
"""Where tools that build lie, by the programs that would need them at run time."""
_INSTALLERS = {
    "install.python-poetry.org": ("poetry",),
    "install-poetry.py": ("poetry",),
    "astral.sh/uv": ("uv", "uvx"),
    "sh.rustup.rs": ("cargo", "rustc"),
    "get.pnpm.io": ("pnpm",),
    "bun.sh/install": ("bun",),
}
"""Scripts that install such tools."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A path of the build stage and where it lies in the final stage. `whole`: nothing else brings anything there."""

    source: str
    target: str
    file: bool = False
    whole: bool = True
    owner: str = ""


def copies_of_made(made: Iterable[MadePath], used: Collection[str], run: Run) -> list[Copied] | None:
    """What to copy of the paths that a RUN made; None where a path cannot be written in a COPY.

    `used`: programs that the final image runs.
    """
    if _installs_unused_tool(run, used):
        return []
    copies: list[Copied] = []
    for item in made:
        if _USELESS.search(item.path) or _is_unused_toolchain(item.path, used):
            continue
        if not _PLAIN.fullmatch(item.path):
            return None
        in_programs = posixpath.basename(posixpath.dirname(item.path)) in _PROGRAM_FOLDERS
        owner = owner_in(run.around)
        copies.append(Copied(item.path, item.path, in_programs and not item.whole, item.whole, owner))
    return copies


def without_covered(copies: Iterable[Copied]) -> list[Copied]:
    """Each path once, and none that lies within another of the same owner."""
    kept: list[Copied] = []
    for copied in sorted(set(copies), key=lambda item: (item.target.count("/"), item.target)):
        if not any(is_inside(copied.source, other.source) and is_inside(copied.target, other.target) for other in kept):
            kept.append(copied)
    return sorted(kept, key=lambda item: (item.file, item.target))


def with_owner(copied: Copied, owners: Mapping[str, str]) -> Copied:
    """The same, of the owner of the nearest folder above it."""
    above = [folder for folder in owners if is_inside(copied.target, folder)]
    return replace(copied, owner=owners[max(above, key=len)]) if above else copied


def lines_of_copies(copies: Sequence[Copied], stage: str) -> list[str]:
    """The COPY instructions; the programs of a folder go together."""
    lines: list[str] = []
    folders: dict[tuple[str, str], list[str]] = {}
    for copied in copies:
        flags = f"--from={stage}" + (f" --chown={copied.owner}" if copied.owner else "")
        if copied.file and copied.source == copied.target:
            folders.setdefault((flags, posixpath.dirname(copied.target)), []).append(copied.source)
        else:
            lines.append(f"COPY {flags} {copied.source} {copied.target}")
    for (flags, folder), sources in folders.items():
        target = sources[0] if len(sources) == 1 else f"{folder}/"
        line = f"COPY {flags} {' '.join(sources)} {target}"
        if len(line) > _WIDTH:
            line = f"COPY {flags} \\\n    " + " \\\n    ".join([*sources, target])
        lines.append(line)
    return lines


def is_inside(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def is_temporary(path: str) -> bool:
    """Whether a path lies in a folder that nothing is kept in."""
    return _TEMPORARY.match(f"{path}/") is not None


def _installs_unused_tool(run: Run, used: Collection[str]) -> bool:
    """Whether a RUN runs the installer of a tool that the final image does not call."""
    text = " ".join(run.instruction.words)
    tools = [programs for address, programs in _INSTALLERS.items() if address in text]
    return bool(tools) and not any(program in used for programs in tools for program in programs)


def _is_unused_toolchain(path: str, used: Collection[str]) -> bool:
    for folder, programs in _TOOLCHAINS.items():
        if is_inside(path, folder):
            return not any(program in used for program in programs)
    return False


def owner_in(around: Surroundings) -> str:
    """Whose the files are that a RUN makes, as COPY takes it; empty for root.

    `app` becomes `app:app`, the group that useradd and adduser give.
    """
    user = around.user
    if around.as_root:
        return ""
    return user if ":" in user or user.isdigit() else f"{user}:{user}"
