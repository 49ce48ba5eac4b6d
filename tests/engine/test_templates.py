"""The templates' results are built and run: the application answers, is healthy, and does not run as root.

Bases are tagged like the usual ones (`usual_bases.py`). Alpine's and Chainguard's images cannot be made from Debian's
packages, so that what is built on these is only parsed and linted (tests/dockerfiles/test_templates.py).
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imgopt_pipeline.dockerfiles.templates.answers import Choices
from imgopt_pipeline.dockerfiles.templates.making import make
from imgopt_pipeline.dockerfiles.templates.writing import write

from .daemons import Daemon, EngineError
from .real_images import wheel_folders
from .usual_bases import make_usual_bases, skip_without_network

HEALTHY_SECONDS = 60
ASK_PYTHON = "import urllib.request as u; r = u.urlopen('http://127.0.0.1:%d%s'); print(r.status, r.read().decode())"
ASK_NODE = "fetch('http://127.0.0.1:%d%s').then(async r => console.log(r.status, await r.text()))"

FASTAPI = {
    "pyproject.toml": """
[project]
name = "shop"
version = "1.4.0"
requires-python = "==3.11.*"
dependencies = ["fastapi==0.115.6", "uvicorn==0.34.0", "pydantic<3"]
""",
    "src/shop/__init__.py": "",
    "src/shop/main.py": """
from importlib.util import find_spec

from fastapi import FastAPI

app = FastAPI()

@app.get("/healthz")
def healthz() -> str:
    return "well"

@app.get("/")
def root() -> dict[str, object]:
    return {"shop": "open", "tests_left": find_spec("tests") is not None}
""",
    "tests/__init__.py": "",
}
MODEL = {
    ".python-version": "3.11\n",
    "requirements.txt": "-r requirements/base.txt\nfastapi==0.115.6\nuvicorn==0.34.0\n",
    "requirements/base.txt": "torch  # of the CPU\n",
    "app/main.py": """
import torch
from fastapi import FastAPI

app = FastAPI()

@app.get("/health")
def health() -> dict[str, object]:
    return {"cuda": torch.version.cuda, "sum": float(torch.ones(3).sum())}
""",
}
EXPRESS = {
    ".nvmrc": "v20.11.1\n",
    "package.json": json.dumps(
        {
            "name": "shop",
            "version": "1.0.0",
            "private": True,
            "scripts": {"build": "tsc", "start": "NODE_ENV=production node dist/index.js", "prepare": "tsc --version"},
            "dependencies": {"express": "4.21.2"},
            "devDependencies": {"typescript": "5.7.2", "@types/node": "20.17.10", "@types/express": "4.17.21"},
        }
    ),
    "tsconfig.json": json.dumps(
        {"compilerOptions": {"outDir": "dist", "module": "commonjs", "esModuleInterop": True, "strict": True}}
    ),
    "src/index.ts": """
import express from "express";

