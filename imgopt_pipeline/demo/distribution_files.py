"""Files of Debian's and Alpine's packages, and the databases that list them.

Sources: Debian Policy, "Control files and their fields"; dpkg(1), FILES (status, info/NAME.list); apt-get(8)
(extended_states); the apk-tools manual apk-installed(5). The databases hold the packages of lower layers too, so that
each layer that installs anything replaces them, as in real images.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgopt_pipeline.demo.contents import AlpinePackage, DebianInstall, DebianPackage
from imgopt_pipeline.demo.files import MadeFile, how_many, numbered, spread, text_file, total_bytes
from imgopt_pipeline.errors import SettingsError

_MULTIARCH = "usr/lib/x86_64-linux-gnu"
_DEBIAN_STATUS = "var/lib/dpkg/status"
_DEBIAN_STATES = "var/lib/apt/extended_states"
_ALPINE_DATABASE = "lib/apk/db/installed"


@dataclass(frozen=True, slots=True)
class Installed:
    """What the databases of an image list at some layer: stanzas by package, in the order they came."""

    debian: tuple[tuple[str, str], ...] = ()
    debian_automatic: tuple[str, ...] = ()
    alpine: tuple[tuple[str, str], ...] = ()
    alpine_world: tuple[str, ...] = ()


def debian_files(install: DebianInstall, before: Installed) -> tuple[list[MadeFile], Installed]:
    """Files of a layer that installs Debian packages, databases included, and what they list then."""
    files: list[MadeFile] = []
    stanzas: list[tuple[str, str]] = []
    for package in install.packages:
        own = _debian_package_files(package)
        files += own
        stanzas.append((package.name, _debian_stanza(package, total_bytes(own))))
    automatic = [package.name for package in install.packages if package.name not in install.install]
    after = Installed(
        _merged(before.debian, stanzas),
        tuple(dict.fromkeys((*before.debian_automatic, *automatic))),
        before.alpine,
        before.alpine_world,
    )
    files.append(text_file(_DEBIAN_STATUS, "".join(stanza for _, stanza in after.debian)))
    if after.debian_automatic:
        states = "".join(
            f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1\n\n" for name in after.debian_automatic
        )
        files.append(text_file(_DEBIAN_STATES, states))
    return files, after


def _debian_package_files(package: DebianPackage) -> list[MadeFile]:
    """Exactly `package.size` bytes, its list in dpkg's database not counted."""
    files = [MadeFile(path, size, executable="/bin/" in path) for path, size in package.files.items()]
    left = package.size - total_bytes(files)
    if left < 0:
        raise _too_small("Debian", package.name, package.size, total_bytes(files))
    if left:
        copyright_bytes = min(left // 2, 1_800)
        files += spread([f"usr/share/doc/{package.name}/copyright"], copyright_bytes)
        files += _debian_body(package, left - copyright_bytes)
    folders = sorted({folder for file in files for folder in _folders(file.path)})
    lines = ["/.", *(f"/{path}" for path in (*folders, *(file.path for file in files)))]
    return [*files, text_file(f"var/lib/dpkg/info/{package.name}.list", "\n".join(lines) + "\n")]


def _debian_body(package: DebianPackage, size_bytes: int) -> list[MadeFile]:
    """Headers and static libraries of -dev packages, shared libraries of lib*, data and programs of others."""
    name = package.name.partition(":")[0]
    if name.endswith("-dev"):
        headers = size_bytes // 2
        paths = numbered(f"usr/include/{name}/part*.h", how_many(headers, each_bytes=9_000, most=80))
        return [*spread(paths, headers), MadeFile(f"{_MULTIARCH}/{name}.a", size_bytes - headers)]
    if name.startswith("lib"):
        return spread(
            numbered(f"{_MULTIARCH}/{name}.so.*", how_many(size_bytes, each_bytes=30_000_000, most=4)), size_bytes
        )
    program = min(size_bytes, max(size_bytes // 3, 100_000))
    files = [MadeFile(f"usr/bin/{name}", program, executable=True)]
    if size_bytes > program:
        data = size_bytes - program
        files += spread(numbered(f"usr/share/{name}/part*.dat", how_many(data, each_bytes=100_000, most=60)), data)
    return files


def _debian_stanza(package: DebianPackage, size_bytes: int) -> str:
    optional = "".join(
        f"{field}: {value}\n"
        for field, value in (
            ("Essential", "yes" if package.essential else ""),
            ("Depends", package.depends),
            ("Recommends", package.recommends),
        )
        if value
    )
    return (
        f"Package: {package.name}\nStatus: install ok installed\nPriority: {package.priority}\n"
        f"Section: {package.section or _section(package.name)}\nInstalled-Size: {-(-size_bytes // 1024)}\n"
        f"Maintainer: Demo <demo@example.org>\nArchitecture: amd64\nVersion: {package.version}\n{optional}"
        f"Description: {package.name} as the demo fleet has it\n\n"
    )


def _section(name: str) -> str:
    if name.endswith("-dev"):
        return "libdevel" if name.startswith("lib") else "devel"
    return "libs" if name.startswith("lib") else "utils"


def alpine_files(packages: Sequence[AlpinePackage], before: Installed) -> tuple[list[MadeFile], Installed]:
    """Files of a layer that installs Alpine packages, database included, and what that lists then."""
    files: list[MadeFile] = []
    stanzas: list[tuple[str, str]] = []
    for package in packages:
        own = _alpine_package_files(package)
        files += own
        stanzas.append((package.name, _alpine_stanza(package, own)))
    world = (*before.alpine_world, *(package.name for package in packages if package.world))
    after = Installed(
        before.debian, before.debian_automatic, _merged(before.alpine, stanzas), tuple(dict.fromkeys(world))
    )
    files.append(text_file(_ALPINE_DATABASE, "".join(stanza for _, stanza in after.alpine)))
    if after.alpine_world:
        files.append(text_file("etc/apk/world", "".join(f"{name}\n" for name in sorted(after.alpine_world))))
    return files, after


def _alpine_package_files(package: AlpinePackage) -> list[MadeFile]:
    files = [MadeFile(path, size) for path, size in package.files.items()]
    left = package.size - total_bytes(files)
    if left < 0:
        raise _too_small("Alpine", package.name, package.size, total_bytes(files))
    if left:
        pattern = f"usr/lib/{package.name}.so.*" if package.name.startswith("lib") else f"usr/lib/{package.name}/part*"
        files += spread(numbered(pattern, how_many(left, each_bytes=2_000_000, most=20)), left)
    return files


def _alpine_stanza(package: AlpinePackage, files: Sequence[MadeFile]) -> str:
    by_folder: dict[str, list[str]] = {}
    for file in files:
        by_folder.setdefault(posixpath.dirname(file.path), []).append(posixpath.basename(file.path))
    listed = "".join(
        f"F:{folder}\n" + "".join(f"R:{name}\na:0:0:644\n" for name in names) for folder, names in by_folder.items()
    )
    depends = f"D:{' '.join(package.depends)}\n" if package.depends else ""
    checksum = hashlib.sha256(f"{package.name}{package.version}".encode()).hexdigest()[:27]
    return (
        f"C:Q1{checksum}=\nP:{package.name}\nV:{package.version}\nA:x86_64\nS:{package.size // 3}\nI:{package.size}\n"
        f"T:{package.name} as the demo fleet has it\nU:https://example.org\nL:MIT\n{depends}{listed}\n"
    )


def _merged(before: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((dict(before) | dict(new)).items())


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]


def _too_small(kind: str, name: str, size_bytes: int, named_bytes: int) -> SettingsError:
    return SettingsError(
        f"the {kind} package {name} is {size_bytes:,} bytes, but its named files take {named_bytes:,}.",
        hint="Give it a larger size.",
    )
