"""The images that templates build on, what each choice means, and what it cannot run.

Facts alone. Which packages have no wheels for musl was asked of PyPI (musllinux, x86_64).
"""

from __future__ import annotations

import re
from collections.abc import Collection

from imgopt_pipeline.dockerfiles.templates.answers import Base, TemplateRefused

MEANINGS: dict[Base, str] = {
    "debian": (
        "Debian slim: glibc, so that every wheel and prebuilt Node module runs; a shell and apt stay in the image."
    ),
    "alpine": (
        "Alpine: the smallest base with a shell; musl instead of glibc, so that packages without musl builds do not "
        "run and others are compiled."
    ),
    "wolfi": (
        "Wolfi, as Chainguard's images: glibc and few known vulnerabilities, but no shell and no package manager in "
        "the final image, and free of charge only the newest version, under a tag that moves: pin it by digest."
    ),
}

WITHOUT_MUSL_WHEELS = re.compile(
    r"torch|torchvision|torchaudio|triton|tensorflow(-cpu|-gpu)?|onnxruntime(-gpu)?|jaxlib|ctranslate2|faster-whisper"
    r"|whisperx|openai-whisper|sentence-transformers|ultralytics|accelerate|lightning|pytorch-lightning|timm|vllm"
    r"|xgboost(-cpu)?|lightgbm|catboost|numba|llvmlite|librosa|scikit-learn|opencv-(contrib-)?python(-headless)?"
    r"|mediapipe|paddlepaddle(-gpu)?|bitsandbytes"
)
GLIBC_NODE_MODULES = re.compile(
    r"onnxruntime-node|@tensorflow/tfjs-node(-gpu)?|puppeteer|playwright|@playwright/test|oracledb|electron"
)

_COMPILED_PYTHON = frozenset({"psycopg2", "mysqlclient", "uwsgi", "pycrypto", "python-ldap", "pyodbc"})
_COMPILED_NODE = frozenset(
    {
        "argon2",
        "bcrypt",
        "better-sqlite3",
        "bufferutil",
        "canvas",
        "cpu-features",
        "isolated-vm",
        "leveldown",
        "node-pty",
        "node-rdkafka",
        "node-sass",
        "pg-native",
        "re2",
        "serialport",
        "sqlite3",
        "utf-8-validate",
        "zeromq",
    }
)
#: With as much of the version as holds over Debian's releases; apt takes a star at the end only.
_DEBIAN_PACKAGES = {
    "psycopg2": "libpq5=1*",
    "psycopg": "libpq5=1*",
    "mysqlclient": "libmariadb3=1:1*",
    "pyodbc": "unixodbc=2.3.*",
    "python-magic": "file=1:5.*",
    "pytesseract": "tesseract-ocr=5.*",
    "lightgbm": "libgomp1=1*",
    "openai-whisper": "ffmpeg=7:*",
    "whisperx": "ffmpeg=7:*",
    "pydub": "ffmpeg=7:*",
    "torchcodec": "ffmpeg=7:*",
}


def compiled(names: Collection[str], ecosystem: str) -> bool:
    """Whether one of these packages is, or may be, built from source."""
    return not (_COMPILED_PYTHON if ecosystem == "python" else _COMPILED_NODE).isdisjoint(names)


def debian_packages(names: Collection[str]) -> tuple[str, ...]:
    """Debian packages that these Python packages need at run time, beyond Debian slim."""
    return tuple(sorted({package for name, package in _DEBIAN_PACKAGES.items() if name in names}))


def check_base(base: Base, ecosystem: str, names: Collection[str], packages: Collection[str]) -> None:
    """Raise TemplateRefused where the dependencies cannot run on a base."""
    if base == "debian":
        return
    pattern = WITHOUT_MUSL_WHEELS if ecosystem == "python" else GLIBC_NODE_MODULES
    lacking = sorted(name for name in names if base == "alpine" and pattern.fullmatch(name))
    if lacking:
        raise TemplateRefused(
            f"{', '.join(lacking)}: no builds for musl, which Alpine has instead of glibc.",
            hint="--base debian has what they need.",
        )
    if packages:
        raise TemplateRefused(
            f"the final image needs Debian packages ({', '.join(item.partition('=')[0] for item in packages)}).",
            hint="--base debian installs them.",
        )
    if ecosystem == "python" and compiled(names, ecosystem):
        raise TemplateRefused(
            "a dependency is built from source, and this base has no compiler.",
            hint="--base debian has one to build on.",
        )
