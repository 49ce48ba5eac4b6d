"""The GPU verdict on a container and on an image, each with a sentence that a person can check.

Denied needs three things: no GPU is given, the host has none, and nothing demands one. Whatever is less sure
goes to a person. Rows of the warehouse become verdicts in `verdict`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imgopt_pipeline.gpu.evidence import Evidence
from imgopt_pipeline.gpu.grant import grant_of, host_has_gpu
from imgopt_pipeline.gpu.image import ImageGpu
from imgopt_pipeline.gpu.need import TOLD, demand, need_of, reason_without, told_by_arguments, told_by_environment
from imgopt_pipeline.hosts.models import ContainerGpu, HostGpu
from imgopt_pipeline.units import format_bytes

CONFIDENCES = ("low", "medium", "high", "very high", "certain")
"""Weakest first."""

_BUILDS = {"cuda": "CUDA", "rocm": "ROCm"}
_SAYS_CPU = re.compile(r"(?:^|[-_/:.])cpu(?:$|[-_/:.\d])", re.IGNORECASE)
_SAYS_GPU = re.compile(r"(?:^|[-_/:.])(?:gpu|cuda)(?:$|[-_/:.\d])", re.IGNORECASE)
_UNNAMED = ("this container", "this image")
_PRIORITY = ("used", "granted", "broken", "required", "unknown", "denied")


@dataclass(frozen=True, slots=True)
class GpuCheck:
    """A verdict; the fields are those of the table `gpu_checks`.

    `granted` and `used` are None where that cannot be known.
    """

    verdict: str
    confidence: str
    explanation: str
    evidence: tuple[Evidence, ...]
    build: str
    versions: tuple[str, ...]
    gpu_bytes: int
    granted: bool | None
    used: bool | None
    need: str

    def row(self) -> dict[str, Any]:
        """Its columns of `gpu_checks`."""
        pieces = [asdict(piece) for piece in self.evidence]
        return {
            "build": self.build,
            "versions": list(self.versions),
            "gpu_bytes": self.gpu_bytes,
            "granted": self.granted,
            "used": self.used,
            "need": self.need,
            "verdict": self.verdict,
            "confidence": self.confidence,
            "explanation": self.explanation,
            "evidence": [{key: piece[key] for key in ("aspect", "statement", "source", "weight")} for piece in pieces],
        }


def check_container(
    image: ImageGpu,
    container: ContainerGpu,
    host: HostGpu,
    image_environment: Mapping[str, str] | None = None,
    *,
    name: str = _UNNAMED[0],
) -> GpuCheck:
    """The verdict on a container. `image_environment`: the image's variables about GPUs, those in `image` if None."""
    of_image = image.environment if image_environment is None else image_environment
    environment = {**of_image, **container.environment}
    told = [*told_by_environment(environment, "its environment"), *told_by_arguments(container.arguments)]
    content = [piece for piece in image.evidence if not (piece.aspect == "need" and piece.value in TOLD)]
    need = need_of([*content, *told], image.build)
    grant = grant_of(container, host, environment)
    has, host_evidence = host_has_gpu(host, image.build)
    used = None if container.processes is None else bool(container.processes)
    said = [*told, *content]
    verdict, confidence, explanation = _judged(name, image, need, said, grant.granted, has, used)
    if verdict == "granted" and grant.evidence[0].weight == "medium":
        confidence = _weaker(confidence, "medium")
    evidence = (*content, *told, *grant.evidence, *_use(container), *host_evidence)
    return _check(image, verdict, confidence, explanation, evidence, granted=grant.granted, used=used, need=need)


def check_image(image: ImageGpu, containers: Sequence[GpuCheck], host: HostGpu, *, name: str = _UNNAMED[1]) -> GpuCheck:
    """The verdict on an image over all its containers, or by its content alone where there are none."""
    hint = tuple(_hints(name, image))
    if containers:
        leading = min(
            containers, key=lambda check: (_PRIORITY.index(check.verdict), CONFIDENCES.index(check.confidence))
        )
        alike = sum(check.verdict == leading.verdict for check in containers)
        others = f" So it is with {alike} of its {len(containers)} containers." if len(containers) > 1 else ""
        evidence = tuple(dict.fromkeys((*hint, *(piece for check in containers for piece in check.evidence))))
        uses = [check.used for check in containers if check.used is not None]
        return _check(
            image,
            leading.verdict,
            leading.confidence,
            leading.explanation + others,
            evidence,
            granted=any(check.granted for check in containers),
            used=any(uses) if uses else None,
            need=leading.need,
        )
    has, host_evidence = host_has_gpu(host, image.build)
    verdict, confidence, explanation = _without_containers(name, image, has)
    evidence = (*hint, *image.evidence, *host_evidence)
    return _check(image, verdict, confidence, explanation, evidence, granted=None, used=None, need=image.need)


def worth_saying(check: GpuCheck, environment: Iterable[str] = ()) -> bool:
    """Whether a verdict is about anything: a build, a grant, a need, or an environment that speaks of GPUs."""
    speaks = any(name in ("NVIDIA_VISIBLE_DEVICES", "CUDA_VERSION", "ROCM_VERSION") for name in environment)
    return check.build != "none" or bool(check.granted) or check.need in ("required", "likely") or speaks


