"""Rewritten for the CPU, real requirements install CPU builds, though the package index has newer CUDA builds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imgopt_pipeline.dockerfiles.context import read_context
from imgopt_pipeline.dockerfiles.facts import ImageFacts, PackageFacts, PackageSources
from imgopt_pipeline.dockerfiles.rewriting import Rewrite, rewrite
from imgopt_pipeline.dockerfiles.rules.cpu_only import RULE

from .daemons import Daemon, EngineError
from .real_images import wheel_folders
from .usual_bases import make_usual_bases, skip_without_network

BASE = "python:3.11-slim"
SITE = "usr/local/lib/python3.11/dist-packages"
DOCKERFILE = f"""\
FROM {BASE}
WORKDIR /srv
COPY requirements.txt .
RUN pip install --no-cache-dir --no-compile -r requirements.txt
"""


def test_requirements_that_would_bring_cuda_back_install_the_cpu_build(classic: Daemon, tmp_path: Path) -> None:
    wheel = next((path for folder in wheel_folders() for path in sorted(folder.glob("torch-*+cpu-cp311-*.whl"))), None)
    if wheel is None:
        pytest.skip("pip's find-links has no CPU wheel of torch for Python 3.11")
    version = wheel.name.split("-")[1].partition("+")[0]
    packages = (
        _package("torch", version, "framework", "nvidia-cublas", "triton"),
        _package("nvidia-cublas", "13.0", "library"),
        _package("triton", "3.4", "compiler"),
    )
    # Without the constraint pip takes the index's newer CUDA build.
    made = _rewritten(tmp_path, "torch>=2.6\n", *packages, sources=PackageSources(find_links=(str(wheel.parent),)))
    assert made.contexts == {"cpu-wheels": str(wheel.parent)}
    _build(classic, tmp_path, made, "cpu-only:torch")
    said = _python(
        classic,
        "cpu-only:torch",
        "import json, torch, importlib.metadata as m;"
        "print(json.dumps([torch.__version__, torch.version.cuda, [d.name for d in m.distributions()]]))",
    )
    installed, cuda, names = json.loads(said)
    assert installed == f"{version}+cpu"
    assert cuda is None
    assert not [name for name in names if name.startswith(("nvidia", "triton"))]


def test_another_framework_goes_by_its_other_name(classic: Daemon, tmp_path: Path) -> None:
    packages = (_package("onnxruntime-gpu", "1.20.1", "framework"),)
    made = _rewritten(tmp_path, "# inference\nonnxruntime-gpu==1.20.1\nsix\n", *packages)
    assert made.replaces == {"onnxruntime-gpu": "onnxruntime"}
    _build(classic, tmp_path, made, "cpu-only:onnxruntime")
    said = _python(
        classic, "cpu-only:onnxruntime", "import onnxruntime as o; print(o.__version__, o.get_available_providers())"
    )
    assert said.startswith("1.20.1")
    assert "CPUExecutionProvider" in said
    assert "CUDA" not in said


def _package(name: str, version: str, role: str, *requires: str) -> PackageFacts:
    return PackageFacts("python", name, version, SITE, gpu_role=role, requires=requires, size_bytes=500_000_000)


def _rewritten(
    folder: Path, requirements: str, *packages: PackageFacts, sources: PackageSources | None = None
) -> Rewrite:
    (folder / "requirements.txt").write_text(requirements)
    image = ImageFacts("app", 8_000_000_000, "denied", packages)
    result = rewrite(DOCKERFILE, [RULE], image=image, context=read_context(folder), sources=sources)
    assert result.techniques == ("R1",), result.left_out
    return result


def _build(daemon: Daemon, context: Path, made: Rewrite, tag: str) -> None:
    if not daemon.docker("image", "ls", "--quiet", BASE):
        make_usual_bases(daemon, BASE)
    (context / "Dockerfile").write_text(made.text)
    contexts = [f"--build-context={name}={folder}" for name, folder in made.contexts.items()]
    try:
        daemon.docker("buildx", "build", "--network=host", "--load", f"--tag={tag}", *contexts, str(context))
    except EngineError as error:
        skip_without_network("packages", str(error))
        raise


def _python(daemon: Daemon, tag: str, code: str) -> str:
    return daemon.docker("run", "--rm", "--network=none", tag, "python3", "-c", code)
