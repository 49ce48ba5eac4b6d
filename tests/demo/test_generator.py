"""A fleet is made as it was declared, made again only where that changed, and never over anything else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgopt_pipeline.demo.generator import make_fleet
from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.hosts.archives import ArchiveHost
from imgopt_pipeline.hosts.described import DescribedHost
from imgopt_pipeline.layers.analysis import HostAnalysis, analyse_images

FLEET = """
bases:
  os:
    - by: "# debian.sh --arch 'amd64'"
      size: 3MB
      text: {etc/os-release: "ID=debian\\n"}
      debian: [base-files=13: 300kB, libc6=2.41: 1MB]
images:
  - name: acme/app
    base: os
    layers:
      - run: pip install torch
        size: 10MB
        python: [torch==2.8.0+cu128: 6MB, click==8.1.8]
        caches: {pip: 300kB}
      - run: chown -R app /usr/local/lib && rm /etc/os-release
        chown: [usr/local/lib]
        delete: [etc/os-release]
  - name: acme/web
    base: os
    digest: true
    layers:
      - copy: . /srv
        size: 2MB
        node: {at: srv, packages: [next@15.1.0: 200kB], others: [{count: 9, size: 100kB}]}
        next: {at: srv, size: 100kB}
  - base: os
    layers: [{copy: old ., files: {srv/old.bin: 40kB}}]
containers:
  - {name: app_1, image: acme/app, mounts: ["/srv/music:/music:ro", "data:/data"]}
  - {name: web_1, image: acme/web, state: exited}
volumes: {data: 2MB, unused: 1MB}
directories:
  - path: /srv/music
    files: {"old/track-*.mp3": {size: 2GB, count: 10, modified_days: 400, read_days: 300}, new.mp3: 3MB}
processes:
  - {command: player, folder: /srv/music, container: app_1}
  - {command: server, folder: /srv/web, container: web_1}
"""


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    """The declaration above in a file."""
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return path


def analysed(folder: Path, cache: Path) -> HostAnalysis:
    """All images of a fleet, read in full."""
    host = ArchiveHost("demo", folder)
    analysis = analyse_images(host, host.images(), cache)
    assert not host.problems()
    assert not analysis.problems
    return analysis


def stamps(folder: Path) -> dict[str, int]:
    """When each layer was written, by its name."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / ".layers").iterdir()}


