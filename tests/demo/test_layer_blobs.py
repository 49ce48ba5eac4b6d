"""Layers of constant bytes are valid zstd and tar, and their digests are those of what they unpack to."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.demo.files import MadeFile, text_file
from imgopt_pipeline.demo.layer_blobs import constant_frame, write_layer
from imgopt_pipeline.demo.planning import PlannedLayer


def unpacked(content: bytes) -> bytes:
    """The plain bytes, by the library's own reader."""
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=True)
    return reader.read()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 255), st.one_of(st.integers(1, 5_000), st.integers(131_000, 131_200), st.integers(1, 900_000)))
def test_a_constant_frame_is_that_many_equal_bytes(value: int, size: int) -> None:
    frame = constant_frame(value, size)

    assert zstandard.frame_content_size(frame) == size
    assert unpacked(frame) == bytes([value]) * size


def test_a_whole_number_of_blocks() -> None:
    assert unpacked(constant_frame(7, 3 * 131_072)) == bytes([7]) * (3 * 131_072)


def test_a_gigabyte_takes_kilobytes() -> None:
    assert len(constant_frame(1, 10**9)) < 40_000


def test_a_layer_is_the_tar_that_its_digests_say(tmp_path: Path) -> None:
    long_name = "usr/" + "/".join(["folder-with-a-long-name"] * 8) + "/file.bin"
    files = (text_file("app/main.py", "import os\n"), MadeFile("opt/big.bin", 1_000_003), MadeFile(long_name, 700))
    path = tmp_path / "layer"

    blob = write_layer(PlannedLayer(files, ("etc/old",), ("srv",)), path, mtime_seconds=1_700_000_000)

    plain = unpacked(path.read_bytes())
    assert blob.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    assert blob.digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert (blob.tar_bytes, blob.blob_bytes) == (len(plain), path.stat().st_size)
    assert blob.file_bytes == 10 + 1_000_003 + 700
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        sizes = {member.name: member.size for member in tar if member.isreg()}
        assert tar.extractfile("app/main.py").read() == b"import os\n"  # type: ignore[union-attr]
    assert sizes == {
        "app/main.py": 10,
        "opt/big.bin": 1_000_003,
        long_name: 700,
        "etc/.wh.old": 0,
        "srv/.wh..wh..opq": 0,
    }
