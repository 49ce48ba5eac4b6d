"""Proves that an archive is read whatever its maker calls the configuration, and that a digest in the name counts."""

import json
import tarfile
from pathlib import Path

import pytest

from imgopt_pipeline.errors import LimitExceeded, UnreadableArchive
from imgopt_pipeline.hosts.archives import ArchiveHost, read_archive
from imgopt_pipeline.limits import Limits

from ..small_archive import layer_tar, write_archive


def _renamed(path: Path, target: Path, name: str) -> None:
    """The archive with its configuration under another name."""
    with tarfile.open(path) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    manifest = json.loads(members["manifest.json"])
    members[name] = members.pop(manifest[0]["Config"])
    manifest[0]["Config"] = name
    target.write_bytes(layer_tar(members | {"manifest.json": json.dumps(manifest).encode()}))


@pytest.mark.parametrize("form", ["sha256:{}", "config.json", "some/where/sha256:{}.json"])
def test_the_image_id_is_the_same_whatever_the_name(tmp_path: Path, form: str) -> None:
    image_id = write_archive(tmp_path / "docker.tar", "service:1", [{"a": b"1"}])
    _renamed(tmp_path / "docker.tar", tmp_path / "other.tar", form.format(image_id[7:]))
    assert ArchiveHost("other", tmp_path / "other.tar").image("").image_id == image_id


def test_a_name_that_is_another_digest_is_an_error(tmp_path: Path) -> None:
    write_archive(tmp_path / "docker.tar", "service:1", [{"a": b"1"}])
    _renamed(tmp_path / "docker.tar", tmp_path / "other.tar", f"{'0' * 64}.json")
    with pytest.raises(UnreadableArchive, match="not what its digest says"):
        ArchiveHost("other", tmp_path / "other.tar").image("")


def test_an_archive_that_lists_endless_images_is_refused(tmp_path: Path) -> None:
    write_archive(tmp_path / "one.tar", "service:1", [{"a": b"1"}])
    with tarfile.open(tmp_path / "one.tar") as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    many = json.loads(members["manifest.json"]) * 11
    (tmp_path / "many.tar").write_bytes(layer_tar(members | {"manifest.json": json.dumps(many).encode()}))
    with pytest.raises(LimitExceeded, match="more than 10 images"):
        read_archive(tmp_path / "many.tar", limits=Limits(images=10))
