"""Layers from `docker save`, the last resort: it works with every engine that only lets itself be read.

The engine stages the whole image on its own disk and sends all of it; every member that is a tar is
hashed while it is scanned, and its hash is its diff ID.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import BinaryIO, cast

from imgopt_pipeline import progress
from imgopt_pipeline.compression import Rejoined, decompressed, sniff
from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.models import Image, Layer
from imgopt_pipeline.layers.archive_reader import Hashed
from imgopt_pipeline.layers.entries import EntryCollector
from imgopt_pipeline.layers.reading import Reading, timed
from imgopt_pipeline.layers.tar import BLOCK_BYTES, StreamSource, scan_tar
from imgopt_pipeline.limits import Limits


class SaveReader:
    """Streams an image out of its engine and reads the layers on the way."""

    name = "docker save"
    cost = (
        "Reading by `docker save`: slow (some 100 MB/s), and the engine needs temporary disk space as large"
        " as the image. `imgopt doctor` says which faster way is closed, and why."
    )

    def __init__(self, host: EngineHost, limits: Limits) -> None:
        self._host = host
        self._limits = limits

    def read(self, image: Image, layers: Sequence[Layer]) -> Iterator[Reading]:
        wanted = {layer.diff_id: layer for layer in layers}
        progress.current().start(image.name, image.size_bytes)
        try:
            with (
                closing(self._host.save(image)) as stream,
                tarfile.open(fileobj=cast(BinaryIO, stream), mode="r|", bufsize=1 << 20) as tar,
            ):
                for member in tar:
                    progress.current().advance(member.size)
                    content = tar.extractfile(member) if member.isreg() else None
                    if content is None or not wanted:
                        continue
                    reading = self._read_member(cast(BinaryIO, content), wanted)
                    if reading is not None:
                        yield reading
        except tarfile.TarError as error:
            raise UnreadableLayer(f"the engine's archive of the image is broken ({error}).") from error

    def _read_member(self, content: BinaryIO, wanted: dict[str, Layer]) -> Reading | None:
        head = Rejoined(content)
        first = head.peek(BLOCK_BYTES)
        if sniff(first) == "plain" and first[257:262] != b"ustar" and first.strip(b"\0"):
            return None
        hashed = Hashed(decompressed(cast(BinaryIO, head)))
        collector = EntryCollector(self._limits)
        # Which layer it is shows only at its end; until then any of those wanted stands for it.
        reading = timed(
            next(iter(wanted.values())),
            lambda _: (
                collector.finish(scan_tar(StreamSource(cast(BinaryIO, hashed), self._limits), collector, self._limits)),
                True,
            ),
        )
        layer = wanted.pop(hashed.digest(), None)
        if layer is None or reading.entries is None:
            return None
        return Reading(layer, reading.entries, verified=True, seconds=reading.seconds)