const app = express();
app.get("/health", (_request, response) => { response.send("well"); });
app.get("/", (_request, response) => { response.send(`shop of ${process.getuid?.()}`); });
const server = app.listen(Number(process.env.PORT) || 8080);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
""",
}
NEXT = {
    ".nvmrc": "20\n",
    "package.json": json.dumps(
        {
            "name": "storefront",
            "version": "1.0.0",
            "private": True,
            "scripts": {"dev": "next dev", "build": "next build", "start": "next start"},
            "dependencies": {"next": "15.1.3", "react": "19.0.0", "react-dom": "19.0.0"},
        }
    ),
    "next.config.mjs": "export default {};\n",
    "public/robots.txt": "User-agent: *\n",
    "app/layout.js": "export default ({ children }) => <html><body>{children}</body></html>;\n",
    "app/page.js": "export default () => <h1>The storefront of {process.env.NEXT_PUBLIC_OWNER}</h1>;\n",
    "app/api/health/route.js": "export const GET = () => Response.json({ well: true });\n",
    ".env.example": "NEXT_PUBLIC_OWNER=somebody\n",
}


def test_fastapi(classic: Daemon, tmp_path: Path) -> None:
    """From pyproject.toml and a src folder; tests stay out of the image."""
    make_usual_bases(classic, "python:3.11-slim")
    _write(tmp_path, FASTAPI)
    _build(classic, tmp_path, Choices("fastapi"), "template-fastapi:1")
    with _running(classic, "template-fastapi:1") as container:
        assert _ask(classic, container, "python", 8000, "/healthz") == '200 "well"'
        assert _ask(classic, container, "python", 8000, "/") == '200 {"shop":"open","tests_left":false}'
        assert _healthy(classic, container)
        assert classic.docker("exec", container, "id", "-u") == "10001"
        with pytest.raises(EngineError):
            classic.docker("exec", container, "touch", "/app/src/shop/main.py")
    assert "No module named pip" in _failing(classic, "template-fastapi:1", "/opt/venv/bin/python", "-m", "pip")


def test_python_ml(classic: Daemon, tmp_path: Path) -> None:
    """PyTorch from the index named, though the requirement admits any build, and nothing of CUDA afterwards."""
    wheel = next((path for folder in wheel_folders() for path in sorted(folder.glob("torch-*+cpu-*.whl"))), None)
    if wheel is None:
        pytest.skip("templates: pip's find-links has no CPU wheel of torch")
    make_usual_bases(classic, "python:3.11-slim")
    _write(tmp_path / "project", MODEL)
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "torch").symlink_to(wheel.parent)
    with _served(tmp_path / "index") as index:
        _build(classic, tmp_path / "project", Choices("python-ml", torch_index=index), "template-ml:1")
    with _running(classic, "template-ml:1") as container:
        assert _ask(classic, container, "python", 8000, "/health") == '200 {"cuda":null,"sum":3.0}'
        assert _healthy(classic, container)
        assert (
            classic.docker("exec", container, "sh", "-c", "id -u; touch ~/.cache-works; echo ~") == "10001\n/home/app"
        )
        listed = classic.docker("exec", container, "sh", "-c", "ls /opt/venv/lib/python3*/site-packages")
        assert not [name for name in listed.split() if name.startswith("nvidia")]


def test_nodejs(classic: Daemon, tmp_path: Path) -> None:
    """TypeScript that is built, development dependencies that are not there afterwards, signals that arrive."""
    make_usual_bases(classic, "node:20-slim")
    _write(tmp_path, EXPRESS)
    _lock(classic, tmp_path)
    _build(classic, tmp_path, Choices("nodejs"), "template-node:1")
    with _running(classic, "template-node:1") as container:
        assert _ask(classic, container, "node", 8080, "/") == "200 shop of 1000"
        assert _healthy(classic, container)
        modules = classic.docker("exec", container, "ls", "node_modules").split()
        assert "express" in modules
        assert "typescript" not in modules
        assert classic.docker("exec", container, "node", "-p", "process.env.NODE_ENV") == "production"
        started = time.monotonic()
        classic.docker("stop", "--time=20", container)
        assert time.monotonic() - started < 10
        assert classic.docker("inspect", "--format={{.State.ExitCode}}", container) == "0"


@pytest.mark.skipif(os.environ.get("IMGOPT_SCENARIOS") != "1", reason="takes minutes: `make scenarios` runs it")
def test_nextjs(classic: Daemon, tmp_path: Path) -> None:
    """A standalone server though next.config does not ask for one, with its pages, assets and public files."""
    make_usual_bases(classic, "node:20-slim")
    _write(tmp_path, NEXT)
    _lock(classic, tmp_path)
    _build(classic, tmp_path, Choices("nodejs"), "template-next:1", "--build-arg=NEXT_PUBLIC_OWNER=Ada")
    with _running(classic, "template-next:1") as container:
        page = _ask(classic, container, "node", 3000, "/")
        assert page.startswith("200 ")
        assert "Ada" in page
        asset = next(word for word in page.replace('"', " ").split() if word.startswith("/_next/static/"))
        assert _ask(classic, container, "node", 3000, asset).startswith("200 ")
        assert _ask(classic, container, "node", 3000, "/robots.txt") == "200 User-agent: *"
        assert _ask(classic, container, "node", 3000, "/api/health") == '200 {"well":true}'
        assert _healthy(classic, container)
        assert classic.docker("exec", container, "id", "-u") == "1000"
        classic.docker("exec", container, "touch", ".next/server/written")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _lock(daemon: Daemon, folder: Path) -> None:
    """Write package-lock.json as npm does."""
    where = ("--network=host", f"--volume={folder}:/project", "--workdir=/project", "node:20-slim")
    try:
        daemon.docker("run", "--rm", *where, "npm", "install", "--package-lock-only", "--ignore-scripts")
    except EngineError as error:
        skip_without_network("templates", str(error))
        raise


def _build(daemon: Daemon, folder: Path, choices: Choices, tag: str, *options: str) -> None:
    """Make the files as a user does, and build."""
    write(make(choices, folder).rendered, folder)
    try:
        daemon.docker("buildx", "build", "--network=host", "--load", f"--tag={tag}", *options, str(folder))
    except EngineError as error:
        skip_without_network("templates", str(error))
        raise


@contextmanager
def _running(daemon: Daemon, tag: str) -> Iterator[str]:
    options = ("--detach", "--network=none", "--read-only=false", "--cap-drop=ALL", "--health-interval=1s")
    container = daemon.docker("run", *options, tag)
    try:
        yield container
    finally:
        daemon.docker("rm", "--force", "--volumes", container)


def _ask(daemon: Daemon, container: str, client: str, port: int, path: str) -> str:
    """Status and body of an answer, once the application listens."""
    program = (
        ("python", "-c", ASK_PYTHON % (port, path)) if client == "python" else ("node", "-e", ASK_NODE % (port, path))
    )
    deadline = time.monotonic() + HEALTHY_SECONDS
    while True:
        try:
            return daemon.docker("exec", container, *program)
        except EngineError:
            if time.monotonic() > deadline:
                raise EngineError(daemon.docker("logs", container)) from None
            time.sleep(0.5)


def _healthy(daemon: Daemon, container: str) -> bool:
    deadline = time.monotonic() + HEALTHY_SECONDS
    state = "starting"
    while state == "starting" and time.monotonic() < deadline:
        state = daemon.docker("inspect", "--format={{.State.Health.Status}}", container)
        time.sleep(0.2)
    return state == "healthy"


def _failing(daemon: Daemon, tag: str, *command: str) -> str:
    with pytest.raises(EngineError) as failure:
        daemon.docker("run", "--rm", "--network=none", tag, *command)
    return str(failure.value)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """A package index of these folders, on this machine alone."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
