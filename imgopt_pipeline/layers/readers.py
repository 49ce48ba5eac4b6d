"""Which readers suit a host, best first.

The order: metadata through the API, the same files read directly, the containerd store's snapshots
and blobs, and `docker save` when nothing else is open. A reader that turns out not to work leaves its
layers to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.layers.archive_reader import VERIFY_BYTES, ArchiveReader
from imgopt_pipeline.layers.reading import LayerReader

if TYPE_CHECKING:
    from imgopt_pipeline.hosts.engine import EngineHost
    from imgopt_pipeline.hosts.engine_files import EngineFiles

_BLOB_STREAM_COST = "Reading the containerd store through the API: every byte of a new layer is streamed once."


def readers_for(host: EngineHost | ArchiveHost, *, verify_bytes: int = VERIFY_BYTES) -> list[LayerReader]:
    """Readers of a host, best first."""
    if isinstance(host, ArchiveHost):
        return [ArchiveReader(host, limits=host.limits, verify_bytes=verify_bytes)]
    return _engine_readers(host)


def _engine_readers(host: EngineHost) -> list[LayerReader]:
    # Late: the Docker SDK takes a tenth of a second to import, which whoever reads an archive is spared.
    from imgopt_pipeline.layers.containerd_readers import BlobReader, SnapshotReader
    from imgopt_pipeline.layers.graph_readers import LayerDatabaseReader, PodmanReader
    from imgopt_pipeline.layers.save_reader import SaveReader

    facts, limits = host.facts(), host.limits

    def direct(folder: str) -> EngineFiles:
        files = host.direct_files(folder)
        if files is None:
            raise UnreadableLayer(f"{folder} is not readable for this user on this machine.")
        return files

    readers: list[LayerReader]
    if facts.store == "containerd":
        readers = [
            SnapshotReader(facts, limits),
            BlobReader("direct: blob", direct, facts, limits),
            BlobReader("API: blob", host.files, facts, limits, _BLOB_STREAM_COST),
        ]
    elif facts.kind == "podman":
        # Podman mounts the container anew for each file it hands out, which takes it a tenth of a second.
        readers = [
            PodmanReader("direct: Podman tar-split", direct, facts, limits),
            PodmanReader("API: Podman tar-split", host.files, facts, limits),
        ]
    else:
        readers = [
            LayerDatabaseReader("API: tar-split", host.files, facts, limits),
            LayerDatabaseReader("direct: tar-split", direct, facts, limits),
        ]
    return [*readers, SaveReader(host, limits)]
