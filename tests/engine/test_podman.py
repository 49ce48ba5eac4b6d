"""Podman behind its Docker-compatible socket: the same entries in every way, and a whole audit.

Images that Podman built and images that it loaded, compared with `tarfile` over what Podman itself saves.
Skipped where Podman is not installed or cannot build.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.layers.readers import readers_for

from .conftest import ROOT
from .daemons import busybox_tar, new_home, remove_home
from .oracle import Row, rows_of_tar
from .program import environment, imgopt, rows
from .specimens import DOCKERFILE, archive_of, foreign_image, kinds_tar
from .test_readers import Specimen, assert_read_right, saved_layers

WAYS = ("direct: Podman tar-split", "API: Podman tar-split", "docker save")
IMAGES = ("localhost/built:1", "localhost/kinds:1", "localhost/specimen:foreign")


@dataclass(frozen=True)
class Podman:
    """A private Podman: its storage below `home`, its API on a socket there."""

    home: Path

    @property
    def url(self) -> str:
        """The value for DOCKER_HOST."""
        return f"unix://{self.home / 'podman.sock'}"

    @property
    def command(self) -> list[str]:
        """Podman with storage of its own."""
        folders = [f"--{name}={self.home / name}" for name in ("root", "runroot", "tmpdir")]
        return ["podman", *folders, "--storage-driver=overlay", "--events-backend=none", "--cgroup-manager=cgroupfs"]

    def run(self, *args: str, stdin: bytes | None = None) -> str:
        """Run it; its standard output."""
        done = subprocess.run([*self.command, *args], check=False, input=stdin, capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        return done.stdout.decode()


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    """Podman's service with the images `IMAGES` and a container."""
    if not shutil.which("podman"):
        pytest.skip("podman is not installed")
    found = Podman(new_home(ROOT))
    service = subprocess.Popen(
        [*found.command, "system", "service", "--time=0", found.url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            if Path(found.url.removeprefix("unix://")).exists():
                break
            time.sleep(0.05)
        _make_images(found)
        yield found
    finally:
        service.terminate()
        service.wait()
        remove_home(found.home)


@pytest.fixture(scope="module")
def specimens(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Specimen]:
    """The images as Podman saves them."""
    folder = tmp_path_factory.mktemp("saved")
    found = {}
    for number, name in enumerate(IMAGES):
        archive = folder / f"{number}.tar"
        podman.run("save", "--quiet", "--format=docker-archive", f"--output={archive}", name)
        found[name] = Specimen(name, archive, saved_layers(archive))
    return found


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("way", WAYS)
def test_reader_finds_what_tarfile_finds(
    podman: Podman, specimens: dict[str, Specimen], tmp_path: Path, way: str, name: str
) -> None:
    specimen = specimens[name]
    expected: dict[str, list[Row]] = {diff_id: rows_of_tar(tar) for diff_id, tar in specimen.layers.items()}
    host = EngineHost("podman", [EngineAddress(podman.url, "test")])
    try:
        assert host.facts().kind == "podman"
        readers = {reader.name: reader for reader in readers_for(host)}
        assert tuple(readers) == WAYS
        assert_read_right(readers[way], host.image(name), specimen, expected, tmp_path)
    finally:
        host.close()


def test_audit(podman: Podman, specimens: dict[str, Specimen], tmp_path: Path) -> None:
    before = podman.run("ps", "--all", "--quiet", "--no-trunc")
    first = imgopt(["audit"], environment(tmp_path, podman.url))
    second = imgopt(["audit"], environment(tmp_path, podman.url))
    assert [(run.returncode, run.stderr) for run in (first, second)] == [(0, "")] * 2
    audits = rows(tmp_path, "FROM audits ORDER BY finished_at")
    assert [(audit["engine_kind"], audit["image_store"], audit["status"]) for audit in audits] == [
        ("podman", "overlay", "complete")
    ] * 2
    assert audits[0]["layers_read"] == audits[0]["layers"] > 0 and audits[1]["layers_read"] == 0
    found = {row["name"]: row for row in rows(tmp_path, "FROM latest_images")}
    for name, specimen in specimens.items():
        told = podman.run("image", "inspect", "--format={{range .RootFS.Layers}}{{.}} {{end}}", name)
        sizes = {
            diff_id: sum(row["size_bytes"] for row in rows_of_tar(tar)) for diff_id, tar in specimen.layers.items()
        }
        assert found[name]["size_bytes"] == sum(sizes[diff_id] for diff_id in told.split())
    assert [row["name"] for row in rows(tmp_path, "FROM latest_containers")] == ["idle"]
    assert {row["reader"] for row in rows(tmp_path, "FROM layers")} == {WAYS[0]}
    assert podman.run("ps", "--all", "--quiet", "--no-trunc") == before


def _make_images(podman: Podman) -> None:
    podman.run("import", '--change=CMD ["/bin/sh"]', "-", "busybox:test", stdin=busybox_tar())
    # Podman's ADD stumbles over some of the names in kinds.tar, which it loads all the same.
    steps = [line for line in DOCKERFILE.splitlines() if "kinds" not in line]
    with tempfile.TemporaryDirectory(dir=podman.home) as context:
        Path(context, "Dockerfile").write_text("\n".join(steps))
        Path(context, "plain").write_bytes(b"plain\n" * 100)
        try:
            podman.run("build", "--layers", "--network=host", "--tag=built:1", context)
        except RuntimeError as error:
            pytest.skip(f"podman cannot build here: {str(error)[-200:]}")
    for archive in (archive_of("kinds:1", [kinds_tar()]), foreign_image()):
        podman.run("load", stdin=archive)
    podman.run("create", "--name=idle", "--network=none", "built:1", "true")
