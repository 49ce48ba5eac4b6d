"""A whole server on a private engine: an application of its own, somebody's music, what others made, and leftovers.

Belongs here: setting it up as its owner would, running the program there, and looking at it with no code of the
package but its settings. Does not belong here: the order of what is done, and what is expected.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import yaml

from imgopt_pipeline.settings import HostSettings, Settings
from tests.engine.daemons import Daemon
from tests.engine.deployed import free_port
from tests.engine.program import PROGRAM, environment
from tests.engine.usual_bases import make_usual_bases
from tests.migrations.grounds import ext4, tmpfs

from .cases import Case, build_original

SECONDS = 600
PROJECT = "office"
#: A compiler left in, and no more: what is told here is how it goes on, not what can be made of an image.
DESK = Case(
    name="desk",
    application="desk",
    tag="desk:latest",
    bases=("python:3.11-slim",),
    smaller=0.3,
    paths=("/health", "/desks"),
)
PLAYER = "office-player:1"
THIRD_PARTY = "registry.example.org/acme/gateway:4"
#: Of the third party's image, in a layer below the one that deletes it: what tempts to a rebuild.
HIDDEN_BYTES = 120_000_000
TRACKS = 26
TRACK_BYTES = 4_000_000
DISK_BYTES = 256 << 20


@dataclass(frozen=True)
class Server:
    """What a person looks at. `music` lies on a disk of its own, `remote` is another file system."""

    daemon: Daemon
    home: Path
    project: Path
    remote: Path
    desk_port: int
    player_port: int

    @property
    def music(self) -> Path:
        return self.project / "music"

    @property
    def moved(self) -> Path:
        return self.remote / "music"

    @property
    def config(self) -> dict[str, Any]:
        """What stands in imgopt.yaml: a stricter build cache than usual, and little patience, as nothing is slow."""
        return {
            "builds": {"network": "host", "cache_bytes": 0, "soak_seconds": 1},
            "deployments": {"soak_seconds": 2, "deadline_seconds": 60, "probe_times": 2, "stop_seconds": 1},
            "migrations": {"music": {"source": str(self.music), "destination": str(self.remote)}},
        }

    @property
    def settings(self) -> Settings:
        """Those of the program, for what only happens days later."""
        return Settings(home=self.home, hosts={"local": HostSettings(engine=self.daemon.url)}, **self.config)

    def imgopt(self, *arguments: str) -> str:
        """What it prints; it must succeed."""
        (self.home / "imgopt.yaml").write_text(yaml.safe_dump(self.config))
        env = environment(self.home, self.daemon.url) | {"DOCKER_CONFIG": str(self.daemon.home / "client")}
        command = [str(PROGRAM), *arguments]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=env, cwd=self.home, timeout=SECONDS
        )
        assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def ask(self, path: str) -> str:
        """What the application answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.desk_port}{path}", timeout=20) as answer:
            return str(answer.read().decode())

    def play(self, track: str) -> bytes:
        """What the player gives out."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.player_port}/{track}", timeout=20) as answer:
            return bytes(answer.read())

    def container(self, name: str) -> dict[str, Any]:
        """A container as the engine inspects it."""
        (found,) = json.loads(self.daemon.docker("inspect", name))
        return dict(found)

    def image_bytes(self) -> int:
        """What the engine says that all images take, each layer once."""
        with docker.APIClient(self.daemon.url) as client:
            return int(client.df()["LayersSize"])

    def disk_bytes(self) -> int:
        """What the engine's images and build cache take on its disk, by the disk."""
        done = subprocess.run(
            ["du", "--summarize", "--one-file-system", "--block-size=1", self.daemon.data_root / "overlay2"],
            check=True,
            capture_output=True,
            text=True,
        )
        return int(done.stdout.split()[0])

    def music_disk_bytes(self) -> int:
        """What is used of the disk that the music lay on."""
        status = os.statvfs(self.project)
        return (status.f_blocks - status.f_bfree) * status.f_frsize


@contextmanager
def server(daemon: Daemon, folder: Path) -> Iterator[Server]:
    """A server with everything running. Its disks go; all else goes with its daemon."""
    with _disk(folder / "disk") as disk, _disk(folder / "elsewhere") as remote:
        project = disk / PROJECT
        project.mkdir()
        one = Server(daemon, folder / "home", project, remote, free_port(), free_port())
        one.home.mkdir()
        _fill_with_music(one.music)
        make_usual_bases(daemon, *DESK.bases)
        context = build_original(daemon, DESK).context
        daemon.import_busybox(PLAYER)
        _start_project(one, context)
        _start_what_others_made(daemon)
        _leave_things_over(daemon)
        yield one


def _start_project(one: Server, context: Path) -> None:
    services = {
        "desk": {
            "image": DESK.tag,
            "build": {"context": str(context), "network": "host"},
            "ports": [f"127.0.0.1:{one.desk_port}:{DESK.port}"],
            "restart": "unless-stopped",
        },
        "player": {
            "image": PLAYER,
            "command": ["httpd", "-f", "-p", "8080", "-h", "/music"],
            "ports": [f"127.0.0.1:{one.player_port}:8080"],
            "volumes": [f"{one.music}:/music"],
            "restart": "unless-stopped",
            "stop_signal": "KILL",
        },
    }
    file = one.project / "compose.yaml"
    file.write_text(yaml.safe_dump({"name": PROJECT, "services": services}))
    one.daemon.docker("compose", "--file", str(file), "up", "--detach", "--no-build")


def _start_what_others_made(daemon: Daemon) -> None:
    dockerfile = f"FROM {PLAYER}\nRUN head -c {HIDDEN_BYTES} /dev/urandom > /models\nRUN rm /models\n"
    daemon.build(f"{dockerfile}CMD sleep 100000\n", {}, THIRD_PARTY)
    daemon.docker("run", "--detach", "--network=none", "--name=gateway", THIRD_PARTY)


def _leave_things_over(daemon: Daemon) -> None:
    daemon.docker("run", "--network=none", "--name=old-job", PLAYER, "true")
    daemon.build(f"FROM {PLAYER}\nRUN head -c 9000000 /dev/urandom > /version\n", {}, "leftover:1")
    daemon.build(f"FROM {PLAYER}\nRUN echo 2 > /version\n", {}, "leftover:1")


def _fill_with_music(folder: Path) -> None:
    for number in range(TRACKS):
        track = folder / f"session {number % 4}" / f"{number:02}.mp3"
        track.parent.mkdir(parents=True, exist_ok=True)
        track.write_bytes(b"ID3\x03" + random.Random(number).randbytes(TRACK_BYTES))


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, in memory where no loop device is to be had."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(ext4(folder, DISK_BYTES))
        except subprocess.CalledProcessError:
            disk = stack.enter_context(tmpfs(folder / "memory", str(DISK_BYTES)))
        yield disk
