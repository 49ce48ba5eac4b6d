"""Small projects whose images leave waste behind, made without a network, and the bench `imgopt optimize` is tried on.

Belongs here: folders with a Dockerfile, their images, what an engine holds, and the program under way. Does not
belong here: its environment (`program.py`) and what a test expects.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from typer.testing import CliRunner

from imgopt_pipeline.cli.app import app
from imgopt_pipeline.errors import ImgoptError

from .daemons import Daemon
from .program import PROGRAM, environment, imgopt, leftovers

BASE = "optimizing-base:1"
START = f"FROM {BASE}\nENV PATH=/bin\n"
#: Three million bytes that the next step deletes: R17 joins the two.
ARCHIVE = "RUN head -c 3000000 /dev/zero > /tmp/archive && echo made > /made\nRUN rm /tmp/archive\n"
#: Two million bytes of `.git`, which R10 keeps out, and three and a half that are stored twice for their owner: R12.
COPIED = "WORKDIR /srv\nCOPY . .\nRUN chown -R 1000:1000 /srv\n"
SERVE = "httpd -f -p 8080 -h /srv/app"
QUICK = "builds: {network: host, soak_seconds: 0, start_seconds: 3}\n"
#: A time that no other process of the machine sleeps for.
NAP = "4323.5"
FILES = {
    "app/index.html": b"<h1>shop</h1>",
    "app/picture": b"picture " * 180_000,
    ".git/HEAD": b"ref: refs/heads/main\n",
    ".git/pack": b"packed " * 290_000,
}


@dataclass(frozen=True)
class Project:
    """A folder that an image is built from."""

    daemon: Daemon
    folder: Path
    tag: str

    @property
    def dockerfile(self) -> Path:
        return self.folder / "Dockerfile"

    @property
    def given(self) -> list[str]:
        """How `imgopt optimize` is told of it where no label does."""
        return [self.tag, f"--dockerfile={self.dockerfile}"]

    def write(self, name: str, content: bytes | str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def image_id(self) -> str:
        return self.daemon.image_id(self.tag)


def made(daemon: Daemon, folder: Path, tag: str, dockerfile: str, files: dict[str, bytes] | None = None) -> Project:
    """A project and its image, built as a user builds it."""
    project = Project(daemon, folder, tag)
    for name, content in (FILES if files is None else files).items():
        project.write(name, content)
    project.write("Dockerfile", dockerfile)
    daemon.docker("buildx", "build", "--network=host", "--load", f"--tag={tag}", str(folder))
    return project


def shop(command: str, *, steps: str = ARCHIVE + COPIED) -> str:
    """A Dockerfile of an application that runs as another user."""
    return f'{START}{steps}USER 1000\nEXPOSE 8080\nCMD ["sh", "-c", "{command}"]\n'


def compose(project: Project, service: str = "web") -> str:
    """Have a container of a compose project run the image, never started; its ID."""
    project.write(
        "compose.yaml", f"services:\n  {service}: {{image: '{project.tag}', build: {{context: ., network: host}}}}\n"
    )
    labels = {
        "project": project.folder.name,
        "service": service,
        "project.working_dir": str(project.folder),
        "project.config_files": str(project.folder / "compose.yaml"),
    }
    words = [f"--label=com.docker.compose.{name}={value}" for name, value in labels.items()]
    return project.daemon.docker("create", "--network=none", *words, project.tag)


def inventory(daemon: Daemon) -> set[str]:
    """Everything that an engine holds but its build cache: containers, images by name and ID, volumes, networks."""
    image = "image {{.ID}} {{.Repository}}:{{.Tag}}"
    kinds = {
        "ps": ["--all", "--no-trunc", "--format=container {{.ID}} {{.Image}} {{.Names}}"],
        "images": ["--all", "--no-trunc", f"--format={image}"],
        "volume": ["ls", "--format=volume {{.Name}}"],
        "network": ["ls", "--no-trunc", "--format=network {{.ID}}"],
    }
    return {line for kind, words in kinds.items() for line in daemon.docker(kind, *words).splitlines()}


def cache_records(daemon: Daemon) -> set[str]:
    """What an engine's build cache has of steps; of what it was sent it also keeps notes without any bytes."""
    listed = json.loads(daemon.docker("system", "df", "--verbose", "--format={{json .BuildCache}}"))
    return {record["ID"] for record in listed if record["CacheType"] == "regular"}


