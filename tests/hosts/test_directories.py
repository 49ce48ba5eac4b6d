"""Data directories: sizes agree with a naive model and with du, nothing is counted twice, nothing hostile harms."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.hosts.directories import data_directories
from imgopt_pipeline.hosts.directory_contents import file_kind
from imgopt_pipeline.hosts.directory_views import FolderView, LocalView, RemoteView
from imgopt_pipeline.hosts.directory_walk import WalkLimits
from imgopt_pipeline.hosts.models import DataDirectory, Mount
from imgopt_pipeline.hosts.mount_points import MountTable, parse_mountinfo
from imgopt_pipeline.hosts.processes import ProcessPlace
from imgopt_pipeline.names import printable
from tests.hosts.directories_made import MB, NOW, container, made, put, scanned, summed, volume

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="other users' processes and directories need root")


def test_a_bind_mount_of_several_containers_is_one_row(tmp_path: Path) -> None:
    put(tmp_path, {"srv/app/music/a.mp3": 30 * MB, "srv/app/music/cover.jpg": 1_000}, days=400, read_days=200)
    put(tmp_path, {"srv/app/music/b.mp3": 5 * MB}, days=300, read_days=3)
    put(tmp_path, {"srv/app/music/c.mp3": 2 * MB}, days=3, read_days=300)
    rows = scanned(
        tmp_path,
        container("player", "/srv/app/music", "/srv/app/music/", running=False, project="app"),
        container("web", "/srv/app/music", project="app"),
    )
    assert rows == {
        "/srv/app/music": DataDirectory(
            path="/srv/app/music",
            kind="bind",
            volume=None,
            containers=("player", "web"),
            compose_project="app",
            running=True,
            size_bytes=37 * MB + 1_000,
            files=4,
            contents="audio",
            contents_bytes={"audio": 37 * MB, "images": 1_000},
            unmodified_bytes=35 * MB + 1_000,
            unread_bytes=32 * MB + 1_000,
            unused_bytes=30 * MB + 1_000,
            idle_days=180,
            filesystem="",
            remote=False,
            in_use_by=None,
            complete=True,
        )
    }


def test_system_paths_files_and_settings_are_left_out_and_the_root_is_not_walked(tmp_path: Path) -> None:
    put(tmp_path, {"etc/big/x": 50 * MB, "srv/x.bin": 90 * MB, "srv/conf/a.yml": 100, "run/x/y": 20 * MB})
    put(tmp_path, {"var/lib/docker/containers/a/a.log": 70 * MB, "engine/data/x": 20 * MB, "home/me/f.iso": 11 * MB})
    mounts = ("/etc/big", "/etc/localtime", "/srv/x.bin", "/srv/conf", "/run/x", "/var/run/docker.sock")
    rows, _ = data_directories(
        [container("c", *mounts, "/var/lib/docker/containers", "/engine/data", "/srv/gone", "/", "/home", "relative")],
        [],
        FolderView(tmp_path),
        now=NOW,
        engine_folder="/engine",
    )
    assert [(row.path, row.size_bytes, row.complete) for row in rows] == [("/", None, False), ("/home", 11 * MB, True)]


def test_volumes_are_always_listed_and_one_that_binds_a_directory_is_that_directory(tmp_path: Path) -> None:
    put(tmp_path, {"var/lib/docker/volumes/db/_data/PG_VERSION": 3, "var/lib/docker/volumes/db/_data/base/1/2": 500})
    (tmp_path / "var/lib/docker/volumes/empty/_data").mkdir(parents=True)
    put(tmp_path, {"srv/media/v.mkv": 12 * MB})
    # A bind volume shows the same directory at its mountpoint; a link is the nearest thing that needs no mount.
    (tmp_path / "var/lib/docker/volumes/media").mkdir()
    (tmp_path / "var/lib/docker/volumes/media/_data").symlink_to("/srv/media")
    home = "/var/lib/docker/volumes"
    mounted = made("c", [Mount("volume", f"{home}/db/_data", "/db", "db", True)])
    rows = scanned(
        tmp_path,
        mounted,
        container("player", "/srv/media"),
        volumes=tuple(volume(name, f"{home}/{name}/_data", 7) for name in ("db", "empty", "media", "plugin")),
    )
    assert {
        path: (row.kind, row.volume, row.containers, row.size_bytes, row.contents) for path, row in rows.items()
    } == {
        f"{home}/db/_data": ("volume", "db", ("c",), 503, "database"),
        f"{home}/empty/_data": ("volume", "empty", (), 0, "other"),
        f"{home}/plugin/_data": ("volume", "plugin", (), 7, "unknown"),
        "/srv/media": ("bind", "media", ("player",), 12 * MB, "video"),
    }


def test_nested_and_linked_binds(tmp_path: Path) -> None:
    put(tmp_path, {"srv/a/x.mp3": 20 * MB, "srv/a/in/side/y.mp3": 15 * MB, "srv/a/in/side/deep/z.mp3": 11 * MB})
    (tmp_path / "srv/link").symlink_to("../srv/a/in/side")
    (tmp_path / "srv/loop").symlink_to("loop")
    (tmp_path / "srv/out").symlink_to("/../../../../../../../etc")
    rows = scanned(
        tmp_path,
        container("one", "/srv/a", "/srv/loop", "/srv/out"),
        container("two", "/srv/link", "/srv/a/in/side/deep", running=False),
    )
    assert {path: (row.size_bytes, row.containers) for path, row in rows.items()} == {
        "/srv/a": (46 * MB, ("one",)),
        "/srv/a/in/side": (26 * MB, ("two",)),
        "/srv/a/in/side/deep": (11 * MB, ("two",)),
    }


def test_large_directories_beside_compose_files(tmp_path: Path) -> None:
    put(tmp_path, {"srv/app/compose.yml": 10, "srv/app/web/package.json": 300, "srv/app/web/page.tsx": 9_000})
    put(tmp_path, {"srv/app/web/node_modules/next/index.js": 320 * MB, "srv/app/web/.next/cache/1.pack": 170 * MB})
    put(tmp_path, {"srv/app/api/app.py": 900, "srv/app/api/static/music/a.flac": 400 * MB, "srv/app/api/x.txt": 50})
    put(tmp_path, {"srv/app/models/llm/a.gguf": 600 * MB, "srv/app/models/llm/b.gguf": 300 * MB})
    put(tmp_path, {"srv/app/dump/big": 150 * MB, "srv/app/small/a.mp3": 99 * MB, "srv/app/node_modules/a.js": 120 * MB})
    put(tmp_path, {"srv/app/data/mounted/a.mp3": 800 * MB, "srv/app/data/rest/b.mp3": 110 * MB})
    put(tmp_path, {"srv/app/other/compose.yml": 5, "srv/app/other/a.mp3": 500 * MB})
    rows = scanned(
        tmp_path,
        container("web", "/srv/app/data/mounted", project="app", folder="/srv/app"),
        container("api", project="app", folder="/srv/app", running=False),
        container("x", project="other", folder="/srv/app/other"),
    )
    assert {path: (row.kind, row.size_bytes, row.contents, row.compose_project) for path, row in rows.items()} == {
        "/srv/app/web": ("project", 490 * MB + 9_300, "node_modules", "app"),
        "/srv/app/node_modules": ("project", 120 * MB, "node_modules", "app"),
        "/srv/app/api/static": ("project", 400 * MB, "audio", "app"),
        "/srv/app/models": ("project", 900 * MB, "models", "app"),
        "/srv/app/dump": ("project", 150 * MB, "other", "app"),
        "/srv/app/data/mounted": ("bind", 800 * MB, "audio", "app"),
        "/srv/app/data": ("project", 910 * MB, "audio", "app"),
    }
    assert rows["/srv/app/web"].contents_bytes == {
        "node_modules": 320 * MB,
        "build output": 170 * MB,
        "source": 9_000,
        "other": 300,
    }
    assert not rows["/srv/app/web"].running
    assert rows["/srv/app/web"].containers == ()


def test_a_project_inside_a_bind_mount_has_no_rows_but_one_inside_a_broad_one_has(tmp_path: Path) -> None:
    put(tmp_path, {"srv/a/node_modules/x.js": 150 * MB, "opt/apps/b/node_modules/x.js": 200 * MB})
    rows = scanned(
        tmp_path,
        container("a", project="a", folder="/srv/a"),
        container("b", project="b", folder="/opt/apps/b"),
        container("backup", "/srv", "/opt/apps"),
    )
    assert {path: row.kind for path, row in rows.items()} == {
        "/srv": "bind",
        "/srv/a/node_modules": "project",
        "/opt/apps": "bind",
    }


def test_remote_mounts_are_told_and_not_read(tmp_path: Path) -> None:
    put(tmp_path, {"mnt/nas/ollama/x.gguf": 900 * MB, "srv/app/a.mp3": 20 * MB, "srv/app/share/b.mp3": 40 * MB})
    filesystems = {"/": "xfs", "/mnt/nas": "nfs4", "/srv/app/share": "fuse.sshfs"}
    rows = scanned(
        tmp_path,
        container("c", "/mnt/nas/ollama", "/srv/app"),
        view=FolderView(tmp_path, [ProcessPlace(3, "ollama", ("/mnt/nas/ollama/x.gguf",))], filesystems),
    )
    remote, local = rows["/mnt/nas/ollama"], rows["/srv/app"]
    assert (remote.size_bytes, remote.files, remote.contents, remote.complete) == (None, None, "unknown", False)
    assert (remote.filesystem, remote.remote, remote.in_use_by) == ("nfs4", True, ("3 ollama",))
    assert (local.filesystem, local.remote, local.size_bytes, local.in_use_by) == ("xfs", False, 20 * MB, ())


def test_processes_of_a_described_host(tmp_path: Path) -> None:
    put(tmp_path, {"srv/a/x.mp3": 20 * MB, "srv/ab/x.mp3": 20 * MB})
    many = [ProcessPlace(number, "worker", ("/srv/a/deep/er", "/srv/a")) for number in range(1, 30)]
    rows = scanned(tmp_path, container("c", "/srv/a", "/srv/ab"), view=FolderView(tmp_path, many))
    assert rows["/srv/a"].in_use_by == tuple(f"{number} worker" for number in range(1, 21))
    assert rows["/srv/ab"].in_use_by == ()


def test_an_engine_elsewhere() -> None:
    rows, problems = data_directories(
        [container("c", "/srv/media", "/etc/passwd", "/var/run/docker.sock", project="p", folder="/srv")],
        [volume("v", "/var/lib/docker/volumes/v/_data", 5_000)],
        RemoteView(),
        now=NOW,
    )
    assert problems == []
    assert [(row.path, row.kind, row.size_bytes, row.in_use_by, row.complete) for row in rows] == [
        ("/srv/media", "bind", None, None, False),
        ("/var/lib/docker/volumes/v/_data", "volume", 5_000, None, False),
    ]


@pytest.mark.parametrize(
    ("name", "size_bytes", "kind"),
    [
        ("a.MP3", 1, "audio"),
        ("model.bin", 60 * MB, "models"),
        ("model.bin", 1 * MB, "other"),
        ("pytorch_model-00001-of-00002.bin", 60 * MB, "models"),
        ("diffusion_pytorch_model.fp16.bin", 60 * MB, "models"),
        ("adapter_model.bin", 60 * MB, "models"),
        ("GGML-base.en.bin", 60 * MB, "models"),
        ("data.bin", 900 * MB, "other"),
        ("remodel.bin", 900 * MB, "other"),
        ("server.log", 1, "logs"),
        ("server.log.12", 1, "logs"),
        ("server.log.3.gz", 1, "logs"),
        ("backup.tar.gz", 1, "archives"),
        ("page.ts", 9_000, "source"),
        ("film.ts", 900 * MB, "video"),
        ("dump.sql", 900 * MB, "archives"),
        ("x.sqlite3", 1, "database"),
        ("ibdata1", 1, "database"),
        (".mp3", 1, "other"),
        ("mp3", 1, "other"),
        ("v1.2", 1, "other"),
        ("", 1, "other"),
    ],
)
def test_kinds_of_files(name: str, size_bytes: int, kind: str) -> None:
    assert file_kind(name, size_bytes) == kind


def test_kinds_by_folder(tmp_path: Path) -> None:
    put(tmp_path, {"lib/package.json": 1, "lib/dist/a.js": 10, "plain/dist/song.mp3": 20, "hub/models--x/blobs/ab": 40})
    put(
        tmp_path, {"node_modules/a/dist/logo.png": 80, "pg/PG_VERSION": 3, "pg/base/1": 160, "models/sha256-1": 60 * MB}
    )
    put(tmp_path, {"huggingface/x/data.bin": 70 * MB, "huggingface/x/small.bin": 5, "models/logs/data.bin": 90})
    put(tmp_path, {"logs/out": 320, "repo/.git/objects/aa": 640})
    assert summed(tmp_path).total().by_kind == {
        "other": 1 + 3 + 5,
        "build output": 10,
        "audio": 20,
        "models": 60 * MB + 40 + 70 * MB,
        "node_modules": 80,
        "database": 160,
        "logs": 320 + 90,
        "source": 640,
    }


TREES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["a", "b", "node_modules", "x y", "é"]), max_size=4),
        st.sampled_from(["file", "file", "hardlink", "symlink", "folder"]),
        st.integers(0, 3_000),
        st.floats(0, 400),
        st.floats(0, 400),
    ),
    max_size=25,
)


@given(TREES)
@settings(max_examples=60, deadline=None)
def test_sums_agree_with_a_naive_model(tree: list[tuple[list[str], str, int, float, float]]) -> None:
    with tempfile.TemporaryDirectory() as made_at:
        root = Path(made_at)
        files: list[Path] = []
        for number, (folders, kind, size_bytes, days, read_days) in enumerate(tree):
            path = root.joinpath(*folders, f"{number}.mp3")
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "file":
                put(path.parent, {path.name: size_bytes}, days=days, read_days=read_days)
                files.append(path)
            elif kind == "hardlink" and files:
                os.link(files[number % len(files)], path)
            elif kind == "symlink":
                path.symlink_to(root)
            elif kind == "folder":
                path.mkdir()
        inodes = {}
        for folder, _, names in os.walk(root):
            for name in names:
                status = os.lstat(os.path.join(folder, name))
                if not os.path.islink(os.path.join(folder, name)):
                    inodes[status.st_ino] = status
        idle = NOW.timestamp() - 180 * 86_400
        folder_sums = summed(root, depth=2, idle_before=idle)
        tally = folder_sums.total()
        assert folder_sums.complete
        assert tally.files == len(inodes)
        assert tally.size_bytes == sum(status.st_size for status in inodes.values())
        unread = {ino for ino, status in inodes.items() if status.st_atime < idle}
        unmodified = {ino for ino, status in inodes.items() if status.st_mtime < idle}
        assert tally.unread_bytes == sum(inodes[ino].st_size for ino in unread)
        assert tally.unmodified_bytes == sum(inodes[ino].st_size for ino in unmodified)
        assert tally.unused_bytes == sum(inodes[ino].st_size for ino in unread & unmodified)


@pytest.mark.parametrize("tree", [Path(__file__).parents[1], Path(os.__file__).parent / "json", Path("/usr/share/doc")])
def test_sums_agree_with_du(tree: Path) -> None:
    if not tree.is_dir():
        pytest.skip(f"there is no {tree}")
    total = subprocess.run(["du", "-sbx", tree], check=True, capture_output=True, text=True).stdout.split()[0]
    others = 0  # du also counts the lengths of folders and links
    for folder, below, names in os.walk(tree):
        others += os.lstat(folder).st_size
        paths = [os.path.join(folder, name) for name in (*below, *names)]
        others += sum(os.lstat(path).st_size for path in paths if os.path.islink(path))
    folder_sums = summed(tree)
    assert folder_sums.total().size_bytes == int(total) - others


def test_what_is_no_regular_file_and_odd_names(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "dangling").symlink_to("nowhere")
    odd = os.fsdecode(b"od\xffd\n\x1b[31m")
    put(tmp_path, {f"srv/{odd}/a.mp3": 12 * MB})
    tally = summed(tmp_path).total()
    assert (tally.files, tally.size_bytes) == (1, 12 * MB)
    source = printable(f"/srv/{odd}")
    rows = scanned(tmp_path, container("c", source))
    assert list(rows) == [source] == ["/srv/od\\xffd\\x0a\\x1b[31m"]
    assert rows[source].size_bytes == 12 * MB


def test_a_tree_deeper_than_any_path(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    opened_before = len(os.listdir("/proc/self/fd"))
    for _ in range(2_500):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("a.mp3", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.truncate(f"/proc/self/fd/{here}/a.mp3", 77)
    folder = summed(tmp_path)
    assert (folder.total().size_bytes, folder.complete) == (77, True)
    # From below, because rm takes seconds for it.
    os.unlink("a.mp3", dir_fd=here)
    for _ in range(2_500):
        above = os.open("..", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = above
        os.rmdir("deep", dir_fd=here)
    os.close(here)
    assert len(os.listdir("/proc/self/fd")) < opened_before


def test_limits_leave_a_lower_bound(tmp_path: Path) -> None:
    put(tmp_path, {f"srv/a/{number}/{name}.mp3": MB for number in range(10) for name in range(10)})
    put(tmp_path, {"srv/b/x.mp3": 20 * MB})
    containers = [container("c", "/srv/a", "/srv/b")]
    few, problems = data_directories(containers, [], FolderView(tmp_path), now=NOW, limits=WalkLimits(entries=50))
    assert [(row.path, row.complete) for row in few] == [("/srv/a", False), ("/srv/b", True)]
    assert few[0].size_bytes is not None
    assert 30 * MB <= few[0].size_bytes <= 50 * MB
    assert "50 entries" in problems[0].message
    none, problems = data_directories(containers, [], FolderView(tmp_path), now=NOW, limits=WalkLimits(seconds=0))
    assert [(row.size_bytes, row.complete, row.contents) for row in none] == [(None, False, "unknown")] * 2
    assert len(problems) == 1


def test_files_that_come_and_go(tmp_path: Path) -> None:
    put(tmp_path, {f"kept/{number}.mp3": 10 for number in range(50)})
    ended = threading.Event()

    def stir() -> None:
        while not ended.is_set():
            put(tmp_path, {f"moving/{number}/x": 0 for number in range(20)})
            subprocess.run(["rm", "-rf", tmp_path / "moving"], check=True)

    thread = threading.Thread(target=stir)
    thread.start()
    try:
        sums = [summed(tmp_path) for _ in range(100)]
    finally:
        ended.set()
        thread.join()
    assert {folder.total().size_bytes for folder in sums} == {500}
    assert all(folder.complete for folder in sums)


@needs_root
def test_what_another_user_may_not_read(tmp_path: Path) -> None:
    put(tmp_path, {"srv/a/open.mp3": 20 * MB, "srv/a/closed/x.mp3": 30 * MB, "srv/closed/y.mp3": 20 * MB})
    for closed in ("srv/a/closed", "srv/closed"):
        (tmp_path / closed).chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from tests.hosts.directories_made import *\n"
        "from imgopt_pipeline.hosts.directory_views import LocalView\n"
        "v = volume('v', '/srv/closed', 123)\n"
        "rows, problems = data_directories([container('c', '/srv/a')], [v], FolderView(Path(sys.argv[1])), now=NOW)\n"
        "print([(r.path, r.size_bytes, r.complete) for r in rows])\n"
        "print([p.subject for p in problems], LocalView().processes())"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-B", "-c", program, str(tmp_path), root],
        capture_output=True,
        text=True,
        cwd="/",
    )
    if "ModuleNotFoundError" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("another user cannot run this interpreter")
    assert done.stderr == ""
    assert done.stdout.strip() == (
        f"[('/srv/a', {20 * MB}, False), ('/srv/closed', 123, False)]\n['/srv/closed', '/srv/a'] None"
    )


@needs_root
def test_processes_of_this_machine_and_of_other_mount_namespaces(tmp_path: Path) -> None:
    put(tmp_path, {"a/x.mp3": 20 * MB, "b/x.mp3": 20 * MB, "c/x.mp3": 20 * MB}, allocated=True)
    # The second sees b as /mnt alone, as a container does.
    hidden = f"mount --bind {tmp_path}/b /mnt && cd /mnt && exec sleep 60"
    starts = [["sleep", "60"], ["unshare", "--mount", "sh", "-c", hidden]]
    places = [tmp_path / "a", Path("/")]
    running = [subprocess.Popen(start, cwd=place) for start, place in zip(starts, places, strict=True)]
    try:
        deadline = time.monotonic() + 10
        while os.readlink(f"/proc/{running[1].pid}/cwd") != "/mnt":
            if running[1].poll() is not None or time.monotonic() > deadline:
                pytest.skip("no mount namespace can be made here")
            time.sleep(0.02)
        sources = [str(tmp_path / name) for name in "abc"]
        with (tmp_path / "c/x.mp3").open("rb"):
            rows, _ = data_directories([container("c", *sources)], [], LocalView(), now=datetime.now(UTC))
    finally:
        for process in running:
            process.kill()
            process.wait()
    if rows[0].in_use_by is None:
        pytest.skip("processes cannot be seen here")
    users = {Path(row.path).name: row.in_use_by for row in rows}
    # This process, which looks, is no user of what it holds open.
    assert users == {"a": (f"{running[0].pid} sleep",), "b": (f"{running[1].pid} sleep",), "c": ()}


@needs_root
def test_other_file_systems_below_are_not_entered(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from tests.hosts.directories_made import *\n"
        "from imgopt_pipeline.hosts.directory_views import LocalView\n"
        "rows, _ = data_directories([container('c', sys.argv[1])], [], LocalView(), now=NOW)\n"
        "print([(r.size_bytes, r.filesystem, r.unread_bytes) for r in rows])"
    )
    put(tmp_path, {"srv/x.mp3": 20 * MB, "elsewhere/y.mp3": 50 * MB, "srv/same/z": 0}, allocated=True)
    (tmp_path / "srv/memory").mkdir()
    mounts = (
        f"mount -t tmpfs -o noatime none {tmp_path}/srv/memory && fallocate -l 30M {tmp_path}/srv/memory/m &&"
        f" mount --bind {tmp_path}/elsewhere {tmp_path}/srv/same && "
    )
    run = f'exec "{sys.executable}" -c "$0" "$1" "$2"'
    root = str(Path(__file__).parents[2])
    outputs = []
    for folder in ("srv", "srv/memory"):
        command = ["unshare", "--mount", "sh", "-c", mounts + run, program, str(tmp_path / folder), root]
        done = subprocess.run(command, capture_output=True, text=True)
        if "unshare" in done.stderr or "mount" in done.stderr:
            pytest.skip("no mount namespace can be made here")
        assert done.stderr == ""
        outputs.append(done.stdout.strip())
    mount = LocalView().mount_of(tmp_path)
    assert mount is not None
    assert outputs == [
        f"[({20 * MB}, '{mount.filesystem}', {0 if mount.records_reads else None})]",
        f"[({30 * 1024 * 1024}, 'tmpfs', None)]",
    ]


MOUNTINFO = rb"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:50 / /mnt/my\040nas rw,relatime - nfs4 nas:/x rw
31 22 0:51 /sub /mnt/tab\011\134 rw,noatime master:2 propagate_from:1 - fuse.rclone r: rw
32 22 254:0 /srv/app /alias ro - ext4 /dev/vda rw
33 22 0:52 / /pool rw - fuse.mergerfs a:b rw
broken line
34 22 0:53 / - x
"""


def test_mount_points() -> None:
    table = MountTable(parse_mountinfo(MOUNTINFO))
    told = {
        path: (mount.filesystem, mount.remote, mount.records_reads)
        for path in ("/srv/x", "/mnt/my nas/a", "/mnt/tab\t\\/b", "/alias", "/aliases", "/pool/a")
        if (mount := table.of(path))
    }
    assert told == {
        "/srv/x": ("ext4", False, True),
        "/mnt/my nas/a": ("nfs4", True, True),
        "/mnt/tab\t\\/b": ("fuse.rclone", True, False),
        "/alias": ("ext4", False, False),
        "/aliases": ("ext4", False, True),
        "/pool/a": ("fuse.mergerfs", False, True),
    }
    assert table.inside("/alias/x") == ("254:0", "/srv/app/x")
    assert table.inside("/mnt/tab\t\\") == ("0:51", "/sub")
    assert sorted(table.seen("254:0", "/srv/app/x")) == ["/alias/x", "/srv/app/x"]
    assert list(table.seen("0:51", "/other")) == []
