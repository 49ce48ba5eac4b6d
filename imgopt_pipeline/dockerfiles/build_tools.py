"""What is needed only to build: packages of the distribution that do nothing at run time, and commands that build.

The words are those of findings/claims.sql, which counts their bytes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from imgopt_pipeline.dockerfiles import apt
from imgopt_pipeline.dockerfiles.facts import ImageFacts, PackageFacts
from imgopt_pipeline.dockerfiles.runs import Call
from imgopt_pipeline.dockerfiles.shell import Word

_COMPILER = re.compile(
    r"(gcc|g\+\+|cpp|gfortran|clang|clang-tools|llvm|binutils|rustc|cargo|golang|nasm|yasm|musl-dev|build-essential|build-base)"
    r"(-.*)?|(libbinutils|libcc1-0|libgprofng0|libctf0|libctf-nobfd0)|lib(a|l|t|hwa)san[0-9]+|libubsan[0-9]+"
)
_BUILDING = re.compile(
    r".*-dev|make|cmake|cmake-data|ninja-build|samurai|meson|autoconf|automake|autotools-dev|libtool|m4|bison|flex"
    r"|pkg-config|pkgconf|pkgconf-bin|patch|dpkg-dev|libdpkg-perl|fakeroot|swig|ccache"
)
_TOOL = re.compile(r"git|git-man|mercurial|mercurial-common|subversion")

#: What fetches or unpacks: needed at run time only where something says so.
FETCHERS = frozenset({"curl", "wget", "unzip", "bzip2", "xz-utils", "xz", "zip", "gnupg", "gnupg2", "git-lfs"})

PROGRAMS = {
    "gcc": ("gcc",),
    "cc": ("gcc",),
    "g++": ("g++",),
    "make": ("make",),
    "cmake": ("cmake",),
    "git": ("git",),
    "hg": ("mercurial",),
    "svn": ("subversion",),
    "cargo": ("cargo",),
    "rustc": ("rustc",),
    "go": ("golang",),
    "pkg-config": ("pkg-config", "pkgconf"),
    "patch": ("patch",),
    "curl": ("curl",),
    "wget": ("wget",),
    "unzip": ("unzip",),
    "zip": ("zip",),
    "gpg": ("gnupg", "gnupg2"),
    "xz": ("xz-utils", "xz"),
    "bzip2": ("bzip2",),
}
"""Programs by the packages that bring them, as far as these may go from the image."""

_NO_LIBRARY = re.compile(r".*-(bin|doc|common|data)|lib(js|python)[.\d-].*")
_DISTRIBUTION = {"apt-get": "debian", "apt": "debian", "apk": "alpine"}
_COMPILING_AT_RUN_TIME = (
    "vllm",
    "sglang",
    "deepspeed",
    "flashinfer-python",
    "lightllm",
    "tensorrt-llm",
    "pycuda",
    "pyopencl",
    "pythran",
    "theano",
    "aesara",
    "pytensor",
)
_NEED_GIT = {"gitpython", "dvc", "pre-commit", "simple-git"}

_BUILDERS = re.compile(
    r"pip|uv( pip)?|poetry|pipenv|pdm|hatch|conda|mamba|micromamba|make|cmake|ninja|meson|gcc|g\+\+|cc|c\+\+"
    r"|clang(\+\+)?|gfortran|cargo|rustc|rustup|go|bundle|gem|composer|mvnw?|gradlew?|ld|nvcc|autoreconf|autoconf"
    r"|configure|setup\.py|cython(ize)?|maturin|npm|npx|yarn(pkg)?|pnpm|pnpx|corepack|bunx?|lerna|turbo|nx|tsc|webpack|vite|git|hg|svn|dotnet"
    r"|mix|rebar3|stack|cabal|sbt|lein|swift|build|setuptools|wheel"
)
"""Programs that install or compile what can be copied afterwards."""
_NODE_TOOLS = re.compile(
    r"npm|pnpm|yarn|corepack|typescript|turbo|nx|lerna|vite|webpack(-cli)?|node-gyp|rimraf|@nestjs/cli|@angular/cli"
    r"|@vue/cli|gulp(-cli)?|grunt(-cli)?|bower|esbuild|rollup|parcel|tsup|prisma|eslint|jest|bun"
)
_GLOBAL = ("-g", "--global", "--location")


def is_build_tool(name: str, section: str = "") -> bool:
    """Whether a package of the distribution serves to build, or to fetch what is built."""
    if name.endswith(("-base", "-libs")):
        return False
    in_section = section.rpartition("/")[2] in ("libdevel", "devel")
    return in_section or any(pattern.fullmatch(name) for pattern in (_COMPILER, _BUILDING, _TOOL))


def install_calls(calls: Iterable[Call]) -> list[Call]:
    """The calls that install packages of the distribution."""
    return [
        call
        for call in calls
        if (call.program in apt.APT and call.does == "install") or (call.program == "apk" and call.does == "add")
    ]


def package_words(call: Call) -> list[Word]:
    """The words of such a call that name packages."""
    if call.program in apt.APT:
        return apt.package_words(call)
    words: list[Word] = []
    value_follows = False
    for word in call.arguments:
        if not value_follows and not word.text.startswith(("-", ".")) and word.literal:
            words.append(word)
        value_follows = word.text in ("-t", "--virtual", "-X", "--repository", "-p", "--root")
    return words


def package_name(word: Word) -> str:
    """The name that it holds, without version, release and architecture."""
    return re.split(r"[=/:<>~@]", word.text, maxsplit=1)[0]


def distribution(call: Call) -> str:
    """The ecosystem whose packages a call installs."""
    return _DISTRIBUTION[call.program]


def unneeded(name: str, image: ImageFacts, ecosystem: str, used: Collection[str], fetched: Collection[str]) -> bool:
    """Whether a package that the author names is of no use at run time.

    `used`: programs that the final image runs, `fetched`: those that only its build ran.
    """
    if any(name in packages for program, packages in PROGRAMS.items() if program in used):
        return False
    if name in ("git", "git-lfs") and not _NEED_GIT.isdisjoint(package.name for package in image.packages):
        return False
    if name in FETCHERS:
        return any(name in packages for program, packages in PROGRAMS.items() if program in fetched)
    found = image.of(ecosystem).get(name)
    return is_build_tool(name, found.section if found is not None else "")


def runtime_libraries(name: str, image: ImageFacts, ecosystem: str) -> list[str]:
    """The packages that a -dev package's users need at run time, without those that come with another of them."""
    packages = image.of(ecosystem)
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [name] if name.endswith("-dev") else []
    while waiting:
        current = waiting.pop(0)
        if current in seen or current not in packages:
            continue
        seen.add(current)
        plain = current.removesuffix("-dev")
        for required in (plain, *packages[current].requires):
            if required.endswith("-dev"):
                waiting.append(required)
            elif required in packages and _is_library(packages[required], required == plain):
                found[required] = None
    return [library for library in found if not _comes_with_another(library, found, packages)]