def napping(nap: str) -> list[psutil.Process]:
    """The processes of the machine, those of builds and containers among them, that sleep for so long."""
    return [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ["sleep", nap]]


@dataclass
class Bench:
    """The program with its settings on a daemon. `kept`: names of images that may be there afterwards."""

    daemon: Daemon
    home: Path
    folder: Path
    kept: set[str] = field(default_factory=set)

    def made(self, dockerfile: str, files: dict[str, bytes] | None = None, *, tag: str = "") -> Project:
        name = tag or f"{self.folder.name.strip('_')}:1"
        self.kept.add(name)
        return made(self.daemon, self.folder / "project", name, dockerfile, files)

    def env(self, url: str = "") -> dict[str, str]:
        config = self.folder / "imgopt.yaml"
        if not config.exists():
            config.write_text(QUICK)
        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)
        told = {"IMGOPT_CONFIG": str(config), "TMPDIR": str(temporary)}
        return environment(self.home, url or self.daemon.url, **told) | {
            "DOCKER_CONFIG": str(self.daemon.home / "client")
        }

    def settings(self, text: str) -> None:
        (self.folder / "imgopt.yaml").write_text(QUICK + text)

    def optimize(self, *arguments: str, code: int = 0) -> dict[str, list[dict[str, Any]]]:
        """Its rows, for a run that ends with that exit code."""
        run = imgopt(["optimize", *arguments, "--yes", "--json"], self.env())
        assert (run.returncode, run.stderr) == (code, "")
        document: dict[str, list[dict[str, Any]]] = json.loads(run.stdout)
        self.kept |= {name for row in document["builds"] if (name := row["candidate_reference"])}
        return document

    def soaking(self) -> None:
        """Have checks take their time."""
        (self.folder / "imgopt.yaml").write_text("builds: {network: host, soak_seconds: 300}\n")

    def planned(self, *arguments: str) -> dict[str, Any]:
        """What it would do."""
        run = imgopt(["optimize", *arguments, "--dry-run", "--json"], self.env())
        assert (run.returncode, run.stderr) == (0, "")
        document: dict[str, Any] = json.loads(run.stdout)
        return document

    def refused(self, *arguments: str, code: int = 3) -> str:
        """What it says on standard error, for a run that ends with that exit code and does nothing."""
        run = imgopt(["optimize", *arguments, "--yes", "--json"], self.env())
        assert (run.returncode, run.stdout, "Traceback" in run.stderr) == (code, "", False), run
        return run.stderr

    def told(self, *arguments: str, code: int = 3) -> str:
        """The error that it prints and ends with, without a process of its own."""
        result = CliRunner().invoke(app, ["optimize", *arguments, "--yes", "--json"], env=self.env())
        assert isinstance(result.exception, ImgoptError) and result.exception.exit_code == code, result
        return str(result.exception)

    def assert_clean(self, before: set[str]) -> None:
        added = {line for line in inventory(self.daemon) - before if line.split()[-1] not in self.kept}
        assert added == set()
        assert list((self.folder / "temporary").iterdir()) == []
        assert leftovers(self.home) == []
        assert napping(NAP) == []

    def run_status(self, run_id: str = "") -> str:
        """How Dagster has a run, or its last one."""
        with dg.DagsterInstance.from_config(str(self.home / "dagster")) as instance:
            run = instance.get_run_by_id(run_id) if run_id else instance.get_runs(limit=1)[0]
        assert run is not None
        return run.status.value


@contextmanager
def started(bench: Bench, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program under way."""
    process = subprocess.Popen(
        [str(PROGRAM), "optimize", *arguments, "--yes", "--json"],
        env=bench.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Until it is as asked; while the process runs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