def test_sizes_are_the_declared_ones(declaration: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    make_fleet(declaration, tmp_path / "fleet")
    assert time.monotonic() - started < 2

    images = {item.image.name: item for item in analysed(tmp_path / "fleet", tmp_path / "cache").images}
    sizes = {name: [layer.file_bytes for layer in item.layers] for name, item in images.items()}
    packages_bytes = sizes["acme/app:latest"][2]
    assert sizes["acme/app:latest"][:2] == [3_000_000, 10_000_000]
    assert 6_400_000 <= packages_bytes < 10_000_000
    assert sizes["acme/web:latest"] == [3_000_000, 2_000_000]
    assert [size for name, size in sizes.items() if name not in ("acme/app:latest", "acme/web:latest")] == [
        [3_000_000, 40_000]
    ]
    dead = {item.reason: item.size_bytes for item in images["acme/app:latest"].merged.dead_sums}
    assert dead == {"metadata": packages_bytes, "deleted": 10}


def test_the_host_is_described(declaration: Path, tmp_path: Path) -> None:
    make_fleet(declaration, tmp_path / "fleet")
    host = DescribedHost("demo", tmp_path / "fleet")

    images = {image.name: image for image in host.images()}
    app, web = host.containers()
    assert (app.name, app.image_id, app.running) == ("app_1", images["acme/app:latest"].image_id, True)
    assert (web.name, web.running) == ("web_1", False)
    assert images["acme/web:latest"].digests[0].startswith("acme/web@sha256:")
    assert images["acme/app:latest"].digests == ()
    assert images["acme/web:latest"].size_bytes == 5_000_000
    assert [(volume.name, volume.containers) for volume in host.volumes()] == [("data", 1), ("unused", 0)]
    assert [process.command for process in host.processes()] == ["player"]
    assert host.problems() == []


def test_directories_are_real_files_with_their_ages(declaration: Path, tmp_path: Path) -> None:
    make_fleet(declaration, tmp_path / "fleet")
    music = DescribedHost("demo", tmp_path / "fleet").directory_root / "srv/music"

    old = [path.stat() for path in (music / "old").iterdir()]
    assert sum(item.st_size for item in old) == 2_000_000_000
    assert sum(item.st_blocks * 512 for item in old) < 1_000_000
    for item in old:
        assert 399 < (time.time() - item.st_mtime) / 86_400 < 401
        assert 299 < (time.time() - item.st_atime) / 86_400 < 301
    assert (music / "new.mp3").stat().st_size == 3_000_000
    volume = tmp_path / "fleet/host/var/lib/docker/volumes/data/_data"
    assert sum(path.stat().st_size for path in volume.iterdir()) == 2_000_000


def test_only_what_changed_is_made_again(declaration: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    make_fleet(declaration, folder)
    before = stamps(folder)
    ids = {image.name: image.image_id for image in ArchiveHost("demo", folder).images()}
    make_fleet(declaration, folder)
    assert stamps(folder) == before

    declaration.write_text(FLEET.replace("size: 2MB\n", "size: 2.1MB\n"))
    make_fleet(declaration, folder)

    after = stamps(folder)
    assert len(set(after) - set(before)) == len(set(before) - set(after)) == 1
    assert all(after[name] == before[name] for name in set(before) & set(after))
    images = {image.name: image.image_id for image in ArchiveHost("demo", folder).images()}
    assert images["acme/app:latest"] == ids["acme/app:latest"]
    assert images["acme/web:latest"] != ids["acme/web:latest"]
    analysed(folder, tmp_path / "cache")


def test_two_makings_are_equal_to_the_byte(declaration: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_fleet(declaration, tmp_path / name)

    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("blobs/sha256/*")}
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


def test_images_that_are_no_longer_declared_go(declaration: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    make_fleet(declaration, folder)
    declaration.write_text("images: [{name: only, layers: [{copy: a b, size: 1kB}]}]")
    make_fleet(declaration, folder)

    assert [image.name for image in ArchiveHost("demo", folder).images()] == ["only:latest"]
    assert len(stamps(folder)) == 1
    assert list((folder / "host").iterdir()) == []


@pytest.mark.parametrize("damage", ["host.json", "acme_app_latest/index.json", ".fleet.json", "host/srv/music/new.mp3"])
def test_what_is_missing_is_made_again(declaration: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "fleet"
    make_fleet(declaration, folder)
    if damage == ".fleet.json":
        (folder / damage).write_text("{")
    else:
        (folder / damage).unlink()
    (folder / ".layers" / "left.partial").write_bytes(b"half")
    (folder / ".acme_app_latest.partial").mkdir()

    make_fleet(declaration, folder)

    assert (folder / damage).is_file()
    assert not (folder / ".layers" / "left.partial").exists()
    assert len(analysed(folder, tmp_path / "cache").images) == 3


def test_a_folder_with_anything_else_is_left_alone(declaration: Path, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")

    with pytest.raises(SettingsError, match="holds other files and no fleet"):
        make_fleet(declaration, folder)

    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_what_cannot_be_stored_is_a_storage_error(declaration: Path, tmp_path: Path) -> None:
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from imgopt_pipeline.demo.generator import make_fleet\n"
        "from imgopt_pipeline.errors import StorageError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))\n"
        "try:\n    make_fleet(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except StorageError as error:\n    print(error)\n"
    )
    arguments = [sys.executable, "-c", program, str(declaration), str(tmp_path / "fleet")]
    answer = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "the fleet cannot be written (File too large)" in answer.stdout

    make_fleet(declaration, tmp_path / "fleet")
    assert len(analysed(tmp_path / "fleet", tmp_path / "cache").images) == 3


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        (
            "size: 10MB",
            "size: 1MB",
            r"acme/app:latest → layer 2 .*: its size is 1,000,000 bytes, but its contents take",
        ),
        ("torch==2.8.0+cu128: 6MB", "torch==2.8.0+cu128: 600B", "Python package torch is 600 bytes"),
        ("chown: [usr/local/lib]", "chown: [usr/none]", "no lower layer holds anything in usr/none"),
        ("delete: [etc/os-release]", "delete: [etc/none]", "no lower layer holds etc/none"),
        ("new.mp3: 3MB", "old: 3MB", "directories → /srv/music: .* is a file and a folder"),
        ('"data:/data"', '"data:/data:rx"', "'data:/data:rx' is no mount"),
    ],
)
def test_what_does_not_add_up_is_told(declaration: Path, tmp_path: Path, right: str, wrong: str, told: str) -> None:
    assert right in FLEET
    declaration.write_text(FLEET.replace(right, wrong))

    with pytest.raises(SettingsError, match=told) as caught:
        make_fleet(declaration, tmp_path / "fleet")

    assert caught.value.subject == str(declaration)


@pytest.mark.parametrize(
    "contents",
    [
        "files: {../../../victim: 5}",
        'python: ["a==../../../../../../victim"]',
        "python: [{a==1: {scripts: [../../../../../../victim]}}]",
        'python: [{a==1: {module: m, files: {"../../../victim": 5}}}]',
        'debian: ["../../../../../../victim=1"]',
        'alpine: ["../../../../../../victim=1"]',
        'node: {packages: ["../../../../../../victim@1"]}',
        f'node: {{packages: ["{"n" * 300}@1"]}}',
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, contents: str) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(f"directories:\n  - path: /srv/x\n    {contents}\n")

    with pytest.raises(SettingsError, match=r"is no path of a file|is too long"):
        make_fleet(path, tmp_path / "deep" / "fleet")

    assert not list(tmp_path.rglob("*victim*"))
    assert not (tmp_path / "deep").exists()


def test_two_images_of_one_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text("images: [{name: 'a/b:1', layers: [{run: x}]}, {name: 'a_b:1', layers: [{run: y}]}]")

    with pytest.raises(SettingsError, match="a/b:1 and a_b:1 would lie in one folder"):
        make_fleet(path, tmp_path / "fleet")
