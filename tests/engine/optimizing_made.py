"""Small projects whose images leave waste behind, made without a network: what `imgopt optimize` is tried on.

Belongs here: folders with a Dockerfile, their images, and what an engine holds. Does not belong here: running the
program (`program.py`) and what tests expect.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import psutil

from .daemons import Daemon

BASE = "optimizing-base:1"
START = f"FROM {BASE}\nENV PATH=/bin\n"
#: Three million bytes that the next step deletes: R17 joins the two.
ARCHIVE = "RUN head -c 3000000 /dev/zero > /tmp/archive && echo made > /made\nRUN rm /tmp/archive\n"
#: Two million bytes of `.git`, which R10 keeps out, and three and a half that are stored twice for their owner: R12.
COPIED = "WORKDIR /srv\nCOPY . .\nRUN chown -R 1000:1000 /srv\n"
SERVE = "httpd -f -p 8080 -h /srv/app"
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


def shop(command: str, *, exposed: str = "EXPOSE 8080\n", steps: str = ARCHIVE + COPIED) -> str:
    """A Dockerfile of an application that runs as another user."""
    return f'{START}{steps}USER 1000\n{exposed}CMD ["sh", "-c", "{command}"]\n'


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
