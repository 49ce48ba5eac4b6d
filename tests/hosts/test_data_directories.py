"""Data directories have the bytes that are there, whatever names, links and mounts lie in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.hosts.directories import data_directories
from imgopt_pipeline.hosts.directory_contents import Context
from imgopt_pipeline.hosts.directory_views import DirectoryView, FolderView, LocalView, RemoteView
from imgopt_pipeline.hosts.directory_walk import Walk, WalkLimits, walk
from imgopt_pipeline.hosts.models import Container, DataDirectory, Mount, Volume
from imgopt_pipeline.hosts.mount_points import MountTable, parse_mountinfo
from imgopt_pipeline.hosts.processes import ProcessPlace
from imgopt_pipeline.names import printable

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD, NEW = NOW.timestamp() - 200 * 86_400, NOW.timestamp() - 86_400
MB = 1_000_000
DEFAULT = WalkLimits()


def container(
    name: str, *sources: str, running: bool = True, project: str | None = None, folder: str = ""
) -> Container:
    """A container with bind mounts; a source `volume=path` is a volume."""
    mounts = []
    for source in sources:
        volume, equals, path = source.partition("=")
        mounts.append(Mount("volume", path, "/d", volume, True) if equals else Mount("bind", source, "/d", None, True))
    return Container(
        container_id=name,
        name=name,
        image_id="i",
        image_reference="i",
        state="running" if running else "exited",
        running=running,
        created_at=None,
        started_at=None,
        restart_policy="no",
        restart_count=0,
        compose_project=project,
        compose_service=None,
        compose_working_dir=folder or None,
        compose_config_files=(),
        mounts=tuple(mounts),
        memory_limit_bytes=None,
        log_driver="",
        log_bytes=None,
        writable_bytes=None,
    )


def sparse(path: Path, size_bytes: int, *, modified: float = NEW, read: float = NEW) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size_bytes)
    os.utime(path, (read, modified))
    return path


def rows(
    view: DirectoryView, *containers: Container, volumes: Sequence[Volume] = (), limits: WalkLimits = DEFAULT
) -> dict[str, DataDirectory]:
    found, _ = data_directories(containers, volumes, view, now=NOW, limits=limits)
    assert len({row.path for row in found}) == len(found)
    return {row.path: row for row in found}


def walked(root: Path) -> tuple[int, int, bool]:
    how = Walk(idle_before=0.0, deadline=float("inf"), entries=2_000_000)
    folder = walk(str(root), Context(), how)
    return folder.total().size_bytes, folder.total().files, folder.complete


def test_a_bind_mount_has_size_kind_and_idle_bytes(tmp_path: Path) -> None:
    sparse(tmp_path / "srv/music/old.mp3", 30 * MB, modified=OLD, read=OLD)
    sparse(tmp_path / "srv/music/heard.mp3", 20 * MB, modified=OLD)
    sparse(tmp_path / "srv/music/edited.FLAC", 10 * MB, read=OLD)
    sparse(tmp_path / "srv/music/cover.jpg", 1 * MB)
    row = rows(FolderView(tmp_path, []), container("web", "/srv/music"), container("old", "/srv/music", running=False))[
        "/srv/music"
    ]
    assert (row.kind, row.containers, row.running, row.complete) == ("bind", ("old", "web"), True, True)
    assert (row.size_bytes, row.files, row.contents) == (61 * MB, 4, "audio")
    assert row.contents_bytes == {"audio": 60 * MB, "images": MB}
    assert (row.unmodified_bytes, row.unread_bytes, row.unused_bytes) == (50 * MB, 40 * MB, 30 * MB)
    assert row.idle_days == 180
    assert row.in_use_by == ()


@pytest.mark.parametrize("source", ["/", "/proc", "/sys/fs", "/dev", "/run/x", "/etc/app", "/srv/data.sock"])
def test_the_systems_own_is_no_data(tmp_path: Path, source: str) -> None:
    sparse(tmp_path / source.strip("/") / "big.mp3", 50 * MB)
    found = rows(FolderView(tmp_path), container("a", source))
    assert all(row.size_bytes is None for row in found.values())
    assert set(found) <= {"/"}


def test_small_binds_and_files_are_left_out_and_volumes_never(tmp_path: Path) -> None:
    sparse(tmp_path / "srv/small/x.mp3", 9 * MB)
    sparse(tmp_path / "srv/file.mp3", 90 * MB)
    sparse(tmp_path / "v/data/x.db", 5)
    volumes = [Volume("data", "local", "/v/data", 5, 1, False), Volume("idle", "local", "/v/idle", 7, 0, False)]
    found = rows(FolderView(tmp_path), container("a", "/srv/small", "/srv/file.mp3", "data=/v/data"), volumes=volumes)
    assert set(found) == {"/v/data", "/v/idle"}
    assert (found["/v/data"].kind, found["/v/data"].volume, found["/v/data"].size_bytes) == ("volume", "data", 5)
    assert found["/v/data"].containers == ("a",)


def test_siblings_of_a_compose_project_are_found_and_mounted_ones_are_not_listed_twice(tmp_path: Path) -> None:
    project = tmp_path / "srv/shop"
    sparse(project / "web/node_modules/next/big.js", 150 * MB)
    sparse(project / "web/.next/cache/pack", 60 * MB)
    sparse(project / "web/package.json", 100)
    sparse(project / "media/film.mkv", 300 * MB)
    sparse(project / "music/a.mp3", 200 * MB)
    sparse(project / "src/a.py", 1_000)
    sparse(project / "a/b/c/d/deep.mp3", 20 * MB)
    found = rows(
        FolderView(tmp_path, []),
        container("web", "/srv/shop/music", project="shop", folder="/srv/shop"),
        container("off", project="shop", folder="/srv/shop", running=False),
    )
    assert {path: row.kind for path, row in found.items()} == {
        "/srv/shop/music": "bind",
        "/srv/shop/media": "project",
        "/srv/shop/web": "project",
    }
    web = found["/srv/shop/web"]
    assert web.contents == "node_modules"
    assert web.contents_bytes == {"node_modules": 150 * MB, "build output": 60 * MB, "other": 100}
    assert all(row.compose_project == "shop" for row in found.values())


def test_a_project_that_grows_only_small_things_has_none(tmp_path: Path) -> None:
    sparse(tmp_path / "srv/shop/node_modules/a.js", 99 * MB)
    sparse(tmp_path / "srv/shop/music/a.mp3", 99 * MB)
    assert not rows(FolderView(tmp_path), container("web", project="shop", folder="/srv/shop"))


def test_an_outer_directory_includes_the_inner_and_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    sparse(tmp_path / "srv/app/x.bin", 20 * MB)
    sparse(tmp_path / "srv/app/music/a.mp3", 30 * MB)
    (tmp_path / "srv/alias").symlink_to("/srv/app/music")
    found = rows(FolderView(tmp_path), container("a", "/srv/app"), container("b", "/srv/app/music", "/srv/alias"))
    assert {path: row.size_bytes for path, row in found.items()} == {"/srv/app": 50 * MB, "/srv/app/music": 30 * MB}


def test_no_link_leads_out_of_a_described_hosts_folder(tmp_path: Path) -> None:
    outside = sparse(tmp_path / "secret/big.mp3", 70 * MB).parent
    root = tmp_path / "root"
    sparse(root / "srv/data/own.mp3", 11 * MB)
    (root / "srv/data/out").symlink_to(outside)
    (root / "srv/away").symlink_to(outside)
    (root / "srv/up").symlink_to("../../../../.." + str(outside))
    found = rows(FolderView(root), container("a", "/srv/data", "/srv/away", "/srv/up", "/srv/../../secret"))
    assert {path: row.size_bytes for path, row in found.items()} == {"/srv/data": 11 * MB}


def test_remote_mounts_are_told_and_not_read(tmp_path: Path) -> None:
    sparse(tmp_path / "mnt/nas/films/a.mkv", 50 * MB)
    sparse(tmp_path / "mnt/local/a.mkv", 12 * MB)
    view = FolderView(tmp_path, [], {"/mnt/nas": "nfs4"})
    found = rows(view, container("a", "/mnt/nas/films", "/mnt/local"))
    films = found["/mnt/nas/films"]
    assert (films.remote, films.filesystem, films.size_bytes, films.contents) == (True, "nfs4", None, "unknown")
    assert not films.complete
    assert (found["/mnt/local"].remote, found["/mnt/local"].size_bytes) == (False, 12 * MB)


def test_a_mount_below_a_directory_is_not_entered(tmp_path: Path) -> None:
    sparse(tmp_path / "srv/films/nas/a.mkv", 50 * MB)
    sparse(tmp_path / "srv/films/b.mkv", 12 * MB)
    found = rows(FolderView(tmp_path, [], {"/srv/films/nas": "cifs"}), container("a", "/srv/films"))
    assert found["/srv/films"].size_bytes == 12 * MB


def test_processes_below_are_named_and_at_most_twenty(tmp_path: Path) -> None:
    sparse(tmp_path / "srv/app/sub/a.mp3", 20 * MB)
    sparse(tmp_path / "srv/application/a.mp3", 20 * MB)
    busy = [ProcessPlace(n, "node", ("/srv/application",)) for n in range(100, 130)]
    view = FolderView(tmp_path, [ProcessPlace(7, "python", ("/tmp", "/srv/app/sub/a.mp3")), *busy])
    found = rows(view, container("a", "/srv/app", "/srv/application"))
    assert found["/srv/app"].in_use_by == ("7 python",)
    assert len(found["/srv/application"].in_use_by or ()) == 20
    assert rows(FolderView(tmp_path), container("a", "/srv/app"))["/srv/app"].in_use_by is None


def test_of_another_machine_nothing_is_known_but_what_the_engine_says(tmp_path: Path) -> None:
    sparse(tmp_path / "x.mp3", 50 * MB)
    volumes = [Volume("data", "local", "/v/data", 640, 1, False)]
    found = rows(RemoteView(), container("a", str(tmp_path), "data=/v/data"), volumes=volumes)
    bind, volume = found[printable(str(tmp_path))], found["/v/data"]
    assert (bind.size_bytes, bind.files, bind.in_use_by, bind.complete) == (None, None, None, False)
    assert (volume.size_bytes, volume.contents, volume.complete) == (640, "unknown", False)


@pytest.mark.skipif(os.geteuid() != 0, reason="other processes can be seen by root alone")
def test_a_real_process_is_seen_by_its_working_directory_and_by_an_open_file(tmp_path: Path) -> None:
    in_folder, with_file = tmp_path / "cwd", tmp_path / "open"
    sparse(in_folder / "deep/a.mp3", 20 * MB)
    file = sparse(with_file / "a.mp3", 20 * MB)
    program = "import sys; f = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(file)],
        cwd=in_folder / "deep",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = rows(LocalView(), container("a", str(in_folder), str(with_file)))
        for folder in (in_folder, with_file):
            users = found[str(folder)].in_use_by
            assert users is not None and [user for user in users if user.startswith(f"{process.pid} ")], folder
        process.communicate()
    assert rows(LocalView(), container("a", str(in_folder)))[str(in_folder)].in_use_by == ()


def test_hostile_names_and_files_are_counted_and_printable(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"bad\xff\n\x1b[31m\\x")
    for number, raw in enumerate([b"\xfe.mp3", b"new\nline.mp3", b"-rf", b"a" * 255, "🎵.mp3".encode()]):
        sparse(folder / os.fsdecode(raw), 3 * MB + number)
    os.mkfifo(folder / "fifo.mp3")
    (folder / "loop").symlink_to(".")
    (folder / "self").symlink_to("self")
    (folder / "file.mp3").symlink_to("/etc/passwd")
    name = printable(str(folder))
    row = rows(LocalView(), container("a", name))[name]
    assert (row.size_bytes, row.files, row.complete) == (15 * MB + 10, 5, True)
    assert row.path.isprintable()


def test_hard_links_count_once(tmp_path: Path) -> None:
    file = sparse(tmp_path / "d/a.mp3", 12 * MB)
    (tmp_path / "d/sub").mkdir()
    os.link(file, tmp_path / "d/sub/b.mp3")
    assert walked(tmp_path / "d") == (12 * MB, 1, True)


def test_a_tree_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("deeper", dir_fd=fd)
        fd, above = os.open("deeper", os.O_RDONLY, dir_fd=fd), fd
        os.close(above)
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.truncate(f"/proc/self/fd/{fd}/bottom", 77)
    os.close(fd)
    try:
        assert walked(tmp_path) == (77, 1, True)
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "deeper")], check=True)


def test_entries_and_seconds_are_bounded_and_said(tmp_path: Path) -> None:
    for number in range(50):
        sparse(tmp_path / f"srv/d/{number}.mp3", MB)
    view = FolderView(tmp_path)
    few = rows(view, container("a", "/srv/d"), limits=WalkLimits(entries=20))["/srv/d"]
    assert (few.files, few.complete) == (20, False)
    _, problems = data_directories([container("a", "/srv/d")], [], view, now=NOW, limits=WalkLimits(entries=20))
    assert [problem.subject.endswith("/srv/d") for problem in problems] == [True]
    late = rows(view, container("a", "/srv/d"), limits=WalkLimits(seconds=-1))["/srv/d"]
    assert not late.complete


def test_directories_that_vanish_meanwhile_end_nothing(tmp_path: Path) -> None:
    sparse(tmp_path / "stays.mp3", 99)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(20):
                (tmp_path / f"t{number}/u").mkdir(parents=True, exist_ok=True)
            for number in range(20):
                shutil.rmtree(tmp_path / f"t{number}")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        assert {walked(tmp_path) for _ in range(60)} == {(99, 1, True)}
    finally:
        stop.set()
        thread.join()


def test_mounts_are_read_with_escapes_and_read_times() -> None:
    table = MountTable(
        parse_mountinfo(
            b"36 35 98:0 / / rw,relatime - ext4 /dev/a rw\n"
            b"37 36 98:1 / /mnt/my\\040disk rw,noatime shared:1 - xfs /dev/b rw\n"
            b"38 36 0:40 / /mnt/nas rw - nfs4 nas:/x rw\nbroken line\n"
            b"39 36 0:41 / /mnt/ssh rw - fuse.sshfs me@x: rw\n"
        )
    )

    def told(path: str) -> tuple[str, bool, bool]:
        mount = table.of(path)
        assert mount is not None
        return mount.filesystem, mount.remote, mount.records_reads

    assert told("/mnt/my disk/a") == ("xfs", False, False)
    assert told("/mnt/my") == ("ext4", False, True)
    assert told("/mnt/nas") == ("nfs4", True, True)
    assert told("/mnt/nasty") == ("ext4", False, True)
    assert told("/mnt/ssh/a/b") == ("fuse.sshfs", True, True)


TREES = st.recursive(
    st.integers(0, 5_000),
    lambda children: st.dictionaries(st.sampled_from(["a", "b.mp3", "node_modules", ".next", "dist"]), children),
    max_leaves=25,
)


def make(path: Path, tree: object) -> None:
    if isinstance(tree, dict):
        path.mkdir()
        for name, below in tree.items():
            make(path / name, below)
    else:
        assert isinstance(tree, int)
        sparse(path, tree)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("xyz"), TREES, max_size=3))
def test_any_tree_has_the_bytes_that_find_and_du_see(tree: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        make(root, tree)
        files = [path for path in root.rglob("*") if path.is_file()]
        assert walked(root) == (sum(path.stat().st_size for path in files), len(files), True)
        folder_with_parts = walk(
            str(root), Context(), Walk(idle_before=0.0, deadline=float("inf"), entries=10**6, depth=2)
        )
        for part in folder_with_parts.all():
            inside = [path for path in files if path.is_relative_to(part.path)]
            assert part.total().size_bytes == sum(path.stat().st_size for path in inside)
