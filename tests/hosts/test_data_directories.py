"""Data directories of this machine count what the disk holds, and no name, link or process that lies there harms."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.hosts.directory_views import LocalView
from imgopt_pipeline.hosts.mount_points import MountTable, parse_mountinfo
from imgopt_pipeline.hosts.processes import local_processes
from imgopt_pipeline.names import printable
from tests.hosts.directories_made import MB, container, put, scanned, summed


def mount_table() -> MountTable:
    return MountTable(parse_mountinfo(Path("/proc/self/mountinfo").read_bytes()))


@pytest.fixture
def sees_processes() -> None:
    if local_processes(mount_table()) is None:
        pytest.skip("processes cannot be seen here")


def found_bytes(folder: Path) -> int:
    """What the files of a folder take of the disk, by their blocks and lengths as find tells them."""
    command = ["find", str(folder), "-type", "f", "-printf", "%s %b\\n"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sum(min(int(size), int(blocks) * 512) for size, blocks in (line.split() for line in told.splitlines()))


def test_sparse_files_of_this_machine_count_what_they_take(tmp_path: Path) -> None:
    put(tmp_path, {f"srv/music/{number}.mp3": 503 * MB for number in range(6)}, days=400)
    put(tmp_path, {"srv/music/real.mp3": 12 * MB + 1, "srv/music/small.txt": 100}, days=400, allocated=True)
    with (tmp_path / "srv/music/holes.mkv").open("wb") as file:
        file.seek(300 * MB)
        file.write(b"x" * MB)
    put(tmp_path, {"srv/empty/film.mkv": 900 * MB})
    music = tmp_path / "srv/music"
    rows = scanned(tmp_path, container("c", str(music), str(tmp_path / "srv/empty")), view=LocalView())
    assert list(rows) == [str(music)]  # the other is as small as one of settings
    row = rows[str(music)]
    assert (row.size_bytes, row.files) == (found_bytes(music), 9)
    assert row.size_bytes is not None
    assert 13 * MB < row.size_bytes < 14 * MB
    assert row.contents_bytes["audio"] == 12 * MB + 1
    assert row.unmodified_bytes == row.unread_bytes == row.unused_bytes == 12 * MB + 101
    described = scanned(tmp_path, container("c", "/srv/music"))["/srv/music"]
    assert described.unused_bytes == 6 * 503 * MB + 12 * MB + 101
    assert described.size_bytes == described.unused_bytes + 301 * MB


@pytest.mark.parametrize("source", ["/", "/proc", "/sys/fs", "/dev", "/run/x", "/etc/app", "/srv/data.sock"])
def test_the_systems_own_is_no_data(tmp_path: Path, source: str) -> None:
    put(tmp_path, {f"{source}/big.mp3": 50 * MB})
    found = scanned(tmp_path, container("a", source))
    assert all(row.size_bytes is None for row in found.values())
    assert set(found) <= {"/"}


def test_no_link_leads_out_of_a_described_hosts_folder(tmp_path: Path) -> None:
    outside, root = tmp_path / "secret", tmp_path / "root"
    put(outside, {"big.mp3": 70 * MB})
    put(root, {"srv/data/own.mp3": 11 * MB})
    (root / "srv/data/out").symlink_to(outside)
    (root / "srv/away").symlink_to(outside)
    (root / "srv/up").symlink_to("../../../../.." + str(outside))
    found = scanned(root, container("a", "/srv/data", "/srv/away", "/srv/up", "/srv/../../secret"))
    assert {path: row.size_bytes for path, row in found.items()} == {"/srv/data": 11 * MB}


def test_hostile_names_and_files_are_counted_and_printable(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"bad\xff\n\x1b[31m\\x")
    for number, raw in enumerate([b"\xfe.mp3", b"new\nline.mp3", b"-rf", b"a" * 255, "🎵.mp3".encode()]):
        put(folder, {os.fsdecode(raw): 3 * MB + number}, allocated=True)
    os.mkfifo(folder / "fifo.mp3")
    (folder / "loop").symlink_to(".")
    (folder / "self").symlink_to("self")
    (folder / "file.mp3").symlink_to("/etc/passwd")
    name = printable(str(folder))
    row = scanned(tmp_path, container("a", name), view=LocalView())[name]
    assert (row.size_bytes, row.files, row.complete) == (15 * MB + 10, 5, True)
    assert row.path.isprintable()


@pytest.mark.usefixtures("sees_processes")
def test_a_process_is_seen_by_its_working_directory_and_by_an_open_file(tmp_path: Path) -> None:
    put(tmp_path, {"cwd/deep/a.mp3": 20 * MB, "open/a.mp3": 20 * MB}, allocated=True)
    folders = [str(tmp_path / "cwd"), str(tmp_path / "open")]
    program = "import sys; f = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, f"{folders[1]}/a.mp3"],
        cwd=tmp_path / "cwd/deep",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = scanned(tmp_path, container("a", *folders), view=LocalView())
        for folder in folders:
            users = found[folder].in_use_by
            assert users is not None
            assert [user for user in users if user.startswith(f"{process.pid} ")], folder
        process.communicate()
    ended = scanned(tmp_path, container("a", *folders), view=LocalView())
    assert [row.in_use_by for row in ended.values()] == [(), ()]


@pytest.mark.usefixtures("sees_processes")
def test_a_process_that_ended_and_is_not_reaped_hides_no_others(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as alive, subprocess.Popen(["true"]) as ended:
        try:
            os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
            with pytest.raises(OSError, match="Invalid argument"):
                Path(f"/proc/{ended.pid}/mountinfo").read_bytes()
            # It ends between two looks: its namespace could be told still, its mounts no more.
            proc = tmp_path / "proc"
            for pid, of in {ended.pid: ended, alive.pid: alive}.items():
                (proc / f"{pid}/ns").mkdir(parents=True)
                (proc / f"{pid}/ns/mnt").symlink_to(f"mnt:[{pid}]")
                for name in ("mountinfo", "cwd", "exe", "fd", "comm"):
                    path = f"/proc/{of.pid}/{name}"
                    (proc / f"{pid}/{name}").symlink_to(os.readlink(path) if name == "cwd" and of is alive else path)
            (proc / "self/ns").mkdir(parents=True)
            (proc / "self/ns/mnt").symlink_to("mnt:[1]")
            between = local_processes(mount_table(), proc)
            now = local_processes(mount_table())
        finally:
            alive.kill()
    assert [process.pid for process in between or ()] == [alive.pid]
    assert now is not None
    told = {process.pid: process.paths for process in now}
    assert str(tmp_path) in told[alive.pid]
    assert ended.pid not in told


@pytest.mark.usefixtures("sees_processes")
def test_a_process_that_may_not_be_looked_at_leaves_unknown_who_uses_what(tmp_path: Path) -> None:
    program = (
        "import os; from tests.hosts.test_data_directories import *; print(local_processes(mount_table()) is None)"
    )
    weak = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-all", sys.executable, "-c", program]
    with subprocess.Popen(["setpriv", "--reuid=65534", "--clear-groups", "sleep", "60"]) as other:
        try:
            done = subprocess.run(weak, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        finally:
            other.kill()
    if "setpriv" in done.stderr:
        pytest.skip("no right can be given up here")
    assert (done.stdout, done.stderr) == ("True\n", "")


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
        put(path.parent, {path.name: tree}, allocated=tree % 2 == 0)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("xyz"), TREES, max_size=3), st.booleans())
def test_every_part_of_a_tree_has_the_bytes_below_it(tree: dict[str, object], allocated: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        make(root, tree)
        statuses = {path: path.stat() for path in root.rglob("*") if path.is_file()}
        held = {
            path: min(status.st_size, status.st_blocks * 512) if allocated else status.st_size
            for path, status in statuses.items()
        }
        summed_up = summed(root, depth=2, allocated=allocated)
        assert summed_up.total().files == len(held)
        for part in summed_up.all():
            inside = [size_bytes for path, size_bytes in held.items() if path.is_relative_to(part.path)]
            assert part.total().size_bytes == sum(inside)
