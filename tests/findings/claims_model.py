"""The claims of one image, file by file and without haste: what findings/claims.sql must agree with."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FULL_BASE_NAMES = (
    "autoconf automake default-libmysqlclient-dev imagemagick libdb-dev libevent-dev libgdbm-dev libkrb5-dev"
    " libmagickcore-dev libmagickwand-dev libmaxminddb-dev libtool libwebp-dev mercurial subversion"
)
FULL_BASE = frozenset(_FULL_BASE_NAMES.split())
LEVELS = ("low", "likely", "high")
_COMPILER = re.compile(
    r"(gcc|g\+\+|cpp|gfortran|clang|clang-tools|llvm|binutils|rustc|cargo|golang|nasm|yasm|musl-dev|build-essential"
    r"|build-base)(-.*)?|libbinutils|libcc1-0|libgprofng0|libctf0|libctf-nobfd0|lib(a|l|t|hwa)san[0-9]+|libubsan[0-9]+"
)
_BUILDING = re.compile(
    r".*-dev|make|cmake|cmake-data|ninja-build|samurai|meson|autoconf|automake|autotools-dev|libtool|m4|bison|flex"
    r"|pkg-config|pkgconf|pkgconf-bin|patch|dpkg-dev|libdpkg-perl|fakeroot|swig|ccache"
)
_TOOL = re.compile(r"git|git-man|mercurial|mercurial-common|subversion|perl|perl-modules-.*|libperl5.*")
_TESTS = r"(tests?|__tests__|docs?|examples?|benchmarks?)/"
_FOLDERS = {
    r"/var/lib/apt/lists/|/var/cache/(apt|apk|dnf|yum|zypp|pacman/pkg)/|/etc/apk/cache/": ("R5:low", "R11:low"),
    r".*/(\.cache/(pip|uv|pypoetry|pipenv|yarn|pnpm|node-gyp|go-build)|\.npm/_cacache|\.yarn/berry/cache"
    r"|\.bun/install/cache|\.conda/pkgs|(conda|miniconda3|anaconda3|mambaforge|miniforge3)/pkgs)/": (
        "R6:low",
        "R11:low",
    ),
    r".*/(\.?cargo/registry|go/pkg/mod/cache|\.m2/repository|\.gradle/caches)/": ("R6:likely", "R11:likely"),
    r".*/(pnpm/store|\.pnpm-store)/": ("R6:high", "R11:high"),
    rf".*/(site-packages|dist-packages|lib/python3[^/]*)/(.*/)?{_TESTS}": ("R9:likely",),
    rf".*/node_modules/(@[^/]*/)?[^/@][^/]*/(.*/)?{_TESTS}": ("R9:likely",),
    r".*/__pycache__/[^/]*$|/usr/(local/)?share/(locale|man|doc|info|help|gtk-doc)/": ("R9:high",),
    r".*/\.(git|svn|hg|bzr)/": ("R10:low",),
    r".*/\.next/cache/": ("R13:high",),
    r"/usr/lib/debug/|.*\.debug$": ("R14:likely",),
    r".*\.a$": ("R15:likely",),
    r"/usr/(local/)?include/|.*\.(h|hpp|hh|hxx|cuh)$": ("R15:high",),
    r"/opt/nvidia/nsight.*/|/usr/local/cuda[^/]*/(bin|nvvm|include|nsight[^/]*|compute-sanitizer|extras|libnvvp|tools|src|samples"
    r"|nvml|doc|gds|lib64/stubs|targets/[^/]*/(include|lib/stubs))/|/usr/local/cuda.*/.*\.a$": ("R16:likely",),
    r".*\.pyc$": ("R9:high",),
}
_CACHES = tuple(list(_FOLDERS)[:4])


@dataclass(frozen=True)
class Owner:
    ecosystem: str
    name: str
    section: str = ""
    requires: tuple[str, ...] = ()
    gpu_role: str = ""
    development: bool = False
    only_recommended: bool = False


@dataclass(frozen=True)
class File:
    position: int
    path: str
    size_bytes: int
    owner: int | None = None
    media: bool = False
    gpu_only: bool = False


def claims_of(file: File, files: Sequence[File], owners: Sequence[Owner], copied: frozenset[int]) -> frozenset[str]:
    """The surest claim of each technique on a live file."""
    found = set(_by_path(file.path))
    base = _full_base(files, owners)
    if file.owner is not None:
        found |= set(_by_owner(owners[file.owner], owners, file.position, base))
    if file.gpu_only and (file.owner is None or owners[file.owner].gpu_role not in ("library", "plugin", "compiler")):
        found.add("R1:likely")
    modules = "/node_modules/" in "/" + file.path.rpartition("/")[0] + "/"
    if file.position in copied and (modules or file.media):
        found.add("R10:high")
    if modules and any(root.startswith(_parent(file.path)) for root in _next_roots(files)):
        found.add("R13:high")
    if file in _duplicates(files):
        found.add("R18:likely")
    return surest(found)


def surest(claims: set[str]) -> frozenset[str]:
    best: dict[str, str] = {}
    for claim in claims:
        technique, level = claim.split(":")
        if technique not in best or LEVELS.index(level) < LEVELS.index(best[technique]):
            best[technique] = level
    return frozenset(f"{technique}:{level}" for technique, level in best.items())


def gain(groups: dict[frozenset[str], int], techniques: set[str], level: str) -> int:
    """Bytes that the techniques would remove by an estimate, from bytes by their claims."""
    counted = LEVELS[: LEVELS.index(level) + 1]
    wanted = {f"{technique}:{which}" for technique in techniques for which in counted}
    return sum(size for claims, size in groups.items() if claims & wanted)


def groups_of(
    files: Sequence[File], owners: Sequence[Owner], copied: frozenset[int]
) -> dict[tuple[int, frozenset[str]], int]:
    """Bytes by layer and claims; nothing for files without."""
    groups: dict[tuple[int, frozenset[str]], int] = defaultdict(int)
    for file in files:
        if claims := claims_of(file, files, owners, copied):
            groups[file.position, claims] += file.size_bytes
    return {key: size for key, size in groups.items() if size}


def _by_path(path: str) -> Iterator[str]:
    """One cache kind at most, the first; of the rest all."""
    cached = False
    for pattern, claims in _FOLDERS.items():
        if (pattern in _CACHES and cached) or not re.match(pattern, "/" + path):
            continue
        cached = cached or pattern in _CACHES
        yield from claims


def _by_owner(owner: Owner, owners: Sequence[Owner], position: int, base: int | None) -> Iterator[str]:
    needed = {name for other in owners if not other.gpu_role for name in other.requires}
    plain = re.sub(r"[-_.]+", "-", owner.name.lower())
    compiler = bool(_COMPILER.fullmatch(owner.name)) and not owner.name.endswith(("-base", "-libs"))
    building = bool(_BUILDING.fullmatch(owner.name)) or owner.section.rpartition("/")[2] in ("libdevel", "devel")
    tool = bool(_TOOL.fullmatch(owner.name))
    if owner.gpu_role in ("library", "plugin"):
        yield {"library": "R1:low", "plugin": "R1:likely"}[owner.gpu_role]
    if owner.gpu_role == "compiler" and plain not in needed:
        yield "R1:high"
    if owner.ecosystem == "debian" and owner.only_recommended:
        yield "R4:high" if owner.section.rpartition("/")[2] in ("libs", "oldlibs") else "R4:likely"
    if owner.ecosystem == "node" and owner.development:
        yield "R7:likely"
    if owner.ecosystem in ("debian", "alpine") and position > (base or 0) and (compiler or building or tool):
        yield "R3:low" if compiler else "R3:likely" if building else "R3:high"
    if owner.ecosystem == "debian" and base is not None and min(1, base) <= position <= base:
        magick = owner.name == "imagemagick" or owner.name.startswith("libmagick")
        yield "R8:likely" if compiler or building or tool or magick else "R8:high"


def _full_base(files: Sequence[File], owners: Sequence[Owner]) -> int | None:
    lowest: dict[str, int] = {}
    for file in files:
        owner = owners[file.owner] if file.owner is not None else None
        if owner and owner.ecosystem == "debian" and owner.name in FULL_BASE:
            lowest[owner.name] = min(file.position, lowest.get(owner.name, file.position))
    return max(lowest.values()) if len(lowest) >= 8 else None


def _parent(path: str) -> str:
    return ("/" + path).partition("node_modules/")[0]


def _next_roots(files: Sequence[File]) -> set[str]:
    folders = {"/" + file.path.rpartition("/")[0] + "/" for file in files}
    outputs = {folder for folder in folders if "/.next/" in folder and "/node_modules/" not in folder}
    roots = {folder.partition(".next/")[0] for folder in outputs}
    return {root for root in roots if not any(folder.startswith(f"{root}.next/standalone/") for folder in outputs)}


def _duplicates(files: Sequence[File]) -> set[File]:
    sides: dict[bool, dict[File, str]] = {True: {}, False: {}}
    for file in files:
        name = file.path.rpartition("/")[2]
        wheel = "-packages/nvidia/" in file.path
        system = file.path.startswith("usr/local/cuda") or re.match(
            r"usr/lib/[^/]*/lib(cudnn|nccl|cublas)[^/]*$", file.path
        )
        if ".so" in file.path and (wheel or system):
            sides[wheel][file] = name.partition(".so")[0]
    both = {stem for stem in sides[True].values() if "lib" in stem} & set(sides[False].values())
    chosen = {wheel: {file for file, stem in side.items() if stem in both} for wheel, side in sides.items()}
    sums = {wheel: sum(file.size_bytes for file in side) for wheel, side in chosen.items()}
    return chosen[False] if sums[False] <= sums[True] else chosen[True]
