"""Trees with everything a folder can hold, real file systems to move them to, and a naive way to tell what is there.

Nothing here uses what is tested: the oracle is `os.walk` and `hashlib`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgopt_pipeline.migrations.models import Move
from imgopt_pipeline.migrations.mounts import mount_of

Tree = dict[bytes, tuple[str, bytes]]

ODD_NAMES = (b"latin \xe9.txt", b"line\nbreak", b"-rf", b"\x1b[31mred", b"x" * 255, "e\u0301 decomposed".encode())


def contents(folder: Path) -> Tree:
    """Every path with its kind, and sha256 or link target; sockets, pipes and devices left out."""
    found: Tree = {}
    top = os.fsencode(folder)
    for place, folders, files in os.walk(top):
        for name in [*folders, *files]:
            path = os.path.join(place, name)
            mode = os.lstat(path).st_mode
            relative = os.path.relpath(path, top)
            if stat.S_ISLNK(mode):
                found[relative] = "link", os.readlink(path)
            elif stat.S_ISDIR(mode):
                found[relative] = "folder", b""
            elif stat.S_ISREG(mode):
                with open(path, "rb") as file:
                    found[relative] = "file", hashlib.file_digest(file, "sha256").digest()
    return found


def lost(before: Tree, *places: Path) -> list[bytes]:
    """Files and links that are in none of the places as they were."""
    there = [contents(place) for place in places if place.is_dir()]
    return [path for path, what in before.items() if not any(tree.get(path) == what for tree in there)]


def make_tree(folder: Path, *, odd_names: bool = True, links: bool = True, special: bool = True) -> Tree:
    """A bit of everything; what is in it."""
    folder.mkdir(parents=True)
    for number in range(40):
        album = folder / f"album {number % 8}"
        album.mkdir(exist_ok=True)
        (album / f"{number}.mp3").write_bytes(os.urandom(number * 7919))
    (folder / "empty").write_bytes(b"")
    (folder / "empty folder").mkdir()
    (folder / "deep" / "er" / "still").mkdir(parents=True)
    (folder / "deep" / "er" / "still" / "file").write_text("deep")
    with open(folder / "sparse", "wb") as file:
        file.seek(3_000_000)
        file.write(b"middle")
        file.truncate(8_000_000)
    os.chmod(folder / "sparse", 0o4750)
    os.chown(folder / "empty", 1234, 5678)
    os.chmod(folder / "deep" / "er", 0o500)
    os.utime(folder / "deep", ns=(1_500_000_000_000_000_000, 1_400_000_000_123_456_789))
    if odd_names:
        for name in ODD_NAMES:
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(name)
    if links:
        os.symlink("album 1/1.mp3", folder / "to a file")
        os.symlink("/etc", folder / "to a folder")
        os.symlink("no where", folder / "dangling")
        os.link(folder / "album 1" / "1.mp3", folder / "deep" / "hard link")
        os.link(folder / "album 1" / "1.mp3", folder / "another hard link")
    if special:
        os.mkfifo(folder / "pipe")
        socket.socket(socket.AF_UNIX).bind(str(folder / "s"))
    return contents(folder)


def a_move(source: Path, final: Path, actions: Path, *, action_id: str = "m1", workers: int = 3) -> Move:
    """A move to where `final` lies now."""
    mount = mount_of(final.parent)
    return Move(action_id, source, final, actions / action_id, mount.mount_point, mount.filesystem, workers)


@contextmanager
def ext4(folder: Path, size_bytes: int = 64 << 20) -> Iterator[Path]:
    """A disk of its own."""
    with _loop(folder, size_bytes, ["mkfs.ext4", "-q", "-F"], ["mount", "-o", "loop"]) as mounted:
        shutil.rmtree(mounted / "lost+found")
        yield mounted


@contextmanager
def exfat(folder: Path) -> Iterator[Path]:
    """One that tells no case, keeps no owners, modes or links, and refuses many names. In user space."""
    with _loop(folder, 64 << 20, ["mkfs.exfat"], []) as mount_point:
        command = ["losetup", "--find", "--show", str(folder / "disk")]
        device = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        try:
            subprocess.run(["mount.exfat-fuse", device, mount_point], check=True, capture_output=True)
            yield mount_point
        finally:
            unmount(mount_point)
            subprocess.run(["losetup", "--detach", device], check=True)


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """Memory as a file system."""
    mount_point = folder / "tmpfs"
    mount_point.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "imgopt-test", mount_point], check=True)
    try:
        yield mount_point
    finally:
        unmount(mount_point)


@contextmanager
def rclone(folder: Path, remote: str = ":local:") -> Iterator[Path]:
    """A remote by rclone; of a folder beside, or in memory (`:memory:`)."""
    mount_point, beside = folder / "remote", folder / "behind the remote"
    mount_point.mkdir(parents=True)
    beside.mkdir()
    what = f"{remote}{beside}" if remote == ":local:" else remote
    options: list[str | Path] = [
        "--vfs-cache-mode",
        "writes",
        "--vfs-write-back",
        "1s",
        "--cache-dir",
        folder / "cache",
    ]
    process = subprocess.Popen(["rclone", "mount", "--config", "/dev/null", *options, what, mount_point])
    try:
        for _ in range(100):
            if os.path.ismount(mount_point):
                break
            time.sleep(0.05)
        else:
            raise RuntimeError("rclone did not mount in time")
        yield mount_point
    finally:
        unmount(mount_point)
        process.terminate()
        process.wait(10)


def unmount(mount_point: Path) -> None:
    """Whatever is mounted there, dead or alive."""
    while subprocess.run(["umount", "-l", mount_point], check=False, capture_output=True).returncode == 0:
        pass


@contextmanager
def _loop(folder: Path, size_bytes: int, make: list[str], mount: list[str]) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    disk, mount_point = folder / "disk", folder / "mounted"
    mount_point.mkdir()
    with open(disk, "wb") as file:
        file.truncate(size_bytes)
    subprocess.run([*make, disk], check=True, stdout=subprocess.DEVNULL)
    if mount:
        subprocess.run([*mount, disk, mount_point], check=True)
    try:
        yield mount_point
    finally:
        unmount(mount_point)
