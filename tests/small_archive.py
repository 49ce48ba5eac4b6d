"""A small image archive in the form of `docker save`, for tests that need some image and not a special one."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def layer_tar(files: Mapping[str, bytes]) -> bytes:
    """A tar of regular files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write_archive(path: Path, tag: str, layers: Sequence[Mapping[str, bytes]]) -> str:
    """Write an archive with one image; its image ID."""
    blobs = [layer_tar(files) for files in layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-02T03:04:05Z",
            "config": {"Env": ["PATH=/bin", "API_TOKEN=do-not-store"], "User": "app"},
            "rootfs": {"type": "layers", "diff_ids": [digest(blob) for blob in blobs]},
            "history": [{"created_by": f"RUN |1 KEY=do-not-store /bin/sh -c step {n}"} for n in range(len(blobs))],
        }
    ).encode()
    image_id = digest(config)
    members = {f"{image_id[7:]}.json": config}
    members |= {f"{number}/layer.tar": blob for number, blob in enumerate(blobs)}
    names = [f"{number}/layer.tar" for number in range(len(blobs))]
    members["manifest.json"] = json.dumps(
        [{"Config": f"{image_id[7:]}.json", "RepoTags": [tag], "Layers": names}]
    ).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(layer_tar(members))
    return image_id


def digest(content: bytes) -> str:
    """The digest of some content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
