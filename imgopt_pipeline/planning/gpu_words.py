"""What the GPU verdict means for an image's plan, in words, and the edits that make it CPU-only."""

from __future__ import annotations

import re

from imgopt_pipeline.gpu.variants import cpu_variant
from imgopt_pipeline.planning.facts import AuditFacts, GpuFacts, ImageFacts
from imgopt_pipeline.planning.provenance import repository
from imgopt_pipeline.units import format_bytes

_SAYS_CPU = re.compile(r"(?<![a-z0-9])cpu(?![a-z0-9])", re.IGNORECASE)
_BUILDS = {"cuda": "CUDA", "rocm": "ROCm"}
_WORTH_SAYING_BYTES = 1_000_000


def gpu_sentences(image: ImageFacts, facts: AuditFacts, *, cpu_only: bool) -> list[str]:
    """Why GPU code may go or has to stay; empty for images that have none and need none."""
    gpu = image.gpu
    build = _BUILDS.get(gpu.build)
    sentences = []
    if says_cpu(image):
        content = f"a {build} build{_amount(gpu.gpu_bytes)}" if build else "no GPU build"
        sentences.append(f"Its name says cpu, its content is {content}.")
    elif build and gpu.verdict:
        sentences.append(f"It is a {build} build{_amount(gpu.gpu_bytes)}.")
    if gpu.verdict == "broken":
        sentences.append(
            "It needs a GPU and has none, so that it cannot work as it is: give it one or change the code."
        )
    elif build and gpu.verdict == "denied":
        who = "No container of it is given a GPU" if image.containers else "No container uses it"
        what = " and the host has none" if facts.gpus_known and not facts.has_gpu else ""
        sure = f" (verdict denied, confidence {gpu.confidence})" if gpu.confidence else ""
        sentences.append(f"{who}{what}{sure}." + ("" if cpu_only else " It keeps its GPU code all the same."))
        if cpu_only:
            sentences += _staying(image)
    elif build and gpu.verdict in ("granted", "used"):
        sentences.append(f"A GPU is {'used by' if gpu.verdict == 'used' else 'given to'} it: it keeps {build}.")
        if gpu.verdict == "granted" and gpu.used is False:
            sentences.append("No process of it was seen on a GPU: whether it needs one is for a person to decide.")
    elif build and gpu.verdict == "required":
        sentences.append(f"Its code needs a GPU: it keeps {build}.")
    elif build:
        sentences.append(f"Whether it needs a GPU is not known: it keeps {build} until that is clear.")
    return sentences


def may_need_none(gpu: GpuFacts) -> bool:
    """Whether all that is known leaves it open that it needs no GPU."""
    return gpu.verdict in ("denied", "unknown") or (gpu.verdict == "granted" and gpu.used is False)


def _staying(image: ImageFacts) -> list[str]:
    """What of the GPU code no CPU-only build leaves out: compilers that other packages ask for."""
    claimed_bytes = sum(group.size_bytes for group in image.claims if "R1" in group.levels)
    staying_bytes = image.gpu.gpu_bytes - claimed_bytes
    if not claimed_bytes or staying_bytes <= _WORTH_SAYING_BYTES:
        return []
    compilers = sorted({package.name for package in image.gpu_packages if package.gpu_role == "compiler"})
    names = f" ({', '.join(compilers)})" if compilers else ""
    return [f"{format_bytes(staying_bytes)} of it stay: packages outside the GPU stack require them{names}."]


def _amount(gpu_bytes: int) -> str:
    """Nothing where GPU code shares its files with the rest."""
    return f" with {format_bytes(gpu_bytes)} of GPU code" if gpu_bytes else ""


def says_cpu(image: ImageFacts) -> bool:
    """Whether one of its names has cpu as a word of its own."""
    return any(_SAYS_CPU.search(reference) for reference in image.references)


def says_slim(image: ImageFacts) -> bool:
    """Whether one of its tags says slim."""
    return any("slim" in reference.removeprefix(repository(reference)).lower() for reference in image.references)


def main_framework(image: ImageFacts) -> str:
    """The framework with most bytes that has a CPU variant; torch before others; empty for none."""
    frameworks = [package for package in image.gpu_packages if package.gpu_role == "framework"]
    torch = next((package.name for package in frameworks if package.name.lower() == "torch"), "")
    return torch or next((package.name for package in frameworks), "")


def cpu_only_means(image: ImageFacts) -> str:
    """`CPU-only torch`."""
    framework = main_framework(image)
    return f"CPU-only {cpu_variant(framework) or framework or 'packages'}"


def cpu_only_edits(image: ImageFacts) -> list[str]:
    """The edits of the Dockerfile that keep GPU code out, in order."""
    variants = {package.name: (package, cpu_variant(package.name)) for package in image.gpu_packages}
    # A CPU variant of the same name is a build of its own, which its local version names.
    pins = [f"{name}=={p.version.partition('+')[0]}+cpu" for name, (p, variant) in variants.items() if variant == name]
    edits = []
    if pins:
        edits += [
            f"Write constraints-cpu.txt, one a line: {' '.join(pins)}",
            "Give --constraint constraints-cpu.txt and PyTorch's index of CPU wheels (--index-url) to every pip line,"
            " also to that of the requirements file: without them it re-installs the CUDA build (with uv:"
            " --torch-backend=cpu).",
        ]
    edits += [
        f"Replace {name} by {variant} in the requirements."
        for name, (_, variant) in variants.items()
        if variant not in (None, name)
    ]
    if pins:
        edits.append(
            "Let the build prove it: RUN python -c 'import torch; assert torch.version.cuda is None', and no"
            " nvidia_* folder among the installed packages."
        )
    return edits or ["Install the CPU variants of its GPU packages, and check that nothing brings the GPU ones back."]
