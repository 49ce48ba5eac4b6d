"""What kind of data a file is, by its name, its size and the folders above it, and the sums of a directory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

KINDS = (
    "models",
    "audio",
    "video",
    "images",
    "archives",
    "node_modules",
    "build output",
    "database",
    "logs",
    "source",
    "other",
)
UNKNOWN = "unknown"
MEDIA = ("models", "audio", "video", "images", "archives")
REBUILDABLE = ("node_modules", "build output")

_MODEL_BYTES = 50_000_000
_CODE_BYTES = 5_000_000
# How the names of weights in .bin files start, by the programs that write them.
_MODEL_NAMES = (
    "pytorch_model",
    "diffusion_pytorch_model",
    "open_clip_pytorch_model",
    "adapter_model",
    "consolidated",
    "ggml",
    "model",
)

_SUFFIXES: dict[str, str] = {
    suffix: kind
    for kind, suffixes in {
        "audio": "mp3 wav flac m4a m4b aac ogg oga opus wma aif aiff alac ape mka amr mid midi",
        "video": "mp4 mkv avi mov webm wmv flv m4v mpg mpeg m2ts mts vob 3gp ogv mxf",
        "images": "jpg jpeg png gif webp tif tiff bmp svg heic heif avif cr2 cr3 nef arw dng orf rw2 raf psd ico jxl",
        "models": "safetensors gguf ggml pt pth onnx ckpt tflite mlmodel pdparams pdiparams keras engine joblib nemo",
        "database": "sqlite sqlite3 sqlite-wal db db3 db-wal duckdb mdb ldb sst ibd frm myd myi wt rdb aof dbf"
        " cfs fdt fdx doc dvd tim tip pos nvd kdd",
        "archives": "zip tar gz tgz bz2 tbz2 xz txz zst 7z rar lz4 br iso img qcow2 vmdk vdi vhd vhdx deb rpm whl dump"
        " bak backup borg",
        "logs": "log journal",
        "source": "py js mjs cjs jsx ts tsx mts cts vue svelte go rs java kt scala c h cc cpp hpp cs rb php pl lua sh"
        " sql html htm css scss sass less ipynb tf proto graphql r jl swift",
    }.items()
    for suffix in suffixes.split()
}
_NAMES = {
    "ibdata1": "database",
    "ibtmp1": "database",
    "ib_logfile0": "database",
    "ib_logfile1": "database",
    "undo_001": "database",
    "undo_002": "database",
}
# Folders whose whole content is one thing.
_FOLDERS = {
    "node_modules": "node_modules",
    "bower_components": "node_modules",
    ".git": "source",
    **dict.fromkeys(
        [
            ".next",
            ".nuxt",
            ".svelte-kit",
            ".output",
            ".turbo",
            ".parcel-cache",
            ".angular",
            "__pycache__",
            ".venv",
            "venv",
            ".tox",
            ".nox",
            ".mypy_cache",
            ".pytest_cache",
            ".ruff_cache",
            ".gradle",
        ],
        "build output",
    ),
}
# Names that also mean other things: build output only beside what builds it.
_OUTPUT_FOLDERS = frozenset({"dist", "build", "target", "out"})
_BUILT_BY = frozenset(
    [
        "package.json",
        "Cargo.toml",
        "pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "pyproject.toml",
        "setup.py",
        "CMakeLists.txt",
        "Makefile",
        "meson.build",
    ]
)
_APPLICATION = _BUILT_BY | frozenset(
    [
        "requirements.txt",
        "go.mod",
        "composer.json",
        "Gemfile",
        "Dockerfile",
        "docker-compose.yml",
        "docker-compose.yaml",
        "compose.yml",
        "compose.yaml",
        ".git",
    ]
)
_DATABASES = frozenset(["PG_VERSION", "pg_wal", "ibdata1", "WiredTiger", "chunks_head", "nodes.lock", "node.lock"])
MARKERS = _APPLICATION | _DATABASES
"""Names that say what the folder they lie in is."""

# Folders whose files without a telling suffix are this.
_HINTS = {
    **dict.fromkeys(
        ["models", "model", "checkpoints", "weights", "loras", "lora", "huggingface", ".ollama", "ckpt"], "models"
    ),
    **dict.fromkeys(["log", "logs"], "logs"),
}


class Context(NamedTuple):
    """What the folders above a file say: the kind of all below, or that of files without a telling suffix."""

    kind: str | None = None
    hint: str | None = None


@dataclass(slots=True)
class Tally:
    """The sums of some files."""

    files: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    unmodified_bytes: int = 0
    unread_bytes: int = 0
    unused_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        return sum(self.by_kind.values())

    def of(self, kinds: Collection[str]) -> int:
        """Bytes of these kinds."""
        return sum(self.by_kind.get(kind, 0) for kind in kinds)

    def add(self, other: Tally) -> None:
        """Add the sums of other files."""
        self.files += other.files
        self.unmodified_bytes += other.unmodified_bytes
        self.unread_bytes += other.unread_bytes
        self.unused_bytes += other.unused_bytes
        for kind, size_bytes in other.by_kind.items():
            self.by_kind[kind] = self.by_kind.get(kind, 0) + size_bytes


def file_kind(name: str, size_bytes: int, hint: str | None = None) -> str:
    """The kind of a file of that length that lies in no folder of a single kind."""
    stem, _, suffix = name.rpartition(".")
    suffix = suffix.lower() if stem else ""
    kind = _SUFFIXES.get(suffix)
    if kind == "source":
        if size_bytes <= _CODE_BYTES:
            return kind
        return {"ts": "video", "mts": "video", "sql": "archives"}.get(suffix, "other")
    if kind == "archives" or suffix.isdigit():
        # server.log.2.gz, server.log.1
        rotated = stem.rpartition(".")
        return "logs" if "log" in (rotated[2], rotated[0].rpartition(".")[2]) else kind or _unknown(size_bytes, hint)
    if kind is not None:
        return kind
    if suffix == "bin" and size_bytes > _MODEL_BYTES and name.lower().startswith(_MODEL_NAMES):
        return "models"
    return _NAMES.get(name) or _unknown(size_bytes, hint)


def folder_context(above: Context, name: str, beside: Collection[str]) -> Context:
    """The context of a folder; `beside`: the MARKERS that lie where it lies."""
    if above.kind is not None:
        return above
    kind = _FOLDERS.get(name)
    if kind is None and name in _OUTPUT_FOLDERS and not _BUILT_BY.isdisjoint(beside):
        kind = "build output"
    if kind is None and not _DATABASES.isdisjoint(beside):
        kind = "database"
    if kind is None and name.startswith("models--"):
        kind = "models"
    return Context(kind, _HINTS.get(name.lower(), above.hint))


def path_context(path: str) -> Context:
    """The context of a directory by the names in its path."""
    context = Context()
    for name in path.split("/"):
        context = folder_context(context, name, ())
    return context


def is_application(names: Collection[str]) -> bool:
    """Whether a folder that holds these MARKERS is an application's own."""
    return not _APPLICATION.isdisjoint(names)


def dominant(by_kind: Mapping[str, int]) -> str:
    """The kind with the most bytes; the first of KINDS among equals."""
    return max(KINDS, key=lambda kind: by_kind.get(kind, 0)) if any(by_kind.values()) else "other"


def _unknown(size_bytes: int, hint: str | None) -> str:
    if hint == "models" and size_bytes <= _MODEL_BYTES:
        return "other"
    return hint or "other"
