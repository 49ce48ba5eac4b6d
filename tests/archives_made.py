"""Tars and image archives written byte by byte, so that a test can say anything a file may hold.

Belongs here: the formats, from their specifications, sharing no code with the package. Does not belong here:
what a reader should make of them. `small_archive` has the short way for tests that need just some image.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import zstandard

MTIME = 1_700_000_000
BLOCK = 512
END = bytes(2 * BLOCK)
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def header(
    name: bytes,
    size: int = 0,
    *,
    flag: bytes = b"0",
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = MTIME,
    link: bytes = b"",
    prefix: bytes = b"",
    magic: bytes = b"ustar\x0000",
    fields: Mapping[int, bytes] | None = None,
) -> bytes:
    """A tar header block (POSIX.1-2017, pax, "ustar Interchange Format"); `fields` writes bytes at offsets."""
    block = bytearray(BLOCK)

    def put(offset: int, data: bytes) -> None:
        block[offset : offset + len(data)] = data

    put(0, name)
    put(100, b"%07o\0" % mode)
    put(108, b"%07o\0" % uid)
    put(116, b"%07o\0" % gid)
    put(124, b"%011o\0" % size)
    put(136, b"%011o\0" % mtime)
    put(156, flag)
    put(157, link)
    put(257, magic)
    put(345, prefix)
    for offset, data in (fields or {}).items():
        put(offset, data)
    return sealed(bytes(block))


def sealed(block: bytes) -> bytes:
    """A header block with the right checksum."""
    blanked = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blanked) + block[156:]


def padded(content: bytes) -> bytes:
    """Content and the zeros up to the next block."""
    return content + bytes(-len(content) % BLOCK)


def entry(
    name: bytes, content: bytes = b"", *, flag: bytes = b"0", link: bytes = b"", mtime: int = MTIME, mode: int = 0o644
) -> bytes:
    """An entry with its content; long names in GNU's way."""
    long = b"".join(
        header(b"././@LongLink", len(text) + 1, flag=kind) + padded(text + b"\0")
        for kind, text in ((b"K", link), (b"L", name))
        if len(text) > 100
    )
    return long + header(name[:100], len(content), flag=flag, link=link[:100], mtime=mtime, mode=mode) + padded(content)


def pax(records: Sequence[tuple[bytes, bytes]], *, flag: bytes = b"x") -> bytes:
    """A PAX extended header (`g` for a global one)."""
    content = b"".join(pax_record(key, value) for key, value in records)
    return header(b"PaxHeaders/entry", len(content), flag=flag) + padded(content)


def pax_record(key: bytes, value: bytes) -> bytes:
    """`"%d %s=%s\\n"`, where the number is the length of the whole record."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


def tar_of(*parts: bytes) -> bytes:
    """Entries as a whole tar."""
    return b"".join(parts) + END


def digest(content: bytes) -> str:
    """The digest of some content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def config_of(layers: Sequence[bytes], **more: Any) -> dict[str, Any]:
    """An image configuration for layers given as plain tars."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-02T03:04:05.123456789Z",
        "config": {"Env": ["PATH=/bin"], "User": "app", "Labels": {"made": "here"}},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": [{"created_by": f"step {number}"} for number in range(len(layers))],
        **more,
    }


def as_json(value: Any) -> bytes:
    """A JSON document."""
    return json.dumps(value).encode()


def packed(members: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """Members of an archive, and symlinks in it, as a tar."""
    return tar_of(
        *(entry(name.encode(), b"", flag=b"2", link=target.encode()) for name, target in (links or {}).items()),
        *(entry(name.encode("utf-8", "surrogateescape"), content) for name, content in members.items()),
    )


def old_members(
    layers: Sequence[bytes], *, tags: Sequence[str] | None = ("demo/old:1",), config: Mapping[str, Any] | None = None
) -> dict[str, bytes]:
    """What `docker save` wrote before version 25: a folder per layer."""
    document = as_json(config if config is not None else config_of(layers))
    name = f"{digest(document)[7:]}.json"
    members = {f"{number:064x}/layer.tar": layer for number, layer in enumerate(layers)}
    manifest = [{"Config": name, "RepoTags": tags, "Layers": list(members)}]
    return {**members, name: document, "manifest.json": as_json(manifest)}


def blob_name(content: bytes) -> str:
    """Where an OCI layout keeps a blob."""
    return f"blobs/sha256/{digest(content)[7:]}"


def descriptor(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """An OCI descriptor."""
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **more}


MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def oci_manifest(
    blobs: Sequence[bytes], config: bytes, *, annotations: Mapping[str, str] | None = None
) -> tuple[bytes, dict[str, bytes]]:
    """An OCI manifest, and the blobs it needs by name, itself included."""
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(config, CONFIG_TYPE),
            "layers": [descriptor(blob, LAYER_TYPE) for blob in blobs],
            "annotations": dict(annotations or {}),
        }
    )
    return manifest, {blob_name(content): content for content in (*blobs, config, manifest)}


def oci_members(
    layers: Sequence[bytes], *, forms: Sequence[str] = (), name: str = "demo/oci:1", docker: bool = False
) -> dict[str, bytes]:
    """An OCI layout, layers compressed by `forms`; with `docker`, as `docker save` writes it since version 25."""
    blobs = [COMPRESSORS[form](layer) for form, layer in zip([*forms, *["plain"] * len(layers)], layers, strict=False)]
    config = as_json(config_of(layers))
    manifest, members = oci_manifest(blobs, config)
    annotations = {"io.containerd.image.name": f"docker.io/{name}", "org.opencontainers.image.ref.name": "1"}
    index = {"schemaVersion": 2, "manifests": [descriptor(manifest, MANIFEST_TYPE, annotations=annotations)]}
    members["oci-layout"] = as_json({"imageLayoutVersion": "1.0.0"})
    members["index.json"] = as_json(index)
    if docker:
        names = [blob_name(blob) for blob in blobs]
        members["manifest.json"] = as_json([{"Config": blob_name(config), "RepoTags": [name], "Layers": names}])
    return members
