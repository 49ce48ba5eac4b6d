"""What a file of a data directory is, by its name and the folders it lies in; nothing is opened for it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

MEDIA = ("audio", "video", "images", "models", "archives")
"""Kinds that are read now and then and never change."""

MODULES, BUILD_FOLDER = "node_modules", ".next"
OUTPUT_MARKERS = {
    "dist": ("package.json", "pyproject.toml", "setup.py"),
    "build": ("package.json", "pyproject.toml", "setup.py", "build.gradle", "build.gradle.kts", "CMakeLists.txt"),
    "target": ("Cargo.toml", "pom.xml", "build.sbt"),
    ".venv": ("pyproject.toml", "requirements.txt", "setup.py", "Pipfile"),
}
"""Folders that a build makes, each only where one of these files lies beside it: `build` may be a source folder."""

_MODEL_BYTES = 1_000_000
_SUFFIXES = {
    "audio": "mp3 wav flac ogg oga opus m4a aac wma aif aiff mka mid",
    "video": "mp4 mkv avi mov webm m4v mpg mpeg wmv flv m2ts 3gp ogv",
    "images": "jpg jpeg png gif webp avif heic heif tif tiff bmp svg psd raw cr2 cr3 nef arw dng ico",
    "models": "safetensors gguf ggml pt pth ckpt onnx h5 keras tflite pdparams mlmodel caffemodel",
    "database": "db sqlite sqlite3 db-wal db-shm sqlite-wal ibd frm myd myi ldb mdb rdb aof wt sst cfs cfe fdt fdx tim"
    " tip dvd",
    "archives": "zip tar gz tgz bz2 tbz xz txz zst 7z rar iso img qcow2 vmdk bak dump deb rpm whl jar",
    "logs": "log",
    "source": "py js mjs cjs ts tsx jsx vue svelte c h cc cpp hpp cs go rs java kt rb php pl sh sql html css scss md rst"
    " json yml yaml toml xml ini cfg conf lock",
}
_KINDS = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_FOLDERS = {
    MODULES: "node_modules",
    BUILD_FOLDER: "build output",
    ".git": "source",
    ".hg": "source",
    ".svn": "source",
    "pg_wal": "database",
    "pg_xlog": "database",
    "chunks_head": "database",
}
_MODEL_FOLDERS = frozenset({"models", "checkpoints", "weights", "huggingface", "hub", "loras"})
_ROTATED_LOG = re.compile(r"\.log(\.\d+|-\d{8}|\.old)(\.(gz|xz|zst|bz2))?$|\.log\.(gz|xz|zst|bz2)$")
_DATABASE_FILE = re.compile(r"ibdata\d+|ib_logfile\d+|undo_\d+|#ib_.*|(mysql-bin|mariadb-bin|binlog)\.\d+|WiredTiger.*")
_DATABASE_FOLDER = re.compile(r"(^|/)(base/\d+|\d+/index|chunks)$")
_CHUNK = re.compile(r"\d{6}")


def folder_kind(path: str, names: Collection[str] = ()) -> str:
    """The kind that everything below a folder is, empty for none.

    `path`: the folder, `/` between names. `names`: what lies beside it; a PostgreSQL data folder is known by its
    PG_VERSION.
    """
    name = path.rpartition("/")[2]
    if name in _FOLDERS:
        return _FOLDERS[name]
    return "database" if "PG_VERSION" in names else ""


def path_kind(path: str) -> str:
    """The kind by all folders of a path, outermost first; empty for none."""
    return next((_FOLDERS[name] for name in path.split("/") if name in _FOLDERS), "")


def holds_models(path: str) -> bool:
    """Whether a folder on the path is one where models lie, whose large files often have no telling name."""
    return not _MODEL_FOLDERS.isdisjoint(path.split("/"))


def file_kind(name: str, folder: str, size_bytes: int, among_models: bool) -> str:
    """The kind of a file that no folder tells (`folder_kind`): its name, the path of its folder, its bytes."""
    stem, dot, suffix = name.rpartition(".")
    kind = _KINDS.get(suffix.lower()) if dot and stem else None
    if kind is not None and kind != "archives":
        return kind
    if _ROTATED_LOG.search(name):
        return "logs"
    if kind is not None:
        return kind
    if _DATABASE_FILE.fullmatch(name):
        return "database"
    in_database = _DATABASE_FOLDER.search(folder)
    if in_database and (in_database[2] != "chunks" or _CHUNK.fullmatch(name)):
        return "database"
    return "models" if among_models and size_bytes >= _MODEL_BYTES else "other"


def build_folders(names: Collection[str], folders: Iterable[str]) -> set[str]:
    """Which of the folders a build made, by the names that lie beside them."""
    return {folder for folder in folders if any(marker in names for marker in OUTPUT_MARKERS.get(folder, ()))}
