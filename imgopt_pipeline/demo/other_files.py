"""Files of package managers' caches and of source control, where those tools really leave them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from imgopt_pipeline.demo.contents import GitFolder
from imgopt_pipeline.demo.files import MadeFile, below, how_many, numbered, spread, text_file, total_bytes

# Where a cache lies, with `#` for a digest of each file's number; bytes per file; files at most.
_CACHES = {
    "apt": ("var/lib/apt/lists/mirror_debian_dists_part*_main_binary-amd64_Packages.lz4", 12_000_000, 8),
    "apt-archives": ("var/cache/apt/archives/package*_amd64.deb", 900_000, 400),
    "apk": ("var/cache/apk/APKINDEX.*.tar.gz", 1_500_000, 4),
    "pip": ("root/.cache/pip/http-v2/#.body", 6_000_000, 400),
    "uv": ("root/.cache/uv/archive-v0/#", 4_000_000, 400),
    "poetry": ("root/.cache/pypoetry/cache/repositories/PyPI/_http/#", 4_000_000, 400),
    "npm": ("root/.npm/_cacache/content-v2/sha512/#", 300_000, 800),
    "yarn": ("usr/local/share/.cache/yarn/v6/npm-part*.tgz", 300_000, 800),
    "conda": ("opt/conda/pkgs/package*.conda", 8_000_000, 100),
}


def cache_files(caches: Iterable[tuple[str, int]]) -> list[MadeFile]:
    """What package managers, by name, keep of their downloads, in bytes."""
    files: list[MadeFile] = []
    for name, size_bytes in caches:
        pattern, each_bytes, most = _CACHES[name]
        count = how_many(size_bytes, each_bytes=each_bytes, most=most)
        if "#" in pattern:
            paths = [pattern.replace("#", _digest_path(f"{name} {number}")) for number in range(count)]
        else:
            paths = numbered(pattern, count) if count > 1 else [pattern.replace("*", "1")]
        files += spread(paths, size_bytes) if size_bytes else []
    return files


def _digest_path(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{digest[0]}/{digest[1]}/{digest[:40]}"


def git_files(git: GitFolder) -> list[MadeFile]:
    """A clone's `.git`: mostly one pack."""
    folder = below(git.at, ".git")
    texts = [
        text_file(f"{folder}/HEAD", "ref: refs/heads/main\n"),
        text_file(f"{folder}/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"),
    ]
    pack = f"{folder}/objects/pack/pack-{hashlib.sha256(folder.encode()).hexdigest()[:40]}"
    left = max(0, git.size - total_bytes(texts))
    return [*texts, MadeFile(f"{pack}.idx", left // 20), MadeFile(f"{pack}.pack", left - left // 20)]
