"""A small host with one of everything an inventory tells: images of all sorts, containers, volumes.

Belongs here: making it on a daemon, and a naive account of its images. Does not belong here: what an audit
should say of it (`test_audit.py`).
"""

import gzip
import hashlib
import http.server
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .daemons import Daemon
from .specimens import layer_of

PULLED_CONTENT = b"from a registry" * 100
VOLUME_BYTES = 12_345
WRITTEN_BYTES = 50_000
MEMORY_BYTES = 64 << 20

APP = """
FROM busybox:test
LABEL vendor=acme
ENV TOKEN=very-secret-value
COPY data /data
RUN echo kept > /tmp/kept
USER 1000
"""
SIBLING = """
FROM app:1
HEALTHCHECK CMD true
COPY more /more
"""
ANNOTATED = """
FROM busybox:test
LABEL org.opencontainers.image.base.name=docker.io/acme/base:7
COPY more /annotated
"""
COMPOSE = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.project.working_dir": "/srv/shop",
    "com.docker.compose.project.config_files": "/srv/shop/compose.yaml,/srv/shop/override.yaml",
}


@dataclass(frozen=True)
class StoredImage:
    """What a naive look at an image tells: tags, and per layer its diff ID and the bytes of its files."""

    image_id: str
    references: tuple[str, ...]
    digests: tuple[str, ...]
    diff_ids: tuple[str, ...]
    file_bytes: tuple[int, ...]


def make_fleet(daemon: Daemon, folder: Path) -> None:
    """Make the images, containers and volumes; `folder` is mounted into a container."""
    daemon.import_busybox("busybox:test")
    daemon.build(APP, {"data": b"older" * 30_000}, "app:1")
    daemon.docker("create", "--name=on-dangling", "app:1", "true")
    daemon.build(APP, {"data": b"newer" * 40_000}, "app:1")
    daemon.docker("tag", "app:1", "app:latest")
    daemon.docker("tag", "app:1", "registry.example.org:5000/team/app:1")
    daemon.build(SIBLING, {"more": b"more" * 10_000}, "sibling:1")
    daemon.build(ANNOTATED, {"more": b"more" * 10_000}, "annotated:1")
    with registry("pulled", PULLED_CONTENT) as address:
        daemon.docker("pull", f"{address}/pulled:1")
    daemon.docker("volume", "create", "used")
    daemon.docker("volume", "create", "orphan")
    _run_web(daemon, folder)
    daemon.docker("run", "--name=done", "--network=none", "busybox:test", "true")
    daemon.docker("create", "--name=retry", "--restart=on-failure:3", "--log-driver=none", "busybox:test", "true")


def remove_fleet(daemon: Daemon) -> None:
    """Remove all containers, volumes and images of a daemon."""
    for kind, listed in (("container", "ps --all --quiet"), ("volume", "volume ls --quiet")):
        if names := daemon.docker(*listed.split()).split():
            daemon.docker(kind, "rm", "--force", *names)
    if images := daemon.docker("images", "--all", "--quiet").split():
        daemon.docker("rmi", "--force", *set(images))


def stored_images(daemon: Daemon) -> dict[str, StoredImage]:
    """All images of a daemon by ID, from `docker inspect` and `docker save`."""
    found = {}
    for image_id in set(daemon.docker("images", "--no-trunc", "--quiet").split()):
        (told,) = json.loads(daemon.docker("image", "inspect", image_id))
        diff_ids = tuple(told["RootFS"]["Layers"])
        sizes = _file_bytes(daemon, image_id)
        found[image_id] = StoredImage(
            image_id,
            tuple(told["RepoTags"] or ()),
            tuple(told["RepoDigests"] or ()),
            diff_ids,
            tuple(sizes[diff_id] for diff_id in diff_ids),
        )
    return found


@contextmanager
def registry(name: str, content: bytes) -> Iterator[str]:
    """A registry on this machine with one image of one file, `NAME:1`; its address."""
    layer = layer_of(("file", content))
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, media: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        blobs[digest] = data
        return {"mediaType": f"application/vnd.oci.image.{media}", "digest": digest, "size": len(data)}

    config = {"architecture": "amd64", "os": "linux", "config": {}}
    config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [blob(gzip.compress(layer, mtime=0), "layer.v1.tar+gzip")],
    }
    answers = {f"/v2/{name}/blobs/{digest}": data for digest, data in blobs.items()} | {"/v2/": b"{}"}
    document = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
    answers |= {f"/v2/{name}/manifests/{reference}": document for reference in ("1", digest)}

    class Handler(http.server.BaseHTTPRequestHandler):
        # Answers a TLS greeting in HTTP as well, by which a client sees that it must do without TLS.
        default_request_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = answers.get(self.path)
            self.send_response(200 if answer is not None else 404)
            self.send_header("Content-Type", kind if "/manifests/" in self.path else "application/octet-stream")
            self.send_header("Docker-Content-Digest", digest)
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer or b"")

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _run_web(daemon: Daemon, folder: Path) -> None:
    """A running container with everything set that the inventory tells."""
    labels = [f"--label={name}={value}" for name, value in COMPOSE.items()]
    mounts = ["--volume=used:/volume", f"--volume={folder}:/bound:ro", "--tmpfs=/scratch"]
    options = ["--restart=unless-stopped", f"--memory={MEMORY_BYTES}", "--env=PASSWORD=another-secret"]
    options += ["--log-opt=max-size=2k", "--log-opt=max-file=3", "--network=none", "--user=0"]
    script = (
        f"head -c {VOLUME_BYTES} /dev/zero > /volume/file; head -c {WRITTEN_BYTES} /dev/zero > /written;"
        "for n in $(seq 60); do echo a line of the log; done; touch /ready; sleep 600"
    )
    daemon.docker("run", "--detach", "--name=web", *options, *labels, *mounts, "app:1", "sh", "-c", script)
    daemon.docker("exec", "web", "sh", "-c", "until [ -e /ready ]; do sleep 0.05; done")


def _file_bytes(daemon: Daemon, image_id: str) -> dict[str, int]:
    """Bytes of the regular files of each layer that `docker save` writes, by diff ID."""
    command = ["docker", "save", image_id]
    saved = subprocess.run(command, check=True, capture_output=True, env=daemon.environment).stdout
    sizes = {}
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            content = file.read() if file else b""
            content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
            try:
                with tarfile.open(fileobj=io.BytesIO(content), mode="r:", errors="surrogateescape") as layer:
                    total = sum(entry.size for entry in layer if entry.isreg())
            except tarfile.ReadError:
                continue
            sizes[f"sha256:{hashlib.sha256(content).hexdigest()}"] = total
    return sizes
