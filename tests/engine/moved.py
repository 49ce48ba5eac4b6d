"""A service with a folder of data, on a private daemon, and file systems to move that folder to.

Belongs here: making and looking at them with no code of the package but its settings and tables. Does not belong here:
what is asserted of migrations.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import publish, replace_rows

from ..migrations.grounds import Tree, contents, lost, tmpfs
from .daemons import Daemon, EngineError
from .deployed import BASE, free_port

Made = Literal["compose", "container", "volume"]

SERVE = "httpd -f -p 8080 -h /data"


@dataclass
class Library:
    """A service `NAME` that serves its folder of data. `before` is what the folder held at first."""

    daemon: Daemon
    name: str
    folder: Path
    remote: Path
    port: int
    made: Made
    command: str = SERVE
    settings_given: dict[str, Any] = field(default_factory=dict)
    before: Tree = field(default_factory=dict)
    odd: bool = True
    stop_signal: str = "KILL"

    @property
    def source(self) -> Path:
        """Where the data is at first."""
        if self.made == "volume":
            return self.daemon.data_root / "volumes" / f"{self.name}_music" / "_data"
        return self.folder / "music"

    @property
    def final(self) -> Path:
        return self.remote / (f"{self.name}_music" if self.made == "volume" else "music")

    @property
    def file(self) -> Path:
        return self.folder / "compose.yaml"

    @property
    def subject(self) -> str:
        return f"{self.name}_music" if self.made == "volume" else str(self.source)

    @property
    def settings(self) -> Settings:
        given: dict[str, Any] = {
            "home": self.folder / "home",
            "hosts": {"local": {"engine": self.daemon.url}},
            "deployments": {"soak_seconds": 0.3, "deadline_seconds": 10, "probe_times": 1, "stop_seconds": 1},
        }
        return Settings(**(given | self.settings_given))

    def start(self) -> None:
        """Run it."""
        if self.made == "container":
            self.daemon.docker("network", "create", f"{self.name}_net")
            command = ["run", "-d", "--name", self.name, "--network", f"{self.name}_net", "--restart", "always"]
            command += ["--stop-signal", self.stop_signal]
            self.daemon.docker(
                *command,
                "-p",
                f"127.0.0.1:{self.port}:8080",
                "-v",
                f"{self.source}:/data",
                BASE,
                "sh",
                "-c",
                self.command,
            )
            return
        volume = "music:/data" if self.made == "volume" else f"{self.source}:/data"
        named = "volumes:\n  music:\n" if self.made == "volume" else ""
        self.file.write_text(
            f"name: {self.name}\nservices:\n  web:\n    image: {BASE}\n    restart: always\n"
            f"    stop_signal: {self.stop_signal}\n"
            f"    command: ['sh', '-c', {json.dumps(self.command)}]\n"
            f"    ports: ['127.0.0.1:{self.port}:8080']\n    volumes: ['{volume}']\n{named}"
        )
        if self.made == "volume" and not self.source.exists():
            self.daemon.docker("compose", "-f", str(self.file), "create")
        self.daemon.docker("compose", "-f", str(self.file), "up", "-d", "--no-build")

    def fill(self, files: int = 12) -> None:
        """Write the data."""
        self.source.mkdir(exist_ok=True)
        (self.source / "index.html").write_text("here I am")
        for number in range(files):
            album = self.source / f"album {number % 3}"
            album.mkdir(exist_ok=True)
            (album / f"{number}.mp3").write_bytes(os.urandom(number * 3001))
        os.link(self.source / "album 1" / "1.mp3", self.source / "hard link")
        if self.odd:
            (self.source / os.fsdecode(b"latin \xe9")).write_bytes(b"odd")
            os.symlink("album 1/1.mp3", self.source / "link")
        self.before = contents(self.source)

    def approve(self) -> None:
        """As a person would; what was put back needs it anew."""
        approved_at = datetime.now(UTC).replace(tzinfo=None)
        row = {
            "approval_id": f"approval-{self.name}-{approved_at:%H%M%S%f}",
            "host": "local",
            "subject": str(self.source),
            "subject_kind": "directory",
            "image_id": None,
            "path": str(self.source),
            "action": "move to a remote mount",
            "approved_by": "tester",
            "approved_at": approved_at,
            "note": "",
        }
        publish(self.settings.paths.database, lambda connection: replace_rows(connection, {"approvals": [row]}))

    def page(self, path: str = "index.html") -> str:
        """What it answers now, empty where it does not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=3) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""

    def inside(self, command: str) -> str:
        """What a command in the running container prints."""
        (running,) = [one for one in self.containers() if one["State"]["Running"]]
        return self.daemon.docker("exec", running["Id"], "sh", "-c", command)

    def containers(self) -> list[dict[str, Any]]:
        """All containers of it, ours set aside too, as the engine inspects them."""
        ids = self.daemon.docker("ps", "-aq", "--filter", f"name={self.name}").split()
        return list(json.loads(self.daemon.docker("inspect", *ids))) if ids else []

    def running_from(self) -> list[str]:
        """The folders of the host that its running containers see as their data."""
        return [
            mount["Source"]
            for one in self.containers()
            if one["State"]["Running"]
            for mount in one["Mounts"]
            if mount["Destination"] == "/data"
        ]

    def lost(self) -> list[bytes]:
        """What of the first data is in none of the places where it may be."""
        asides = list(self.folder.glob("music.migrated-*"))
        return lost(self.before, self.source, self.final, *asides)

    def lost_to_the_service(self) -> list[bytes]:
        """What of the first data is not in the very folder that the service sees."""
        (folder,) = self.running_from()
        return lost(self.before, Path(folder))


@contextmanager
def library(
    daemon: Daemon,
    folder: Path,
    *,
    made: Made = "compose",
    remote: Path | None = None,
    command: str = SERVE,
    odd: bool = True,
    stop_signal: str = "KILL",
    **given: Any,
) -> Iterator[Library]:
    """A running service with data, and a small file system of its own to move them to; removed at the end."""
    name = "lib-" + "".join(letter for letter in folder.name.lower() if letter.isalnum())[-40:]
    try:
        daemon.image_id(BASE)
    except EngineError:
        daemon.import_busybox(BASE)
    with tmpfs(folder, "32m") as small:
        one = Library(
            daemon, name, folder, remote or small, free_port(), made, command, given, odd=odd, stop_signal=stop_signal
        )
        try:
            if made == "volume":
                one.start()
                one.fill()
            else:
                one.fill()
                one.start()
            one.approve()
            yield one
        finally:
            ids = [container["Id"] for container in one.containers()]
            if ids:
                daemon.docker("rm", "-f", "-v", *ids)
            for kind in ("network", "volume"):
                left = daemon.docker(kind, "ls", "-q", "--filter", f"name={name}_").split()
                if left:
                    daemon.docker(kind, "rm", *left)
            shutil.rmtree(one.final, ignore_errors=True)
