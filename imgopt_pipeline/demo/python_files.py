"""Files of installed Python distributions, with metadata that names them and agrees with them.

Source: PyPA specifications, "Recording installed projects" (dist-info, RECORD, INSTALLER, REQUESTED) and
"Core metadata". Versions such as 2.8.0+cu128 are hidden from the metadata as PyPI's wheels of torch hide
them: only the package's own version.py says them. Others, such as +cpu, stand in both.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re

from imgopt_pipeline.demo.contents import PythonEnvironment, PythonPackage
from imgopt_pipeline.demo.files import MadeFile, how_many, numbered, spread, text_file, total_bytes
from imgopt_pipeline.errors import SettingsError

_CUDA = re.compile(r"cu(\d+)(\d)")
_ROCM = re.compile(r"rocm([\d.]+)")
_CODE_BYTES = 12_000_000
_LEAST_NATIVE_BYTES = 200_000


def environment_files(environment: PythonEnvironment) -> list[MadeFile]:
    """All files of an environment's packages. Raises SettingsError where a package is too small for its metadata."""
    return [file for package in environment.packages for file in package_files(package, environment)]


def package_files(package: PythonPackage, environment: PythonEnvironment) -> list[MadeFile]:
    """The files of one distribution, exactly `package.size` bytes."""
    site = environment.site
    module = package.module or re.sub(r"[-.]", "_", package.name).lower()
    public, _, local = package.version.partition("+")
    hidden = bool(_CUDA.match(local) or _ROCM.match(local))
    folder = f"{site}/{re.sub(r'[-.]+', '_', package.name)}-{public if hidden else package.version}.dist-info"
    texts = [
        text_file(f"{folder}/METADATA", _metadata(package, public if hidden else package.version)),
        text_file(f"{folder}/INSTALLER", f"{environment.installer}\n"),
        text_file(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-linux_x86_64\n"),
        text_file(f"{folder}/top_level.txt", f"{module.partition('/')[0]}\n"),
    ]
    if package.requested:
        texts.append(MadeFile(f"{folder}/REQUESTED", 0, b""))
    if local:
        texts.append(text_file(f"{site}/{module}/version.py", _version_py(package.version, local)))
    scripts = [_script(site, name, module) for name in package.scripts]
    fixed = [MadeFile(f"{site}/{path}", size, executable=".so" in path) for path, size in package.files.items()]
    rest = package.size - total_bytes([*texts, *scripts, *fixed])
    body = _body(package, f"{site}/{module}", environment.installer, rest - 100)
    listed = [*texts, *scripts, *fixed, *body]
    record, filler = _record_and_filler(package, f"{folder}/RECORD", f"{site}/{module}/__init__.py", listed, site)
    return [*listed, filler, record]


def _body(package: PythonPackage, module: str, installer: str, rest_bytes: int) -> list[MadeFile]:
    """Tests, docs, headers, code, bytecode and native libraries: most of what is left after the named files.

    Something stays for RECORD and the file that takes the remainder.
    """
    named = package.tests + package.docs + package.headers + (package.code or 0) + (package.bytecode or 0)
    files = [
        *_some(f"{module}/tests/test_part*.py", package.tests, each_bytes=16_000, most=150),
        *_some(f"{module}/docs/chapter*.rst", package.docs, each_bytes=20_000, most=60),
        *_some(f"{module}/include/{posixpath.basename(module)}*.h", package.headers, each_bytes=9_000, most=250),
    ]
    left = rest_bytes - named
    code = package.code
    if code is None:
        code = max(0, min(left * 2 // 5, _CODE_BYTES))
        left -= code
    compiled = package.bytecode
    if compiled is None:
        compiled = max(0, min(code // 2, left)) if installer == "pip" else 0
        left -= compiled
    sources = _some(f"{module}/part*.py", code * 9 // 10, each_bytes=14_000, most=200)
    files += sources
    if compiled:
        bytecode = [f"{module}/__pycache__/{posixpath.basename(file.path)[:-3]}.cpython-311.pyc" for file in sources]
        files += spread(bytecode or [f"{module}/__pycache__/__init__.cpython-311.pyc"], compiled)
    if left >= _LEAST_NATIVE_BYTES:
        # The remainder has to hold RECORD, whose length nobody knows yet.
        records = 130 * (len(files) + 40)
        files += _some(f"{module}/lib/libpart*.so", left - records, each_bytes=40_000_000, most=12)
    return files


def _some(pattern: str, size_bytes: int, *, each_bytes: int, most: int) -> list[MadeFile]:
    if size_bytes <= 0:
        return []
    return spread(numbered(pattern, how_many(size_bytes, each_bytes=each_bytes, most=most)), size_bytes)


def _record_and_filler(
    package: PythonPackage, record: str, filler: str, files: list[MadeFile], site: str
) -> tuple[MadeFile, MadeFile]:
    """RECORD, and the file that makes the package's size exact. RECORD states the size of that file,
    whose digits are a part of RECORD's own size."""
    lines = "".join(_record_line(file, site) for file in files) + f"{posixpath.relpath(record, site)},,\n"
    start = f"{posixpath.relpath(filler, site)},,"
    left = package.size - total_bytes(files) - len(lines.encode()) - len(start) - 1
    for digits in range(1, 16):
        size = left - digits
        if 0 <= size < 10**digits:
            text = f"{lines}{start}{size:0{digits}d}\n"
            return text_file(record, text), MadeFile(filler, size)
    least = package.size - left + 1
    raise SettingsError(
        f"the Python package {package.name} is {package.size:,} bytes, but its metadata and named files take"
        f" {least:,} already.",
        hint="Give it a larger size.",
    )


def _record_line(file: MadeFile, site: str) -> str:
    path = posixpath.relpath(file.path, site)
    if file.text is None:
        return f"{path},,\n" if path.endswith(".pyc") else f"{path},,{file.size_bytes}\n"
    digest = base64.urlsafe_b64encode(hashlib.sha256(file.text).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{file.size_bytes}\n"


def _metadata(package: PythonPackage, version: str) -> str:
    requires = "".join(f"Requires-Dist: {requirement}\n" for requirement in package.requires)
    return (
        f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {version}\n"
        f"Summary: {package.name} as the demo fleet has it\nRequires-Python: >=3.9\n{requires}\n{package.name}\n"
    )


def _version_py(version: str, local: str) -> str:
    cuda, rocm = _CUDA.match(local), _ROCM.match(local)
    return (
        "from typing import Optional\n\n"
        "__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'xpu']\n"
        f"__version__ = '{version}'\ndebug = False\n"
        f"cuda: Optional[str] = {f'{cuda[1]}.{cuda[2]}' if cuda else None!r}\n"
        f"git_version = '{hashlib.sha256(version.encode()).hexdigest()[:40]}'\n"
        f"hip: Optional[str] = {rocm[1] if rocm else None!r}\nxpu: Optional[str] = None\n"
    )


def _script(site: str, name: str, module: str) -> MadeFile:
    """A console script in the bin folder beside lib/pythonX.Y."""
    prefix = site.partition("/lib/")[0]
    text = f"#!/{prefix}/bin/python\nimport sys\nfrom {module.replace('/', '.')} import main\nsys.exit(main())\n"
    return text_file(f"{prefix}/bin/{name}", text, executable=True)