def compiles_at_run_time(image: ImageFacts) -> list[str]:
    """Packages that call a compiler when they run."""
    python = image.of("python")
    return [name for name in _COMPILING_AT_RUN_TIME if name in python]


def builds(call: Call) -> bool:
    """Whether a call installs or compiles something that can be copied out of a build stage afterwards."""
    if installs_globally(call):
        return False
    if call.does.endswith("setup.py") and call.program.startswith("python"):
        return True
    return _BUILDERS.fullmatch(call.program) is not None or call.first.text in (
        "./configure",
        "./bootstrap",
        "./autogen.sh",
    )


def global_programs(call: Call) -> set[str]:
    """What such a call installs, by the names of packages; `corepack enable` switches on pnpm and yarn."""
    if call.program == "corepack":
        return {"pnpm", "yarn"}
    names = {re.sub(r"(?<=.)@.*", "", word.text) for word in call.arguments if not word.text.startswith("-")}
    return names - {"add", "install"}


def only_builds(names: Collection[str]) -> bool:
    """Whether all of these global packages of Node serve to install or build."""
    return all(_NODE_TOOLS.fullmatch(name) for name in names)


def installs_globally(call: Call) -> bool:
    """Whether a package manager of Node installs a program for all, or switches one on."""
    if call.program == "corepack":
        return True
    return call.program in ("npm", "yarn", "pnpm", "bun") and (call.has(*_GLOBAL) or call.does == "global")


def _is_library(package: PackageFacts, same_name: bool) -> bool:
    name = package.name
    if is_build_tool(name, package.section) or _NO_LIBRARY.fullmatch(name):
        return False
    return same_name or name.startswith("lib") or name in ("zlib1g", "libs") or package.ecosystem == "alpine"


def _comes_with_another(library: str, others: Iterable[str], packages: dict[str, PackageFacts]) -> bool:
    return any(
        other != library
        and library in closure([other], packages)
        and (other not in closure([library], packages) or other < library)
        for other in others
    )


def closure(names: Iterable[str], packages: dict[str, PackageFacts]) -> set[str]:
    """These packages and all that they require."""
    found: set[str] = set()
    waiting = [name for name in names if name in packages]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [required for required in packages[name].requires if required in packages]
    return found
