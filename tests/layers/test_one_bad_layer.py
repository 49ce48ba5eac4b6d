"""Proves that a layer with a number no file system holds is a problem of its image and not the end of the others."""

import io
import json
import tarfile
from pathlib import Path

from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.layers.analysis import analyse_images

from ..small_archive import digest, layer_tar, write_archive


def _write_far_future(path: Path) -> None:
    """An archive whose one file has a time of 81 bits, which GNU's binary numbers can say."""
    entry = tarfile.TarInfo("late")
    entry.mtime = 1 << 80
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(entry)
    layer = buffer.getvalue()
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode()
    name = f"{digest(config)[7:]}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["bad:1"], "Layers": ["layer.tar"]}]).encode()
    path.write_bytes(layer_tar({name: config, "layer.tar": layer, "manifest.json": manifest}))


def test_the_other_images_are_analysed(tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    write_archive(archives / "good.tar", "good:1", [{"a": b"1"}])
    _write_far_future(archives / "bad.tar")
    host = ArchiveHost("archives", archives)
    analysis = analyse_images(host, host.images(), tmp_path / "layers")
    assert [item.image.name for item in analysis.images] == ["good:1"]
    assert [problem.subject for problem in analysis.problems] == [f"layer 0 of bad:1 in {archives / 'bad.tar'}"]
    assert "out of range" in analysis.problems[0].message
