"""Real applications, each with what an optimized image of it must reach.

Belongs here: the cases, laying out their contexts, building and starting the originals as a user would, and asking
them. Does not belong here: the applications (`applications/`), their bases (`tests/engine/usual_bases.py`), and what
is asserted of the candidates.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.engine.daemons import Daemon, EngineError
from tests.engine.usual_bases import skip_without_network

_APPLICATIONS = Path(__file__).with_name("applications")
_COMMITTED = "2025-03-03T09:00:00+0000"
ANSWER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Case:
    """An application and what its optimized image must reach.

    `smaller` is the least share of bytes that must go, None where nothing is worth changing. `bases` are the tags
    that the original and what we make of it stand on, `data` the context's files that are made on the spot, with
    their bytes. `kept_in_git`: the context is a clone. `options` are those of `docker create`; `starts` is False
    where this machine cannot start the container. `paths` are what a user asks over HTTP on `port`; with none the
    container prints and ends.
    """

    name: str
    application: str
    tag: str
    bases: tuple[str, ...]
    smaller: float | None
    paths: tuple[str, ...]
    port: int = 8000
    gigabytes: bool = False
    compose_file: str | None = None
    compose_service: str = ""
    kept_in_git: bool = False
    data: Mapping[str, int] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    starts: bool = True

    @property
    def container(self) -> str:
        """The name of the original's container."""
        return f"case-{self.name}"


