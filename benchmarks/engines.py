"""Private engines whose images stay between runs, one for each image store and one for the small fleet.

A daemon runs as long as the benchmark does; what it holds lies below `IMGOPT_BENCH_HOME`.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.url, "DOCKER_CONTEXT": "", "DOCKER_BUILDKIT": "1"}

    def docker(self, *words: str | Path) -> str:
        """What the docker command prints. Raises CalledProcessError, its complaints shown."""
        done = subprocess.run(
            ["docker", *words],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, **self.environment},
        )
        return done.stdout.strip()

    def has_image(self, tag: str) -> bool:
        return bool(self.docker("image", "ls", "--quiet", tag))

    @property
    def root(self) -> Path:
        """The folder of its data."""
        return Path(self.docker("info", "--format", "{{.DockerRootDir}}"))


@contextmanager
def kept_engine(home: Path, *, containerd: bool) -> Iterator[Engine]:
    """The engine whose data lies in `home`, started and stopped again; one that runs there is used as it is."""
    engine = Engine(f"unix://{home}/docker.sock")
    if _answers(engine):
        yield engine
        return
    home.mkdir(parents=True, exist_ok=True)
    (home / "pid").unlink(missing_ok=True)
    settings: dict[str, object] = {"features": {"containerd-snapshotter": containerd}}
    if not containerd:
        settings["storage-driver"] = "overlay2"
    (home / "daemon.json").write_text(json.dumps(settings))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            _command(home, engine), stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
        )
    try:
        _wait(engine, process, home / "log")
        yield engine
    finally:
        process.terminate()
        process.wait()


def _command(home: Path, engine: Engine) -> list[str]:
    return [
        *("setpriv", "--pdeathsig", "TERM", "dockerd"),
        f"--config-file={home}/daemon.json",
        f"--host={engine.url}",
        f"--data-root={home}/data",
        f"--exec-root={home}/exec",
        f"--pidfile={home}/pid",
        *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
    ]


def _wait(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(engine):
            return
        time.sleep(0.2)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise RuntimeError(f"The engine for {engine.url} did not start. The end of its log:\n{tail}")


def _answers(engine: Engine) -> bool:
    asked = subprocess.run(["docker", "--host", engine.url, "version"], capture_output=True, check=False)
    return asked.returncode == 0
