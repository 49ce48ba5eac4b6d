"""Images as OCI layouts: a folder per image, whose blobs are links to layers that are kept once.

Source: OCI image specification, image-layout.md, manifest.md, config.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from imgopt_pipeline.demo.declaration import Image
from imgopt_pipeline.demo.layer_blobs import LayerBlob
from imgopt_pipeline.errors import SettingsError

_TYPE = "application/vnd.oci.image."


def image_config(image: Image, steps: Sequence[str], blobs: Sequence[LayerBlob], created: str) -> bytes:
    """The configuration of an image; its digest is the image ID."""
    labels = dict(image.labels)
    if image.compose is not None:
        project, _, service = image.compose.partition("/")
        labels |= {"com.docker.compose.project": project, "com.docker.compose.service": service}
    config: dict[str, Any] = {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        + [f"{name}={value}" for name, value in image.env.items()],
    }
    optional: dict[str, Any] = {
        "Labels": labels,
        "User": image.user,
        "WorkingDir": image.workdir,
        "Cmd": list(image.command),
        "Entrypoint": list(image.entrypoint),
        "ExposedPorts": {f"{port}/tcp": {} for port in image.expose},
        "Healthcheck": image.healthcheck and {"Test": ["CMD-SHELL", image.healthcheck], "Interval": 30_000_000_000},
    }
    config |= {key: value for key, value in optional.items() if value}
    history: list[dict[str, Any]] = [{"created": created, "created_by": step} for step in steps]
    for step in (
        *(f"ENV {name}={value}" for name, value in image.env.items()),
        *((f"USER {image.user}",) if image.user else ()),
        *((f"HEALTHCHECK CMD {image.healthcheck}",) if image.healthcheck else ()),
        *((f"CMD {json.dumps(image.command)}",) if image.command else ()),
    ):
        history.append({"created": created, "created_by": step, "empty_layer": True})
    return _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [blob.diff_id for blob in blobs]},
            "history": history,
        }
    )


def write_layout(
    folder: Path, config: bytes, blobs: Sequence[tuple[LayerBlob, Path]], references: Sequence[str]
) -> None:
    """An OCI layout at `folder`, which must not exist. Raises OSError."""
    home = folder / "blobs" / "sha256"
    home.mkdir(parents=True)
    for blob, path in dict(blobs).items():
        _link(path, home / blob.digest.removeprefix("sha256:"))
    layers = [_descriptor("layer.v1.tar+zstd", blob.digest, blob.blob_bytes) for blob, _ in blobs]
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_TYPE}manifest.v1+json",
            "config": _stored(home, "config.v1+json", config),
            "layers": layers,
        }
    )
    described = _stored(home, "manifest.v1+json", manifest)
    named = [
        {**described, "annotations": {"io.containerd.image.name": _canonical(reference)}} for reference in references
    ]
    (folder / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": named or [described]}))
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def layout_name(references: Sequence[str], image_id: str) -> str:
    """The name of an image's folder."""
    name = references[0] if references else f"untagged-{image_id.removeprefix('sha256:')[:12]}"
    return name.replace("/", "_").replace(":", "_")


def refuse_same_folder(images: Iterable[Image]) -> None:
    """Raise SettingsError where the folder of one image would take the place of another one's."""
    names: dict[str, str] = {}
    for image in images:
        if image.references:
            name = image.references[0]
            first = names.setdefault(layout_name([name], ""), name)
            if first != name:
                raise SettingsError(f"images: {first} and {name} would lie in one folder.", hint="Rename one.")


def digest_of(content: bytes) -> str:
    """A digest as OCI writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _stored(home: Path, kind: str, content: bytes) -> dict[str, Any]:
    digest = digest_of(content)
    (home / digest.removeprefix("sha256:")).write_bytes(content)
    return _descriptor(kind, digest, len(content))


def _descriptor(kind: str, digest: str, size_bytes: int) -> dict[str, Any]:
    return {"mediaType": f"{_TYPE}{kind}", "digest": digest, "size": size_bytes}


def _canonical(reference: str) -> str:
    """The name in full, as containerd writes it."""
    first, found, _ = reference.partition("/")
    if not found:
        return f"docker.io/library/{reference}"
    return reference if "." in first or ":" in first else f"docker.io/{reference}"


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