def _judged(
    name: str,
    image: ImageGpu,
    need: str,
    said: Sequence[Evidence],
    granted: bool,
    has: bool | None,
    used: bool | None,
) -> tuple[str, str, str]:
    """Verdict, confidence and explanation for a container."""
    if used:
        return "used", "certain", f"The GPU itself lists processes of {name}."
    if granted and has is False and need == "required":
        return (
            "broken",
            "high",
            f"{name} needs a GPU{demand(said)} and is given one in its settings, but the host has none.",
        )
    if granted and has is False:
        words = (
            f"{name} is given a GPU in its settings, but the host has none for it; a person has to say which is meant."
        )
        return "granted", "medium", words
    if granted and image.build == "cpu":
        words = (
            f"A GPU is given to {name}, but its frameworks are built for the CPU; a person has to say which is meant."
        )
        return ("broken" if need == "required" else "granted"), "medium", words
    if granted:
        seen = "no process of it is on the GPU now" if used is False else "whether it uses that could not be seen"
        return "granted", "high", f"A GPU is given to {name}; {seen}. Taking it away is a person's decision."
    if need == "required":
        words = f"{name} asks for a GPU{demand(said)}, and none is given to it: it is broken, or that part never runs."
        return "broken", "low" if image.build == "none" else "high" if has is False else "medium", words
    if need == "likely":
        words = f"{name} likely needs a GPU, and none is given to it: a person has to see whether it works."
        return "unknown", "low", words
    without = reason_without(need, said)
    if has is False:
        confidence = "high" if need == "unknown" else "very high"
        return "denied", confidence, f"No GPU is given to {name}, the host has none, and {without}{_idle(image)}."
    if has:
        words = f"No GPU is given to {name}, though the host has one, and {without}; a person decides."
        return "unknown", "medium", words
    return "unknown", "low", f"No GPU is given to {name}, but whether the host has one is not known; {without}."


def _without_containers(name: str, image: ImageGpu, has: bool | None) -> tuple[str, str, str]:
    """The same for an image of which no container is known."""
    if image.need == "required":
        confidence = "low" if image.build == "none" else "medium"
        return "required", confidence, f"{name} asks for a GPU{demand(image.evidence)}; no container of it is known."
    if image.need == "likely":
        return "unknown", "low", f"{name} likely needs a GPU; no container of it is known that would tell."
    without = reason_without(image.need, image.evidence)
    if has is False:
        words = f"No container of {name} is known, the host has no GPU, and {without}{_idle(image)}."
        return "denied", "medium" if image.need == "unknown" else "high", words
    seen = "the host has a GPU" if has else "whether its host has a GPU is not known"
    return "unknown", "low", f"No container of {name} is known, and {seen}; {without}."


def _idle(image: ImageGpu) -> str:
    if image.build == "cpu" or (image.build == "none" and not image.gpu_bytes):
        return "; its build has nothing of a GPU to take out"
    if not image.gpu_bytes:
        return "; its GPU code shares files with the rest, so that only a rebuild shows what it takes"
    return f": {format_bytes(image.gpu_bytes)} of {_BUILDS.get(image.build, 'GPU files')} lie there for nothing"


def _use(container: ContainerGpu) -> tuple[Evidence, ...]:
    if container.processes is None:
        return ()
    if not container.processes:
        return (
            Evidence("use", "no process of it is among those that the GPU lists", "nvidia-smi", "medium", "not used"),
        )
    listed = ", ".join(container.processes[:5])
    return (Evidence("use", f"the GPU lists {listed}", "nvidia-smi", "certain", "used"),)


def _hints(name: str, image: ImageGpu) -> Iterable[Evidence]:
    """Names promise nothing, but one that says the contrary of the content deserves a sentence."""
    if image.build in _BUILDS and _SAYS_CPU.search(name) and not _SAYS_GPU.search(name):
        size = format_bytes(image.gpu_bytes)
        statement = f"its name says cpu, but it holds a {_BUILDS[image.build]} build: {size} of it"
        yield Evidence("build", statement, f"name {name}", "weak", image.build)
    elif image.build == "cpu" and _SAYS_GPU.search(name):
        yield Evidence(
            "build", "its name speaks of a GPU, but its frameworks are built for the CPU", f"name {name}", "weak", "cpu"
        )


def _weaker(one: str, other: str) -> str:
    return min(one, other, key=CONFIDENCES.index)


def _check(
    image: ImageGpu,
    verdict: str,
    confidence: str,
    explanation: str,
    evidence: tuple[Evidence, ...],
    *,
    granted: bool | None,
    used: bool | None,
    need: str,
) -> GpuCheck:
    # Only a sentence that begins with no name begins with a capital: names stay as they are.
    text = explanation[:1].upper() + explanation[1:] if explanation.startswith(_UNNAMED) else explanation
    return GpuCheck(
        verdict, confidence, text, evidence, image.build, image.versions, image.gpu_bytes, granted, used, need
    )