@dataclass(frozen=True, slots=True)
class Original:
    """A built original."""

    context: Path
    image_id: str
    size_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a container answers over HTTP."""

    status: int
    content_type: str
    body: bytes


_PYTHON = ("python:3.11", "python:3.11-slim")
_NODE = ("node:20", "node:20-slim")
_RECORDINGS = {"tests/data/interview.flac": 18_000_000, "tests/data/meeting.flac": 9_000_000}
_PHOTOS = {f"tests/data/photo-{number:02}.jpg": 900_000 for number in range(12)}

TRANSCRIBER = Case(
    name="transcriber",
    application="transcriber",
    tag="transcriber:latest",
    bases=_PYTHON,
    smaller=0.6,
    paths=("/health", "/docs"),
    gigabytes=True,
    compose_file="compose.yaml",
    compose_service="api",
    kept_in_git=True,
    data=_RECORDINGS,
)
TRANSCRIBER_GPU = Case(
    name="transcriber-gpu",
    application="transcriber",
    tag="transcriber-gpu:latest",
    bases=_PYTHON,
    smaller=0.1,
    paths=("/health", "/docs"),
    gigabytes=True,
    compose_file="compose.gpu.yaml",
    compose_service="api",
    kept_in_git=True,
    data=_RECORDINGS,
    # Accepted at creation even where there is no GPU; starting would fail there.
    options=("--device=nvidia.com/gpu=all",),
    starts=False,
)
CLASSIFIER = Case(
    name="classifier",
    application="classifier",
    tag="classifier:latest",
    bases=_PYTHON,
    smaller=0.6,
    paths=("/health", "/labels"),
    kept_in_git=True,
    data=_PHOTOS,
)
SEGMENTER = Case(
    name="segmenter",
    application="segmenter",
    tag="segmenter:latest",
    bases=_PYTHON,
    smaller=0.6,
    paths=("/health",),
    gigabytes=True,
    kept_in_git=True,
    data=_PHOTOS,
)
SHOP_API = Case(
    name="shop-api",
    application="shop-api",
    tag="shop-api:latest",
    bases=_NODE,
    smaller=0.5,
    paths=("/health", "/products", "/products/2", "/products?category=tea", "/products/999", "/nowhere"),
    port=3000,
    compose_file="compose.yaml",
    compose_service="api",
)
STOREFRONT = Case(
    name="storefront",
    application="storefront",
    tag="storefront:latest",
    bases=_NODE,
    smaller=0.5,
    paths=("/", "/about", "/products/2", "/api/products", "/logo.svg", "/nowhere"),
    port=3000,
)
REPORTS = Case(
    name="reports",
    application="reports",
    tag="reports:latest",
    bases=("python:3.11-slim",),
    smaller=0.5,
    paths=("/health", "/reports/monthly?rows=3"),
    data={f"data/{year}.parquet": 5_000_000 for year in range(2021, 2025)},
)
PLANNER = Case(
    name="planner",
    application="planner",
    tag="planner:latest",
    bases=_PYTHON,
    smaller=0.3,
    paths=("/health", "/routes?from=north&to=harbour"),
)
TIDY = Case(
    name="tidy",
    application="tidy",
    tag="tidy:latest",
    bases=("python:3.11-slim",),
    smaller=None,
    paths=("/health",),
)
CASES = (TRANSCRIBER, TRANSCRIBER_GPU, CLASSIFIER, SEGMENTER, SHOP_API, STOREFRONT, REPORTS, PLANNER, TIDY)


def build_original(daemon: Daemon, case: Case) -> Original:
    """Build an original as a user does; skips the test where packages are out of reach."""
    context = lay_out(case, daemon.home / "contexts")
    began = time.monotonic()
    try:
        daemon.docker("buildx", "build", "--load", "--network=host", f"--tag={case.tag}", str(context))
    except EngineError as error:
        skip_without_network(case.name, str(error))
        raise
    seconds = time.monotonic() - began
    size_bytes = int(daemon.docker("image", "inspect", "--format", "{{.Size}}", case.tag))
    return Original(context, daemon.image_id(case.tag), size_bytes, seconds)


def start_original(daemon: Daemon, case: Case) -> str:
    """Create a container of an original, with the labels of compose where it has such a file, and start it; its ID.

    It has no network but its own loopback device.
    """
    labels = _compose_labels(case, daemon.home / "contexts" / case.application)
    options = [*(f"--label={name}={value}" for name, value in labels.items()), *case.options]
    container = daemon.docker("create", "--network=none", f"--name={case.container}", *options, case.tag)
    if case.starts:
        daemon.docker("start", container)
    return container


def lay_out(case: Case, below: Path) -> Path:
    """The context of a case: its sources, its data, and where it is a clone its history.

    Cases of one application share it, and with it the build cache.
    """
    context = below / case.application
    if context.exists():
        return context
    shutil.copytree(_APPLICATIONS / case.application, context)
    for name, size_bytes in case.data.items():
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(name).randbytes(size_bytes))
    if case.kept_in_git:
        _git(context, "init", "--quiet", "--initial-branch=main")
        _git(context, "add", "--all")
        _git(context, "commit", "--quiet", "--message=First release")
    return context


def ask(daemon: Daemon, container: str, port: int, path: str) -> Answer:
    """What a container answers on its loopback device, asked until it listens."""
    pid = daemon.docker("inspect", "--format", "{{.State.Pid}}", container)
    command = ["nsenter", f"--target={pid}", "--net", "curl", "--silent", "--show-error", "--max-time", "20"]
    command += ["--retry", str(ANSWER_SECONDS), "--retry-delay", "1", "--retry-connrefused"]
    command += ["--noproxy", "*", "--write-out", "\n%{json}", f"http://127.0.0.1:{port}{path}"]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        logs = daemon.docker("logs", "--tail=20", container)
        raise EngineError(f"{container} does not answer {path}: {done.stderr.decode(errors='replace')}\n{logs}")
    body, _, told = done.stdout.rpartition(b"\n")
    facts = json.loads(told)
    return Answer(facts["http_code"], facts["content_type"] or "", body)


def linked_assets(page: Answer) -> list[str]:
    """The paths of the static files that a page of Next.js loads."""
    return sorted(set(re.findall(r"/_next/static/[^\"\\?]+", page.body.decode())))


def _compose_labels(case: Case, context: Path) -> dict[str, str]:
    if case.compose_file is None:
        return {}
    return {
        "com.docker.compose.project": case.name,
        "com.docker.compose.service": case.compose_service,
        "com.docker.compose.project.working_dir": str(context),
        "com.docker.compose.project.config_files": str(context / case.compose_file),
    }


def _git(folder: Path, *words: str) -> None:
    who = {"NAME": "Kim Lund", "EMAIL": "kim@example.com", "DATE": _COMMITTED}
    named = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, env=os.environ | named | plain)
